"""Rows of each day against their usual: which days are shown, what they are held against, what cannot be judged."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from leandata.clock import days
from leandata.errors import WarehouseError
from leandata.serving import Volume
from pipelines import volumes

TODAY = date(2026, 11, 24)
USUAL = (99, 101, 98, 100, 102, 100, 99, 101, 99, 101, 100, 100)


def weekly(*rows: int) -> dict[date, int]:
    """Rows on each weekday of yesterday's, the last one yesterday; nothing on other days but one on the first."""
    yesterday = TODAY - timedelta(days=1)
    return {yesterday - timedelta(weeks=len(rows) - 1 - place): count for place, count in enumerate(rows)}


def last(counts: dict[date, int]) -> Volume:
    return volumes.judged("shop.orders", counts, today=TODAY)[-1]


def test_a_day_is_held_against_its_own_weekday() -> None:
    found = last(weekly(*USUAL, 100))
    assert found == Volume(
        dataset="shop.orders", day=TODAY - timedelta(days=1), rows=100, usual=Decimal("100.0"), score=Decimal("0.0")
    )
    assert last(weekly(*USUAL, 0)).score == Decimal("-67.4"), "0.6745 * -100 / 1, half to even"
    assert last(weekly(*[9_000] * 20, *USUAL, 100)).usual == 100, "only the last twelve weeks are the usual"


def test_a_day_without_rows_is_a_day_of_none() -> None:
    counts = weekly(*USUAL, 100)
    del counts[max(counts)]
    assert (last(counts).rows, last(counts).usual) == (0, Decimal("100.0"))


def test_the_last_four_weeks_that_are_over_are_shown_and_none_before_the_first_rows() -> None:
    counts = dict.fromkeys(days(TODAY - timedelta(days=200), TODAY), 5)
    shown = [one.day for one in volumes.judged("a", counts, today=TODAY)]
    assert shown == days(TODAY - timedelta(days=28), TODAY - timedelta(days=1))
    few = dict.fromkeys(days(TODAY - timedelta(days=3), TODAY), 5)
    assert len(volumes.judged("a", few, today=TODAY)) == 3
    assert volumes.judged("a", {TODAY: 5}, today=TODAY) == [], "today is not over"
    assert volumes.judged("a", {}, today=TODAY) == []


def test_too_little_history_has_no_usual_and_what_never_varies_has_no_score() -> None:
    assert (last(weekly(*[5] * 7, 5)).usual, last(weekly(*[5] * 7, 5)).score) == (None, None)
    same = last(weekly(*[5] * 12, 9))
    assert (same.usual, same.score) == (Decimal("5.0"), None)


def test_a_day_without_rows_is_usual_where_a_quarter_of_its_weekdays_had_none() -> None:
    closed = last(weekly(*USUAL[:9], 0, 0, 0, 0))
    assert (closed.rows, closed.usual, closed.score) == (0, Decimal("0.0"), Decimal("0.0"))
    assert last(weekly(*USUAL[:10], 0, 0, 0)).score == Decimal("-67.4"), "two of twelve are no quarter"
    busy = last(weekly(*USUAL[:9], 0, 0, 0, 100))
    assert (busy.usual, busy.score) == (Decimal("100.0"), Decimal("0.0")), "held against the open days"


def test_what_hardly_ever_comes_is_usual_without_and_not_judged_with() -> None:
    assert last(weekly(*[0, 3] * 3, *[0] * 7)).score == 0
    assert last(weekly(*[0, 3] * 3, *[0] * 6, 5)).score is None


class Counting:
    """A warehouse that has rows of some tables only."""

    def __init__(self, known: dict[str, list[dict[str, Any]]]) -> None:
        self._known = known

    def query(self, sql: str) -> list[dict[str, Any]]:
        found = next((rows for table, rows in self._known.items() if f"FROM {table} " in sql), None)
        if found is None:
            raise WarehouseError("no such table")
        return found


def test_what_cannot_be_read_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    yesterday = TODAY - timedelta(days=1)
    rows = [{"day": yesterday, "n": 7}, {"day": None, "n": 3}]
    found = volumes.measure(Counting({"RAW.SHOP.ORDERS": rows}), today=TODAY)  # pyright: ignore[reportArgumentType]
    assert [(one.dataset, one.day, one.rows) for one in found] == [("shop.orders", yesterday, 7)]
    assert "shop.events cannot be counted: no such table" in capsys.readouterr().out


def test_every_dataset_that_is_collected_by_days_is_counted() -> None:
    names = [one.name for one in volumes.collected()]
    assert {"shop.events", "shop.orders", "quarantine.rows"} <= set(names)
    assert "shop.customers" not in names, "it comes whole"
