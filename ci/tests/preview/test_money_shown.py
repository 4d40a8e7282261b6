"""Money as it is shown: whole cents, no minus before a zero, nothing left out of the sums, budgets to the cent."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.document import cents, of_money, text
from ci.preview.markdown import markdown
from ci.preview.money import money, over_budget
from ci.preview.page import page
from ci.preview.report import Budget, Money, MoneyLine
from ci.preview.summary import summary
from ci.prices import Prices
from ci.tests.graphs import graph, resource
from ci.tests.preview.previews import change, preview, stack
from ci.tests.preview.test_showing_previews import schema
from ci.verbs.cost import table

ORIGIN = "list prices"
AMOUNTS = st.floats(0, 1e7, allow_nan=False)


def line(base: float, head: float, *, place: str = "api", service: str = "api") -> MoneyLine:
    return MoneyLine(stack=place, service=service, base=base, head=head)


def budget(allowed: float, base: float, head: float, *, service: str = "api") -> Budget:
    return Budget(service=service, allowed=allowed, base=base, head=head)


def estimate(*lines: MoneyLine, budgets: tuple[Budget, ...] = (), not_priced: tuple[str, ...] = ()) -> Money:
    return Money(lines=lines, budgets=budgets, not_priced=not_priced, origin=ORIGIN)


def forms(found: Money) -> dict[str, str]:
    """Every form in which people read it."""
    whole = preview(stack(change("a")), money=found)
    return {
        "Markdown": markdown(whole),
        "HTML": page(whole, counts={}),
        "terminal": summary(whole),
        "cost": "\n".join(table(found)),
    }


class Signers:
    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return (f"{stack}-team", kind)


# -- cents -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, 0.0),
        (-0.0, 0.0),
        (-0.001, 0.0),
        (0.004, 0.0),
        (0.006, 0.01),
        (-0.006, -0.01),
        (12.345678, 12.35),
        (1e6, 1e6),
    ],
)
def test_an_amount_is_in_whole_cents(amount: float, shown: float) -> None:
    assert cents(amount) == shown
    assert math.copysign(1, cents(amount)) == (-1 if shown < 0 else 1), "no minus before a zero"


# As sums of binary fractions differ: each of these is the same amount to the cent.
SAME = [(0.1 + 0.2, 0.3), (0.3, 0.1 + 0.2), (100.001, 100.0), (100.0, 100.004)]


@pytest.mark.parametrize(("base", "head"), SAME)
def test_what_is_the_same_to_the_cent_is_never_shown_as_less_than_nothing(base: float, head: float) -> None:
    found = estimate(line(base, head))
    for name, shown in forms(found).items():
        assert "-0.00" not in shown, name
    assert of_money(found)["monthly_usd"]["difference"] == 0
    assert "no change" in forms(found)["Markdown"]


@pytest.mark.parametrize(
    ("base", "head", "said"), [(100, 312.5, "+212.50"), (312.5, 100, "-212.50"), (0, 0.01, "+0.01")]
)
def test_every_form_says_the_same_difference_with_its_sign(base: float, head: float, said: str) -> None:
    for name, shown in forms(estimate(line(base, head))).items():
        assert said in shown, name


def test_large_amounts_are_written_with_commas() -> None:
    for name, shown in forms(estimate(line(1_000_000, 2_500_000.5))).items():
        assert "2,500,000.50" in shown, name
        assert "+1,500,000.50" in shown, name


# -- sums --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=10))
def test_the_sum_is_that_of_the_lines(found: list[tuple[float, float]]) -> None:
    whole = estimate(*(line(base, head, place=f"s{n}") for n, (base, head) in enumerate(found)))
    assert math.isclose(whole.base, math.fsum(base for base, _ in found), abs_tol=1e-6)
    assert math.isclose(whole.difference, math.fsum(one.difference for one in whole.lines), abs_tol=1e-6)
    assert whole.difference == whole.head - whole.base


def test_lines_that_stay_the_same_are_in_the_sum_but_not_in_the_comment() -> None:
    found = estimate(line(50, 50, place="quiet"), line(10, 30, place="loud"))
    shown = forms(found)
    assert "$80.00, +20.00" in shown["Markdown"]
    assert "<code>loud</code>" in shown["Markdown"]
    assert "quiet" not in shown["Markdown"]
    assert "quiet" in shown["HTML"]
    assert "quiet" in shown["cost"]


@pytest.mark.parametrize(("count", "more"), [(30, ""), (31, "and 1 more"), (90, "and 60 more")])
def test_at_most_30_lines_are_in_the_comment_and_the_others_are_counted(count: int, more: str) -> None:
    shown = markdown(preview(stack(), money=estimate(*(line(0, n + 1, place=f"s{n}") for n in range(count)))))
    assert len(re.findall(r"^- <code>s\d+</code>", shown, re.MULTILINE)) == min(count, 30)
    assert ("- and " in shown) == bool(more)
    assert more in shown


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, "; and 1 more"), (20, "; and 12 more")])
def test_at_most_8_that_have_no_price_are_named_and_the_others_are_counted(count: int, more: str) -> None:
    shown = markdown(preview(stack(), money=estimate(not_priced=tuple(f"thing {n}: no rule" for n in range(count)))))
    assert shown.count(": no rule") == min(count, 8)
    assert ("; and " in shown) == bool(more)
    assert more in shown


@pytest.mark.parametrize(
    "found", [None, estimate(), estimate(budgets=(budget(10, 0, 0),))], ids=["none", "empty", "only a budget"]
)
def test_where_nothing_costs_money_nothing_is_said_of_it(found: Money | None) -> None:
    whole = preview(stack(), money=found)
    assert "Cost a month" not in markdown(whole)
    assert "Cost a month" not in page(whole, counts={})


def test_an_environment_without_a_price_is_not_free() -> None:
    found = estimate(not_priced=("aws:redshift/cluster:Cluster: no rule",))
    shown = forms(found)
    for name in ("Markdown", "HTML", "cost"):
        assert "aws:redshift/cluster:Cluster: no rule" in shown[name], name
    assert "nothing that costs money" not in shown["cost"]


def test_the_document_has_money_by_its_schema_with_every_line_and_budget() -> None:
    found = estimate(line(1.005, 2.0), line(0, 3, place="lake", service="lake"), budgets=(budget(4, 1, 2), budget(2, 0, 3, service="lake")), not_priced=("x",))  # fmt: skip
    whole = json.loads(text(preview(stack(), money=found)))
    jsonschema.validate(whole, schema())
    assert [(one["stack"], one["difference"]) for one in whole["money"]["lines"]] == [("api", 1.0), ("lake", 3.0)]
    assert [(one["service"], one["over"]) for one in whole["money"]["budgets"]] == [("api", False), ("lake", True)]
    assert (whole["money"]["not_priced"], whole["money"]["origin"]) == (["x"], ORIGIN)


# -- budgets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "base", "head", "over", "risky"),
    [
        (100, 0, 100, False, False),
        (100, 0, 100.004, False, False),
        (100, 0, 100.01, True, True),
        (100, 150, 150, True, False),
        (100, 150, 150.004, True, False),
        (100, 150, 150.01, True, True),
        (100, 150, 120, True, False),
        (100, 150, 90, False, False),
        (0, 0, 0, False, False),
        (0, 0, 0.01, True, True),
    ],
)
def test_over_is_more_than_allowed_and_a_risk_is_getting_there_by_this_change(
    allowed: float, base: float, head: float, over: bool, risky: bool
) -> None:
    one = budget(allowed, base, head)
    assert one.over == over
    assert bool(list(over_budget(estimate(budgets=(one,)), teams=Signers()))) == risky


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_no_change_that_saves_money_is_a_risk(allowed: float, one: float, other: float) -> None:
    found = estimate(budgets=(budget(allowed, max(one, other), min(one, other)),))
    assert list(over_budget(found, teams=Signers())) == []


def test_each_service_over_its_budget_has_a_risk_of_its_own_with_its_figures() -> None:
    found = estimate(
        budgets=(budget(100, 0, 1_500), budget(5, 1, 2, service="dash"), budget(1, 1, 2.5, service="dask"))
    )
    said = list(over_budget(found, teams=Signers()))
    assert [(one.name, one.stack, one.teams, one.confirm) for one in said] == [
        ("api", "api", ("api-team", "cost"), False),
        ("dask", "dask", ("dask-team", "cost"), False),
    ]
    assert said[0].why == "costs 1,500.00 US dollars a month, 1,500.00 more than before; its budget is 100.00"
    assert said[1].why == "costs 2.50 US dollars a month, 1.50 more than before; its budget is 1.00"


def test_every_form_says_which_budget_is_exceeded_and_which_is_not() -> None:
    found = estimate(line(0, 20), budgets=(budget(10, 0, 20), budget(50, 0, 20, service="dash")))
    shown = forms(found)
    assert "over budget: <code>api</code> 20.00 of 10.00" in shown["Markdown"]
    assert "<code>dash</code>" not in shown["Markdown"]
    assert '<p class="stop">Budget of api: 20.00 of 10.00</p>' in shown["HTML"]
    assert '<p class="soft">Budget of dash: 20.00 of 50.00</p>' in shown["HTML"]
    assert "  budget of api: 20.00 of 10.00 OVER" in shown["cost"].splitlines()
    assert "  budget of dash: 20.00 of 50.00" in shown["cost"].splitlines()


def test_the_table_of_the_verb_lines_up() -> None:
    found = estimate(line(1, 2), line(1_000, 20_000, place="lake", service="lake"))
    rows = [row for row in table(found) if not row.startswith("  An estimate")]
    assert len({len(row) for row in rows}) == 1
    assert rows[-1].split() == ["all", "1,001.00", "20,002.00", "+19,001.00"]


# -- from programs -----------------------------------------------------------------------------------------------------


KEY, OTHER = resource("aws:kms/key:Key", "k"), resource("aws:kms/key:Key", "l")


@pytest.mark.parametrize(
    ("base", "head", "said"),
    [
        ([], [KEY], [("lake", 0.0, 1.0)]),
        ([KEY], [], [("lake", 1.0, 0.0)]),
        ([KEY], [KEY, OTHER], [("lake", 1.0, 2.0)]),
        ([KEY], [KEY], [("lake", 1.0, 1.0)]),
        ([], [], []),
    ],
    ids=["comes", "goes", "one more", "stays", "nothing"],
)
def test_a_stack_has_a_line_where_it_costs_or_did_cost(base: Any, head: Any, said: Any) -> None:
    found = money("dev", graph(*base, stack="lake"), graph(*head, stack="lake"), prices=Prices.load(), manifests={})
    assert [(one.stack, one.base, one.head) for one in found.lines] == said


def test_what_had_no_price_and_goes_is_not_said_any_more() -> None:
    strange = resource("aws:redshift/cluster:Cluster", "r")
    found = money("dev", graph(strange), graph(KEY), prices=Prices.load(), manifests={})
    assert found.not_priced == ()
