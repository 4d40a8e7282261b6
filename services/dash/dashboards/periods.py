"""Which days, weeks or months are shown, and with which they are compared. Decisions only: nothing is read or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from leandata.clock import Week, months_later
from leandata.serving import Sales

Granularity = Literal["day", "week", "month"]
Comparison = Literal["previous", "year", "none"]
_DAYS = 7
_YEAR_OF_WEEKS = timedelta(weeks=52)  # a year before, on the same day of the week
# A range is asked for in weeks; these many months are about as long.
_MONTHS = {4: 1, 13: 3, 26: 6, 52: 12}
RANGES = tuple(str(weeks) for weeks in _MONTHS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The periods of a range and those they are compared with, one for one; `before` is empty where one is missing."""

    now: Sequence[Sales]
    before: Sequence[Sales]


def periods(
    granularity: Granularity, *, daily: Sequence[Sales], weekly: Sequence[Sales], until: date | None
) -> list[Sales]:
    """The sales of each period that is over on the day `until`. Months are sums of days: who bought on two days of a
    month would count twice, so `customers` of a month is 0 and not shown."""
    if until is None:
        return []
    if granularity == "week":
        return [found for found in weekly if Week(found.period).end <= until]
    days = [found for found in daily if found.period <= until]
    return days if granularity == "day" else _months(days, until)


def chosen(
    sales: Sequence[Sales],
    granularity: Granularity,
    *,
    weeks: str,
    comparison: Comparison,
    start: date | None = None,
    end: date | None = None,
) -> Span:
    """The periods that touch the days from `start` to `end`, where either is given; else the last `weeks` weeks, or
    about as many months; "all" is all."""
    if start or end:
        now = [
            found
            for found in sales
            if (end is None or found.period <= end) and (start is None or last_day(found.period, granularity) >= start)
        ]
    else:
        now = list(sales[-count(weeks, granularity) :]) if weeks in RANGES else list(sales)
    return Span(now=now, before=_before(sales, now, granularity, comparison))


def count(weeks: str, granularity: Granularity) -> int:
    """How many periods a range of `weeks` weeks has."""
    return {"day": int(weeks) * _DAYS, "week": int(weeks), "month": _MONTHS[int(weeks)]}[granularity]


def range_label(weeks: str, granularity: Granularity) -> str:
    """Such as `4 weeks`, `28 days`, `1 month`."""
    number = count(weeks, granularity)
    return f"{number} {granularity}{'' if number == 1 else 's'}"


def label(period: date, granularity: Granularity) -> str:
    """Such as 2026-W47, 2026-11, 2026-11-24."""
    if granularity == "week":
        return Week(period).label
    return period.isoformat()[:7] if granularity == "month" else period.isoformat()


def last_day(period: date, granularity: Granularity) -> date:
    """The last day of the period that starts on `period`."""
    if granularity == "month":
        return months_later(period, 1) - timedelta(days=1)
    return Week(period).end if granularity == "week" else period


def total(sales: Sequence[Sales], name: str) -> Decimal:
    """The sum of one figure."""
    return sum((Decimal(getattr(found, name)) for found in sales), Decimal(0))


def change(now: Decimal, before: Decimal) -> Decimal | None:
    """By how many percent it rose; None where there was nothing before."""
    return (now - before) * 100 / before if before else None


def _before(
    sales: Sequence[Sales], now: Sequence[Sales], granularity: Granularity, comparison: Comparison
) -> list[Sales]:
    if not now or comparison == "none":
        return []
    if comparison == "previous":
        first = next(index for index, found in enumerate(sales) if found.period == now[0].period)
        return list(sales[first - len(now) : first]) if first >= len(now) else []
    known = {found.period: found for found in sales}
    found = [known.get(_year_before(one.period, granularity)) for one in now]
    complete = [one for one in found if one is not None]
    return complete if len(complete) == len(now) else []


def _year_before(period: date, granularity: Granularity) -> date:
    return period.replace(year=period.year - 1) if granularity == "month" else period - _YEAR_OF_WEEKS


def _months(days: Sequence[Sales], until: date) -> list[Sales]:
    months: dict[date, list[Sales]] = {}
    for found in days:
        months.setdefault(found.period.replace(day=1), []).append(found)
    # The first month may have begun before the data did, and the last may not be over: neither is a whole month.
    whole = [
        month for month, inside in months.items() if inside[0].period == month and last_day(month, "month") <= until
    ]
    return [
        Sales(
            period=month,
            revenue=total(months[month], "revenue"),
            orders=int(total(months[month], "orders")),
            customers=0,
            new_customers=int(total(months[month], "new_customers")),
            units=int(total(months[month], "units")),
        )
        for month in sorted(whole)
    ]
