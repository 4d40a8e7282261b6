"""Cohorts as a heat map, their revenue by calendar month, and as a table: Sales and Customers show the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from dash import html

from dashboards import parts
from dashboards.formats import shown
from dashboards.page import Context, Kind, Table
from leandata import serving
from leandata.clock import months_later
from leandata.serving import CohortMonth

_COLOURS = (parts.BLUE, parts.ORANGE, "#3f9b6b", "#a764b5", "#c2504a", "#7c8a2e", "#4fa7b8")
_COLUMNS = 19


def known(context: Context) -> tuple[list[CohortMonth], date | None]:
    """Every month of every cohort as published, and the last day that they know."""
    published = context.published("sales.cohorts")
    return context.read(serving.cohorts), published.data_until if published else None


def share(found: CohortMonth) -> Decimal:
    """How many percent of the cohort ordered in that month."""
    return Decimal(100) * found.customers / found.cohort_customers if found.cohort_customers else Decimal(0)


def heat_map(found: Sequence[CohortMonth], *, until: date | None) -> html.Div:
    """A row for each cohort, a column for each month since; the darker, the more of it ordered.

    `until` is the last day that is known: a month that is not over then has a dashed frame and an asterisk.
    """
    known = {(one.cohort, one.month): one for one in found}
    months = range(min(max(one.month for one in found) + 1, _COLUMNS))
    head = html.Tr(
        [html.Th("Cohort", className="left", scope="col"), html.Th("Customers", scope="col")]
        + [html.Th(str(month), scope="col") for month in months]
    )
    rows = [
        html.Tr(
            [
                html.Th(f"{cohort:%Y-%m}", className="left", scope="row"),
                html.Td(shown(known[cohort, 0].cohort_customers if (cohort, 0) in known else None, "integer")),
                *(_square(known.get((cohort, month)), until) for month in months),
            ]
        )
        for cohort in sorted({one.cohort for one in found})
    ]
    name = "Percent of each cohort that ordered, by months since its first order"
    inside = html.Table(
        [html.Caption(name, className="unseen"), html.Thead(head), html.Tbody(rows)], id="cohorts-map", className="heat"
    )
    return html.Div(inside, className="scroll", tabIndex=0, role="region", **parts.attributes(aria_label=name))


def unfinished(found: Sequence[CohortMonth], until: date | None) -> date | None:
    """The month that is not over at the end of `until`, its first day; None where all are."""
    if until is None:
        return None
    return max((months_later(one.cohort, one.month) for one in found if not one.whole(until)), default=None)


def unfinished_note(found: Sequence[CohortMonth], until: date | None) -> str:
    """What is to be said of the month that is not over; "" where there is none."""
    month = unfinished(found, until)
    return f" * The month {month:%Y-%m} is not over: its orders are counted until {until}." if month else ""


def _square(found: CohortMonth | None, until: date | None) -> html.Td:
    if found is None:
        return html.Td("")
    percent = share(found)
    # Months after the first lie far below 100 %: the root spreads them over the shades. Half is the darkest, so that
    # the figure can be read on it, light and dark.
    shade = float(percent / 100) ** 0.5 * 0.5
    style = {"background": f"rgba(59,125,196,{shade:.2f})"}
    title = f"{found.cohort:%Y-%m} after {found.month} months: {found.customers:,} customers, {found.orders:,} orders"
    if until is None or found.whole(until):
        return html.Td(f"{percent:.0f}%", style=style, title=title)
    return html.Td(f"{percent:.0f}%*", style=style, title=f"{title}, the month is not over", className="unfinished")


def by_month(found: Sequence[CohortMonth]) -> dict[date, dict[date, Decimal]]:
    """Revenue of each cohort by calendar month, both sorted."""
    made: dict[date, dict[date, Decimal]] = {}
    for one in sorted(found, key=lambda each: (each.cohort, each.month)):
        made.setdefault(one.cohort, {})[months_later(one.cohort, one.month)] = one.revenue
    return made


def revenue_chart(found: Sequence[CohortMonth], *, until: date | None) -> html.Div:
    """Revenue of each calendar month, stacked by the cohort that paid it; a month that is not over is hatched."""
    newest = unfinished(found, until)
    traces = [
        {
            "type": "bar", "name": f"{cohort:%Y-%m}", "x": [month.isoformat() for month in months],
            "y": [float(revenue) for revenue in months.values()],
            "marker": {
                "color": _COLOURS[at % len(_COLOURS)],
                "pattern": {"shape": ["/" if month == newest else "" for month in months]},
            },
            "customdata": [[f"{month:%Y-%m}", shown(revenue, "money")] for month, revenue in months.items()],
            "hovertemplate": f"%{{customdata[0]}}<br>cohort {cohort:%Y-%m}<br>%{{customdata[1]}}<extra></extra>",
        }
        for at, (cohort, months) in enumerate(by_month(found).items())
    ]  # fmt: skip
    layout: dict[str, Any] = {
        "barmode": "stack", "xaxis": {"type": "date"}, "yaxis": {"tickprefix": "$", "tickformat": "~s"},
    }  # fmt: skip
    return parts.chart("cohorts-chart", traces, title="Revenue by month and cohort", layout=layout)


def table(context: Context) -> Table:
    """Every month of every cohort, and whether it is over: a month that is not has fewer orders for that alone."""
    found, until = known(context)
    columns: tuple[tuple[str, Kind], ...] = (
        ("Cohort", "date"), ("Month", "integer"), ("Cohort customers", "integer"), ("Customers", "integer"),
        ("Orders", "integer"), ("Revenue", "money"), ("Month is over", "text"),
    )  # fmt: skip
    rows = [
        (
            one.cohort, one.month, one.cohort_customers, one.customers, one.orders, one.revenue,
            "" if until is None else "yes" if one.whole(until) else "no",
        )
        for one in found
    ]  # fmt: skip
    return Table(columns=columns, rows=rows)
