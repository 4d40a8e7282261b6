"""How predictions are judged: figures worked out by hand, and intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from leandata.errors import ComputeError
from tasks.purchase import scores

PAIRS = st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=40).filter(
    lambda rows: len({bought for bought, _ in rows}) == 2
)


def arrays(rows: list[tuple[bool, int]]) -> tuple[scores.Bools, scores.Floats]:
    return np.array([bought for bought, _ in rows]), np.array([value / 10 for _, value in rows])


def test_the_log_loss_is_the_surprise_at_what_happened() -> None:
    losses = scores.log_losses(np.array([True, False]), np.array([0.5, 0.2]))
    assert losses == pytest.approx([np.log(2), -np.log(0.8)])
    assert np.isfinite(scores.log_losses(np.array([True, False]), np.array([0.0, 1.0]))).all()


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_the_auc_counts_the_pairs_in_the_right_order(rows: list[tuple[bool, int]]) -> None:
    yes, no = ([value for bought, value in rows if bought is kind] for kind in (True, False))
    right = sum(1.0 if one > other else 0.5 if one == other else 0.0 for one in yes for other in no)
    assert scores.auc(*arrays(rows)) == pytest.approx(right / (len(yes) * len(no)))


@pytest.mark.parametrize("bought", [[True, True], [False, False]])
def test_customers_of_one_class_cannot_be_ranked(bought: list[bool]) -> None:
    with pytest.raises(ComputeError, match="of one class"):
        scores.auc(np.array(bought), np.array([0.1, 0.2]))


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_the_groups_hold_everybody_once_from_the_likeliest_down(rows: list[tuple[bool, int]]) -> None:
    found = scores.groups(*arrays(rows))
    assert sum(group.customers for group in found) == len(rows)
    assert [group.predicted for group in found] == sorted((group.predicted for group in found), reverse=True)
    assert sum(group.customers * group.observed for group in found) == pytest.approx(sum(b for b, _ in rows))


def test_an_interval_holds_the_truth_in_about_nineteen_of_twenty_samples() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for number in range(100):
        values = rng.normal(3.0, 1.0, 60)
        found = scores.mean(values, np.arange(60), draws=300, seed=number)
        hits += found.low <= 3.0 <= found.high
    assert 85 <= hits <= 100


def test_weeks_of_one_customer_are_no_independent_evidence() -> None:
    values = np.random.default_rng(2).normal(0.0, 1.0, 50)
    once = scores.mean(values, np.arange(50))
    often = scores.mean(np.repeat(values, 9), np.repeat(np.arange(50), 9))
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.01)


def test_a_candidate_is_better_only_beyond_noise() -> None:
    rng, customers = np.random.default_rng(3), np.arange(4000)
    truth = rng.uniform(0.02, 0.6, 4000)
    bought = rng.random(4000) < truth
    flat = np.full(4000, truth.mean())
    assert scores.better(bought, truth, flat, customers).low > 0
    assert scores.better(bought, flat, truth, customers).high < 0
    same = scores.better(bought, flat, flat, customers)
    assert (same.value, same.low, same.high) == (0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_the_interval_of_the_auc_is_about_the_auc_of_the_rows_themselves(rows: list[tuple[bool, int]]) -> None:
    bought, given_ = arrays(rows)
    found = scores.auc_interval(bought, given_, np.arange(len(rows)))
    assert found.value == scores.auc(bought, given_)
    assert 0 <= found.low <= found.high <= 1


def test_the_interval_of_the_auc_holds_the_truth_in_about_nineteen_of_twenty_samples() -> None:
    rng, hits = np.random.default_rng(5), 0
    truth = float(norm.cdf(1 / np.sqrt(2)))  # of two normal distributions that lie one deviation apart
    for _ in range(100):
        bought = np.arange(120) < 40
        shown = rng.normal(bought.astype(np.float64), 1.0)
        found = scores.auc_interval(bought, shown, np.arange(120))
        hits += found.low <= truth <= found.high
    assert 85 <= hits <= 100


def test_a_single_buyer_says_nothing_of_how_sure_an_auc_is() -> None:
    found = scores.auc_interval(np.array([True, False, False]), np.array([0.9, 0.1, 0.2]), np.arange(3))
    assert (found.value, found.low, found.high) == (1.0, 0.0, 1.0)


def test_weeks_of_one_customer_make_an_auc_no_surer() -> None:
    rng = np.random.default_rng(6)
    bought = rng.random(200) < 0.4
    shown = rng.normal(bought.astype(np.float64), 1.0)
    once = scores.auc_interval(bought, shown, np.arange(200))
    often = scores.auc_interval(np.tile(bought, 5), np.tile(shown, 5), np.tile(np.arange(200), 5))
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))


def test_nothing_is_not_judged() -> None:
    nothing = np.array([], dtype=np.float64)
    with pytest.raises(ComputeError, match="nothing to judge"):
        scores.mean(nothing, np.array([], dtype=np.int64))
