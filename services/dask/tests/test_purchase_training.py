"""Training and predicting with made-up customers: one panel for predictions and drift, and what drift compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from leandata.compute import InProcess
from leandata.datasets import dataset
from leandata.errors import ComputeError
from leandata.lake import Lake
from leandata.tables import schema
from tasks.purchase import training

ORDERS = dataset("shop.orders")
UNTIL = date(2026, 11, 22)
CUSTOMERS = 150


class Counting(InProcess):
    """This process, which counts how often work was spread."""

    def __init__(self) -> None:
        self.spread = 0

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        self.spread += 1
        return super().map(function, items)


def orders() -> list[dict[str, Any]]:
    """Customers who came within a year and order by chance, each at a pace of their own."""
    rng = np.random.default_rng(3)
    rows: list[dict[str, Any]] = []
    for customer in range(1, CUSTOMERS + 1):
        day = UNTIL - timedelta(days=int(rng.integers(380, 700)))
        pace = float(rng.uniform(8, 200))
        while day <= UNTIL:
            rows.append({"customer_id": customer, "ordered_on": day, "quantity": 1, "amount_usd": Decimal("9.99")})
            day += timedelta(days=1 + int(rng.exponential(pace)))
    return rows


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lake = Lake(f"file://{tmp_path_factory.mktemp('lake')}")
    slices: dict[date | None, pa.Table] = {UNTIL: pa.Table.from_pylist(orders(), schema=schema(ORDERS))}
    files = [file for manifest in lake.publish(ORDERS, slices, run="r") for file in manifest.files]
    return {"lake_url": lake.url, "files": files, "until": UNTIL}


@pytest.fixture(scope="module")
def trained(asked: dict[str, Any]) -> dict[str, Any]:
    return training.train(InProcess(), **asked)


def predict(compute: InProcess, asked: dict[str, Any], trained: dict[str, Any], **changed: Any) -> dict[str, Any]:
    known = {"model": trained["model"], "version": "v1", "reference": trained["card"]["reference"]}
    return training.predict(compute, **asked, **(known | changed))


def test_predictions_and_drift_come_from_one_panel(asked: dict[str, Any], trained: dict[str, Any]) -> None:
    compute = Counting()
    found = predict(compute, asked, trained)
    assert compute.spread == 1
    assert found["table"].num_rows == CUSTOMERS
    assert found["table"].schema == schema(dataset("features.purchase_predictions"))
    assert {"score", "recency", "cents"} <= set(found["drift"])


def test_age_is_not_compared_by_new_cards_nor_by_old_ones(asked: dict[str, Any], trained: dict[str, Any]) -> None:
    kept = trained["card"]["reference"]
    assert "tenure" not in kept
    old = {**kept, "tenure": kept["recency"]}
    assert predict(InProcess(), asked, trained, reference=old)["drift"] == predict(InProcess(), asked, trained)["drift"]


def test_a_card_without_a_reference_gives_predictions_without_drift(
    asked: dict[str, Any], trained: dict[str, Any]
) -> None:
    found = predict(InProcess(), asked, trained, reference={})
    assert found["drift"] == {}
    assert found["table"] == predict(InProcess(), asked, trained)["table"]


def test_before_anybody_ordered_there_is_nobody_to_predict(asked: dict[str, Any], trained: dict[str, Any]) -> None:
    early = {**asked, "until": UNTIL - timedelta(days=1000)}
    with pytest.raises(ComputeError, match="there is nobody to predict"):
        predict(InProcess(), early, trained)
