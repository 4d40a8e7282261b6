"""The page Platform: every mart against what its contract promises."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboards.pages import platform as page
from leandata import serving
from leandata.datasets import CATALOG
from leandata.serving import Check, Freshness
from services.dash.tests.worlds import Readers, client, context, fresh, page_text

MARTS = sorted(name for name, one in CATALOG.items() if one.layer == "MARTS")
PROMISE = CATALOG["sales.daily_sales"].freshness


def published(name: str, until: date) -> Freshness:
    at = datetime(2026, 11, 24, 11, tzinfo=UTC)
    return Freshness(dataset=name, version="v7", rows=1200, data_until=until, published_at=at)


def test_every_mart_of_the_catalogue_is_there_once() -> None:
    world = Readers({serving.freshness: [fresh("sales.daily_sales")]})
    rows = page.freshness(context(page.page, world)).rows
    assert sorted(row[0] for row in rows) == MARTS
    text = page_text(client(world), "/platform")
    assert all(name in text for name in MARTS)


@pytest.mark.parametrize(
    ("old", "state"),
    [
        (timedelta(0), "fresh"),
        (PROMISE, "fresh"),
        (PROMISE + timedelta(seconds=1), "late"),
        (timedelta(days=9), "late"),
    ],
)
def test_a_dataset_is_late_when_it_is_older_than_promised(old: timedelta, state: str) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC) + old
    contract = CATALOG["sales.daily_sales"]
    assert page.state(contract, published("sales.daily_sales", date(2026, 11, 23)), now) == state
    assert page.state(contract, None, now) == "not yet"


def test_what_is_late_comes_first_and_says_promise_and_age() -> None:
    world = Readers(
        {
            serving.freshness: [
                published("sales.cohorts", date(2026, 11, 23)),
                published("sales.weekly_sales", date(2026, 11, 21)),
            ]
        }
    )
    rows = page.freshness(context(page.page, world)).rows
    assert rows[0][:6] == ("sales.weekly_sales", "late", 27, 60, date(2026, 11, 21), 2)
    assert rows[-1][:4] == ("sales.cohorts", "fresh", 27, 12)
    assert {row[1] for row in rows[1:-1]} == {"not yet"}
    shown = str(page.view(context(page.page, world)))
    assert '"left bad"' in shown
    assert '"left good"' in shown
    assert f"1 of {len(MARTS)}" in shown
    assert "2,400" in shown


def test_days_that_the_data_does_not_know_are_counted() -> None:
    world = Readers({serving.freshness: [fresh("sales.daily_sales", date(2026, 11, 20))]})
    row = next(row for row in page.freshness(context(page.page, world)).rows if row[0] == "sales.daily_sales")
    assert row[5] == 3


def test_the_freshness_is_a_file_too() -> None:
    world = Readers({serving.freshness: [fresh("sales.daily_sales")]})
    lines = client(world).get("/download/platform/freshness.csv").text.splitlines()
    assert len(lines) == len(MARTS) + 1


def test_what_the_checks_found_is_shown_and_failures_come_first() -> None:
    at = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
    found = [
        Check(dataset=name, check="keys", status=status, detail=f"{name} told", checked_at=at)
        for name, status in (("sales.cohorts", "ok"), ("sales.weekly_sales", "failed"), ("sales.segments", "waiting"))
    ]
    world = Readers({serving.freshness: [fresh("sales.daily_sales")], serving.checks: found})
    rows = page.checked(context(page.page, world)).rows
    assert [row[2] for row in rows] == ["failed", "waiting", "ok"]
    assert "sales.weekly_sales told" in page_text(client(world), "/platform")


def test_before_the_first_night_there_are_no_checks() -> None:
    world = Readers({serving.freshness: [fresh("sales.daily_sales")]})
    assert "The checks have not run yet." in page_text(client(world), "/platform")


def test_the_catalogue_has_every_dataset_with_what_it_is_made_from() -> None:
    world = Readers({serving.freshness: [fresh("sales.daily_sales")]})
    rows = {row[0]: row for row in page.catalogue(context(page.page, world)).rows}
    assert sorted(rows) == sorted(CATALOG)
    assert "MARTS.SALES.CUSTOMER_DAYS" in rows["sales.weekly_sales"][3]
    assert "route GET /v1/sales/weekly" in rows["sales.weekly_sales"][4]
    assert rows["sales.weekly_sales"][5] > 0
