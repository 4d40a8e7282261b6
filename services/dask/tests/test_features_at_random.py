"""Features on random orders: the task farm against plain Python, however the files are cut."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leandata.compute import InProcess
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.tables import schema, validate
from tasks import features

ORDERS = dataset("shop.orders")
FEATURES = dataset("features.customer_features")
FIRST = date(2026, 1, 1)
LAST = date(2026, 3, 1)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": st.integers(1, 6),
            "ordered_on": st.dates(FIRST, LAST),
            "quantity": st.integers(1, 9),
            "amount_usd": st.decimals(0, 999, places=2),
        }
    ),
    max_size=60,
)


def orders(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


def order(customer: int, day: int, amount: str) -> dict[str, Any]:
    return {
        "customer_id": customer, "ordered_on": FIRST + timedelta(days=day), "quantity": 1, "amount_usd": Decimal(amount)
    }  # fmt: skip


def published(folder: Path, rows: list[dict[str, Any]]) -> tuple[str, list[str]]:
    lake = Lake(f"file://{folder}")
    by_day: dict[date | None, list[dict[str, Any]]] = {}
    for row in rows:
        by_day.setdefault(row["ordered_on"], []).append(row)
    manifests = lake.publish(ORDERS, {day: orders(found) for day, found in by_day.items()}, run="r")
    return lake.url, [file for manifest in manifests for file in manifest.files]


def table_of(rows: list[dict[str, Any]], as_of: date = LAST) -> list[dict[str, Any]]:
    return features.plain(orders(rows), as_of=as_of).to_pylist()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=ROWS, as_of=st.dates(FIRST - timedelta(days=3), LAST + timedelta(days=3)), size=st.integers(1, 7))
def test_the_farm_gives_what_plain_python_gives_however_the_files_are_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], as_of: date, size: int
) -> None:
    url, files = published(tmp_path_factory.mktemp("lake"), rows)
    groups = [files[start : start + size] for start in range(0, len(files), size)]
    parts = InProcess().map(lambda group: features.days_of(group, lake_url=url, as_of=as_of), groups)
    whole = pl.concat(parts) if parts else features.days_of([], lake_url=url, as_of=as_of)
    assert features.summarise(whole, as_of=as_of).equals(features.plain(orders(rows), as_of=as_of))
    assert features.build(InProcess(), lake_url=url, files=files, as_of=as_of).equals(
        features.build(InProcess(), lake_url=url, files=files[::-1], as_of=as_of)
    )


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_features_keep_their_contract(rows: list[dict[str, Any]]) -> None:
    found = validate(FEATURES, features.plain(orders(rows), as_of=LAST))
    assert found.bad.num_rows == 0
    assert found.good.num_rows == len({row["customer_id"] for row in rows})
    assert found.good.column("customer_id").to_pylist() == sorted({row["customer_id"] for row in rows})


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_the_same_orders_in_another_order_give_the_same(rows: list[dict[str, Any]]) -> None:
    assert table_of(rows) == table_of(rows[::-1])


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, days=st.integers(1, 30))
def test_time_that_passes_without_orders_only_ages_them(rows: list[dict[str, Any]], days: int) -> None:
    for now, later in zip(table_of(rows), table_of(rows, LAST + timedelta(days=days)), strict=True):
        assert later["recency_days"] == now["recency_days"] + days
        assert later["tenure_days"] == now["tenure_days"] + days
        assert (later["frequency"], later["monetary_value"]) == (now["frequency"], now["monetary_value"])


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_no_customer_is_more_recent_than_they_are_old(rows: list[dict[str, Any]]) -> None:
    for row in table_of(rows):
        assert 0 <= row["recency_days"] <= row["tenure_days"]
        assert 0 <= row["frequency"] <= row["tenure_days"]
        if row["frequency"] == 0:
            assert row["monetary_value"] == 0


@pytest.mark.parametrize(
    ("rows", "frequency", "value"),
    [
        ([order(1, 0, "10.00")], 0, "0.00"),
        ([order(1, 0, "10.00"), order(1, 0, "5.00")], 0, "0.00"),
        ([order(1, 0, "10.00"), order(1, 1, "5.00")], 1, "5.00"),
        ([order(1, 0, "10.00"), order(1, 1, "5.00"), order(1, 1, "2.00")], 1, "7.00"),
        ([order(1, 0, "1.00"), order(1, 1, "1.00"), order(1, 2, "2.00")], 2, "1.50"),
        ([order(1, 0, "1.00"), order(1, 1, "0.00"), order(1, 2, "0.01")], 2, "0.00"),
        ([order(1, 0, "1.00"), order(1, 1, "0.01"), order(1, 2, "0.02")], 2, "0.02"),
        ([order(1, 0, "1.00"), order(1, 1, "1.00"), order(1, 2, "1.00"), order(1, 3, "0.00")], 3, "0.67"),
    ],
)
def test_frequency_counts_days_and_value_is_their_mean(rows: list[dict[str, Any]], frequency: int, value: str) -> None:
    (row,) = table_of(rows)
    assert (row["frequency"], row["monetary_value"]) == (frequency, Decimal(value))


@pytest.mark.parametrize(("as_of", "customers"), [(-1, []), (0, [1]), (4, [1]), (5, [1, 2]), (99, [1, 2])])
def test_customers_are_there_from_their_first_order_on(as_of: int, customers: list[int]) -> None:
    rows = [order(1, 0, "1.00"), order(2, 5, "1.00")]
    assert [row["customer_id"] for row in table_of(rows, FIRST + timedelta(days=as_of))] == customers


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:///a b/lake", "/a b/lake/x/y.parquet"),
        ("s3://bucket/raw", "s3://bucket/raw/x/y.parquet"),
        ("s3://bucket/raw/", "s3://bucket/raw/x/y.parquet"),
    ],
)
def test_a_file_is_found_on_one_machine_and_elsewhere(url: str, place: str) -> None:
    assert features.place(url, "x/y.parquet") == place
