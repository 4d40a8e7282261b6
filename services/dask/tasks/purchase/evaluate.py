"""Gradient boosting against its baselines on weeks that came after everything they learnt from.

The three last windows of four weeks are for judging; what is learnt from are the windows before, none of which reaches
into the first one that is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from leandata.clock import Week
from leandata.compute import Compute
from leandata.errors import ComputeError
from tasks.purchase import bgnbd, panel, scores
from tasks.purchase.scores import Bools, Floats, Score

JUDGED, LEARNT = 3, 9
_FEW = 100
_KEYS = ("customer_id", "week", "bought")
_AGES = ("tenure", "recency")


@dataclass(frozen=True, kw_only=True, slots=True)
class Learnt:
    """Gradient boosting beside BG/NBD, whose log odds are one of its features; `names` are the others, in their order.

    How long ago a customer came, first and last, reaches trees through BG/NBD only. In later weeks both are longer than
    anything learnt from, and trees give what is beyond as they give the last they know: probabilities that do not fall.
    """

    trees: Any
    names: tuple[str, ...]
    baseline: bgnbd.BGNBD

    def chances(self, rows: pl.DataFrame) -> Floats:
        """The probability of each row of a panel."""
        found = self.trees.predict_proba(beside(rows, self.names, self.baseline))[:, 1]
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """AUC and log loss with their intervals by name of the model; `gain` is the log loss that gradient boosting saves
    against the best baseline. Its predictions are worth publishing only where `better`: beyond noise."""

    auc: dict[str, Score]
    log_loss: dict[str, Score]
    best_baseline: str
    gain: Score
    calibration: list[scores.Group]
    customers: int

    @property
    def better(self) -> bool:
        return self.gain.low > 0


def weeks(until: date) -> tuple[list[Week], list[Week]]:
    """The weeks to learn from and those to judge, oldest first, where `until` is the last day that is known whole."""
    newest = Week.of(until + timedelta(days=1)).before(4)
    found = [newest.before(4 * back) for back in range(JUDGED + LEARNT)]
    return found[JUDGED:][::-1], found[:JUDGED][::-1]


def evaluate(compute: Compute, *, lake_url: str, files: Sequence[str], until: date) -> Evaluation:
    """Learn and judge. Raises ComputeError where there is too little, or where all customers did the same."""
    return assess(known(compute, lake_url=lake_url, files=files, until=until), until=until)


def known(compute: Compute, *, lake_url: str, files: Sequence[str], until: date) -> pl.DataFrame:
    """The panel of all weeks to learn from and to judge."""
    learnt, judged = weeks(until)
    return panel.build(compute, lake_url=lake_url, files=files, weeks=[*learnt, *judged])


def assess(rows: pl.DataFrame, *, until: date) -> Evaluation:
    """Learn and judge on the panel of `known`. Raises ComputeError as `evaluate` does."""
    before, after = split(rows, until=until)
    return judge(after, predictions(before, after))


def split(rows: pl.DataFrame, *, until: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows to learn from and those to judge, of the panel of `known`. Raises ComputeError as `evaluate` does."""
    _, judged = weeks(until)
    before, after = rows.filter(pl.col("week") < judged[0].start), rows.filter(pl.col("week") >= judged[0].start)
    for part, what in ((before, "learnt from"), (after, "judged")):
        _refuse(part, what)
    return before, after


def predictions(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Floats]:
    """What each model, which learnt from `before`, gives to the rows of `after`."""
    learnt = learn(before)
    return {
        "gradient boosting": learnt.chances(after),
        "BG/NBD": learnt.baseline.buys(history(after), weeks=4),
        "last behaviour": _last_behaviour(before, after),
    }


def learn(rows: pl.DataFrame) -> Learnt:
    """What learnt from these rows. Raises ComputeError where nobody came back."""
    # the newest week knows each customer's whole history: an older one would count the same purchases again
    baseline = bgnbd.fit(history(rows.filter(pl.col("week") == rows["week"].max())))
    names = tuple(name for name in names_of(rows) if name not in _AGES)
    return Learnt(trees=trees().fit(beside(rows, names, baseline), labels(rows)), names=names, baseline=baseline)


def trees() -> Any:
    """Gradient boosting with the settings that it learns with, which has learnt nothing yet."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=200, l2_regularization=10, random_state=0,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def names_of(rows: pl.DataFrame) -> list[str]:
    """The features among the columns of a panel."""
    return [name for name in rows.columns if name not in _KEYS]


def judge(after: pl.DataFrame, given: dict[str, Floats]) -> Evaluation:
    """The evaluation of these predictions for the rows of `after`."""
    bought, customers = labels(after), after["customer_id"].to_numpy()
    losses = {name: scores.mean(scores.log_losses(bought, one), customers) for name, one in sorted(given.items())}
    best = min((name for name in losses if name != "gradient boosting"), key=lambda name: losses[name].value)
    return Evaluation(
        auc={name: scores.auc_interval(bought, one, customers) for name, one in sorted(given.items())},
        log_loss=losses,
        best_baseline=best,
        gain=scores.better(bought, given["gradient boosting"], given[best], customers),
        calibration=scores.groups(bought, given["gradient boosting"]),
        customers=len(np.unique(customers)),
    )


def history(rows: pl.DataFrame) -> bgnbd.History:
    """What BG/NBD knows of the customers of these rows."""
    tenure = rows["tenure"].to_numpy() / 7
    return bgnbd.History(
        x=rows["days"].to_numpy().astype(np.float64) - 1, last=tenure - rows["recency"].to_numpy() / 7, now=tenure
    )


def _last_behaviour(before: pl.DataFrame, after: pl.DataFrame) -> Floats:
    """The share of buyers among those who did, or did not, buy in the four weeks before."""
    did = before["days_28"].to_numpy() > 0
    rates = [float(labels(before)[did == one].mean()) if (did == one).any() else 0.0 for one in (False, True)]
    return np.where(after["days_28"].to_numpy() > 0, rates[1], rates[0])


def _refuse(rows: pl.DataFrame, what: str) -> None:
    buyers = int(rows["bought"].sum())
    if rows.height < _FEW:
        raise ComputeError(f"only {rows.height} rows can be {what}", hint=f"At least {_FEW} are needed: collect more")
    if buyers in (0, rows.height):
        raise ComputeError(f"the rows to be {what} are of one class: {'all' if buyers else 'none'} bought")


def labels(rows: pl.DataFrame) -> Bools:
    """Who of a panel bought."""
    return rows["bought"].to_numpy().astype(np.bool_)


def matrix(rows: pl.DataFrame, names: Sequence[str]) -> Floats:
    """These features of the rows as numbers; what is not known is NaN."""
    return rows.select(pl.col(names).cast(pl.Float64)).to_numpy()


def beside(rows: pl.DataFrame, names: Sequence[str], baseline: bgnbd.BGNBD) -> Floats:
    """These features, and BG/NBD's log odds of an order within four weeks as the last one."""
    chance = np.clip(baseline.buys(history(rows), weeks=4), 1e-6, 1 - 1e-6)
    return np.column_stack([matrix(rows, names), np.log(chance / (1 - chance))])
