{# The figures of a period, of rows that are a customer in a period each. A customer is new in that of the first order. #}
{% macro sales_figures(period) %}
    cast(coalesce(sum(revenue), 0) as number(14, 2)) as revenue,
    cast(coalesce(sum(orders), 0) as number(18, 0)) as orders,
    count(customer_id) as customers,
    count(case when {{ period }}_of_first_order = {{ period }} then customer_id end) as new_customers,
    cast(coalesce(sum(units), 0) as number(18, 0)) as units
{% endmacro %}
