-- Identical rows of the source are kept: the key has as many values as the source has rows.
select counted.orders, counted.keys
from (
    select
        (select count(*) from {{ source('shop', 'orders') }}) as orders,
        (select count(distinct order_key) from {{ ref('stg_orders') }}) as keys
) as counted
where counted.orders <> counted.keys
