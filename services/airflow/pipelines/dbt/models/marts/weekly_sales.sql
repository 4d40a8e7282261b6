select
    weeks.week,
    {{ sales_figures('week') }}
from (
    select distinct cast(date_trunc('week', day) as date) as week
    from {{ ref('stg_days') }}
) as weeks
left join (
    select
        bought.customer_id,
        cast(date_trunc('week', bought.day) as date) as week_of_orders,
        cast(date_trunc('week', min(customers.first_order_on)) as date) as week_of_first_order,
        sum(bought.orders) as orders,
        sum(bought.units) as units,
        sum(bought.revenue) as revenue
    from {{ ref('customer_days') }} as bought
    inner join {{ ref('customers') }} as customers on bought.customer_id = customers.customer_id
    group by bought.customer_id, cast(date_trunc('week', bought.day) as date)
) as sold on weeks.week = sold.week_of_orders
group by weeks.week
