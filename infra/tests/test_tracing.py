"""The proof itself: what it calls wrong or uncovered, and the shop's figures on orders that a person can add up."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infra.testing.tracing import shown
from infra.testing.tracing.documented import promises
from infra.testing.tracing.ledger import Ledger, Rule
from infra.testing.tracing.mails import bar_heights, shades, unusual
from infra.testing.tracing.other_pages import judged
from infra.testing.tracing.shop import Event, Shop, event_days, fifths, segment
from leandata.datasets import CATALOG

CSV = """customer_id,order_date,quantity,amount_usd
1,1998-06-01,1,10.00
1,1998-06-01,1,10.00
1,1998-06-30,2,20.05
2,1998-06-30,3,0.00
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Four orders, the last ones on a Tuesday, 17 November 2026."""
    source = tmp_path / "orders.csv"
    source.write_text(CSV)
    return Shop(today=date(2026, 11, 24), source=source)


def held(seen: Any, expected: Any) -> Ledger:
    ledger = Ledger()
    ledger.hold("page", seen, expected)
    return ledger


def test_what_is_as_expected_is_counted() -> None:
    ledger = held(
        {"a": 1, "b": ["$2.00 of 3"], "c": Decimal("0.5")}, {"a": 1, "b": ["$2.00 of 3"], "c": Decimal("0.5")}
    )
    ledger.demand_right()
    assert ledger.traced == 4


def test_a_number_that_is_off_by_a_cent_is_told_with_its_place_and_both_values() -> None:
    ledger = held({"tiles": {"revenue": "$1,234.51"}}, {"tiles": {"revenue": "$1,234.50"}})
    with pytest.raises(AssertionError, match="1 numbers are wrong or not covered"):
        ledger.demand_right()
    assert ledger.wrong == ["page / tiles / revenue: expected '$1,234.50', got '$1,234.51'"]


@pytest.mark.parametrize("seen", [{"a": 1, "new": 2}, {"a": 1, "new": {"deep": ["x 2"]}}, {"a": 1, "2026": "x"}])
def test_a_number_that_nothing_covers_is_wrong(seen: dict[str, Any]) -> None:
    (said,) = held(seen, {"a": 1}).wrong
    assert "no rule covers" in said


def test_a_new_text_without_a_number_is_nobodys_business() -> None:
    held({"a": 1, "note": "all is well", "flag": True}, {"a": 1}).demand_right()


def test_what_is_not_shown_is_wrong() -> None:
    assert held({}, {"a": 1}).wrong == ["page / a: nothing is shown, expected 1"]
    assert held([1], [1, 2]).wrong == ["page: 1 are missing, first 2"]
    assert held([1, 2], [1]).wrong == ["page / 1: no rule covers 2"]


@pytest.mark.parametrize(("seen", "expected"), [(True, 1), ("1", 1), (None, 0), (1, "1"), (0, False)])
def test_a_number_is_no_text_and_no_answer_of_yes_or_no(seen: Any, expected: Any) -> None:
    assert held(seen, expected).wrong


def test_a_float_of_a_chart_is_held_to_the_cent() -> None:
    held([22942.48, 60205], [Decimal("22942.48"), Decimal("60205.00")]).demand_right()
    assert held([22942.49], [Decimal("22942.48")]).wrong


def test_a_rule_judges_what_cannot_be_known() -> None:
    rule = Rule(what="an even number", holds=lambda seen: seen % 2 == 0)
    assert held([2, 4], [rule, rule]).ruled == {"an even number": 2}
    assert held([3], [rule]).wrong == ["page / 0: expected an even number, got 3"]


def test_lines_are_found_in_any_order_and_without_a_number_they_are_ignored() -> None:
    ledger = Ledger()
    ledger.lines("mail", ["Orders   7", "Hello", "Revenue $1.00"], ["Revenue $1.00", "Orders 7", "no number"])
    ledger.demand_right()
    assert ledger.traced == 2


def test_a_line_with_another_number_is_told_with_both() -> None:
    ledger = Ledger()
    ledger.lines("mail", ["Revenue $1.01 (-3.0%)"], ["Revenue $1.00 (-3.0%)"])
    assert ledger.wrong == ["mail: expected $1.00, got $1.01, in 'Revenue $1.01 (-3.0%)'"]


def test_a_new_line_is_not_covered_and_a_missing_one_not_shown() -> None:
    ledger = Ledger()
    rule = Rule(what="a version", holds=lambda line: line.startswith("v"))
    ledger.lines("mail", ["Profit $5"], ["Orders 7", rule])
    assert ledger.wrong == [
        "mail: no rule covers 'Profit $5'",
        "mail: nothing shows 'Orders 7'",
        "mail: nothing shows a version",
    ]


def test_the_same_line_twice_needs_two_that_expect_it() -> None:
    ledger = Ledger()
    ledger.lines("mail", ["1 of 1", "1 of 1"], ["1 of 1"])
    assert ledger.wrong == ["mail: no rule covers '1 of 1'"]


def test_what_is_left_is_listed_with_the_reason() -> None:
    ledger = Ledger()
    ledger.leave("/v1/model", why="it learns")
    assert ledger.told().splitlines()[-1] == "not traced: /v1/model: it learns"


def test_the_last_purchase_is_moved_into_the_last_complete_week(shop: Shop) -> None:
    assert {order.day for order in shop.orders} == {date(2026, 10, 19), date(2026, 11, 17)}
    assert (min(shop.days), max(shop.days), len(shop.days)) == (date(2026, 10, 19), date(2026, 11, 23), 36)


def test_a_week_adds_up_and_a_customer_is_new_in_the_first(shop: Shop) -> None:
    first, last = shop.weeks[date(2026, 10, 19)], shop.weeks[shop.last_week]
    assert (first.revenue, first.orders, len(first.customers), first.new, first.units) == (Decimal("20.00"), 2, 1, 1, 2)
    assert (last.revenue, last.orders, len(last.customers), last.new, last.units) == (Decimal("20.05"), 2, 2, 1, 5)
    assert shop.weeks[date(2026, 11, 2)].orders == 0
    assert len(shop.weeks) == 6


def test_a_cohort_is_followed_through_every_month_that_has_begun(shop: Shop) -> None:
    found = {(str(cohort), at): (len(one.sums.customers), one.size) for (cohort, at), one in shop.cohorts.items()}
    assert found == {("2026-10-01", 0): (1, 1), ("2026-10-01", 1): (1, 1), ("2026-11-01", 0): (1, 1)}


def test_who_paid_most_comes_first_and_of_equals_the_lower_number(shop: Shop) -> None:
    top = shop.top(since=shop.last_week, until=shop.until, most=5)
    assert [(number, one.revenue) for number, one in top] == [(1, Decimal("20.05")), (2, Decimal("0.00"))]


def test_equal_values_share_a_fifth_and_the_highest_is_five() -> None:
    assert fifths({1: 10, 2: 10, 3: 20, 4: 30, 5: 40}) == {1: 1, 2: 1, 3: 3, 4: 4, 5: 5}
    assert set(fifths(dict.fromkeys(range(7), 1)).values()) == {1}


def test_the_first_rule_that_fits_names_the_segment() -> None:
    named = {
        "champions": (5, 5, 9), "loyal": (3, 4, 5), "new": (4, 1, 1), "promising": (3, 3, 2), "at_risk": (2, 4, 4),
        "hibernating": (2, 3, 2), "lost": (1, 1, 1),
    }  # fmt: skip
    assert {name: segment(*of) for name, of in named.items()} == {name: name for name in named}


def test_an_event_s_customer_ordered_soon_after_within_seven_days(shop: Shop) -> None:
    ordered = date(2026, 11, 17)
    events = [Event(type="page_view", day=ordered - timedelta(days=back), customer=2) for back in (-1, 0, 7, 8)]
    found = event_days(shop, [*events, Event(type="page_view", day=ordered)])
    assert [(day.day, one.events, one.customers, one.converted) for (day, _), one in found.items()] == [
        (9, 1, 1, 0), (10, 1, 1, 1), (17, 2, 1, 1), (18, 1, 1, 0),
    ]  # fmt: skip


def test_too_few_weeks_are_called_usual_only_by_figures_that_differ(shop: Shop) -> None:
    assert unusual(shop).startswith("Nothing is unusual: every figure lies within what the 4 weeks before")


def test_a_day_is_held_against_its_weekday(tmp_path: Path) -> None:
    last = date(1998, 6, 30)
    days = [last - timedelta(weeks=back) for back in range(12, -1, -1)]
    counts = [3, 4] * 6
    for now, told in ((3, ("usual", "3.5", "-0.7")), (9, ("unusual", "3.5", "7.4"))):
        source = tmp_path / f"{now}.csv"
        lines = [f"1,{day},1,1.00" for day, count in zip(days, [*counts, now], strict=True) for _ in range(count)]
        source.write_text("\n".join(["customer_id,order_date,quantity,amount_usd", *lines]))
        found = Shop(today=date(2026, 11, 24), source=source)
        assert judged(found, max(order.day for order in found.orders)) == told


def test_figures_are_shown_with_halves_to_the_even_digit() -> None:
    assert (shown.money(Decimal("1234.565")), shown.whole(1234)) == ("$1,234.56", "1,234")
    assert (shown.change(11, 10), shown.change(9, 10), shown.change(1, 0)) == ("+10.0%", "-10.0%", "")
    assert (shown.percent(1, 8), shown.percent(1, 8, places=0), shown.percent(0, 0)) == ("12.5%", "12%", "-")
    assert shown.week(date(2026, 11, 16)) == "2026-W47"


def test_bars_of_a_picture_are_measured() -> None:
    figure = Figure(figsize=(4, 2), dpi=100, facecolor="#ffffff")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.bar([0, 1, 2], [1.0, 2.0, 0.5], color=["#9db7d5", "#9db7d5", "#1f5fa8"], width=0.5)
    axes.set_ylim(0, 2)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    one, two, three = bar_heights(picture.getvalue())
    assert abs(one - two / 2) <= 2
    assert abs(three - two / 4) <= 2
    assert two > 190


def test_shades_of_a_picture_are_read_beside_its_texts() -> None:
    figure = Figure(figsize=(4, 2), dpi=100, facecolor="#ffffff")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow([[0.2, 1.0], [0.6, 0.4]], aspect="auto", cmap="Blues", vmin=0, vmax=1)
    axes.text(0, 0, "20%", ha="center", va="center", color="#333333")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    (one, two), (three, four) = shades(picture.getvalue(), rows=2, columns=2)
    assert sorted([one, two, three, four], reverse=True) == [one, four, three, two], "the darker, the more"


def test_the_catalogue_promises_what_the_contracts_do() -> None:
    found = promises()
    assert set(found) == set(CATALOG)
    for name, promise in found.items():
        contract = CATALOG[name]
        assert promise.hours == contract.freshness / timedelta(hours=1)
        assert {column.name: column.type for column in contract.columns}.items() <= promise.types.items()
