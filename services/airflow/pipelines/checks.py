"""The nightly checks of what is promised: freshness, volume against the usual, totals between layers, unique keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import sql

from leandata import serving
from leandata.contract import Dataset, age
from leandata.database import Connection, connect
from leandata.datasets import CATALOG, dataset
from leandata.errors import WarehouseError
from leandata.serving import UNUSUAL, Check, Freshness, Sales, Status
from leandata.settings import Settings
from leandata.warehouse import Warehouse
from pipelines import volumes

_SOURCE = "shop.orders"
_DAILY = "sales.daily_sales"
# Where a mart holds the money and the orders of all sales.
_SUMS = {
    "sales.cohorts": ("revenue", "orders"),
    "sales.customer_days": ("revenue", "orders"),
    "sales.customers": ("revenue", "orders"),
    _DAILY: ("revenue", "orders"),
    "sales.segments": ("monetary", "frequency"),
    "sales.weekly_sales": ("revenue", "orders"),
}
Finding = tuple[Status, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """All sales of a layer: US dollars and orders."""

    revenue: Decimal
    orders: int


def run(settings: Settings, *, now: datetime) -> tuple[list[Check], list[Check]]:
    """Check every mart and write down what was found; all of it, and what failed and did not the time before. The rows
    that came on each day are counted and written down, too. `now` is the clock's moment, which is written down, too;
    ages are counted to the settings' own moment, as the page Platform and the API do.

    Raises DatabaseError or WarehouseError when a layer cannot be reached.
    """
    with connect(settings.serving) as connection, Warehouse.connect(settings.warehouse) as warehouse:
        known = {one.dataset: one for one in serving.freshness(connection)}
        found: list[Check] = []
        for contract in (CATALOG[name] for name in sorted(CATALOG) if CATALOG[name].layer == "MARTS"):
            published = known.get(contract.name)
            findings = {"freshness": freshness(contract, published, now=settings.moment(now))}
            if published is not None:
                findings |= _of_published(contract, published, connection, warehouse)
            found += [_check(contract.name, name, finding, now=now) for name, finding in sorted(findings.items())]
        if _DAILY in known:
            found.append(_check(_SOURCE, "keys", _keys(dataset(_SOURCE), warehouse), now=now))
        new = serving.record_checks(connection, found)
        if _DAILY in known:
            first_open = known[_DAILY].data_until + timedelta(days=1)
            serving.record_volumes(connection, volumes.measure(warehouse, today=first_open))
        connection.commit()
    return found, new


def freshness(contract: Dataset, published: Freshness | None, *, now: datetime) -> Finding:
    """Whether what is published is as young as its contract promises, counted from the end of its last day (UTC)."""
    if published is None:
        return "waiting", "not published yet"
    late, old = contract.late(published.data_until, now=now), age(published.data_until, now=now)
    said = f"knows of days until {published.data_until}, promised is an age of at most {_hours(contract.freshness)}"
    return ("failed" if late else "ok"), f"{said}, it is {_hours(old)}"


def volume(sales: Sequence[Sales], *, day: date) -> Finding:
    """Whether the orders of a day are usual for its weekday, by the rule of `volumes.judge` with a limit of 3.5.

    Waiting where the score has no meaning: fewer than eight such days with orders, or half of them all the same.
    """
    orders = {one.period: one.orders for one in sales}
    count, before = orders.get(day, 0), volumes.same_weekday(orders, day)
    found = volumes.judge(count, before)
    said = f"{count:,} orders on {day:%A}, {day}"
    if found.closed:
        return "ok", f"{said}, as on {before.count(0)} of the {len(before)} {day:%A}s before"
    if found.score is None:
        return "waiting", f"{said}; too little is known of {day:%A}s to judge"
    status = "ok" if abs(found.score) <= UNUSUAL else "failed"
    return status, f"{said}; modified z-score {found.score:+.1f}, limit {UNUSUAL}"


def totals(layers: Mapping[str, Total]) -> Finding:
    """Whether all layers hold the same money and orders, to the cent; the first layer is the one to agree with."""
    (first, right), *others = layers.items()
    wrong = [f"{name} has {_shown(total)}" for name, total in others if total != right]
    said = f"{first} has {_shown(right)}"
    return ("failed", f"{said}, but {', '.join(wrong)}") if wrong else ("ok", f"{said}, as every layer")


def told(failed: Sequence[Check]) -> str:
    """The failed checks in one line, for the mail to the owner."""
    return "; ".join(f"{one.dataset} {one.check}: {one.detail}" for one in failed)


def _of_published(
    contract: Dataset, published: Freshness, connection: Connection, warehouse: Warehouse
) -> dict[str, Finding]:
    findings = {"keys": _keys(contract, warehouse)}
    if contract.name in _SUMS:
        findings["totals"] = _totals(contract, connection, warehouse)
    if contract.name == _DAILY:
        day = published.data_until
        since = day - timedelta(weeks=volumes.USUAL_WEEKS)
        findings["volume"] = volume(serving.daily_sales(connection, since=since, until=day), day=day)
    return findings


def _keys(contract: Dataset, warehouse: Warehouse) -> Finding:
    key = ", ".join(contract.key)
    inner = f"SELECT {key} FROM {contract.warehouse_table} GROUP BY {key} HAVING COUNT(*) > 1"
    try:
        doubled = int(warehouse.query(f"SELECT COUNT(*) AS n FROM ({inner}) AS doubled")[0]["n"])
    except WarehouseError as error:
        return "failed", f"cannot be read: {error.what}"
    return (
        ("failed", f"{doubled:,} keys ({key}) stand more than once")
        if doubled
        else ("ok", f"every key ({key}) is unique")
    )


def _totals(contract: Dataset, connection: Connection, warehouse: Warehouse) -> Finding:
    revenue, orders = _SUMS[contract.name]
    in_mart = f"SUM({revenue}) AS revenue, SUM({orders}) AS orders FROM {contract.warehouse_table}"
    in_source = "SUM(amount_usd) AS revenue, COUNT(*) AS orders FROM"
    queries = {
        "RAW": f"{in_source} {dataset(_SOURCE).warehouse_table}",
        "STAGING": f"{in_source} STAGING.SHOP.STG_ORDERS",
        "MARTS": in_mart,
    }
    try:
        layers = {layer: _total(warehouse.query(f"SELECT {query}")[0]) for layer, query in queries.items()}
    except WarehouseError as error:
        return "failed", f"cannot be read: {error.what}"
    columns = sql.SQL("SELECT sum({}), sum({}) FROM {}").format(
        sql.Identifier(revenue), sql.Identifier(orders), sql.Identifier(serving.SCHEMA, contract.table)
    )
    served = connection.execute(columns).fetchone() or (None, None)
    layers["serving"] = _total({"revenue": served[0], "orders": served[1]})
    return totals(layers)


def _total(row: Mapping[str, Any]) -> Total:
    return Total(revenue=Decimal(row["revenue"] or 0), orders=int(row["orders"] or 0))


def _check(name: str, check: str, finding: Finding, *, now: datetime) -> Check:
    status, detail = finding
    return Check(dataset=name, check=check, status=status, detail=detail, checked_at=now)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"


def _shown(total: Total) -> str:
    return f"${total.revenue:,.2f} in {total.orders:,} orders"
