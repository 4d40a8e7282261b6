"""Rows that came on each day, against the same weekday of the twelve weeks before; for the page Platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_CLOSED_SHARE = 4  # a quarter


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The usual of a day and its modified z-score, None where too little is known; `closed` where none is as usual."""

    usual: Decimal | None
    score: Decimal | None
    closed: bool = False


def judge(count: int, before: Sequence[int]) -> Judgement:
    """A day's rows against those of the same weekday in the weeks before.

    A day without rows is as usual where at least a quarter of those days had none (closed days). Every other day is
    held against those that had some: their median is the usual, and it takes eight of them. One holiday among them
    makes no later one usual, nor does it lower the usual.
    """
    if not count and len(before) >= FEWEST and before.count(0) * _CLOSED_SHARE >= len(before):
        return Judgement(usual=Decimal(0), score=Decimal(0), closed=True)
    some = tuple(Decimal(one) for one in before if one)
    usual = Decimal(median(some)) if len(some) >= FEWEST else None
    return Judgement(usual=usual, score=score(Series(label="rows", now=Decimal(count), before=some)))


def same_weekday(counts: Mapping[date, int], day: date) -> list[int]:
    """The rows on the same weekday in the twelve weeks before, the oldest first; of days since the first with rows."""
    first = min(counts, default=day)
    past = [day - timedelta(weeks=back) for back in range(USUAL_WEEKS, 0, -1)]
    return [counts.get(one, 0) for one in past if one >= first]


def collected() -> list[Dataset]:
    """The datasets that are collected by days, by name."""
    return [CATALOG[name] for name in sorted(CATALOG) if CATALOG[name].layer == "RAW" and CATALOG[name].partition]


def measure(warehouse: Warehouse, *, today: date) -> list[Volume]:
    """The rows of each dataset on each of its last 28 days that are over; none of what cannot be read or has none."""
    return [one for contract in collected() for one in judged(contract.name, _counts(contract, warehouse), today=today)]


def judged(name: str, counts: Mapping[date, int], *, today: date) -> list[Volume]:
    """The last 28 days before `today`, each against its weekday before; days without rows count as 0.

    No day before the first that has rows is known. Where fewer than eight weeks have rows, there is no usual; where
    half of them are all the same, no score; `judge` has the rule.
    """
    known = [day for day in counts if day < today]
    if not known:
        return []
    shown = days(max(min(known), today - timedelta(days=_SHOWN_DAYS)), today - timedelta(days=1))
    return [_judged(name, counts, day) for day in shown]


def _judged(name: str, counts: Mapping[date, int], day: date) -> Volume:
    rows = counts.get(day, 0)
    found = judge(rows, same_weekday(counts, day))
    usual, score_ = (None if one is None else one.quantize(_TENTH) for one in (found.usual, found.score))
    return Volume(dataset=name, day=day, rows=rows, usual=usual, score=score_)


def _counts(contract: Dataset, warehouse: Warehouse) -> dict[date, int]:
    try:
        query = f"SELECT _DT AS day, COUNT(*) AS n FROM {contract.warehouse_table} GROUP BY _DT"
        found: list[dict[str, Any]] = warehouse.query(query)
    except WarehouseError as error:
        print(f"{contract.name} cannot be counted: {error.what}")
        return {}
    return {row["day"]: int(row["n"]) for row in found if row["day"] is not None}
