"""Rows that came on each day, against the same weekday of the twelve weeks before; for the page Platform."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from leandata.clock import days
from leandata.contract import Dataset
from leandata.datasets import CATALOG
from leandata.errors import WarehouseError
from leandata.serving import Volume
from leandata.warehouse import Warehouse
from pipelines.report.unusual import FEWEST, Series, score

USUAL_WEEKS = 12
_SHOWN_DAYS = 28
_TENTH = Decimal("0.1")


def collected() -> list[Dataset]:
    """The datasets that are collected by days, by name."""
    return [CATALOG[name] for name in sorted(CATALOG) if CATALOG[name].layer == "RAW" and CATALOG[name].partition]


def measure(warehouse: Warehouse, *, today: date) -> list[Volume]:
    """The rows of each dataset on each of its last 28 days that are over; none of what cannot be read or has none."""
    return [one for contract in collected() for one in judged(contract.name, _counts(contract, warehouse), today=today)]


def judged(name: str, counts: Mapping[date, int], *, today: date) -> list[Volume]:
    """The last 28 days before `today`, each against its weekday before; days without rows count as 0.

    No day before the first that has rows is known. Where fewer than eight weeks are, there is no usual; where half of
    them are all the same, no score.
    """
    known = [day for day in counts if day < today]
    if not known:
        return []
    first = min(known)
    shown = days(max(first, today - timedelta(days=_SHOWN_DAYS)), today - timedelta(days=1))
    return [_judged(name, counts, day, first) for day in shown]


def _judged(name: str, counts: Mapping[date, int], day: date, first: date) -> Volume:
    past = [day - timedelta(weeks=back) for back in range(USUAL_WEEKS, 0, -1)]
    before = tuple(Decimal(counts.get(one, 0)) for one in past if one >= first)
    rows = counts.get(day, 0)
    found = score(Series(label="rows", now=Decimal(rows), before=before))
    usual = Decimal(median(before)).quantize(_TENTH) if len(before) >= FEWEST else None
    return Volume(
        dataset=name, day=day, rows=rows, usual=usual, score=None if found is None else found.quantize(_TENTH)
    )


def _counts(contract: Dataset, warehouse: Warehouse) -> dict[date, int]:
    try:
        query = f"SELECT _DT AS day, COUNT(*) AS n FROM {contract.warehouse_table} GROUP BY _DT"
        found: list[dict[str, Any]] = warehouse.query(query)
    except WarehouseError as error:
        print(f"{contract.name} cannot be counted: {error.what}")
        return {}
    return {row["day"]: int(row["n"]) for row in found if row["day"] is not None}
