"""The warehouse on Snowflake."""
