select
    customer_id,
    min(ordered_on) as first_order_on,
    max(ordered_on) as last_order_on,
    count(*) as orders,
    cast(sum(quantity) as number(18, 0)) as units,
    cast(sum(amount_usd) as number(14, 2)) as revenue
from {{ ref('stg_orders') }}
group by customer_id
