"""How fresh each published dataset is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString

from leandata.database import Connection
from leandata.serving.rows import rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """What is published of a dataset: its version, rows, the last day it knows of, and when it was published."""

    dataset: str
    version: str
    rows: int
    data_until: date
    published_at: datetime


def freshness(connection: Connection) -> list[Freshness]:
    """What is published, by dataset; empty before anything was."""
    return [to_freshness(row) for row in rows(connection, "freshness", freshness_sql(), {})]


def freshness_sql() -> LiteralString:
    """The query behind `freshness`."""
    return "SELECT dataset, version, rows, data_until, published_at FROM serving.freshness ORDER BY dataset"


def to_freshness(row: Sequence[Any]) -> Freshness:
    """A row of `freshness_sql` as a value."""
    name, version, count, until, published = row
    return Freshness(dataset=name, version=version, rows=count, data_until=until, published_at=published)
