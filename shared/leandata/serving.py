"""The serving database: what the API, the dashboards and the report read, published whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

from leandata.database import Connection
from leandata.datasets import Dataset
from leandata.errors import DatabaseError

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "serving"
_VERSION = re.compile(r"[a-z0-9_]{1,40}")
_TABLES = """
CREATE SCHEMA IF NOT EXISTS serving;
CREATE TABLE IF NOT EXISTS serving.freshness (
    dataset text PRIMARY KEY, version text NOT NULL, rows bigint NOT NULL, data_until date NOT NULL,
    published_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS serving.reports (
    week date PRIMARY KEY, status text NOT NULL, claimed_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz,
    message_id text);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sales:
    """Sales of a day, or of the week that starts on `period`. `revenue` is US dollars."""

    period: date
    revenue: Decimal
    orders: int
    customers: int
    new_customers: int
    units: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """What is published of a dataset: its version, rows, the last day it knows of, and when it was published."""

    dataset: str
    version: str
    rows: int
    data_until: date
    published_at: datetime


def ensure_schema(connection: Connection) -> None:
    """Make the schema and its own tables unless they are there."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(7205117)")
        connection.execute(_TABLES)


def publish(connection: Connection, dataset: Dataset, table: pa.Table, *, version: str, data_until: date) -> int:
    """Put `table` in place of what is served of `dataset`; readers see the old version or the new, never half.

    The rows go into a table of their own by COPY, then the view `serving.<table>` is turned to it and older tables are
    dropped, all in one transaction. Returns the rows. Raises DatabaseError for a version that cannot name a table.
    """
    if not _VERSION.fullmatch(version):
        raise DatabaseError(f"{version!r} cannot name a version", hint="Use lower-case letters, digits, underscore")
    ensure_schema(connection)
    view, new = sql.Identifier(SCHEMA, dataset.table), sql.Identifier(SCHEMA, f"{dataset.table}__{version}")
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in dataset.columns)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [dataset.name])
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(new))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(new, sql.SQL(dataset.postgres_columns())))  # pyright: ignore[reportArgumentType]
        with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(new, names)) as copy:
            for row in _rows(table, [column.name for column in dataset.columns]):
                copy.write_row(row)
        key = sql.SQL(", ").join(map(sql.Identifier, dataset.key))
        connection.execute(sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(new, key))
        connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
        connection.execute(sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(view, new))
        for old in _older(connection, dataset, version):
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(SCHEMA, old)))
        connection.execute(
            "INSERT INTO serving.freshness VALUES (%s, %s, %s, %s, now()) ON CONFLICT (dataset) DO UPDATE SET"
            " (version, rows, data_until, published_at) ="
            " (excluded.version, excluded.rows, excluded.data_until, excluded.published_at)",
            [dataset.name, version, table.num_rows, data_until],
        )
    return table.num_rows


def daily_sales(connection: Connection, *, since: date | None = None, until: date | None = None) -> list[Sales]:
    """Sales of each day from `since` to `until`, both included; empty before anything was published."""
    return _sales(connection, "daily_sales", "day", since, until)


def weekly_sales(connection: Connection, *, since: date | None = None, until: date | None = None) -> list[Sales]:
    """Sales of each week whose Monday lies between `since` and `until`; empty before anything was published."""
    return _sales(connection, "weekly_sales", "week", since, until)


def freshness(connection: Connection) -> list[Freshness]:
    """What is published, by dataset; empty before anything was."""
    if not _exists(connection, "freshness"):
        return []
    rows = connection.execute(freshness_sql()).fetchall()
    return [
        Freshness(dataset=name, version=version, rows=count, data_until=until, published_at=published)
        for name, version, count, until, published in rows
    ]


def freshness_sql() -> LiteralString:
    """The query behind `freshness`."""
    return "SELECT dataset, version, rows, data_until, published_at FROM serving.freshness ORDER BY dataset"


def weekly_sales_sql() -> str:
    """The query behind `weekly_sales`, for provenance and for readers that bring their own connection."""
    return _sales_sql("weekly_sales", "week")


def to_sales(row: Sequence[Any]) -> Sales:
    """A row of `weekly_sales_sql` as a value."""
    period, revenue, orders, customers, new_customers, units = row
    return Sales(
        period=period, revenue=revenue, orders=orders, customers=customers, new_customers=new_customers, units=units
    )


def _sales(connection: Connection, table: str, period: str, since: date | None, until: date | None) -> list[Sales]:
    if not _exists(connection, table):
        return []
    query = _sales_sql(table, period)
    return [to_sales(row) for row in connection.execute(query, {"since": since, "until": until}).fetchall()]  # pyright: ignore[reportArgumentType]


def _sales_sql(table: str, period: str) -> str:
    return (
        f"SELECT {period}, revenue, orders, customers, new_customers, units FROM serving.{table}"
        f" WHERE {period} >= coalesce(%(since)s::date, {period})"
        f" AND {period} <= coalesce(%(until)s::date, {period}) ORDER BY {period}"
    )


def _exists(connection: Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.{table}"]).fetchone()
    return row is not None and row[0] is not None


def _older(connection: Connection, dataset: Dataset, version: str) -> list[str]:
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'serving' AND starts_with(tablename, %s)"
        " AND tablename <> %s ORDER BY tablename",
        [f"{dataset.table}__", f"{dataset.table}__{version}"],
    ).fetchall()
    return [name for (name,) in rows]


def _rows(table: pa.Table, names: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in table.select(names).to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
