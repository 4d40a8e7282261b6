-- Recency, frequency and value as quintiles (Hughes 1994), and one segment a customer: the first rule that fits.
with ranked as (
    select
        customer_id,
        last_order_on,
        orders,
        revenue,
        rank() over (order by last_order_on) as recency_rank,
        rank() over (order by orders) as frequency_rank,
        rank() over (order by revenue) as monetary_rank,
        count(*) over () as all_customers
    from {{ ref('customers') }}
),

scored as (
    select
        customer_id,
        last_order_on,
        orders,
        revenue,
        {{ quintile('recency') }} as recency_score,
        {{ quintile('frequency') }} as frequency_score,
        {{ quintile('monetary') }} as monetary_score
    from ranked
)

select
    customer_id,
    cast('{{ var("until") }}' as date) as as_of,
    cast(datediff('day', last_order_on, cast('{{ var("until") }}' as date)) as number(9, 0)) as recency_days,
    orders as frequency,
    revenue as monetary,
    recency_score,
    frequency_score,
    monetary_score,
    STAGING.SHOP.SEGMENT(recency_score, frequency_score, orders) as segment
from scored
