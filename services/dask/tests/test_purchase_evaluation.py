"""Gradient boosting against its baselines: the weeks of each, what is refused, and the verdict on the real orders."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from infra.environment import ROOT
from leandata.compute import InProcess
from leandata.datasets import dataset
from leandata.errors import ComputeError
from leandata.lake import Lake
from leandata.tables import schema
from tasks.purchase import evaluate, panel

ORDERS = dataset("shop.orders")
UNTIL = date(1998, 6, 28)  # the last Sunday of the real orders
Order = tuple[int, date, Decimal]


def published(folder: Path, rows: list[Order]) -> tuple[str, list[str]]:
    found = [{"customer_id": c, "ordered_on": day, "quantity": 1, "amount_usd": usd} for c, day, usd in rows]
    lake = Lake(f"file://{folder}")
    slices: dict[date | None, pa.Table] = {UNTIL: pa.Table.from_pylist(found, schema=schema(ORDERS))}
    return lake.url, [file for manifest in lake.publish(ORDERS, slices, run="r") for file in manifest.files]


def test_nothing_that_is_learnt_reaches_into_what_is_judged() -> None:
    learnt, judged = evaluate.weeks(UNTIL)
    assert judged[-1].start + panel.HORIZON == UNTIL + timedelta(days=1)
    assert learnt[-1].start + panel.HORIZON == judged[0].start
    assert (len(learnt), len(judged)) == (9, 3)


@pytest.mark.parametrize("later", range(7))
def test_a_week_that_has_only_begun_is_not_judged(later: int) -> None:
    assert evaluate.weeks(UNTIL + timedelta(days=later)) == evaluate.weeks(UNTIL)


def test_too_little_data_is_refused_with_what_to_do(tmp_path: Path) -> None:
    url, files = published(tmp_path, [(1, date(1997, 6, 1), Decimal("1.00"))])
    with pytest.raises(ComputeError, match=r"only 9 rows can be learnt from.*collect more"):
        evaluate.evaluate(InProcess(), lake_url=url, files=files, until=UNTIL)


def test_customers_who_all_did_the_same_are_refused(tmp_path: Path) -> None:
    url, files = published(tmp_path, [(customer, date(1997, 6, 1), Decimal("1.00")) for customer in range(1, 90)])
    with pytest.raises(ComputeError, match="of one class: none bought"):
        evaluate.evaluate(InProcess(), lake_url=url, files=files, until=UNTIL)


def test_a_model_that_is_as_good_as_its_baseline_is_not_better() -> None:
    rng = np.random.default_rng(1)
    rows = pl.DataFrame({"customer_id": range(500), "bought": rng.random(500) < 0.2})
    flat = np.full(500, 0.2)
    found = evaluate.judge(rows, {"gradient boosting": flat, "BG/NBD": flat, "last behaviour": flat / 2})
    assert found.best_baseline == "BG/NBD"
    assert not found.better


@pytest.mark.integration
def test_on_the_real_orders_the_verdict_follows_from_the_interval(tmp_path: Path) -> None:
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(encoding="utf-8") as file:
        rows = [
            (int(row["customer_id"]), date.fromisoformat(row["order_date"]), Decimal(row["amount_usd"]))
            for row in csv.DictReader(file)
        ]
    url, files = published(tmp_path, rows)
    found = evaluate.evaluate(InProcess(), lake_url=url, files=files, until=UNTIL)
    assert found.customers == 23_570
    aucs = [found.auc[name] for name in ("gradient boosting", "BG/NBD", "last behaviour")]
    assert aucs[0].value > aucs[1].value > aucs[2].value > 0.5
    assert all(one.low < one.value < one.high and one.high - one.low < 0.05 for one in aucs)
    assert found.best_baseline == "BG/NBD"
    assert found.gain.low <= found.gain.value <= found.gain.high
    assert found.better == (found.gain.low > 0)
    assert found.calibration[0].observed > 4 * found.calibration[5].observed
