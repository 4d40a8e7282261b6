"""Which settings gradient boosting learns with: a grid, judged on later weeks than it learnt from, by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from leandata.compute import Compute, joblib_on
from leandata.errors import ComputeError
from tasks.purchase.evaluate import labels, matrix, names_of, trees
from tasks.purchase.scores import Floats

GRID: Mapping[str, Sequence[Any]] = {
    "l2_regularization": [0.0, 10.0],
    "learning_rate": [0.03, 0.05, 0.1],
    "max_leaf_nodes": [4, 8, 16],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """Settings of `HistGradientBoostingClassifier` and the mean log loss of the weeks they were judged on, in nats."""

    settings: Mapping[str, Any]
    log_loss: float


def select(
    compute: Compute, *, rows: pl.DataFrame, grid: Mapping[str, Sequence[Any]] = GRID, folds: int = 3
) -> list[Candidate]:
    """Every combination of `grid`, the best first; those that are equally good in the grid's order. What the grid does
    not name is as the model has it.

    `rows` is a panel of weeks to learn from (`panel.build`), without those that the chosen model is judged on in the
    end. A fold learns from all weeks before one of the last `folds` and is judged on that one. Fits are spread by
    joblib over the workers of `compute`: where they run changes nothing. Raises ComputeError for too few weeks.
    """
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(
        trees(),
        {name: list(values) for name, values in sorted(grid.items())},
        scoring="neg_log_loss",
        cv=later_weeks(rows, folds=folds),
        refit=False,
        n_jobs=-1,
        error_score="raise",  # pyright: ignore[reportArgumentType]
    )
    with joblib_on(compute):
        search.fit(matrix(rows, names_of(rows)), labels(rows))
    losses: Floats = -np.asarray(search.cv_results_["mean_test_score"], dtype=np.float64)
    found = [
        Candidate(settings=dict(settings), log_loss=float(loss))
        for settings, loss in zip(search.cv_results_["params"], losses, strict=True)
    ]
    return sorted(found, key=lambda one: one.log_loss)


def later_weeks(rows: pl.DataFrame, *, folds: int) -> list[tuple[Any, Any]]:
    """The rows to learn from and to judge, by their numbers, for each of the last `folds` weeks, the oldest first.

    Raises ComputeError where no week lies before the first that is judged.
    """
    week = rows["week"].to_numpy()
    known = np.unique(week)
    if not 0 < folds < known.size:
        hint = f"At least {folds + 1} weeks are needed for {folds} folds" if folds > 0 else "At least one is needed"
        raise ComputeError(f"{known.size} weeks give no {folds} folds", hint=hint)
    return [(np.flatnonzero(week < one), np.flatnonzero(week == one)) for one in known[-folds:]]
