"""What the page Sales must show in each state, by the CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from infra.testing.tracing import shown
from infra.testing.tracing.documented import published_line
from infra.testing.tracing.rows import World
from infra.testing.tracing.shop import Shop, Sums, month

_RANGES = {"4": 1, "13": 3, "26": 6, "52": 12}
"""Weeks, and about as many months."""
SHOWN = 100
"""Rows of a table that a page shows."""
_NAMED = 13
_COMPARED = {"previous": "the range before", "year": "the year before"}
Periods = list[tuple[date, Sums]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is chosen on the page."""

    by: str = "week"
    range: str = "26"
    compare: str = "previous"
    start: date | None = None
    end: date | None = None

    @property
    def search(self) -> str:
        """The address's part for it; what is not said is as always."""
        usual = Asked()
        said = {"range": self.range, "by": self.by, "compare": self.compare}
        told = {name: value for name, value in said.items() if value != getattr(usual, name)}
        days = {"from": self.start, "to": self.end}
        told |= {name: str(day) for name, day in days.items() if day}
        return f"?{urlencode(told)}" if told else ""


def page(world: World, asked: Asked) -> dict[str, Any]:
    """Tiles, tables, charts and texts."""
    now, before = span(world.shop, asked)
    rows = table(now, asked.by)
    texts: list[Any] = [*range_labels(asked.by), published_line(world.shop.until, world.since)]
    note = "All calendar months, each split by the month in which its customers ordered for the first time."
    texts.append(f"{note}{open_month_note(world.shop)}")
    texts += [str(day) for day in (asked.start, asked.end) if day]
    texts += more_rows(len(rows) - 1)
    return {
        "tiles": _tiles(now, before, asked.compare),
        "tables": {"sales-table": {"head": rows[0], "rows": [_seen(row) for row in rows[1 : SHOWN + 1]]}},
        "charts": {"sales-chart": _chart(now, before, asked.by), "cohorts-chart": cohorts_chart(world.shop)},
        "texts": texts,
    }


def more_rows(rows: int) -> list[str]:
    """What is said below a table that has more rows than are shown."""
    return [f"The first {SHOWN} of {shown.whole(rows)} rows; the download has all."] if rows > SHOWN else []


def span(shop: Shop, asked: Asked) -> tuple[Periods, Periods]:
    """The periods that are shown, and those they are compared with, one for one; none where one is missing."""
    every = periods(shop, asked.by)
    if asked.start or asked.end:
        first, last = asked.start or date.min, asked.end or date.max
        now = [one for one in every if one[0] <= last and _end(one[0], asked.by) >= first]
    else:
        now = every if asked.range == "all" else every[-_count(asked.range, asked.by) :]
    known = dict(every)
    if not now or asked.compare == "none":
        return now, []
    if asked.compare == "previous":
        first = every.index(now[0])
        return now, every[first - len(now) : first] if first >= len(now) else []
    back = [_year_before(start, asked.by) for start, _ in now]
    return now, [(start, known[start]) for start in back] if all(start in known for start in back) else []


def periods(shop: Shop, by: str) -> Periods:
    """Every day, week or month that is over; a month whose first days are before the first sale is no whole month."""
    every = {"day": shop.days, "week": shop.weeks, "month": shop.months}[by]
    whole = [(start, sums) for start, sums in every.items() if _end(start, by) <= shop.until]
    return [one for one in whole if by != "month" or one[0] in shop.days]


def range_labels(by: str) -> list[str]:
    """What the ranges are called."""
    numbers = [_count(weeks, by) for weeks in _RANGES]
    return [f"{number} {by}{'' if number == 1 else 's'}" for number in numbers]


def table(now: Periods, by: str) -> list[list[Any]]:
    """The heading and a row for each period, the newest first, as they are downloaded."""
    people = [] if by == "month" else ["Customers"]
    head = [by.capitalize(), "Starts", "Revenue", "Orders", *people, "New customers", "Units"]
    rows: list[list[Any]] = [head]
    for start, sums in reversed(now):
        counted = [] if by == "month" else [len(sums.customers)]
        rows.append([label(start, by), start, sums.revenue, sums.orders, *counted, sums.new, sums.units])
    return rows


def label(start: date, by: str) -> str:
    """The name of a period."""
    return {"week": shown.week(start), "month": str(start)[:7], "day": str(start)}[by]


def cohorts_chart(shop: Shop) -> dict[str, Any]:
    """Revenue of every calendar month by cohort."""
    traces: dict[str, dict[str, Any]] = {}
    for (cohort, at), one in shop.cohorts.items():
        trace = traces.setdefault(str(cohort)[:7], {"x": [], "y": [], "customdata": []})
        later = _months_later(cohort, at)
        trace["x"].append(str(later))
        trace["y"].append(one.sums.revenue)
        trace["customdata"].append([str(later)[:7], shown.money(one.sums.revenue)])
    return {"traces": traces, "ticks": []}


def open_month_note(shop: Shop) -> str:
    """What is said of the month that is not over; "" where the last day that is known ends one."""
    until = shop.until
    if not any(shop.open_month(cohort, at) for cohort, at in shop.cohorts):
        return ""
    return f" * The month {str(until)[:7]} is not over: its orders are counted until {until}."


def _tiles(now: Periods, before: Periods, compare: str) -> dict[str, Any]:
    tiles: dict[str, Any] = {}
    for name in ("revenue", "orders", "new", "units"):
        one, other = (sum((getattr(sums, name) for _, sums in found), Decimal(0)) for found in (now, before))
        show = shown.money if name == "revenue" else shown.whole
        key = f"kpi-{name}" if name != "new" else "kpi-new-customers"
        tiles[key] = {"value": show(one), "change": _change(one, other, compare, compared=bool(before))}
    return tiles


def _change(now: Any, before: Any, compare: str, *, compared: bool) -> str:
    if compare == "none":
        return ""
    if not compared:
        return "nothing to compare with"
    said = shown.change(now, before)
    arrow = "\N{BLACK UP-POINTING TRIANGLE}" if said.startswith("+") else "\N{BLACK DOWN-POINTING TRIANGLE}"
    return f"{arrow} {said} to {_COMPARED[compare]}" if said else f"none in {_COMPARED[compare]}"


def _chart(now: Periods, before: Periods, by: str) -> dict[str, Any]:
    places = [str(start) for start, _ in now]
    traces = {"this range": _trace(places, now, by)}
    if before:
        traces["compared with"] = _trace(places, before, by)
    named = by != "day" and len(now) <= _NAMED
    return {"traces": traces, "ticks": [places, [label(start, by) for start, _ in now]] if named else []}


def _trace(places: Sequence[str], found: Periods, by: str) -> Mapping[str, Any]:
    return {
        "x": places,
        "y": [sums.revenue for _, sums in found],
        "customdata": [[label(start, by), shown.money(sums.revenue), sums.orders] for start, sums in found],
    }


def _seen(row: Iterable[Any]) -> list[str]:
    return [_cell(value) for value in row]


def _cell(value: Any) -> str:
    if isinstance(value, str | date):
        return str(value)
    return shown.whole(value) if isinstance(value, int) else shown.money(value)


def _count(weeks: str, by: str) -> int:
    return {"day": 7 * int(weeks), "week": int(weeks), "month": _RANGES[weeks]}[by]


def _end(start: date, by: str) -> date:
    if by == "month":
        return _months_later(start, 1) - timedelta(days=1)
    return start + timedelta(days=6 if by == "week" else 0)


def _year_before(start: date, by: str) -> date:
    return _months_later(start, -12) if by == "month" else start - timedelta(weeks=52)


def _months_later(start: date, months: int) -> date:
    years, at = divmod(start.month - 1 + months, 12)
    return month(start).replace(year=start.year + years, month=at + 1)
