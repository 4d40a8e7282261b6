-- Every day from the first order to the last day that was collected, be it without orders.
with digits as (
    select column1 as digit
    from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as digits (column1)
),

span as (
    select
        min(ordered_on) as first_day,
        datediff('day', min(ordered_on), cast('{{ var("until") }}' as date)) as days
    from {{ source('shop', 'orders') }}
),

numbers as (
    select ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit as number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
)

select cast(dateadd('day', numbers.number, span.first_day) as date) as day
from numbers
inner join span on numbers.number <= span.days
