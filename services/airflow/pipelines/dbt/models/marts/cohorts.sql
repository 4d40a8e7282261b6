-- Customers by the month of their first order, followed through every month since, be it without orders.
with months as (
    select distinct cast(date_trunc('month', day) as date) as month_start
    from {{ ref('stg_days') }}
),

members as (
    select
        customer_id,
        cast(date_trunc('month', first_order_on) as date) as cohort
    from {{ ref('customers') }}
),

sizes as (
    select
        cohort,
        count(*) as cohort_customers
    from members
    group by cohort
),

sold as (
    select
        members.cohort,
        days.customer_id,
        days.orders,
        days.revenue,
        cast(date_trunc('month', days.day) as date) as month_start
    from {{ ref('customer_days') }} as days
    inner join members on days.customer_id = members.customer_id
)

select
    sizes.cohort,
    cast(datediff('month', sizes.cohort, months.month_start) as number(9, 0)) as month,
    count(distinct sold.customer_id) as customers,
    sizes.cohort_customers,
    cast(coalesce(sum(sold.orders), 0) as number(18, 0)) as orders,
    cast(coalesce(sum(sold.revenue), 0) as number(14, 2)) as revenue
from sizes
inner join months on months.month_start >= sizes.cohort
left join sold on sizes.cohort = sold.cohort and months.month_start = sold.month_start
group by sizes.cohort, months.month_start, sizes.cohort_customers
