"""Drift: figures worked out by hand, what is not known, what is kept as JSON, and drift of the real customers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leandata.errors import ComputeError
from tasks.purchase.drift import Reference
from tasks.purchase.scores import Floats

SAMPLES = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=60)


def test_the_index_is_that_of_the_textbook() -> None:
    before = np.array([1.0] * 50 + [2.0] * 50)
    found = Reference.of(before, bins=2)
    assert found.edges == (1.5,)
    assert found.shares == (0.5, 0.5, 0.0)
    now = np.array([1.0] * 25 + [2.0] * 75)
    assert found.stability(now) == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))


def test_drift_is_none_for_the_same_customers_and_large_for_others() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.exponential(10, 5000), rng.exponential(10, 5000)
    found = Reference.of(one)
    assert found.stability(one) == 0
    assert found.stability(other) < 0.1
    assert found.stability(other + 20) > 0.25
    assert Reference.of(np.zeros(10)).stability(np.zeros(5)) == 0


def test_what_is_not_known_is_a_group_of_its_own() -> None:
    before = np.array([1.0, 2.0, 3.0, np.nan])
    assert Reference.of(before).shares[-1] == 0.25
    assert Reference.of(before).stability(before) == 0
    assert Reference.of(before).stability(np.array([np.nan] * 4)) > 0.25
    unknown = Reference.of(np.array([np.nan, np.nan]))
    assert unknown.edges == ()
    assert unknown.stability(np.array([np.nan])) == 0


@settings(max_examples=100, deadline=None)
@given(SAMPLES, SAMPLES)
def test_the_index_is_finite_never_negative_and_survives_json(before: list[float], now: list[float]) -> None:
    found = Reference.of(np.array(before))
    assert sum(found.shares) == pytest.approx(1)
    assert 0 <= found.stability(np.array(now)) < 50
    assert Reference.read(json.loads(json.dumps(found.plain()))) == found


def test_drift_of_nothing_is_refused() -> None:
    nothing: Floats = np.array([], dtype=np.float64)
    with pytest.raises(ComputeError, match="drift of nothing"):
        Reference.of(nothing)
    with pytest.raises(ComputeError, match="drift of nothing"):
        Reference.of(np.ones(3)).stability(nothing)
