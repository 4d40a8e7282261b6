select
    days.day,
    {{ sales_figures('day') }}
from {{ ref('stg_days') }} as days
left join (
    select
        bought.customer_id,
        bought.day as day_of_orders,
        bought.orders,
        bought.units,
        bought.revenue,
        customers.first_order_on as day_of_first_order
    from {{ ref('customer_days') }} as bought
    inner join {{ ref('customers') }} as customers on bought.customer_id = customers.customer_id
) as sold on days.day = sold.day_of_orders
group by days.day
