-- The source has no order id: identical rows are orders of their own, so they are numbered.
with numbered as (
    select
        customer_id,
        ordered_on,
        quantity,
        amount_usd,
        row_number() over (
            partition by customer_id, ordered_on, quantity, amount_usd
            order by _dt, _run, _row
        ) as occurrence
    from {{ source('shop', 'orders') }}
)

select
    customer_id || '/' || ordered_on || '/' || quantity || '/' || amount_usd || '/' || occurrence as order_key,
    customer_id,
    ordered_on,
    quantity,
    amount_usd,
    occurrence
from numbered
