-- An event's customer is converted by an order on its day or in the seven days after it.
select
    events.occurred_on as day,
    events.type,
    count(distinct events.event_id) as events,
    count(distinct events.customer_id) as customers,
    count(distinct ordered.customer_id) as converted
from {{ source('shop', 'events') }} as events
left join {{ ref('customer_days') }} as ordered
    on events.customer_id = ordered.customer_id
    and ordered.day >= events.occurred_on
    and ordered.day <= dateadd('day', 7, events.occurred_on)
group by events.occurred_on, events.type
