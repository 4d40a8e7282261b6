"""The examples of pandas and NumPy: equal to plain Python, and equal in one process and on two Dask workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from infra.testing import dask
from leandata.compute import Compute, InProcess, connect
from leandata.datasets import dataset
from leandata.errors import ComputeError
from leandata.lake import Lake
from leandata.tables import schema
from tasks.examples import interval_numpy, weekly_pandas

ORDERS = dataset("shop.orders")
FIRST = date(2026, 11, 4)
VALUES = np.random.default_rng(7).gamma(2.0, 20.0, size=400)


def amounts(day: int) -> list[Decimal]:
    return [Decimal(1 + (day * 37 + number * 11) % 9_999) / 100 for number in range(1 + day % 5)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """Thirty days of orders in a lake: its address and its files."""
    url = f"file://{tmp_path_factory.mktemp('lake')}"
    slices: dict[date | None, pa.Table] = {}
    for day in range(30):
        on = FIRST + timedelta(days=day)
        rows = [
            {"customer_id": n, "ordered_on": on, "quantity": 1, "amount_usd": a} for n, a in enumerate(amounts(day))
        ]
        slices[on] = pa.Table.from_pylist(rows, schema=schema(ORDERS))
    return url, [file for manifest in Lake(url).publish(ORDERS, slices, run="r") for file in manifest.files]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Compute]:
    with dask.cluster(tmp_path_factory.mktemp("dask"), workers=2) as found, connect(found.address) as compute:
        yield compute


def test_weeks_by_pandas_are_those_of_plain_python(lake: tuple[str, list[str]]) -> None:
    expected: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for day in range(30):
        on = FIRST + timedelta(days=day)
        week = expected[on - timedelta(days=on.weekday())]
        week[0] += len(amounts(day))
        week[1] += sum(int(amount * 100) for amount in amounts(day))
    found = weekly_pandas.build(InProcess(), lake_url=lake[0], files=lake[1])
    rows = {row.week.date(): [row.orders, row.cents] for row in found.itertuples()}
    assert rows == dict(expected)


@pytest.mark.parametrize("shares", [1, 3, 64])
def test_weeks_are_the_same_however_the_files_are_cut(lake: tuple[str, list[str]], shares: int) -> None:
    whole = weekly_pandas.build(InProcess(), lake_url=lake[0], files=lake[1])
    assert weekly_pandas.build(InProcess(), lake_url=lake[0], files=lake[1], shares=shares).equals(whole)


def test_without_files_there_are_no_weeks() -> None:
    found = weekly_pandas.build(InProcess(), lake_url="file:///nowhere", files=[])
    assert list(found.columns) == ["week", "orders", "cents"]
    assert found.empty


def test_the_interval_of_a_mean_holds_it_and_has_the_width_that_theory_gives() -> None:
    low, high = interval_numpy.interval(InProcess(), values=VALUES, draws=2_000)
    error = VALUES.std() / np.sqrt(VALUES.size)
    assert low < VALUES.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_the_interval_of_one_value_is_that_value() -> None:
    assert interval_numpy.interval(InProcess(), values=np.array([3.0]), draws=7) == (3.0, 3.0)


def test_nothing_has_no_interval() -> None:
    with pytest.raises(ComputeError, match="at least one value"):
        interval_numpy.interval(InProcess(), values=np.array([]))


@pytest.mark.integration
def test_on_two_workers_pandas_and_numpy_give_what_one_process_gives(
    lake: tuple[str, list[str]], workers: Compute
) -> None:
    arguments = {"lake_url": lake[0], "files": lake[1]}
    spread = workers.call("tasks.examples.weekly_pandas:build", **arguments)
    assert spread.equals(InProcess().call("tasks.examples.weekly_pandas:build", **arguments))
    name = "tasks.examples.interval_numpy:interval"
    assert workers.call(name, values=VALUES) == InProcess().call(name, values=VALUES)
