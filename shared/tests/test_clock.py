"""Weeks start on Monday."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.clock import Week, days, last_complete_week, months_later
from leandata.errors import SettingsError

DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 1, 1))


@given(DAYS)
def test_the_last_complete_week_has_passed_and_the_next_has_not(today: date) -> None:
    week = last_complete_week(today)
    assert week.end < today <= week.end + timedelta(days=7)


@given(DAYS)
def test_a_week_is_found_again_by_its_label_and_its_monday(day: date) -> None:
    week = Week.of(day)
    assert week.start <= day <= week.end
    assert Week.parse(week.label) == Week.parse(week.start.isoformat()) == week


@given(DAYS, st.integers(min_value=0, max_value=60))
def test_going_back_weeks_goes_back_sevens_of_days(day: date, count: int) -> None:
    week = Week.of(day)
    assert (week.start - week.before(count).start).days == 7 * count


def test_a_week_around_new_year_has_the_iso_year_in_its_label() -> None:
    assert Week.of(date(2026, 12, 31)).label == Week.of(date(2027, 1, 3)).label == "2026-W53"


def test_a_week_cannot_start_on_a_tuesday() -> None:
    with pytest.raises(ValueError, match="is not a Monday"):
        Week(date(2026, 11, 24))


@pytest.mark.parametrize("text", ["2026-W60", "W47", "2026-11-24", "last week", "", "2026-W00"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises((SettingsError, ValueError)):
        Week.parse(text)


def test_days_include_both_ends_and_are_none_when_turned_around() -> None:
    assert days(date(2026, 2, 27), date(2026, 3, 1)) == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
    assert days(date(2026, 3, 2), date(2026, 3, 1)) == []


@pytest.mark.parametrize(
    ("month", "months", "expected"),
    [
        (date(2026, 1, 1), 0, date(2026, 1, 1)),
        (date(2026, 1, 31), 1, date(2026, 2, 1)),
        (date(2025, 12, 1), 1, date(2026, 1, 1)),
        (date(2025, 11, 15), 14, date(2027, 1, 1)),
        (date(2024, 2, 29), 12, date(2025, 2, 1)),
    ],
)
def test_months_are_counted_over_the_end_of_a_year(month: date, months: int, expected: date) -> None:
    assert months_later(month, months) == expected
