{# 1 (lowest) to 5 (highest) by a column's rank among all rows; equal values have equal scores. In whole numbers. #}
{% macro quintile(column) %}
    cast((5 * ({{ column }}_rank - 1) - mod(5 * ({{ column }}_rank - 1), all_customers)) / all_customers + 1 as number(9, 0))
{% endmacro %}
