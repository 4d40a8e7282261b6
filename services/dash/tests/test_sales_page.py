"""The page Sales: ranges, granularities and comparisons against plain sums."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards import periods
from dashboards.pages import sales
from dashboards.parts import Tile, tiles
from dashboards.periods import Span
from leandata.clock import Week
from leandata.serving import Sales
from services.dash.tests.worlds import (
    MONDAY,
    client,
    context,
    day,
    days,
    history,
    page_text,
    said,
    sales_world,
    week,
)

RANGES = [*periods.RANGES, "all"]
HISTORIES = st.integers(0, 120).map(history)


def span(everything: Sequence[Sales], weeks: str = "26", comparison: Any = "previous", **options: Any) -> Span:
    return periods.chosen(everything, "week", weeks=weeks, comparison=comparison, **options)


# -- ranges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", RANGES)
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 26, 53, 104, 120])
def test_a_range_is_the_last_weeks_and_as_many_before_or_none(asked: str, count: int) -> None:
    everything = history(count)
    found = span(everything, asked)
    wanted = count if asked == "all" else min(count, int(asked))
    assert found.now == everything[count - wanted :]
    enough = asked != "all" and count >= 2 * wanted
    assert found.before == (everything[count - 2 * wanted : count - wanted] if enough else [])


@given(
    everything=HISTORIES,
    start=st.none() | st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    end=st.none() | st.dates(date(2024, 1, 1), date(2027, 1, 1)),
)
def test_picked_days_take_the_weeks_that_they_touch(
    everything: list[Sales], start: date | None, end: date | None
) -> None:
    found = span(everything, "all", start=start, end=end)
    for one in everything:
        touches = (start is None or Week(one.period).end >= start) and (end is None or one.period <= end)
        assert (one in found.now) == touches
    assert len(found.before) in (0, len(found.now))
    assert not set(found.before) & set(found.now)
    if found.before:
        assert found.before[-1].period == found.now[0].period - timedelta(weeks=1)


def test_a_year_before_is_the_same_weekday_of_the_same_week() -> None:
    found = span(history(60), "4", "year")
    assert [one.period for one in found.before] == [one.period - timedelta(weeks=52) for one in found.now]
    assert span(history(55), "4", "year").before == []


def test_nothing_is_compared_where_nothing_is_asked_for() -> None:
    assert span(history(60), "4", "none").before == []


def test_a_day_is_compared_with_the_day_a_year_of_weeks_before() -> None:
    found = periods.chosen(days(500), "day", weeks="4", comparison="year")
    assert len(found.now) == 28
    pairs = list(zip(found.now, found.before, strict=True))
    assert all(now.period.weekday() == before.period.weekday() for now, before in pairs)
    assert all(now.period - before.period == timedelta(days=364) for now, before in pairs)


def test_months_are_sums_of_whole_months_to_the_cent() -> None:
    everything = days(500)
    found = periods.periods("month", daily=everything, weekly=[], until=date(2026, 11, 22))
    assert found[-1].period == date(2026, 10, 1)
    for one in found:
        inside = [x for x in everything if (x.period.year, x.period.month) == (one.period.year, one.period.month)]
        assert one.revenue == sum((x.revenue for x in inside), Decimal(0))
        assert one.orders == len(inside)
        assert len(inside) == (periods.last_day(one.period, "month") - one.period).days + 1
    year = periods.chosen(found, "month", weeks="4", comparison="year")
    assert [one.period for one in year.before] == [date(2025, 10, 1)]


def test_a_month_that_began_before_the_data_is_no_whole_month() -> None:
    everything = [day(date(2026, 9, 2) + timedelta(days=one)) for one in range(80)]
    found = periods.periods("month", daily=everything, weekly=[], until=date(2026, 11, 20))
    assert [one.period for one in found] == [date(2026, 10, 1)]


@pytest.mark.parametrize("granularity", ["day", "week", "month"])
def test_a_period_that_is_not_over_is_not_shown(granularity: Any) -> None:
    until = date(2026, 11, 19)
    found = periods.periods(granularity, daily=days(90), weekly=[*history(5), week(-1)], until=until)
    assert found
    assert all(periods.last_day(one.period, granularity) <= until for one in found)
    assert periods.periods(granularity, daily=days(9), weekly=history(2), until=None) == []


@pytest.mark.parametrize(
    ("weeks", "granularity", "text"),
    [("4", "week", "4 weeks"), ("4", "day", "28 days"), ("4", "month", "1 month"), ("52", "month", "12 months")],
)
def test_a_range_is_named_by_what_it_counts(weeks: str, granularity: Any, text: str) -> None:
    assert periods.range_label(weeks, granularity) == text


# -- figures -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(everything=HISTORIES, asked=st.sampled_from(RANGES))
def test_tiles_are_sums_to_the_cent(everything: list[Sales], asked: str) -> None:
    found = span(everything, asked)
    shown = {tile.id: tile for tile in sales.tiles(found, "previous")}
    assert shown["kpi-revenue"].value == f"${sum((one.revenue for one in found.now), Decimal(0)):,.2f}"
    assert shown["kpi-orders"].value == f"{sum(one.orders for one in found.now):,}"
    assert list(shown) == ["kpi-revenue", "kpi-orders", "kpi-new-customers", "kpi-units"]
    if not found.before:
        assert all(tile.change == "" and tile.note == "nothing to compare with" for tile in shown.values())


@pytest.mark.parametrize(
    ("now", "before", "change"),
    [
        (["110.00"], ["100.00"], "+10.0% to the range before"),
        (["90.00"], ["100.00"], "-10.0% to the range before"),
        (["0.00"], ["100.00"], "-100.0% to the range before"),
        (["100.00"], ["0.00"], ""),
        (["100.00"], [], ""),
        ([], [], ""),
        (["100000.00"], ["1.00"], "+9,999,900.0% to the range before"),
        (["100.00"], ["100.00"], "+0.0% to the range before"),
    ],
)
def test_a_change_compares_ranges_of_one_length(now: Sequence[str], before: Sequence[str], change: str) -> None:
    compared = Span(now=[week(0, one) for one in now], before=[week(1, one) for one in before])
    assert sales.tiles(compared, "previous")[0].change == change


def test_what_was_none_before_says_so() -> None:
    compared = Span(now=[week(0)], before=[week(1, new_customers=0)])
    assert sales.tiles(compared, "year")[2].note == "none in the year before"
    alone = Span(now=[week(0)], before=[])
    assert [tile.note for tile in sales.tiles(alone, "none")] == [""] * 4


@pytest.mark.parametrize(("change", "style"), [("+1.0%", "change up"), ("-1.0%", "change down"), ("", "change")])
def test_a_tile_says_by_its_style_and_by_an_arrow_whether_it_rose(change: str, style: str) -> None:
    card = tiles([Tile(id="kpi-x", label="X", value="1", change=change, note="n")])
    text = said(card)
    assert text.startswith("X\n1\n")
    assert ("▲" in text, "▼" in text) == (change.startswith("+"), change.startswith("-"))
    assert f"className='{style}'" in str(card)


def figure(everything: Sequence[Sales], weeks: str, comparison: str = "previous") -> dict[str, Any]:
    chart = sales.chart(span(everything, weeks, comparison), "week")
    return chart.children.figure


@given(everything=HISTORIES)
def test_the_chart_has_a_bar_of_each_week_with_its_exact_money_to_read(everything: list[Sales]) -> None:
    bars = figure(everything, "all")["data"][0]
    assert bars["x"] == [one.period.isoformat() for one in everything]
    assert [row[1] for row in bars["customdata"]] == [f"${one.revenue:,.2f}" for one in everything]


def test_what_is_compared_lies_on_the_bars_it_is_compared_with() -> None:
    bars, earlier = figure(history(60), "4", "year")["data"]
    assert earlier["x"] == bars["x"]
    assert earlier["customdata"][0][0] == Week(MONDAY - timedelta(weeks=55)).label


@pytest.mark.parametrize("weeks", ["4", "13", "26"])
def test_every_bar_is_named_while_there_is_room(weeks: str) -> None:
    names = figure(history(60), weeks)["layout"]["xaxis"].get("ticktext", ())
    assert len(names) == (int(weeks) if int(weeks) <= 13 else 0)


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weeks", RANGES)
@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_what_the_page_shows_is_the_sum_of_its_table(weeks: str, by: str) -> None:
    world = sales_world(weekly=history(80), daily=days(560))
    search = f"?range={weeks}&by={by}&compare=year"
    rows = sales.table(context(sales.page, world, search)).rows
    total = sum((row[2] for row in rows), Decimal(0))
    assert f"\n${total:,.2f}\n" in page_text(client(world), "/sales", search)
    assert rows
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)


def test_a_month_does_not_count_its_customers_by_adding_days() -> None:
    found = sales.table(context(sales.page, sales_world(weekly=[], daily=days(90)), "?by=month"))
    assert "Customers" not in dict(found.columns)
    assert len(found.columns) == len(found.rows[0])


def test_a_long_table_says_how_much_of_it_is_shown() -> None:
    world = sales_world(weekly=[], daily=days(560))
    text = page_text(client(world), "/sales", "?by=day&range=all")
    assert "The first 100 of 560 rows; the download has all." in text
    assert len(client(world).get("/download/sales/sales.csv?by=day&range=all").text.splitlines()) == 561


@pytest.mark.parametrize(
    ("until", "told"),
    [
        (date(2026, 11, 23), "up to yesterday"),
        (date(2026, 11, 24), "up to yesterday"),
        (date(2026, 11, 22), "2 days behind"),
        (date(2026, 10, 24), "31 days behind"),
    ],
)
def test_the_age_of_the_data_is_told_in_days(until: date, told: str) -> None:
    assert told in page_text(client(sales_world(weekly=history(80), until=until)), "/sales")


def test_a_range_without_sales_says_so() -> None:
    text = page_text(client(sales_world(weekly=history(5))), "/sales", "?from=2020-01-01&to=2020-02-01")
    assert "No sales in this range." in text
    assert "The figures end on 2026-11-22." in text


@pytest.mark.parametrize("search", ["?range=4", "?range=", "?range=<script>", "?other=1", "?", "?%", "?from=x&to=2026"])
def test_any_address_opens_the_page(search: str) -> None:
    text = page_text(client(sales_world(weekly=history(80))), "/sales", search)
    assert "Revenue by week" in text
    assert "<script>" not in text


def test_picked_days_take_the_mark_from_the_range() -> None:
    text = str(
        sales.view(context(sales.page, sales_world(weekly=history(80)), "?from=2026-11-04&to=2026-11-12&compare=none"))
    )
    assert "A(children='26 weeks', href='/sales?compare=none', data-go='here')" in text
    assert "2026-W45" in text
    assert "2026-W44" not in text
