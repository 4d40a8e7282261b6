"""Collect the shop's orders into the lake by day, and load what was collected into the warehouse."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported, so no type checker sees them.
from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, LiteralString

import pyarrow as pa
import pyarrow.compute as pc

from leandata.clock import days
from leandata.contract import Dataset
from leandata.database import Connection, connect
from leandata.datasets import dataset
from leandata.errors import DatabaseError
from leandata.lake import Lake, Manifest
from leandata.settings import Settings
from leandata.tables import schema, validate
from leandata.warehouse import Warehouse
from pipelines.sources.quarantine import set_apart

STAGE = "RAW.LAKE.FILES"
COLLECTED = ("quarantine.rows", "shop.customers", "shop.orders")
_WINDOW_DAYS = 7
_LOADS = 3
_MOST_TASKS = 3
_FEWEST_DAYS_A_TASK = 60
_ROWS_AT_ONCE = 100_000
_CUSTOMERS = "SELECT customer_id, created_on FROM customers ORDER BY customer_id"
_ORDERS = """
SELECT customer_id, ordered_on, quantity, amount_usd FROM orders
WHERE ordered_on BETWEEN %(first)s AND %(last)s OR (%(strays)s AND (ordered_on IS NULL OR ordered_on > %(today)s))
ORDER BY ordered_on, customer_id, quantity, amount_usd
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Days that one task collects; with `strays` also the rows that belong to no day."""

    days: tuple[date, ...]
    strays: bool = False

    @property
    def span(self) -> str:
        """Its first and its last day, one where they are the same, "" without any."""
        return " to ".join(dict.fromkeys(day.isoformat() for day in (*self.days[:1], *self.days[-1:])))

    def plain(self) -> dict[str, Any]:
        """As Airflow hands it from task to task."""
        return {"days": [day.isoformat() for day in self.days], "strays": self.strays}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Chunk:
        """What `plain` made."""
        return Chunk(days=tuple(date.fromisoformat(day) for day in plain["days"]), strays=bool(plain["strays"]))


def plan(
    *,
    known: Collection[date],
    first: date,
    today: date,
    since: date | None = None,
    until: date | None = None,
    window: int = _WINDOW_DAYS,
) -> list[date]:
    """The days to collect: those the lake lacks, from the source's first to yesterday, and the last `window` again.

    Rows come late and are corrected, hence the window. `since` and `until` name a range instead; a day that is not
    over is not collected, for its slice would say that it is whole.
    """
    yesterday = today - timedelta(days=1)
    if since or until:
        return days(since or first, min(until or yesterday, yesterday))
    recent = yesterday - timedelta(days=window - 1)
    return [day for day in days(first, yesterday) if day not in known or day >= recent]


def chunks(wanted: Sequence[date], *, most: int = _MOST_TASKS, fewest_days: int = _FEWEST_DAYS_A_TASK) -> list[Chunk]:
    """The days in a few runs of neighbours, each worth a task; the last one takes the strays as well."""
    size = max(fewest_days, -(-len(wanted) // most))
    parts = [tuple(wanted[start : start + size]) for start in range(0, len(wanted), size)]
    return [Chunk(days=part, strays=part is parts[-1]) for part in parts]


def run_name(run_id: str, *, part: int = 0, attempt: int = 1) -> str:
    """A name for what one try of one task writes: another try writes other files."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")[:80]
    return f"{slug}.p{part}.t{attempt}"


def source_days(settings: Settings, *, since: date | None = None, until: date | None = None) -> list[date]:
    """The days to collect now, by what the shop holds and what the lake has. Raises DatabaseError for an empty shop."""
    with connect(settings.shop) as connection:
        row = connection.execute("SELECT min(ordered_on) FROM orders").fetchone()
    if row is None or row[0] is None:
        raise DatabaseError("the shop has no orders", where=settings.shop.database)
    known = [day for day in Lake(settings.lake.raw).latest(dataset("shop.orders")) if day]
    return plan(known=known, first=row[0], today=settings.today(), since=since, until=until)


def collect(settings: Settings, chunk: Chunk, *, run: str) -> int:
    """Read the days from the shop's replica, hold them against the contract, publish them in the lake.

    Rows that break the contract go to the quarantine with their reasons; the rest is published. A day that the lake
    holds just so already is kept as it is. The rows that the days have now.
    """
    orders, today = dataset("shop.orders"), settings.today()
    with connect(settings.shop) as connection:
        table = _read(connection, chunk, today=today)
    found = validate(orders, table, latest=today)
    wanted = set(chunk.days)
    slices = {day: rows for day, rows in _by_day(found.good, "ordered_on").items() if day in wanted}
    lake = Lake(settings.lake.raw)
    empty = schema(orders).empty_table()
    manifests = lake.publish(orders, {day: slices.get(day, empty) for day in chunk.days}, run=run, keep=True)
    places = [day if day in wanted else today for day in found.bad["ordered_on"].to_pylist()]
    judged = {*wanted, today} if chunk.strays else wanted
    set_apart(lake, orders.name, found.bad, found.reasons, days=judged, places=places, run=run)
    return sum(manifest.rows for manifest in manifests)


def collect_customers(settings: Settings, *, run: str) -> int:
    """Publish all customers of the shop in the lake, unless it holds just them already; the rows."""
    customers = dataset("shop.customers")
    with connect(settings.shop) as connection:
        table = _fetched(connection, _CUSTOMERS, {}, contract=customers)
    found = validate(customers, table.cast(schema(customers)))
    return Lake(settings.lake.raw).publish(customers, {None: found.good}, run=run, keep=True)[0].rows


def load(settings: Settings, names: Sequence[str] = COLLECTED) -> dict[str, int]:
    """Bring the warehouse to what the lake publishes; the rows now in each slice that was loaded, by dataset.

    A slice is loaded when the warehouse holds another run of it, so what an earlier failure left out is made good.
    """
    lake = Lake(settings.lake.raw)
    loaded: dict[str, int] = {}
    with Warehouse.connect(settings.warehouse) as warehouse:
        for name in names:
            contract = dataset(name)
            warehouse.ensure(contract)
            loaded[name] = 0
            # Looked at again afterwards: of two that load a day for the first time at once, neither replaces the other.
            for _ in range(_LOADS):
                slices = outdated(lake.latest(contract), _held(warehouse, contract))
                if not slices:
                    break
                loaded[name] = warehouse.load(contract, slices, stage=STAGE).rows
    return loaded


def outdated(
    published: Mapping[date | None, Manifest], held: Mapping[date | None, tuple[str, int]]
) -> dict[date | None, Manifest]:
    """The slices of which the warehouse does not hold just the published rows. `held` is run and rows by day."""
    return {
        day: manifest
        for day, manifest in published.items()
        if held.get(day, ("", 0)) != ((manifest.run, manifest.rows) if manifest.rows else ("", 0))
    }


def _held(warehouse: Warehouse, contract: Dataset) -> dict[date | None, tuple[str, int]]:
    day = "_dt" if contract.partition else "NULL"
    rows = warehouse.query(
        f"SELECT {day} AS dt, MIN(_run) AS first_run, MAX(_run) AS last_run, COUNT(*) AS n"
        f" FROM {contract.warehouse_table} GROUP BY {'_dt' if contract.partition else '1'}"
    )
    return {
        row["dt"]: (row["first_run"] if row["first_run"] == row["last_run"] else "several", int(row["n"]))
        for row in rows
    }


def _read(connection: Connection, chunk: Chunk, *, today: date) -> pa.Table:
    """The rows with the types that the source gives them: these are judged later, by the contract."""
    span = {"first": chunk.days[0], "last": chunk.days[-1], "strays": chunk.strays, "today": today}
    return _fetched(connection, _ORDERS, span, contract=dataset("shop.orders"))


def _fetched(connection: Connection, sql: LiteralString, asked: Mapping[str, Any], *, contract: Dataset) -> pa.Table:
    """What the source answers, read in parts, with the columns of the contract in its order."""
    names, parts = [column.name for column in contract.columns], list[pa.Table]()
    with connection.transaction(), connection.cursor(name="collected") as cursor:
        cursor.execute(sql, asked)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            parts.append(pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=names))
    if not parts:
        return schema(contract).empty_table()
    return pa.concat_tables(parts, promote_options="permissive").combine_chunks()


def _by_day(table: pa.Table, column: str) -> dict[date, pa.Table]:
    """The table cut where the day changes: it is sorted by day, so each slice is a view and nothing is copied."""
    runs = pc.run_end_encode(table[column].combine_chunks())
    ends: list[int] = runs.run_ends.to_pylist()
    cut = zip(runs.values.to_pylist(), [0, *ends[:-1]], ends, strict=False)
    return {day: table.slice(start, end - start) for day, start, end in cut}
