select
    customer_id,
    ordered_on as day,
    count(*) as orders,
    cast(sum(quantity) as number(18, 0)) as units,
    cast(sum(amount_usd) as number(14, 2)) as revenue
from {{ ref('stg_orders') }}
group by customer_id, ordered_on
