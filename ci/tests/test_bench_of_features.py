"""The bench of features does the same work twice: on a real cluster and in one process, with the same table."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.bench import features
from leandata.compute import InProcess


@pytest.mark.integration
def test_two_workers_and_one_process_give_the_same_table_of_all_customers(tmp_path: Path) -> None:
    found = features.measure(tmp_path, copies=2)
    assert found["features_orders"] == 2 * 69_659
    assert found["features_rows"] == 2 * 23_570
    assert found["features_dask_seconds"] > 0
    assert set(features.TARGETS) <= set(found)


def test_each_copy_of_the_orders_has_customers_of_its_own(tmp_path: Path) -> None:
    assert features.orders(tmp_path / "lake", copies=2) == 2 * 69_659
    url = f"file://{tmp_path / 'lake'}"
    once, twice = (features.built(InProcess(), url, copies=copies) for copies in (1, 2))
    assert twice.height == 2 * once.height
    assert twice["customer_id"].n_unique() == twice.height
    assert twice["cents"].sum() == 2 * once["cents"].sum()
