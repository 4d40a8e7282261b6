"""What an environment says of its Snowflake account."""

from __future__ import annotations

from infra.parts.base import Part


class Snowflake(Part):
    """The account that the warehouse lies in."""

    organization: str
    account: str
