"""Events by day and type, and how many of their customers ordered soon after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString

from leandata.database import Connection
from leandata.serving.rows import rows


@dataclass(frozen=True, kw_only=True, slots=True)
class DailyEvents:
    """Events of a type on a day; of their known `customers` so many `converted`: ordered within seven days."""

    day: date
    type: str
    events: int
    customers: int
    converted: int


def daily_events(connection: Connection, *, since: date | None = None, until: date | None = None) -> list[DailyEvents]:
    """Events of each day and type from `since` to `until`, both included; empty before any were published."""
    found = rows(connection, "daily_events", daily_events_sql(), {"since": since, "until": until})
    return [to_daily_events(row) for row in found]


def daily_events_sql() -> LiteralString:
    """The query behind `daily_events`, with the parameters `since` and `until`."""
    return (
        "SELECT day, type, events, customers, converted FROM serving.daily_events"
        " WHERE day >= coalesce(%(since)s::date, day) AND day <= coalesce(%(until)s::date, day) ORDER BY day, type"
    )


def to_daily_events(row: Sequence[Any]) -> DailyEvents:
    """A row of `daily_events_sql` as a value."""
    day, type_, events, customers, converted = row
    return DailyEvents(day=day, type=type_, events=events, customers=customers, converted=converted)
