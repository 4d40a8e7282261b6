"""BG/NBD: the published figures, the limits of its formulas, and parameters found again in a simulated shop."""

from __future__ import annotations

import csv
from datetime import date
from itertools import groupby

import numpy as np
import pytest

from infra.environment import ROOT
from leandata.errors import ComputeError
from tasks.purchase.bgnbd import BGNBD, History, fit, log_likelihood

# Of the paper's table 2, for its sample of 2,357 CDNOW customers.
PAPER = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)


def history(*rows: tuple[float, float, float]) -> History:
    x, last, now = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return History(x=x, last=last, now=now)


def test_a_customer_without_a_repeat_purchase_is_taken_to_be_there() -> None:
    assert PAPER.alive(history((0, 0, 39)))[0] == 1.0


def test_being_there_becomes_less_likely_the_longer_nothing_is_heard() -> None:
    alive = PAPER.alive(history((2, 30, 31), (2, 30, 39), (2, 30, 90)))
    assert list(alive) == sorted(alive, reverse=True)
    assert all(0 < one < 1 for one in alive)


def test_nobody_buys_in_no_time_and_all_who_are_there_buy_in_the_end() -> None:
    some = history((2, 30.43, 38.86), (0, 0, 38.86))
    assert PAPER.buys(some, weeks=0) == pytest.approx([0, 0])
    assert PAPER.buys(history((2, 30.43, 38.86)), weeks=1e9) == pytest.approx(
        PAPER.alive(history((2, 30.43, 38.86))), abs=1e-6
    )


def test_the_parameters_of_a_simulated_shop_are_found_again() -> None:
    true, rng = BGNBD(r=0.8, alpha=6.0, a=0.9, b=2.5), np.random.default_rng(7)
    rows: list[tuple[float, float, float]] = []
    for _ in range(6000):
        rate, leaves = rng.gamma(true.r, 1 / true.alpha), rng.beta(true.a, true.b)
        clock, x, last = 0.0, 0, 0.0
        while (clock := clock + rng.exponential(1 / rate)) < 60:
            x, last = x + 1, clock
            if rng.random() < leaves:
                break
        rows.append((x, last, 60.0))
    found = fit(history(*rows))
    assert log_likelihood(found, history(*rows)) >= log_likelihood(true, history(*rows))
    assert (found.r, found.alpha) == pytest.approx((true.r, true.alpha), rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(true.a / (true.a + true.b), rel=0.2)


def test_all_customers_give_parameters_near_those_that_the_paper_found_for_a_tenth_of_them() -> None:
    """As in the paper, the customers of the first quarter of 1997, followed until 30 September 1997."""
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(encoding="utf-8") as file:
        rows = [(int(row["customer_id"]), date.fromisoformat(row["order_date"])) for row in csv.DictReader(file)]
    until, found = date(1997, 9, 30), []
    for _, orders in groupby(sorted(rows), key=lambda row: row[0]):
        days = sorted({day for _, day in orders if day <= until})
        found.append((len(days) - 1, (days[-1] - days[0]).days / 7, (until - days[0]).days / 7))
    assert len(found) == 23_570
    model = fit(history(*found))
    assert (model.r, model.alpha) == pytest.approx((PAPER.r, PAPER.alpha), rel=0.12)
    assert (model.a, model.b) == pytest.approx((PAPER.a, PAPER.b), rel=0.12)
    assert log_likelihood(model, history(*found)) > log_likelihood(PAPER, history(*found))


@pytest.mark.parametrize("rows", [[(0.0, 0.0, 10.0)], [(0.0, 0.0, 5.0), (0.0, 0.0, 9.0)]])
def test_a_shop_to_which_nobody_came_back_cannot_be_fitted(rows: list[tuple[float, float, float]]) -> None:
    with pytest.raises(ComputeError, match="needs customers who came back"):
        fit(history(*rows))
