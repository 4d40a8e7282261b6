-- The last day in the mart is the last day that was collected.
select newest.day
from (select max(day) as day from {{ ref('daily_sales') }}) as newest
where newest.day <> cast('{{ var("until") }}' as date)
