"""The report's figures: a week, the week before it, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from leandata.clock import Week
from leandata.serving import Freshness, Sales, weekly_sales_sql

_WEEKS_SHOWN = 26


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure of the week and of the week before; `change` is in percent, None when there is nothing to compare."""

    label: str
    now: Decimal
    before: Decimal
    money: bool = False

    @property
    def change(self) -> Decimal | None:
        if not self.before:
            return None
        return ((self.now - self.before) * 100 / self.before).quantize(Decimal("0.1"), ROUND_HALF_EVEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where the figures come from."""

    commit: str
    dataset: str
    version: str
    rows: int
    published_at: str
    query: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that the report shows; the same value renders to the same bytes."""

    week: Week
    figures: tuple[Figure, ...]
    history: tuple[tuple[Week, Decimal], ...]
    provenance: Provenance


def gather(week: Week, weeks: Sequence[Sales], *, published: Freshness, commit: str, note: str) -> Report:
    """The report of `week` from weekly sales; a week that is not among them had no sales."""
    by_week = {Week(sales.period): sales for sales in weeks}
    now, before = by_week.get(week), by_week.get(week.before())

    def figure(label: str, name: str, *, money: bool = False) -> Figure:
        values = [Decimal(getattr(sales, name)) if sales else Decimal(0) for sales in (now, before)]
        return Figure(label=label, now=values[0], before=values[1], money=money)

    known = [found for found in sorted(by_week) if found <= week]
    shown = [week.before(back) for back in range(_WEEKS_SHOWN - 1, -1, -1)]
    history = tuple(
        (found, by_week[found].revenue if found in by_week else Decimal(0))
        for found in shown
        if known and found >= known[0]
    )
    return Report(
        week=week,
        figures=(
            figure("Revenue", "revenue", money=True),
            figure("Orders", "orders"),
            figure("Customers", "customers"),
            figure("New customers", "new_customers"),
            figure("Units", "units"),
        ),
        history=history,
        provenance=Provenance(
            commit=commit or "unknown",
            dataset=published.dataset,
            version=published.version,
            rows=published.rows,
            published_at=published.published_at.isoformat(timespec="seconds"),
            query=weekly_sales_sql(),
            note=note,
        ),
    )


def shown(figure: Figure, value: Decimal) -> str:
    """A value for people: "$1,234.50" or "1,234"."""
    return f"${value:,.2f}" if figure.money else f"{value:,.0f}"


def change_shown(figure: Figure) -> str:
    """The change for people: "+3.2%", or what stands in its place."""
    if figure.change is None:
        return "no change" if not figure.now else "new"
    return f"{figure.change:+,.1f}%"
