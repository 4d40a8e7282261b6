"""The report's figures: a week, the week before it, the same week a year before, and how they compare."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from leandata.clock import Week
from leandata.serving import CohortMonth, Freshness, Sales, TopCustomer, weekly_sales_sql
from pipelines.report import unusual

_WEEKS_SHOWN = 26
_WEEKS_A_YEAR = 52  # so that the same weekdays are compared


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure of the week, of the week before, and of the same week a year before (52 weeks: the same weekdays).

    Changes are in percent, None when there is nothing to compare with.
    """

    label: str
    now: Decimal
    before: Decimal
    year_before: Decimal = Decimal(0)
    money: bool = False

    @property
    def change(self) -> Decimal | None:
        """Against the week before."""
        return _percent(self.now, self.before)

    @property
    def year_change(self) -> Decimal | None:
        """Against the same week a year before."""
        return _percent(self.now, self.year_before)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """A dataset that a part of the report comes from: its version, the rows read, the query."""

    dataset: str
    version: str
    rows: int
    query: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where the figures come from; `more` is of the parts beside the figures."""

    commit: str
    dataset: str
    version: str
    rows: int
    published_at: str
    query: str
    note: str
    more: tuple[Origin, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that the report shows; the same value renders to the same bytes."""

    week: Week
    figures: tuple[Figure, ...]
    history: tuple[tuple[Week, Decimal], ...]
    provenance: Provenance
    unusual: str = ""
    top: tuple[TopCustomer, ...] = ()
    cohorts: tuple[CohortMonth, ...] = ()
    cohorts_until: date | None = None

    def unfinished(self, one: CohortMonth) -> bool:
        """Whether days of the cohort's month are still to come: its share is no drop, it is not over."""
        return self.cohorts_until is not None and not one.whole(self.cohorts_until)


_FIGURES = (
    ("Revenue", "revenue"),
    ("Orders", "orders"),
    ("Customers", "customers"),
    ("New customers", "new_customers"),
    ("Returning customers", "returning"),
    ("Units", "units"),
)


def gather(
    week: Week,
    weeks: Sequence[Sales],
    *,
    published: Freshness,
    commit: str,
    note: str,
    top: Sequence[TopCustomer] = (),
    cohorts: Sequence[CohortMonth] = (),
    cohorts_until: date | None = None,
    more: Sequence[Origin] = (),
    usual_weeks: int = _WEEKS_SHOWN,
) -> Report:
    """The report of `week` from weekly sales; a week that is not among them had no sales.

    `cohorts` are known until the day `cohorts_until`; with `usual_weeks` weeks before it the week is compared for what
    is unusual.
    """
    by_week = {Week(sales.period): sales for sales in weeks}

    def value(of: Week, name: str) -> Decimal:
        sales = by_week.get(of)
        if sales is None:
            return Decimal(0)
        return Decimal(sales.customers - sales.new_customers if name == "returning" else getattr(sales, name))

    def figure(label: str, name: str) -> Figure:
        now, before, year = (value(week.before(back), name) for back in (0, 1, _WEEKS_A_YEAR))
        return Figure(label=label, now=now, before=before, year_before=year, money=name == "revenue")

    def series(label: str, name: str) -> unusual.Series:
        past = [week.before(back) for back in range(usual_weeks, 0, -1)]
        values = tuple(value(one, name) for one in past if known and one >= known[0])
        return unusual.Series(label=label, now=value(week, name), before=values, money=name == "revenue")

    known = [found for found in sorted(by_week) if found <= week]
    shown = [week.before(back) for back in range(_WEEKS_SHOWN - 1, -1, -1)]
    history = tuple((one, value(one, "revenue")) for one in shown if known and one >= known[0])
    return Report(
        week=week,
        figures=tuple(figure(label, name) for label, name in _FIGURES),
        history=history,
        unusual=unusual.sentence([series(label, name) for label, name in _FIGURES]),
        top=tuple(top),
        cohorts=tuple(cohorts),
        cohorts_until=cohorts_until,
        provenance=Provenance(
            commit=commit or "unknown",
            dataset=published.dataset,
            version=published.version,
            rows=published.rows,
            published_at=published.published_at.isoformat(timespec="seconds"),
            query=weekly_sales_sql(),
            note=note,
            more=tuple(more),
        ),
    )


def shown(figure: Figure, value: Decimal) -> str:
    """A value for people: "$1,234.50" or "1,234"."""
    return unusual.shown(value, money=figure.money)


def change_shown(figure: Figure) -> str:
    """The change for people: "+3.2%", or what stands in its place."""
    return _change_shown(figure, figure.change)


def year_change_shown(figure: Figure) -> str:
    """The change against a year before, for people."""
    return _change_shown(figure, figure.year_change)


def digest(report: Report) -> str:
    """What the week's figures are, as 16 hexadecimal digits: another one, and the week was corrected."""
    said = [report.week.label, *(f"{one.label}={one.now}" for one in report.figures)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


def _change_shown(figure: Figure, change: Decimal | None) -> str:
    if change is None:
        return "no change" if not figure.now else "new"
    return f"{change:+,.1f}%"


def _percent(now: Decimal, before: Decimal) -> Decimal | None:
    return ((now - before) * 100 / before).quantize(Decimal("0.1"), ROUND_HALF_EVEN) if before else None
