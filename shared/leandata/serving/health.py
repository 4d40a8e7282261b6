"""Whether each part of the platform answers, as the pipelines see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

from leandata.database import Connection
from leandata.serving.locks import Lock
from leandata.serving.publishing import writing
from leandata.serving.rows import rows

HealthState = Literal["up", "down"]
_TABLE = """
CREATE TABLE IF NOT EXISTS serving.health (
    part text PRIMARY KEY, state text NOT NULL, detail text NOT NULL, milliseconds integer NOT NULL,
    looked_at timestamptz NOT NULL, since timestamptz NOT NULL);
"""
_PUT = """
INSERT INTO serving.health AS known VALUES (%(part)s, %(state)s, %(detail)s, %(took)s, %(at)s, %(at)s)
ON CONFLICT (part) DO UPDATE SET (state, detail, milliseconds, looked_at, since) = (
    excluded.state, excluded.detail, excluded.milliseconds, excluded.looked_at,
    CASE WHEN known.state = excluded.state THEN known.since ELSE excluded.since END)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """A part of the platform: whether it answered, in how many milliseconds or why not, and since when it is so."""

    part: str
    state: str
    detail: str
    milliseconds: int
    looked_at: datetime
    since: datetime


def health(connection: Connection) -> list[Health]:
    """Every part by name; empty before anybody looked."""
    return [to_health(row) for row in rows(connection, "health", health_sql(), {})]


def health_sql() -> LiteralString:
    """The query behind `health`."""
    return "SELECT part, state, detail, milliseconds, looked_at, since FROM serving.health ORDER BY part"


def to_health(row: Sequence[Any]) -> Health:
    """A row of `health_sql` as a value."""
    part, state, detail, took, at, since = row
    return Health(part=part, state=state, detail=detail, milliseconds=took, looked_at=at, since=since)


def record_health(connection: Connection, found: Sequence[Health]) -> None:
    """Put what was found now in place of the last look; a part that was not looked at is forgotten. `since` stays while
    a part's state does."""
    with writing(connection, _TABLE, lock=Lock.HEALTH):
        for one in found:
            told = {"part": one.part, "state": one.state, "detail": one.detail, "took": one.milliseconds}
            connection.execute(_PUT, {**told, "at": one.looked_at})
        connection.execute("DELETE FROM serving.health WHERE NOT part = ANY(%s)", [[one.part for one in found]])
