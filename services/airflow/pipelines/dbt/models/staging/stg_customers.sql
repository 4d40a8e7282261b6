select
    customer_id,
    created_on
from {{ source('shop', 'customers') }}
