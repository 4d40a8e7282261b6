"""The network beside the published model: its arithmetic by hand; with PyTorch, ranks that agree and a run that ends."""

from __future__ import annotations

import csv
import os
import re
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from infra.environment import ROOT
from infra.testing import dask
from leandata.compute import Cluster, InProcess, connect
from leandata.datasets import dataset
from leandata.errors import ComputeError
from leandata.lake import Lake
from leandata.tables import schema
from tasks.purchase import network, ranks, scores
from tasks.purchase.network import Network, Recipe, Scale
from tasks.purchase.ranks import Rank
from tasks.purchase.scores import Floats

UNTIL = date(1998, 6, 28)  # the last Sunday of the real orders
WITH_PYTORCH = pytest.mark.skipif(find_spec("torch") is None, reason=f"PyTorch is an extra: {ranks.INSTALL}")
RECIPE = Recipe(widths=(8, 4), passes=3, batch=97)


def customers(size: int = 1000) -> dict[str, Any]:
    """Customers who buy where just one of two features is high, which no line between them tells apart."""
    stream = np.random.default_rng(3)
    features = stream.normal(size=(size, 5))
    bought = ((features[:, 0] > 0) ^ (features[:, 1] > 0)) & (stream.random(size) < 0.9)
    return {"features": features, "bought": bought}


# -- without PyTorch ---------------------------------------------------------------------------------------------------


def test_features_are_brought_to_one_scale_and_what_is_unknown_says_so() -> None:
    raw = np.array([[0.0, 5.0, np.nan], [np.e - 1, 5.0, 1.0], [np.e**2 - 1, 5.0, np.nan]])
    found = Scale.of(raw).apply(raw)
    assert found.shape == (3, 4), "a column more, for the one that is not always known"
    np.testing.assert_allclose(found[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5))
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-9, err_msg="it never varies")
    assert found[:, 2].tolist() == [0, 0, 0]
    assert found[:, 3].tolist() == [1, 0, 1]


def test_a_feature_that_nobody_has_is_nothing_and_later_rows_keep_the_scale_of_the_first() -> None:
    scale = Scale.of(np.array([[np.nan, 0.0], [np.nan, 2.0]]))
    assert scale.unknown == (0,)
    later = scale.apply(np.array([[np.nan, np.nan], [1.0, 0.0]]))
    assert later[0].tolist() == [0.0, 0.0, 1.0]
    assert later[1, 1] == scale.apply(np.array([[np.nan, 0.0]]))[0, 1]


def test_what_the_layers_predict_is_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_features", lambda rows, _: rows.select("a", "b").to_numpy())
    scale = Scale(means=np.zeros(2), deviations=np.ones(2), unknown=())
    layers = ((np.array([[1.0, -1.0], [0.5, 0.5]]), np.array([0.0, -1.0])), (np.array([[2.0, 1.0]]), np.array([-0.5])))
    nothing: Any = None
    found = Network(layers=layers, scale=scale, learnt=nothing)
    a, b = np.log1p(3.0), np.log1p(1.0)
    odds = 2 * max(a - b, 0) + max((a + b) / 2 - 1, 0) - 0.5
    rows = pl.DataFrame({"a": [3.0, 0.0, 1e300], "b": [1.0, 1e300, 0.0]})
    chances = found.chances(rows)
    assert chances[0] == pytest.approx(1 / (1 + np.exp(-odds)))
    assert np.isfinite(chances).all()
    assert ((chances >= 0) & (chances <= 1)).all()


def test_where_pytorch_is_missing_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ComputeError, match=r"PyTorch is not installed here.*uv pip install -r services/dask/pytorch"):
        ranks.run(InProcess(), network.fit, {**customers(10), "recipe": RECIPE}, ranks=1)


def test_one_process_is_one_rank() -> None:
    with pytest.raises(ComputeError, match="one process is one rank, not 2"):
        ranks.run(InProcess(), network.fit, {}, ranks=2)
    assert ranks.run(InProcess(), lambda rank, word: (rank, word), {"word": "x"}, ranks=1) == [
        (Rank(number=0, size=1), "x")
    ]


def test_what_the_extra_takes_agrees_with_the_lock_and_the_lock_is_without_it() -> None:
    lines = (ROOT / "services/dask/pytorch/requirements.txt").read_text().splitlines()
    pins = dict(re.fullmatch(r"([\w.-]+)==([\w.+-]+).*", line).groups() for line in lines if "==" in line and line[0].isalpha())  # type: ignore[union-attr] # fmt: skip
    locked = {one["name"]: one["version"] for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    both = sorted(pins.keys() & locked.keys())
    assert len(both) > 4
    assert {name: pins[name] for name in both} == {name: locked[name] for name in both}
    assert "torch" in pins
    assert "torch" not in locked


def test_the_table_has_every_model_with_its_interval_and_what_is_saved() -> None:
    one = scores.Score(value=0.5, low=0.25, high=0.75)
    said = network.Comparison(auc={"b": one, "a": one}, log_loss={"b": one, "a": one}, gain=one).table().splitlines()
    assert [line.split()[0] for line in said[1:3]] == ["a", "b"]
    assert all(line.count("0.5000 (0.2500 to 0.7500)") == 2 for line in said[1:3])
    assert said[3] == "PyTorch saves 0.5000 (0.2500 to 0.7500) nats against gradient boosting"


# -- with PyTorch ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[tuple[dask.Dask, Cluster]]:
    with dask.cluster(tmp_path, workers=2) as found, connect(found.address) as compute:
        assert isinstance(compute, Cluster)
        compute.client.wait_for_workers(2, timeout=60)
        yield found, compute


def flat(layers: list[tuple[Floats, Floats]]) -> Floats:
    return np.concatenate([part.ravel() for layer in layers for part in layer])


@WITH_PYTORCH
def test_a_network_learns_what_no_line_tells_apart() -> None:
    known = customers(4000)
    recipe = Recipe(widths=(16, 8), passes=40, batch=256, rate=0.01)
    (layers,) = ranks.run(InProcess(), network.fit, {**known, "recipe": recipe}, ranks=1)
    values = known["features"]
    for weights, bias in layers[:-1]:
        values = np.maximum(values @ weights.T + bias, 0)
    odds = (values @ layers[-1][0].T + layers[-1][1])[:, 0]
    assert scores.auc(known["bought"], odds) > 0.9


@WITH_PYTORCH
def test_the_same_seed_gives_the_same_and_leaves_the_random_numbers_of_others_alone() -> None:
    torch = ranks.torch()
    asked = {**customers(200), "recipe": RECIPE}
    torch.manual_seed(5)
    (one,) = ranks.run(InProcess(), network.fit, asked, ranks=1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    (two,) = ranks.run(InProcess(), network.fit, asked, ranks=1)
    np.testing.assert_array_equal(flat(one), flat(two))
    (other,) = ranks.run(InProcess(), network.fit, {**asked, "recipe": replace(RECIPE, seed=1)}, ranks=1)
    assert not np.array_equal(flat(one), flat(other))


@WITH_PYTORCH
@pytest.mark.integration
def test_one_process_one_worker_and_two_give_the_same(cluster: tuple[dask.Dask, Cluster]) -> None:
    _, compute = cluster
    asked = {**customers(1001), "recipe": RECIPE}  # the last batch has one rank more than the other
    (alone,) = ranks.run(InProcess(), network.fit, asked, ranks=1)
    (one,) = ranks.run(compute, network.fit, asked, ranks=1)
    first, second = ranks.run(compute, network.fit, asked, ranks=2)
    np.testing.assert_array_equal(flat(alone), flat(one))
    np.testing.assert_array_equal(flat(first), flat(second))
    np.testing.assert_allclose(flat(first), flat(one), rtol=0, atol=network.TOLERANCE)
    with pytest.raises(ComputeError, match="3 ranks need as many workers, there are 2"):
        ranks.run(compute, network.fit, asked, ranks=3)


def ended(compute: Cluster, disturb: Callable[[], None], *, silence: float) -> str:
    """What a run that would go on for ever says after it was disturbed, once both ranks run."""
    said: list[str] = []
    asked = {**customers(2000), "recipe": replace(RECIPE, passes=10**9)}

    def run() -> None:
        try:
            ranks.run(compute, network.fit, asked, ranks=2, silence=timedelta(seconds=silence))
        except ComputeError as error:
            said.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until = time.monotonic() + 120
    while sum(map(len, compute.client.processing().values())) < 2:
        assert time.monotonic() < until, "the ranks have not begun"
        time.sleep(0.05)
    disturb()
    thread.join(timeout=300)
    assert not thread.is_alive(), "it hangs"
    return said[0]


@WITH_PYTORCH
@pytest.mark.integration
@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_that_dies_ends_the_run_with_a_clear_error(cluster: tuple[dask.Dask, Cluster], number: int) -> None:
    found, compute = cluster
    said = ended(compute, found.workers[number].kill, silence=20)
    assert re.match(r"the worker of rank [01] died, the run ends|rank [01] failed: ", said), said
    with pytest.raises(ComputeError, match="2 ranks need as many workers, there are 1"):
        ranks.run(compute, network.fit, {}, ranks=2)


@WITH_PYTORCH
@pytest.mark.integration
def test_a_worker_that_says_nothing_any_more_ends_the_run_too(cluster: tuple[dask.Dask, Cluster]) -> None:
    found, compute = cluster
    stopped = found.workers[1].pid
    try:
        said = ended(compute, lambda: os.kill(stopped, signal.SIGSTOP), silence=5)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert re.match(r"rank [01] failed: |the worker of rank [01] died", said), said


@WITH_PYTORCH
@pytest.mark.integration
def test_on_the_real_orders_it_is_judged_beside_the_published_model(
    cluster: tuple[dask.Dask, Cluster], tmp_path: Path
) -> None:
    _, compute = cluster
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(encoding="utf-8") as file:
        rows = [
            {"customer_id": int(row["customer_id"]), "ordered_on": date.fromisoformat(row["order_date"]),
             "quantity": 1, "amount_usd": Decimal(row["amount_usd"])}
            for row in csv.DictReader(file)
        ]  # fmt: skip
    orders, lake = dataset("shop.orders"), Lake(f"file://{tmp_path / 'lake'}")
    slices: dict[date | None, pa.Table] = {UNTIL: pa.Table.from_pylist(rows, schema=schema(orders))}
    files = [file for manifest in lake.publish(orders, slices, run="r") for file in manifest.files]
    asked: dict[str, Any] = {"lake_url": lake.url, "files": files, "until": UNTIL}
    found = network.compare(compute, **asked, size=2)
    print(found.table())
    assert sorted(found.auc) == ["BG/NBD", "PyTorch", "gradient boosting", "last behaviour"]
    assert found.auc["PyTorch"].value > found.auc["last behaviour"].value > 0.5
    assert found.auc["PyTorch"].low < found.auc["PyTorch"].value < found.auc["PyTorch"].high
    assert found.gain.low <= found.gain.value <= found.gain.high
    alone = network.compare(InProcess(), **asked, size=1)
    assert alone.log_loss["PyTorch"].value == pytest.approx(found.log_loss["PyTorch"].value, abs=network.TOLERANCE)
    assert alone.auc["PyTorch"].value == pytest.approx(found.auc["PyTorch"].value, abs=network.TOLERANCE)
