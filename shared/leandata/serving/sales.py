"""Sales by day and by week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from leandata.database import Connection
from leandata.serving.rows import rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Sales:
    """Sales of a day, or of the week that starts on `period`. `revenue` is US dollars."""

    period: date
    revenue: Decimal
    orders: int
    customers: int
    new_customers: int
    units: int


def daily_sales(connection: Connection, *, since: date | None = None, until: date | None = None) -> list[Sales]:
    """Sales of each day from `since` to `until`, both included; empty before anything was published."""
    return _sales(connection, "daily_sales", "day", since, until)


def weekly_sales(connection: Connection, *, since: date | None = None, until: date | None = None) -> list[Sales]:
    """Sales of each week whose Monday lies between `since` and `until`; empty before anything was published."""
    return _sales(connection, "weekly_sales", "week", since, until)


def daily_sales_sql() -> str:
    """The query behind `daily_sales`, with the parameters `since` and `until`."""
    return _sales_sql("daily_sales", "day")


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
    found = rows(connection, table, _sales_sql(table, period), {"since": since, "until": until})
    return [to_sales(row) for row in found]


def _sales_sql(table: str, period: str) -> str:
    return (
        f"SELECT {period}, revenue, orders, customers, new_customers, units FROM serving.{table}"
        f" WHERE {period} >= coalesce(%(since)s::date, {period})"
        f" AND {period} <= coalesce(%(until)s::date, {period}) ORDER BY {period}"
    )
