select
    weeks.week,
    {{ sales_figures('week') }}
from (
    select distinct cast(date_trunc('week', day) as date) as week
    from {{ ref('stg_days') }}
) as weeks
left join (
    select
        orders.order_key,
        orders.customer_id,
        orders.week as week_of_order,
        orders.quantity,
        orders.amount_usd,
        cast(date_trunc('week', customers.first_order_on) as date) as week_of_first_order
    from {{ ref('stg_orders') }} as orders
    inner join {{ ref('customers') }} as customers on orders.customer_id = customers.customer_id
) as sold on weeks.week = sold.week_of_order
group by weeks.week
