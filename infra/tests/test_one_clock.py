"""The nightly checks, the page Platform and the API say the same of a dataset's age, whatever day is set."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboards.pages import platform
from leandata.clock import moment
from leandata.datasets import CATALOG, dataset
from leandata.serving import Freshness
from leandata.settings import Settings
from pipelines import checks
from serving import catalog

CLOCK = datetime(2026, 11, 27, 3, 30, tzinfo=UTC)
CONTRACT = dataset("sales.daily_sales")
MARTS = sorted(name for name, one in CATALOG.items() if one.layer == "MARTS")


def said(until: date, *, today: str, published_at: datetime = CLOCK) -> list[bool]:
    """Whether the dataset is late by the checks, the page and the API, where `today` is set ("": it is not)."""
    settings = Settings.load({"LEANDATA_TODAY": today} if today else {})
    found = Freshness(dataset=CONTRACT.name, version="v1", rows=1, data_until=until, published_at=published_at)
    now = settings.moment(CLOCK)
    on_page = moment(settings.today() if today else CLOCK.date(), clock=CLOCK)
    card = catalog._card(CONTRACT.name, catalog.PublishedDataset.model_validate(found, from_attributes=True), now)
    return [
        checks.freshness(CONTRACT, found, now=now)[0] == "failed",
        platform.state(CONTRACT, found, on_page) == "late",
        card.late is True,
    ]


@pytest.mark.parametrize("today", ["", "2026-11-24", "2026-11-27", "2025-03-01", "2027-08-15"])
@pytest.mark.parametrize("behind", [0, 1, 2, 3, 9])
def test_all_three_agree_whatever_day_is_set(today: str, behind: int) -> None:
    day = date.fromisoformat(today) if today else CLOCK.date()
    assert said(day - timedelta(days=behind), today=today) == [behind > 2 or (behind == 2 and late_at(day))] * 3


def late_at(day: date) -> bool:
    """With the day before yesterday as its last one: a day and some hours after that day's end."""
    return (
        moment(day, clock=CLOCK) - datetime.combine(day - timedelta(days=1), datetime.min.time(), UTC)
        > CONTRACT.freshness
    )


def test_data_of_the_past_under_its_own_day_is_fresh_however_long_ago_that_was() -> None:
    assert said(date(2025, 2, 28), today="2025-03-01") == [False] * 3
    assert said(date(2025, 2, 28), today="") == [True] * 3


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=400)])
def test_when_it_was_published_says_nothing_of_the_age_of_the_data(ago: timedelta) -> None:
    assert said(date(2026, 11, 20), today="", published_at=CLOCK - ago) == [True] * 3
    assert said(date(2026, 11, 26), today="", published_at=CLOCK - ago) == [False] * 3


def test_a_day_that_is_not_collected_is_late_when_the_checks_look_and_not_before_it_can_be_there() -> None:
    day = date(2026, 11, 25)
    assert CONTRACT.late(day, now=CLOCK), "at 03:30, with yesterday missing"
    assert not CONTRACT.late(day, now=CLOCK.replace(hour=2, minute=59)), "it is collected from 02:15 on"
    assert {CATALOG[name].freshness for name in MARTS} <= {timedelta(hours=27), timedelta(days=8)}
