"""The page Marketing: events of the chosen days, and the share of their customers who ordered soon after."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from dashboards.page import Context, State
from dashboards.pages import marketing as page
from leandata import serving
from leandata.serving import DailyEvents
from services.dash.tests.worlds import Readers, client, context, fresh, page_text

DAY = date(2026, 11, 23)


def happened(
    back: int, type_: str = "page_view", *, events: int = 10, customers: int = 4, converted: int = 1
) -> DailyEvents:
    return DailyEvents(
        day=DAY - timedelta(days=back), type=type_, events=events, customers=customers, converted=converted
    )


def world(*found: DailyEvents) -> Readers:
    return Readers({serving.daily_events: list(found)})


def test_without_events_the_page_says_how_they_come() -> None:
    assert "POST /v1/events" in page_text(client(world()), "/marketing")
    assert "No events are published yet." in page_text(client(world()), "/marketing")
    published = Readers({serving.daily_events: [], serving.freshness: [fresh("sales.daily_events")]})
    assert "No events in this range." in page_text(client(published), "/marketing")


def test_events_and_who_ordered_after_them_are_added_up() -> None:
    text = page_text(client(world(happened(0), happened(1, events=1_500, customers=6, converted=4))), "/marketing")
    assert "1,510" in text
    assert "50.0%" in text


@pytest.mark.parametrize(
    ("converted", "customers", "shown"), [(0, 0, "-"), (0, 5, "0.0%"), (1, 3, "33.3%"), (5, 5, "100.0%")]
)
def test_a_share_of_nobody_is_no_share(converted: int, customers: int, shown: str) -> None:
    assert page.share(converted, customers) == shown


def test_the_newest_day_comes_first_and_can_be_downloaded() -> None:
    found = world(happened(2), happened(0, "sign_up"), happened(0, "add_to_cart"))
    rows = page.table(context(page.page, found)).rows
    assert [(row[0], row[1]) for row in rows] == [
        (DAY, "add_to_cart"), (DAY, "sign_up"), (DAY - timedelta(days=2), "page_view"),
    ]  # fmt: skip
    lines = client(found).get("/download/marketing/events.csv").text.splitlines()
    assert lines[0].lstrip("\ufeff").startswith("Day,Type,Events,Customers")
    assert len(lines) == 4


@pytest.mark.parametrize("days", [7, 30, 90, 365])
def test_a_range_of_days_is_that_many_days_and_ends_today(days: int) -> None:
    asked: list[tuple[date, date]] = []

    def read(reader: object, *, since: date, until: date) -> list[DailyEvents]:
        asked.append((since, until))
        return []

    state = State.of(page.page, f"?days={days}")
    page.events(Context(state=state, read=read, role="viewer", today=DAY))  # pyright: ignore[reportArgumentType]
    assert asked == [(DAY - timedelta(days=days - 1), DAY)]


def test_seldom_types_are_drawn_as_others() -> None:
    found = [happened(0, name, events=count) for name, count in (("a", 9), ("b", 8), ("c", 2), ("d", 1))]
    drawn = str(page.chart(found))
    assert "'others'" in drawn
    assert "[3]" in drawn
    assert "'others'" not in str(page.chart(found[:2]))
