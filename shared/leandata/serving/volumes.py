"""How many rows came on each day, against the usual of that day; as the nightly checks count them."""

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
UNUSUAL = Decimal("3.5")
"""A modified z-score beyond this is unusual (Iglewicz and Hoaglin)."""
_TABLE = """
CREATE TABLE IF NOT EXISTS serving.volumes (
    dataset text, day date, rows bigint NOT NULL, usual numeric(14, 1), score numeric(14, 1),
    PRIMARY KEY (dataset, day));
"""
_PUT = """
INSERT INTO serving.volumes VALUES (%s, %s, %s, %s, %s) ON CONFLICT (dataset, day) DO UPDATE SET
    (rows, usual, score) = (excluded.rows, excluded.usual, excluded.score)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """Rows of a dataset that came on a day. `usual` is the median of the days that it is held against, `score` the
    modified z-score among them; None where too little is known to judge."""

    dataset: str
    day: date
    rows: int
    usual: Decimal | None
    score: Decimal | None


def volumes(connection: Connection, *, last: int = 28) -> list[Volume]:
    """At most the `last` days of each dataset, by dataset and day; empty before any were counted."""
    return [to_volume(row) for row in rows(connection, "volumes", volumes_sql(), {"last": last})]


def volumes_sql() -> LiteralString:
    """The query behind `volumes`: parameter `last`."""
    return (
        "SELECT dataset, day, rows, usual, score FROM"
        " (SELECT *, row_number() OVER (PARTITION BY dataset ORDER BY day DESC) AS back FROM serving.volumes)"
        " AS numbered WHERE back <= %(last)s ORDER BY dataset, day"
    )


def to_volume(row: Sequence[Any]) -> Volume:
    """A row of `volumes_sql` as a value."""
    name, day, count, usual, score = row
    return Volume(dataset=name, day=day, rows=count, usual=usual, score=score)


def record_volumes(connection: Connection, found: Sequence[Volume]) -> None:
    """Put these days in place of what was counted of them; days older than 400 before the newest are forgotten."""
    with writing(connection, _TABLE, lock=Lock.VOLUMES):
        with connection.cursor() as cursor:
            told = [(one.dataset, one.day, one.rows, one.usual, one.score) for one in found]
            cursor.executemany(_PUT, told)
        if found:
            oldest = max(one.day for one in found) - KEPT
            connection.execute("DELETE FROM serving.volumes WHERE day < %s", [oldest])
