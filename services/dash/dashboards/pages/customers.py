"""Customers: cohorts, segments, and for editors a search and one customer with the whole history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from dashboards import cohorts, parts
from dashboards.formats import shown
from dashboards.page import Choice, Context, Kind, Page, Table
from leandata import serving
from leandata.serving import Customer

_LISTED = 50
_SEGMENTS = ("champions", "loyal", "promising", "new", "at_risk", "hibernating", "lost")


def view(context: Context) -> Sequence[Any]:
    """The page in the state of its address."""
    age = parts.age(context.published("sales.segments"), context.today)
    groups = context.read(serving.segments)
    if not groups and not context.read(serving.cohorts):
        return [age, parts.empty("No customers are published yet.", "The first run of the pipelines publishes them.")]
    found: list[Any] = [age]
    if groups:
        found += [_segments_shown(context)]
    return found + _people(context)


def cohort_map(context: Context) -> Sequence[Any]:
    """The map of the cohorts: it follows no choice."""
    months, until = cohorts.known(context)
    if not months:
        return []
    note = "Percent of the customers of each month of first orders who ordered again, by months since."
    note += cohorts.unfinished_note(months, until)
    map_ = cohorts.heat_map(months, until=until)
    return [parts.section("Cohorts", map_, download=context.download("cohorts"), note=note)]


def segments(context: Context) -> Table:
    """The segments, those that paid most first."""
    found = sorted(context.read(serving.segments), key=lambda one: (-one.revenue, one.segment))
    total = sum(one.customers for one in found)
    columns: tuple[tuple[str, Kind], ...] = (
        ("Segment", "text"), ("Customers", "integer"), ("Share", "percent"), ("Orders", "integer"),
        ("Revenue", "money"), ("Revenue a customer", "money"), ("Days since last order", "days"),
    )  # fmt: skip
    rows = [
        (
            one.segment, one.customers, 100 * one.customers / total, one.orders, one.revenue,
            one.revenue / one.customers, one.recency_days,
        )
        for one in found
    ]  # fmt: skip
    return Table(columns=columns, rows=rows)


def customers(context: Context) -> Table:
    """The customers that are searched for."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Customer", "text"), ("First order", "date"), ("Last order", "date"), ("Orders", "integer"),
        ("Units", "integer"), ("Revenue", "money"), ("Segment", "text"), ("Recency", "integer"),
        ("Frequency", "integer"), ("Value", "integer"),
    )  # fmt: skip
    return Table(columns=columns, rows=[_row(one) for one in _found(context)])


def history(context: Context) -> Table:
    """The days on which the one customer ordered, newest first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Day", "date"), ("Orders", "integer"), ("Units", "integer"), ("Revenue", "money"),
    )  # fmt: skip
    number = _number(context)
    found = [] if number is None else context.read(serving.customer_days, number)
    return Table(columns=columns, rows=[(one.day, one.orders, one.units, one.revenue) for one in reversed(found)])


def _segments_shown(context: Context) -> Any:
    found = segments(context)
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [row[0] for row in found.rows],
        "x": [float(row[4]) for row in found.rows],
        "marker": {"color": parts.BLUE},
        "customdata": [[shown(row[4], "money"), shown(row[1], "integer")] for row in found.rows],
        "hovertemplate": "%{y}<br>%{customdata[0]}<br>%{customdata[1]} customers<extra></extra>",
    }
    layout = {
        "height": 260, "xaxis": {"zeroline": False, "tickprefix": "$", "tickformat": "~s", "nticks": 5},
        "yaxis": {"autorange": "reversed", "rangemode": "normal"},
    }  # fmt: skip
    return parts.section(
        "Segments",
        parts.chart("segments-chart", [bars], title="Revenue by segment", layout=layout),
        parts.table(found, name="segments-table", caption="Segments by recency, frequency and value"),
        download=context.download("segments"),
        note="By recency, frequency and value of each customer, in fifths.",
    )


def _people(context: Context) -> list[Any]:
    """Single customers are personal: only editors see them."""
    if context.role != "editor":
        note = parts.html.P("Single customers are shown to editors.", className="quiet", id="for-editors")
        return [parts.section("One customer", note)]
    number = _number(context)
    if number is not None:
        return _one(context, number)
    found, state = customers(context), context.state
    after = state["after"]
    inside: list[Any] = [parts.choices(state, "segment", "starts")]
    if not found.rows:
        return [parts.section("One customer", *inside, parts.empty("No customer is like that."))]
    links = [state.href(customer=str(row[0])) for row in found.rows]
    inside.append(parts.table(found, name="customers-table", caption="Customers", links={0: links}))
    ways = [parts.link("First customers", state.href(after=""))] if after else []
    if len(found.rows) == _LISTED:
        ways.append(parts.link("Next customers", state.href(after=str(found.rows[-1][0]))))
    inside.append(parts.html.P(ways, className="ways"))
    return [parts.section("One customer", *inside, download=context.download("customers"))]


def _one(context: Context, number: int) -> list[Any]:
    back = parts.link("All customers", context.state.href(customer=""))
    found = context.read(serving.customer, number)
    if found is None:
        return [parts.section("One customer", back, parts.empty(f"There is no customer {number}."))]
    last, ago = shown(found.last_order_on, "date"), _ago(found, context.today)
    tiles = [
        parts.Tile(id="one-revenue", label="Revenue", value=shown(found.revenue, "money")),
        parts.Tile(id="one-orders", label="Orders", value=shown(found.orders, "integer")),
        parts.Tile(id="one-last", label="Last order", value=last, note=ago),
        parts.Tile(id="one-segment", label="Segment", value=found.segment, note=_scores(found)),
    ]
    days = parts.table(history(context), name="history-table", caption=f"Orders of customer {number}")
    return [parts.section(f"Customer {number}", back, parts.tiles(tiles), days, download=context.download("history"))]


def _ago(found: Customer, today: date) -> str:
    return f"{(today - found.last_order_on).days:,} days ago"


def _scores(found: Customer) -> str:
    return f"recency {found.recency_score}, frequency {found.frequency_score}, value {found.monetary_score} of 5"


def _row(one: Customer) -> tuple[Any, ...]:
    named = (one.customer_id, one.first_order_on, one.last_order_on, one.orders, one.units, one.revenue, one.segment)
    return (*named, one.recency_score, one.frequency_score, one.monetary_score)


def _found(context: Context) -> Sequence[Customer]:
    state = context.state
    segment = "" if state["segment"] == "all" else state["segment"]
    after = int(state["after"]) if _is_number(state["after"]) else 0
    return context.read(serving.customers, after=after, limit=_LISTED, starts=state["starts"], segment=segment)


def _number(context: Context) -> int | None:
    text = context.state["customer"]
    return int(text) if _is_number(text) else None


def _is_number(text: str) -> bool:
    """Whether it is a number of a customer, as PostgreSQL's bigint holds them."""
    return text.isascii() and text.isdecimal() and len(text) <= 18


page = Page(
    path="/customers",
    title="Customers",
    order=20,
    view=view,
    lasting=cohort_map,
    choices=(
        Choice(
            name="segment",
            label="Segment",
            options=(("all", "All"), *((name, name.replace("_", " ").capitalize()) for name in _SEGMENTS)),
            default="all",
            clears=("after",),
        ),
        Choice(name="starts", label="Number starts with", kind="text"),
        Choice(name="after", label="After", kind="text"),
        Choice(name="customer", label="Customer", kind="text"),
    ),
    tables={"segments": segments, "cohorts": cohorts.table, "customers": customers, "history": history},
    for_editors=frozenset({"customers", "history"}),
)
