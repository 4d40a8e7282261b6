"""The report of every week of the real sales, against sums over the CSV by the standard library alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from infra.environment import ROOT
from infra.testing.fixtures import TODAY, Platform
from leandata.clock import Week, last_complete_week
from pipelines import collect, publish, transform
from pipelines.report.data import Report
from pipelines.report.render import subject, text
from pipelines.weekly_report import report_of

pytestmark = pytest.mark.integration
LAST = last_complete_week(TODAY)
LABELS = ["Revenue", "Orders", "Customers", "New customers", "Returning customers", "Units"]


@dataclass(slots=True)
class Sums:
    """What a week adds up to."""

    revenue: Decimal = Decimal("0.00")
    orders: int = 0
    customers: set[int] = field(default_factory=set)
    new: int = 0
    units: int = 0

    def figures(self) -> list[Decimal]:
        returning = len(self.customers) - self.new
        return [self.revenue, *map(Decimal, (self.orders, len(self.customers), self.new, returning, self.units))]


@pytest.fixture(scope="module")
def expected() -> dict[date, Sums]:
    """Sums by Monday; the dates moved so that the source's last day, 30 June 1998, lies in the last complete week."""
    moved = LAST.start - date(1998, 6, 29)
    weeks: dict[date, Sums] = {}
    first: dict[int, date] = {}
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            customer, day = int(row["customer_id"]), date.fromisoformat(row["order_date"]) + moved
            week = weeks.setdefault(day - timedelta(days=day.weekday()), Sums())
            week.revenue += Decimal(row["amount_usd"])
            week.orders += 1
            week.customers.add(customer)
            week.units += int(row["quantity"])
            first[customer] = min(day, first.get(customer, day))
    for day in first.values():
        weeks[day - timedelta(days=day.weekday())].new += 1
    return weeks


@pytest.fixture(scope="module")
def reports(platform: Platform) -> Iterator[dict[date, Report]]:
    """The report of every complete week, made by the pipelines from the shop's orders."""
    settings = platform.settings
    for part, chunk in enumerate(collect.chunks(collect.source_days(settings))):
        collect.collect(settings, chunk, run=collect.run_name("real-sales", part=part))
    collect.collect_customers(settings, run="real-sales")
    collect.load(settings)
    transform.build(settings, folder=platform.folder / "dbt")
    publish.publish(settings, version="real_sales", full=True)
    first = Week(date(2025, 5, 19))
    weeks = [LAST.before(back) for back in range((LAST.start - first.start).days // 7, -1, -1)]
    return {week.start: report_of(settings, week) for week in weeks}


def test_every_week_of_history_has_a_report(reports: dict[date, Report], expected: dict[date, Sums]) -> None:
    assert list(reports) == sorted(expected)
    assert sum(sums.orders for sums in expected.values()) == 69_659


def test_every_figure_of_every_week_is_what_the_csv_adds_up_to(
    reports: dict[date, Report], expected: dict[date, Sums]
) -> None:
    for monday, report in reports.items():
        assert [figure.label for figure in report.figures] == LABELS
        assert [figure.now for figure in report.figures] == expected[monday].figures(), monday
        before = expected.get(monday - timedelta(days=7), Sums())
        assert [figure.before for figure in report.figures] == before.figures(), monday


def test_every_percentage_is_that_of_the_two_sums(reports: dict[date, Report], expected: dict[date, Sums]) -> None:
    for monday, report in list(reports.items())[1:]:
        pairs = zip(expected[monday].figures(), expected[monday - timedelta(days=7)].figures(), strict=True)
        wanted = [
            ((now / before - 1) * 100).quantize(Decimal("0.1"), ROUND_HALF_EVEN) if before else None
            for now, before in pairs
        ]
        assert [figure.change for figure in report.figures] == wanted, monday


def test_a_year_before_is_fifty_two_weeks_before(reports: dict[date, Report], expected: dict[date, Sums]) -> None:
    for monday, report in reports.items():
        before = expected.get(monday - timedelta(weeks=52), Sums())
        assert [figure.year_before for figure in report.figures] == before.figures(), monday
    assert any(figure.year_change is not None for figure in reports[LAST.start].figures)


def test_the_best_customers_of_every_week_are_those_of_the_csv(reports: dict[date, Report]) -> None:
    paid: dict[tuple[date, int], Decimal] = {}
    moved = LAST.start - date(1998, 6, 29)
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["order_date"]) + moved
            key = (day - timedelta(days=day.weekday()), int(row["customer_id"]))
            paid[key] = paid.get(key, Decimal(0)) + Decimal(row["amount_usd"])
    for monday, report in reports.items():
        own = sorted((-total, who) for (week, who), total in paid.items() if week == monday)
        assert [(one.customer_id, one.revenue) for one in report.top] == [(who, -total) for total, who in own[:5]], (
            monday
        )


def test_what_is_unusual_in_the_first_great_fall_is_said_with_its_figures(reports: dict[date, Report]) -> None:
    said = [report.unusual for report in reports.values()]
    assert said[0].startswith("Too little is known")
    assert any(sentence.startswith("Nothing is unusual") for sentence in said)
    assert all(sentence.endswith(".") for sentence in said)


def test_the_first_week_has_nothing_to_be_compared_with(reports: dict[date, Report]) -> None:
    first = next(iter(reports.values()))
    assert {figure.change for figure in first.figures} == {None}
    assert subject(first).endswith("(new)")
    assert len(first.history) == 1


def test_the_chart_shows_half_a_year_that_ends_with_the_week(
    reports: dict[date, Report], expected: dict[date, Sums]
) -> None:
    report = reports[LAST.start]
    assert [week.start for week, _ in report.history] == sorted(expected)[-26:]
    assert [revenue for _, revenue in report.history] == [expected[day].revenue for day in sorted(expected)[-26:]]


def test_the_text_says_the_week_s_sums_and_where_they_come_from(
    reports: dict[date, Report], expected: dict[date, Sums]
) -> None:
    said = text(reports[LAST.start], link="")
    sums = expected[LAST.start]
    for value in (f"${sums.revenue:,.2f}", f"{sums.orders:,}", f"{len(sums.customers):,}", f"{sums.units:,}"):
        assert value in said
    assert "version real_sales (80 rows)" in said
    assert "0123456789ab" in said
    assert "Dates were moved." in said
