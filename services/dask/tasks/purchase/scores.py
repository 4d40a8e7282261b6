"""How good predicted probabilities are, with how sure that is: by a bootstrap over customers.

The bootstrap draws customers, not rows: what one does in several weeks is no independent evidence. Intervals are
the percentiles of B. Efron, R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leandata.errors import ComputeError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
_SMALLEST = 1e-6
_NORMAL = 1.959964  # of 95%
_TWO = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Customers with similar predictions: how many, the mean probability, and the share who bought."""

    customers: int
    predicted: float
    observed: float


def log_losses(bought: Bools, probability: Floats) -> Floats:
    """The log loss of each prediction in nats; probabilities are kept a millionth from 0 and 1."""
    sure = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    return -np.where(bought, np.log(sure), np.log(1 - sure))


def auc(bought: Bools, probability: Floats) -> float:
    """The probability that a buyer was given more than a non-buyer, ties counted half (Mann and Whitney).

    Raises ComputeError where all bought, or none.
    """
    from scipy.stats import rankdata

    buyers = int(bought.sum())
    others = len(bought) - buyers
    if not buyers or not others:
        raise ComputeError("the customers are of one class: all bought, or none", hint="Judge a longer time")
    ranks: Floats = rankdata(probability)
    return (float(ranks[bought].sum()) - buyers * (buyers + 1) / 2) / (buyers * others)


def auc_interval(bought: Bools, probability: Floats, customers: Integers) -> Score:
    """The AUC with its normal 95% interval, where rows of one customer belong together.

    The variance is that of N. Obuchowski, "Nonparametric Analysis of Clustered ROC Curve Data", Biometrics 53 (1997);
    with one row a customer it is DeLong's. With fewer than two customers of a kind nothing is known: 0 to 1. Raises
    ComputeError where all bought, or none.
    """
    value = auc(bought, probability)
    beaten, beating = _placements(bought, probability)
    _, index = np.unique(customers, return_inverse=True)
    excess = [
        np.bincount(index[rows], weights=of - value, minlength=int(index.max()) + 1)
        for rows, of in ((bought, beaten), (~bought, beating))
    ]
    kinds = [len(np.unique(index[rows])) for rows in (bought, ~bought)]
    if min(kinds) < _TWO:
        return Score(value=value, low=0.0, high=1.0)
    buyers, others, count = int(bought.sum()), int((~bought).sum()), int(index.max()) + 1
    variance = sum(
        kind / (kind - 1) * float((of**2).sum()) / rows**2
        for kind, of, rows in zip(kinds, excess, (buyers, others), strict=True)
    )
    variance += 2 * count / (count - 1) * float((excess[0] * excess[1]).sum()) / (buyers * others)
    half = _NORMAL * max(variance, 0.0) ** 0.5
    return Score(value=value, low=max(0.0, value - half), high=min(1.0, value + half))


def _placements(bought: Bools, probability: Floats) -> tuple[Floats, Floats]:
    """Of each buyer the share of the others who were given less, and of each other the share of buyers given more."""
    yes, no = np.sort(probability[bought]), np.sort(probability[~bought])

    def below(sample: Floats, values: Floats) -> Floats:
        return (np.searchsorted(sample, values) + np.searchsorted(sample, values, side="right")) / 2 / sample.size

    return below(no, probability[bought]), 1 - below(yes, probability[~bought])


def groups(bought: Bools, probability: Floats, *, count: int = 10) -> list[Group]:
    """`count` groups of equal size by probability, the highest first: calibration, and lift against the whole."""
    order = np.argsort(-probability, kind="stable")
    parts = [part for part in np.array_split(order, count) if part.size]
    return [
        Group(customers=part.size, predicted=float(probability[part].mean()), observed=float(bought[part].mean()))
        for part in parts
    ]


def mean(values: Floats, customers: Integers, *, draws: int = 1000, seed: int = 0) -> Score:
    """The mean over rows, with the interval of a bootstrap over customers. Raises ComputeError without rows."""
    if not values.size:
        raise ComputeError("there is nothing to judge", hint="Collect more of the shop's history")
    _, index = np.unique(customers, return_inverse=True)
    sums, rows = np.bincount(index, weights=values), np.bincount(index)
    generator = np.random.default_rng(seed)

    def drawn() -> float:
        weights = generator.multinomial(len(sums), np.full(len(sums), 1 / len(sums)))
        return float((weights * sums).sum() / (weights * rows).sum())

    return _interval(float(values.mean()), drawn, draws=draws)


def better(bought: Bools, candidate: Floats, baseline: Floats, customers: Integers) -> Score:
    """By how much the candidate's log loss is lower than the baseline's, paired; better beyond noise when `low` > 0."""
    return mean(log_losses(bought, baseline) - log_losses(bought, candidate), customers)


def _interval(value: float, drawn: Callable[[], float], *, draws: int) -> Score:
    low, high = np.quantile([drawn() for _ in range(draws)], [0.025, 0.975])
    return Score(value=value, low=float(low), high=float(high))
