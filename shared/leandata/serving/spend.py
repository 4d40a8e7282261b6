"""What the warehouses used of credits, by day; as Snowflake meters it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, LiteralString

from leandata.database import Connection
from leandata.serving.locks import Lock
from leandata.serving.publishing import writing
from leandata.serving.rows import rows

KEPT = timedelta(days=400)
_TABLE = """
CREATE TABLE IF NOT EXISTS serving.spend (
    warehouse text, day date, credits numeric(14, 6) NOT NULL, PRIMARY KEY (warehouse, day));
"""
_PUT = """
INSERT INTO serving.spend VALUES (%s, %s, %s) ON CONFLICT (warehouse, day) DO UPDATE SET credits = excluded.credits
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spend:
    """The credits that a warehouse used on a day (UTC), its share of cloud services included."""

    warehouse: str
    day: date
    credits: Decimal


def spend(connection: Connection, *, since: date) -> list[Spend]:
    """Every day from `since` on which a warehouse used something, by warehouse and day; empty where nobody meters."""
    return [to_spend(row) for row in rows(connection, "spend", spend_sql(), {"since": since})]


def spend_sql() -> LiteralString:
    """The query behind `spend`: parameter `since`."""
    return "SELECT warehouse, day, credits FROM serving.spend WHERE day >= %(since)s ORDER BY warehouse, day"


def to_spend(row: Sequence[Any]) -> Spend:
    """A row of `spend_sql` as a value."""
    warehouse, day, used = row
    return Spend(warehouse=warehouse, day=day, credits=used)


def record_spend(connection: Connection, found: Sequence[Spend]) -> None:
    """Put these days in place of what was known of them; days older than 400 before the newest are forgotten."""
    with writing(connection, _TABLE, lock=Lock.SPEND):
        with connection.cursor() as cursor:
            cursor.executemany(_PUT, [(one.warehouse, one.day, one.credits) for one in found])
        if found:
            oldest = max(one.day for one in found) - KEPT
            connection.execute("DELETE FROM serving.spend WHERE day < %s", [oldest])
