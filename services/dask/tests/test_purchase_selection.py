"""Settings are chosen on later weeks than they learnt from, with the same result in one process and on two workers."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from infra.testing import dask
from leandata.compute import Compute, InProcess, connect
from leandata.errors import ComputeError
from tasks.purchase.selection import GRID, later_weeks, select

FIRST = date(2026, 1, 5)
SMALL = {"learning_rate": [0.1], "max_leaf_nodes": [2, 8]}


def rows(weeks: int = 4, customers: int = 900) -> pl.DataFrame:
    """Customers who buy where just one of two features is high: trees of two leaves cannot see that."""
    stream = np.random.default_rng(3)
    size = weeks * customers
    one, other = stream.random(size) > 0.5, stream.random(size) > 0.5
    return pl.DataFrame(
        {
            "customer_id": np.tile(np.arange(customers), weeks),
            "week": [FIRST + timedelta(weeks=number) for number in range(weeks) for _ in range(customers)],
            "bought": (one ^ other) & (stream.random(size) < 0.9),
            "one": one.astype(float),
            "other": other.astype(float),
        }
    )


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Compute]:
    with dask.cluster(tmp_path_factory.mktemp("dask"), workers=2) as found, connect(found.address) as compute:
        yield compute


def test_a_fold_is_judged_on_a_later_week_than_it_learnt_from() -> None:
    panel = rows(weeks=4, customers=2)
    week = panel["week"].to_list()
    folds = [
        ({week[at] for at in learnt}, {week[at] for at in judged}) for learnt, judged in later_weeks(panel, folds=2)
    ]
    mondays = [FIRST + timedelta(weeks=number) for number in range(4)]
    assert folds == [({*mondays[:2]}, {mondays[2]}), ({*mondays[:3]}, {mondays[3]})]


@pytest.mark.parametrize(("weeks", "folds"), [(3, 3), (1, 1), (2, 5), (2, 0), (2, -1)])
def test_too_few_weeks_are_refused(weeks: int, folds: int) -> None:
    with pytest.raises(ComputeError, match=rf"{weeks} weeks give no {folds} folds"):
        later_weeks(rows(weeks=weeks, customers=2), folds=folds)


def test_the_settings_that_can_see_it_are_the_best() -> None:
    best, worse = select(InProcess(), rows=rows(), grid=SMALL, folds=2)
    assert best.settings == {"learning_rate": 0.1, "max_leaf_nodes": 8}
    assert best.log_loss < 0.4
    assert worse.log_loss > 0.6, "a coin's is 0.69"


def test_each_combination_is_tried_once() -> None:
    found = select(InProcess(), rows=rows(customers=300), folds=1)
    assert len(found) == np.prod([len(values) for values in GRID.values()]) == 18
    assert len({tuple(sorted(one.settings.items())) for one in found}) == 18
    assert [one.log_loss for one in found] == sorted(one.log_loss for one in found)


@pytest.mark.integration
def test_two_workers_choose_what_one_process_chooses(workers: Compute) -> None:
    assert select(workers, rows=rows(), grid=SMALL, folds=2) == select(InProcess(), rows=rows(), grid=SMALL, folds=2)
