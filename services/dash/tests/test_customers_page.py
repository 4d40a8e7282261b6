"""The page Customers: segments and cohorts for everybody, single customers for editors; cohorts on Sales."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dashboards import cohorts
from dashboards.pages import customers as page
from leandata import serving
from leandata.serving import CohortMonth, Customer, CustomerDay, Segment
from services.dash.tests.worlds import Readers, client, context, fresh, history, page_text, said, sales_world

COHORTS = [
    CohortMonth(cohort=date(2025, at, 1), month=month, customers=100 - 10 * month, cohort_customers=100,
                orders=120, revenue=Decimal(f"{1000 * at + month}.10"))
    for at in (11, 12) for month in range(4)
]  # fmt: skip
SEGMENTS = [
    Segment(segment=name, customers=number, revenue=Decimal(revenue), orders=9, recency_days=Decimal("56.9"))
    for name, number, revenue in (("at_risk", 30, "90.00"), ("champions", 10, "5000.50"), ("lost", 60, "89.99"))
]


def customer(number: int, segment: str = "champions") -> Customer:
    return Customer(
        customer_id=number, first_order_on=date(2025, 11, 2), last_order_on=date(2026, 11, 14), orders=3, units=7,
        revenue=Decimal("77.10"), segment=segment, recency_score=5, frequency_score=4, monetary_score=3,
    )  # fmt: skip


def found(*, after: int, limit: int, starts: str, segment: str) -> list[Customer]:
    everybody = [customer(number, "lost" if number % 2 else "champions") for number in range(1, 120)]
    fit = [one for one in everybody if one.customer_id > after and str(one.customer_id).startswith(starts)]
    return [one for one in fit if segment in ("", one.segment)][:limit]


WORLD: dict[Any, Any] = {
    serving.freshness: [fresh("sales.segments")],
    serving.segments: SEGMENTS,
    serving.cohorts: COHORTS,
    serving.customers: found,
    serving.customer: lambda number: customer(number) if number < 120 else None,
    serving.customer_days: lambda number: [
        CustomerDay(day=date(2025, 11, 2) + timedelta(days=at), orders=1, units=at, revenue=Decimal(f"{at}.05"))
        for at in range(3)
    ],
}


def text(search: str = "", user: str = "editor") -> str:
    return page_text(client(Readers(WORLD), user="chief" if user == "editor" else "analyst"), "/customers", search)


def test_segments_are_shown_by_what_they_paid_with_shares_that_sum_to_all() -> None:
    rows = page.segments(context(page.page, Readers(WORLD))).rows
    assert [row[0] for row in rows] == ["champions", "at_risk", "lost"]
    assert sum(row[2] for row in rows) == pytest.approx(100)
    assert rows[0][5] == Decimal("500.05")
    assert "$5,000.50" in text()
    assert "56.9\n" in text()


def test_viewers_see_no_single_customer_in_any_way() -> None:
    for search in ("", "?customer=8", "?starts=1", "?segment=lost"):
        shown = text(search, user="viewer")
        assert "Single customers are shown to editors." in shown
        assert "2026-11-14" not in shown
        assert "champions" in shown
    browser = client(Readers(WORLD))
    for table in ("customers", "history"):
        assert browser.get(f"/download/customers/{table}.csv?customer=8").status_code == 403
    assert browser.get("/download/customers/segments.csv").status_code == 200


def test_editors_search_by_segment_and_by_how_a_number_starts() -> None:
    rows = page.customers(context(page.page, Readers(WORLD), "?segment=lost&starts=11", role="editor")).rows
    assert [row[0] for row in rows] == [11, 111, 113, 115, 117, 119]


def test_editors_go_from_page_to_page() -> None:
    shown = str(page.view(context(page.page, Readers(WORLD), role="editor")))
    assert "Next customers" in shown
    assert "/customers?after=50" in shown
    assert "First customers" not in shown
    last = text("?after=100")
    assert "First customers" in last
    assert "Next customers" not in last


def test_one_customer_is_shown_with_its_history_newest_first() -> None:
    shown = text("?customer=8")
    assert "Customer 8\n" in shown
    assert "10 days ago" in shown
    assert "recency 5, frequency 4, value 3 of 5" in shown
    assert shown.index("2025-11-04") < shown.index("2025-11-02")
    file = client(Readers(WORLD), user="chief").get("/download/customers/history.csv?customer=8").text
    assert file.splitlines()[1:] == ["2025-11-04,1,2,2.05", "2025-11-03,1,1,1.05", "2025-11-02,1,0,0.05"]


def test_a_customer_who_is_not_there_is_said() -> None:
    assert "There is no customer 500." in text("?customer=500")
    assert "No customer is like that." in text("?starts=9999")


@pytest.mark.parametrize("search", ["?customer=x", "?customer=-1", "?customer=" + "9" * 30, "?after=x", "?customer=٣"])
def test_a_strange_number_does_no_harm(search: str) -> None:
    assert "Customers\n" in text(search)
    assert "No figures now" not in text(search)


# -- cohorts -----------------------------------------------------------------------------------------------------------


def test_the_heat_map_has_a_row_of_each_cohort_and_a_square_of_each_month() -> None:
    shown = said(cohorts.heat_map(COHORTS, until=None)).split("\n")
    at = shown.index("2025-11")
    assert shown[at : at + 6] == ["2025-11", "100", "100%", "90%", "80%", "70%"]
    assert "2025-12" in shown


def test_a_cohort_that_paused_a_month_leaves_its_square_empty() -> None:
    shown = said(cohorts.heat_map([COHORTS[0], COHORTS[2]], until=None)).split("\n")
    at = shown.index("2025-11")
    assert shown[at : at + 5] == ["2025-11", "100", "100%", "", "80%"]


@pytest.mark.parametrize(
    ("until", "marked", "month"),
    [
        (date(2026, 3, 31), [], None),
        (date(2026, 3, 30), ["70%*"], date(2026, 3, 1)),
        (date(2026, 2, 28), ["70%*"], date(2026, 3, 1)),
        (date(2026, 2, 1), ["70%*", "80%*", "70%*"], date(2026, 3, 1)),
    ],
)
def test_a_month_that_is_not_over_is_marked_in_every_cohort(until: date, marked: list[str], month: date | None) -> None:
    shown = said(cohorts.heat_map(COHORTS, until=until)).split("\n")
    assert [one for one in shown if one.endswith("*")] == marked
    assert cohorts.unfinished(COHORTS, until) == month
    assert bool(cohorts.unfinished_note(COHORTS, until)) == bool(marked)


def test_both_pages_say_which_month_is_not_over_and_until_when_it_is_known() -> None:
    freshness = [fresh("sales.segments"), fresh("sales.cohorts", date(2026, 3, 12))]
    said_of_it = "* The month 2026-03 is not over: its orders are counted until 2026-03-12."
    for path, world in (
        ("/customers", Readers({**WORLD, serving.freshness: freshness})),
        ("/sales", sales_world(weekly=history(30))),
    ):
        world.answers[serving.cohorts] = COHORTS
        world.answers[serving.freshness] = [*world.answers[serving.freshness], freshness[1]]
        assert said_of_it in page_text(client(world), path)


def test_the_bars_of_a_month_that_is_not_over_are_hatched_and_no_others() -> None:
    found = str(cohorts.revenue_chart(COHORTS, until=date(2026, 3, 12)))
    assert found.count("'shape': ['', '', '', '/']") == 1, "of the cohort that is in its fourth month by then"
    assert "'/'" not in str(cohorts.revenue_chart(COHORTS, until=date(2026, 3, 31)))


def test_revenue_of_cohorts_lies_in_its_calendar_month_over_the_end_of_a_year() -> None:
    months = cohorts.by_month(COHORTS)
    assert list(months[date(2025, 11, 1)]) == [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]
    assert sum((sum(one.values(), Decimal(0)) for one in months.values()), Decimal(0)) == sum(
        (one.revenue for one in COHORTS), Decimal(0)
    )


def test_sales_shows_its_cohorts_and_gives_them_as_a_file() -> None:
    world = sales_world(weekly=history(30))
    assert "Revenue by cohort" not in page_text(client(world), "/sales")
    world.answers[serving.cohorts] = COHORTS
    assert "Revenue by cohort" in page_text(client(world), "/sales")
    file = client(world).get("/download/sales/cohorts.csv").text
    assert len(file.splitlines()) == 9
    assert file == client(world).get("/download/customers/cohorts.csv").text


@pytest.mark.parametrize(("until", "unfinished"), [(date(2026, 3, 12), 1), (date(2026, 3, 31), 0), (None, 8)])
def test_the_file_of_cohorts_says_which_months_are_over(until: date | None, unfinished: int) -> None:
    world = sales_world(weekly=history(30))
    world.answers[serving.cohorts] = COHORTS
    if until:
        world.answers[serving.freshness].append(fresh("sales.cohorts", until))
    rows = csv.DictReader(client(world).get("/download/sales/cohorts.csv").text.splitlines())
    said = [row["Month is over"] for row in rows]
    assert len(said) - said.count("yes") == unfinished
    assert set(said) <= ({"yes", "no"} if until else {""})
