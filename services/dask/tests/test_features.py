"""Customer features: by definition, exactly, and the same however the work is spread."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.environment import ROOT
from infra.testing import dask
from leandata.compute import InProcess, connect
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.tables import schema
from tasks.features import build, plain

ORDERS = dataset("shop.orders")
AS_OF = date(2026, 11, 23)


def orders(*rows: tuple[int, int, str]) -> pa.Table:
    """Orders as (customer, days before AS_OF, amount)."""
    found = [
        {
            "customer_id": customer,
            "ordered_on": AS_OF - timedelta(days=back),
            "quantity": 1,
            "amount_usd": Decimal(amount),
        }
        for customer, back, amount in rows
    ]
    return pa.Table.from_pylist(found, schema=schema(ORDERS))


def published(lake: Lake, table: pa.Table, *, run: str = "r") -> list[str]:
    slices: dict[date | None, pa.Table] = {}
    for day in sorted(set(table["ordered_on"].to_pylist())):
        mask = [value == day for value in table["ordered_on"].to_pylist()]
        slices[day] = table.filter(pa.array(mask))
    return [file for manifest in lake.publish(ORDERS, slices, run=run) for file in manifest.files]


def test_the_features_of_a_customer_are_what_their_definition_says() -> None:
    table = plain(
        orders((1, 30, "10.00"), (1, 20, "5.00"), (1, 20, "5.01"), (1, 3, "1.00"), (2, 7, "99.99")), as_of=AS_OF
    )
    assert table.to_pylist() == [
        {"customer_id": 1, "as_of": AS_OF, "recency_days": 3, "frequency": 2, "monetary_value": Decimal("5.50"), "tenure_days": 30},
        {"customer_id": 2, "as_of": AS_OF, "recency_days": 7, "frequency": 0, "monetary_value": Decimal("0.00"), "tenure_days": 7},
    ]  # fmt: skip


def test_a_mean_between_two_cents_is_rounded_half_to_even() -> None:
    table = plain(
        orders((1, 9, "1.00"), (1, 8, "0.01"), (1, 7, "0.02"), (2, 9, "1.00"), (2, 8, "0.02"), (2, 7, "0.03")),
        as_of=AS_OF,
    )
    assert table["monetary_value"].to_pylist() == [Decimal("0.02"), Decimal("0.02")]


def test_orders_after_the_day_do_not_count() -> None:
    assert plain(orders((1, -1, "1.00")), as_of=AS_OF).num_rows == 0


def test_no_files_give_an_empty_table_of_the_contract() -> None:
    table = build(InProcess(), lake_url="file:///nowhere", files=[], as_of=AS_OF)
    assert table.num_rows == 0
    assert table.schema.equals(schema(dataset("features.customer_features")))


ROWS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(-2, 40), st.decimals(0, 9999, places=2).map(str)), min_size=1, max_size=60
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=ROWS)
def test_the_task_farm_gives_what_plain_python_gives(
    rows: list[tuple[int, int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(f"file://{tmp_path_factory.mktemp('lake')}")
    table = orders(*rows)
    files = published(lake, table)
    assert build(InProcess(), lake_url=lake.url, files=files, as_of=AS_OF).equals(plain(table, as_of=AS_OF))


@pytest.mark.integration
def test_a_real_cluster_gives_the_same_and_survives_a_killed_worker(tmp_path: Path) -> None:
    lake = Lake(f"file://{tmp_path / 'lake'}")
    table = orders(
        *[
            (customer, back, f"{customer}.{back:02d}")
            for customer in range(1, 40)
            for back in range(1, 20, customer % 5 + 1)
        ]
    )
    files = published(lake, table)
    with dask.cluster(tmp_path, workers=2) as found, connect(found.address) as cluster:
        assert build(cluster, lake_url=lake.url, files=files, as_of=AS_OF).equals(plain(table, as_of=AS_OF))
        named = cluster.call("tasks.features:build", lake_url=lake.url, files=files, as_of=AS_OF)
        assert named.equals(plain(table, as_of=AS_OF)), "a caller without the code gets the same"
        found.workers[1].kill()
        assert build(cluster, lake_url=lake.url, files=files, as_of=AS_OF).equals(plain(table, as_of=AS_OF))


def test_the_tasks_are_strangers_to_the_other_services() -> None:
    text = (ROOT / "services" / "dask" / "tasks" / "features.py").read_text()
    assert "pipelines" not in text
    assert "infra" not in text
