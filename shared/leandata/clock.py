"""Days and weeks. A week starts on Monday (ISO 8601)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from leandata.errors import SettingsError

_LABEL = re.compile(r"([0-9]{4})-W([0-9]{2})")
_DAYS = 7


@dataclass(frozen=True, order=True, slots=True)
class Week:
    """The week that starts on the Monday `start`."""

    start: date

    def __post_init__(self) -> None:
        if self.start.weekday() != 0:
            raise ValueError(f"{self.start} is not a Monday")

    @classmethod
    def of(cls, day: date) -> Self:
        """The week that holds `day`."""
        return cls(day - timedelta(days=day.weekday()))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The week of a label such as 2026-W47. Raises SettingsError."""
        match = _LABEL.fullmatch(text)
        try:
            return (
                cls(date.fromisocalendar(int(match[1]), int(match[2]), 1)) if match else cls(date.fromisoformat(text))
            )
        except ValueError:
            raise SettingsError(f"{text!r} is no week", hint="Write it like 2026-W47, or as its Monday") from None

    @property
    def end(self) -> date:
        """The week's Sunday."""
        return self.start + timedelta(days=_DAYS - 1)

    @property
    def label(self) -> str:
        """Such as 2026-W47."""
        year, week, _ = self.start.isocalendar()
        return f"{year}-W{week:02d}"

    def before(self, weeks: int = 1) -> Week:
        """The week that many weeks earlier."""
        return Week(self.start - timedelta(weeks=weeks))


def last_complete_week(today: date) -> Week:
    """The newest week whose Sunday has passed."""
    return Week.of(today).before()


def moment(today: date, *, clock: datetime) -> datetime:
    """The moment that ages are counted to: the clock's in UTC, or noon where `today` is set to another day than its."""
    return clock if clock.date() == today else datetime.combine(today, time(12), UTC)


def months_later(month: date, months: int) -> date:
    """The first day of the month that lies so many months after that of `month`."""
    years, at = divmod(month.month - 1 + months, 12)
    return date(month.year + years, at + 1, 1)


def days(start: date, end: date) -> list[date]:
    """Every day from `start` to `end`, both included; empty when `end` is earlier."""
    return [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
