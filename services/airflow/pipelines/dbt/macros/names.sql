{# Databases and schemas are named as the warehouse stack made them; nothing is put before or behind. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

{% macro generate_database_name(custom_database_name, node) -%}
    {{ (custom_database_name or target.database) | trim }}
{%- endmacro %}
