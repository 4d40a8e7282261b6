{# The figures of a period. A customer is new in the period of the first order. #}
{% macro sales_figures(period) %}
    cast(coalesce(sum(amount_usd), 0) as number(14, 2)) as revenue,
    count(order_key) as orders,
    count(distinct customer_id) as customers,
    count(distinct case when {{ period }}_of_first_order = {{ period }} then customer_id end) as new_customers,
    cast(coalesce(sum(quantity), 0) as number(18, 0)) as units
{% endmacro %}
