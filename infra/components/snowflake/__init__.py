"""The warehouse on Snowflake: who may what as a pure plan, and the resources that carry it out."""
