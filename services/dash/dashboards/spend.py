"""What the warehouses used of credits: each in a line, its days as bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from dashboards import parts
from dashboards.page import Context, Kind, Table
from leandata import serving
from leandata.clock import days
from leandata.serving import Spend

_DAYS = 28
_WEEK = 7
_WHERE = (
    "Only Snowflake is metered. What an environment is expected to cost: make cost ENV=prod. What it did cost is in the"
    " bills of AWS and Snowflake."
)


def section(context: Context) -> Any:
    """The spend as a part of a page."""
    found = table(context)
    if not found.rows:
        hint = f"One machine costs nothing by use. {_WHERE}"
        return parts.section("Spend", parts.empty("No spend is recorded.", hint))
    shown = parts.table(found, name="spend-table", caption="Credits that each warehouse used")
    note = f"Credits by day (UTC), noted every night; bars: the last {_DAYS} days. {_WHERE}"
    return parts.section("Spend", shown, download=context.download("spend"), note=note)


def table(context: Context) -> Table:
    """Each warehouse with the credits of its last day, week and four weeks; what used most comes first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Warehouse", "text"), ("Yesterday", "number"), ("7 days", "number"), (f"{_DAYS} days", "number"),
        ("Last days", "bars"),
    )  # fmt: skip
    yesterday = context.today - timedelta(days=1)
    shown = days(yesterday - timedelta(days=_DAYS - 1), yesterday)
    found = sorted(context.read(serving.spend, since=shown[0]), key=lambda one: one.warehouse)
    rows = [_row(name, list(some), shown) for name, some in groupby(found, key=lambda one: one.warehouse)]
    return Table(columns=columns, rows=sorted(rows, key=lambda row: (-row[3], row[0])))


def _row(name: str, found: Sequence[Spend], shown: Sequence[date]) -> tuple[Any, ...]:
    """A day on which nothing was used has no row of its own."""
    used = {one.day: one.credits for one in found}
    by_day = [used.get(day, Decimal(0)) for day in shown]
    bars = tuple(f"{value:f}" for value in by_day)
    return (name, by_day[-1], sum(by_day[-_WEEK:], Decimal(0)), sum(by_day, Decimal(0)), bars)
