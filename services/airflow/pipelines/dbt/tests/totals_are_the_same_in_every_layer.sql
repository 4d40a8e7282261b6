-- To the cent: what was loaded is what is reported, by day, by week, by customer and by cohort.
with totals as (
    select 'raw' as layer, sum(amount_usd) as revenue, count(*) as orders from {{ source('shop', 'orders') }}
    union all
    select 'daily' as layer, sum(revenue) as revenue, sum(orders) as orders from {{ ref('daily_sales') }}
    union all
    select 'weekly' as layer, sum(revenue) as revenue, sum(orders) as orders from {{ ref('weekly_sales') }}
    union all
    select 'customers' as layer, sum(revenue) as revenue, sum(orders) as orders from {{ ref('customers') }}
    union all
    select 'customer_days' as layer, sum(revenue) as revenue, sum(orders) as orders from {{ ref('customer_days') }}
    union all
    select 'segments' as layer, sum(monetary) as revenue, sum(frequency) as orders from {{ ref('segments') }}
    union all
    select 'cohorts' as layer, sum(revenue) as revenue, sum(orders) as orders from {{ ref('cohorts') }}
)

select layer, revenue, orders
from totals
where revenue <> (select revenue from totals where layer = 'raw')
    or orders <> (select orders from totals where layer = 'raw')
