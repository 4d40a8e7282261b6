-- Identical rows of the source are kept: there are as many orders as rows, and (staging.yml) each has a key of its own.
select counted.rows_of_source, counted.orders
from (
    select
        (select count(*) from {{ source('shop', 'orders') }}) as rows_of_source,
        (select count(order_key) from {{ ref('stg_orders') }}) as orders
) as counted
where counted.rows_of_source <> counted.orders
