"""Sales: a range of days, weeks or months, its figures against earlier ones, a chart and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dash import html

from dashboards import cohorts, parts, periods
from dashboards.formats import shown, signed
from dashboards.page import Choice, Context, Kind, Page, Table
from dashboards.periods import Comparison, Granularity, Span
from leandata import serving
from leandata.serving import Freshness, Sales

_TILES = (("revenue", "Revenue"), ("orders", "Orders"), ("new_customers", "New customers"), ("units", "Units"))
_COMPARED = {"previous": "the range before", "year": "the year before"}
_NAMED_BARS = 13


def view(context: Context) -> Sequence[Any]:
    """The page in the state of its address."""
    state, granularity = context.state, _granularity(context)
    names = {weeks: periods.range_label(weeks, granularity) for weeks in periods.RANGES}
    published = _published(context)
    controls = [
        parts.choices(state, "range", "by", "compare", "from", "to", labels={"range": names}),
        parts.age(published, context.today),
    ]
    if published is None:
        return [*controls, parts.empty("No sales are published yet.", "The first run of the pipelines publishes them.")]
    span = _span(context)
    if not span.now:
        return [*controls, parts.empty("No sales in this range.", f"The figures end on {published.data_until}.")]
    return [
        *controls,
        parts.tiles(tiles(span, state["compare"])),
        parts.section(f"Revenue by {granularity}", chart(span, granularity)),
        parts.section(
            f"Sales by {granularity}",
            parts.table(table(context), name="sales-table", caption=f"Sales by {granularity}"),
            download=context.download("sales"),
        ),
    ]


def tiles(span: Span, comparison: str) -> list[parts.Tile]:
    """Totals of the range; where it cannot be compared, they say so."""

    def tile(name: str, label: str) -> parts.Tile:
        now, before = periods.total(span.now, name), periods.total(span.before, name)
        changed = signed(periods.change(now, before)) if span.before else ""
        kind: Kind = "money" if name == "revenue" else "integer"
        return parts.Tile(
            id=f"kpi-{name.replace('_', '-')}", label=label, value=shown(now, kind),
            change=f"{changed} to {_COMPARED[comparison]}" if changed else "", note=_note(span, comparison),
        )  # fmt: skip

    return [tile(name, label) for name, label in _TILES]


def by_month_and_cohort(context: Context) -> list[html.Section]:
    """All of history: it follows no choice."""
    found, until = cohorts.known(context)
    if not found:
        return []
    note = "All calendar months, each split by the month in which its customers ordered for the first time."
    note += cohorts.unfinished_note(found, until)
    chart = cohorts.revenue_chart(found, until=until)
    return [parts.section("Revenue by cohort", chart, download=context.download("cohorts"), note=note)]


def _note(span: Span, comparison: str) -> str:
    """Why nothing is compared."""
    if comparison == "none":
        return ""
    return f"none in {_COMPARED[comparison]}" if span.before else "nothing to compare with"


def chart(span: Span, granularity: Granularity) -> html.Div:
    """Revenue of each period as a bar, with the earlier one as a mark on it."""
    places = [found.period.isoformat() for found in span.now]
    bars = {
        "type": "bar", "name": "this range", "x": places, "y": [float(found.revenue) for found in span.now],
        "marker": {"color": parts.BLUE}, **_hover(span.now, granularity),
    }  # fmt: skip
    earlier = {
        "type": "scatter", "mode": "lines+markers", "name": "compared with", "x": places[: len(span.before)],
        "y": [float(found.revenue) for found in span.before], "line": {"color": parts.ORANGE, "width": 2},
        "marker": {"size": 5}, **_hover(span.before, granularity),
    }  # fmt: skip
    traces = [bars, earlier] if span.before else [bars]
    axis: dict[str, Any] = {"type": "date"}
    if granularity != "day" and len(places) <= _NAMED_BARS:
        axis |= {"tickvals": places, "ticktext": [periods.label(found.period, granularity) for found in span.now]}
    layout = {"xaxis": axis, "yaxis": {"tickprefix": "$", "tickformat": "~s"}}
    return parts.chart("sales-chart", traces, title=f"Revenue by {granularity}", layout=layout)


def table(context: Context) -> Table:
    """The periods of the range, newest first."""
    granularity = _granularity(context)
    people: tuple[tuple[str, Kind], ...] = () if granularity == "month" else (("Customers", "integer"),)
    columns: tuple[tuple[str, Kind], ...] = (
        (granularity.capitalize(), "text"), ("Starts", "date"), ("Revenue", "money"), ("Orders", "integer"), *people,
        ("New customers", "integer"), ("Units", "integer"),
    )  # fmt: skip
    return Table(columns=columns, rows=[_row(found, granularity) for found in reversed(_span(context).now)])


def _row(found: Sales, granularity: Granularity) -> tuple[Any, ...]:
    people = () if granularity == "month" else (found.customers,)
    named = (periods.label(found.period, granularity), found.period, found.revenue, found.orders)
    return (*named, *people, found.new_customers, found.units)


def _hover(found: Sequence[Sales], granularity: Granularity) -> dict[str, Any]:
    return {
        "customdata": [
            [periods.label(one.period, granularity), shown(one.revenue, "money"), one.orders] for one in found
        ],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<br>%{customdata[2]} orders<extra></extra>",
    }


def _span(context: Context) -> Span:
    state, granularity, published = context.state, _granularity(context), _published(context)
    weekly = granularity == "week"
    everything = periods.periods(
        granularity,
        daily=[] if weekly else context.read(serving.daily_sales),
        weekly=context.read(serving.weekly_sales) if weekly else [],
        until=published.data_until if published else None,
    )
    return periods.chosen(
        everything, granularity, weeks=state["range"], comparison=cast("Comparison", state["compare"]),
        start=state.day("from"), end=state.day("to"),
    )  # fmt: skip


def _published(context: Context) -> Freshness | None:
    name = "sales.weekly_sales" if _granularity(context) == "week" else "sales.daily_sales"
    return context.published(name)


def _granularity(context: Context) -> Granularity:
    return cast("Granularity", context.state["by"])


page = Page(
    path="/sales",
    title="Sales",
    order=10,
    view=view,
    lasting=by_month_and_cohort,
    choices=(
        Choice(
            name="range",
            label="Range",
            options=(*((weeks, f"{weeks} weeks") for weeks in periods.RANGES), ("all", "All")),
            default="26",
            clears=("from", "to"),
        ),
        Choice(name="by", label="By", options=(("day", "Day"), ("week", "Week"), ("month", "Month")), default="week"),
        Choice(
            name="compare",
            label="Compare with",
            options=(("previous", "Range before"), ("year", "Year before"), ("none", "Nothing")),
            default="previous",
        ),
        Choice(name="from", label="From", kind="day"),
        Choice(name="to", label="To", kind="day"),
    ),
    tables={"sales": table, "cohorts": cohorts.table},
)
