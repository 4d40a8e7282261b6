select
    customer_id,
    min(day) as first_order_on,
    max(day) as last_order_on,
    cast(sum(orders) as number(18, 0)) as orders,
    cast(sum(units) as number(18, 0)) as units,
    cast(sum(revenue) as number(14, 2)) as revenue
from {{ ref('customer_days') }}
group by customer_id
