"""Features of a customer at a week: by definition, from the past only, and the same however the work is spread."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leandata.clock import Week
from leandata.compute import InProcess
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.tables import schema
from tasks.purchase import panel

ORDERS = dataset("shop.orders")
WEEK = Week(date(2026, 6, 1))
WEEKS = [WEEK.before(8), WEEK.before(4), WEEK]
Order = tuple[int, date, int]
ROWS = st.lists(
    st.tuples(st.integers(1, 7), st.dates(date(2025, 11, 1), date(2026, 7, 15)), st.integers(0, 99_999)), max_size=60
)
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def back(days: int) -> date:
    return WEEK.start - timedelta(days=days)


def published(folder: Path, rows: list[Order]) -> tuple[str, list[str]]:
    slices: dict[date | None, pa.Table] = {}
    for day in {day for _, day, _ in rows}:
        found = [
            {"customer_id": customer, "ordered_on": day, "quantity": 1, "amount_usd": Decimal(cents) / 100}
            for customer, when, cents in rows
            if when == day
        ]
        slices[day] = pa.Table.from_pylist(found, schema=schema(ORDERS))
    lake = Lake(f"file://{folder}")
    return lake.url, [file for manifest in lake.publish(ORDERS, slices, run="r") for file in manifest.files]


def built(folder: Path, rows: list[Order], *, weeks: list[Week] = WEEKS, shares: int = 3) -> list[dict[str, object]]:
    url, files = published(folder, rows)
    return panel.build(InProcess(), lake_url=url, files=files, weeks=weeks, shares=shares).to_dicts()


def test_the_features_of_a_customer_are_what_their_definition_says(tmp_path: Path) -> None:
    rows = [(1, back(200), 1000), (1, back(28), 250), (1, back(28), 250), (1, back(7), 99), (1, back(0), 5)]
    assert built(tmp_path, rows, weeks=[WEEK]) == [
        {
            "customer_id": 1, "week": WEEK.start, "tenure": 200, "recency": 7, "last_gap": 21, "days": 3, "orders": 4,
            "cents": 1599, "last_cents": 99, "days_7": 1, "days_28": 2, "days_91": 2, "days_182": 2,
            "cents_7": 99, "cents_28": 599, "cents_91": 599, "cents_182": 599, "bought": True,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(("after", "bought"), [(0, True), (27, True), (28, False), (60, False)])
def test_buying_within_four_weeks_means_from_the_monday_to_the_sunday_of_the_fourth(
    tmp_path: Path, after: int, bought: bool
) -> None:
    (row,) = built(tmp_path, [(1, back(5), 100), (1, back(-after), 100)], weeks=[WEEK])
    assert row["bought"] is bought


def test_whoever_orders_first_in_the_week_is_not_known_before_it(tmp_path: Path) -> None:
    assert built(tmp_path, [(1, back(0), 100)], weeks=[WEEK]) == []


@RELAXED
@given(rows=ROWS.filter(bool), shares=st.integers(1, 5))
def test_the_task_farm_gives_what_plain_python_gives_however_customers_are_shared(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Order], shares: int
) -> None:
    assert built(tmp_path_factory.mktemp("lake"), rows, shares=shares) == panel.plain(rows, weeks=WEEKS)


@RELAXED
@given(rows=ROWS, future=ROWS)
def test_no_feature_knows_anything_of_the_week_or_after(rows: list[Order], future: list[Order]) -> None:
    past = [row for row in rows if row[1] < WEEK.start]
    later = [row for row in future if row[1] >= WEEK.start]
    assert panel.at(days(past + later), WEEK).equals(panel.at(days(past), WEEK))


def days(rows: list[Order]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"customer_id": pl.Int64, "ordered_on": pl.Date, "cents": pl.Int64}, orient="row")
    return frame.group_by("customer_id", "ordered_on").agg(
        orders=pl.len().cast(pl.Int64), cents=pl.col("cents").sum()
    )  # fmt: skip


def test_a_lake_without_orders_gives_no_rows() -> None:
    assert panel.build(InProcess(), lake_url="file:///nowhere", files=[], weeks=WEEKS).is_empty()
    assert panel.build(InProcess(), lake_url="file:///nowhere", files=[], weeks=[]).is_empty()
