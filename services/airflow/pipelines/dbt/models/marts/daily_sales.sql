select
    days.day,
    {{ sales_figures('day') }}
from {{ ref('stg_days') }} as days
left join (
    select
        orders.order_key,
        orders.customer_id,
        orders.ordered_on,
        orders.quantity,
        orders.amount_usd,
        customers.first_order_on as day_of_first_order
    from {{ ref('stg_orders') }} as orders
    inner join {{ ref('customers') }} as customers on orders.customer_id = customers.customer_id
) as sold on days.day = sold.ordered_on
group by days.day
