"""Marketing: events by day and type, and how many of their customers ordered within seven days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dashboards import parts
from dashboards.page import Choice, Context, Kind, Page, Table
from leandata import serving
from leandata.serving import DailyEvents

_COLOURS = (parts.BLUE, parts.ORANGE, parts.GREY)


def view(context: Context) -> Sequence[Any]:
    """The page in the state of its address."""
    controls = parts.choices(context.state, "days")
    found = events(context)
    known = context.published("sales.daily_events")
    if not found:
        hint = "Events that are sent to the API are shown here some minutes later (POST /v1/events)."
        what = "No events in this range." if known is not None else "No events are published yet."
        return [controls, parts.empty(what, hint)]
    customers, converted = sum(one.customers for one in found), sum(one.converted for one in found)
    tiles = [
        parts.Tile(id="events", label="Events", value=f"{sum(one.events for one in found):,}"),
        parts.Tile(id="types", label="Types", value=str(len({one.type for one in found}))),
        parts.Tile(id="converted", label="Ordered soon after", value=share(converted, customers)),
    ]
    note = "Ordered soon after: of a day's known customers, who ordered on that day or within seven days."
    shown = parts.table(table(context), name="events-table", caption="Events by day and type")
    return [
        controls,
        parts.age(known, context.today),
        parts.tiles(tiles),
        parts.section("Events a day", chart(found)),
        parts.section("By day and type", shown, download=context.download("events"), note=note),
    ]


def events(context: Context) -> list[DailyEvents]:
    """The events of the days that are chosen, today the last of them."""
    since = context.today - timedelta(days=int(context.state["days"]) - 1)
    return context.read(serving.daily_events, since=since, until=context.today)


def share(converted: int, customers: int) -> str:
    """How many of the customers it is, as people read it; a dash where no customer is known."""
    return f"{100 * converted / customers:.1f}%" if customers else "-"


def chart(found: Sequence[DailyEvents]) -> Any:
    """Bars of events a day, one colour for each of the most frequent types and one for all others."""
    by_type: dict[str, int] = {}
    for one in found:
        by_type[one.type] = by_type.get(one.type, 0) + one.events
    first = sorted(by_type, key=lambda name: (-by_type[name], name))[: len(_COLOURS) - 1]
    groups = [*first, *(["others"] if len(by_type) > len(first) else [])]
    traces = [
        {"type": "bar", "name": name, "marker": {"color": color}, **_days(found, name, first)}
        for name, color in zip(groups, _COLOURS, strict=False)
    ]
    return parts.chart("events-chart", traces, title="Events a day", layout={"barmode": "stack"})


def table(context: Context) -> Table:
    """Every day and type, the newest first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Day", "date"), ("Type", "text"), ("Events", "integer"), ("Customers", "integer"),
        ("Ordered soon after", "integer"), ("Share", "text"),
    )  # fmt: skip
    rows = [
        (one.day, one.type, one.events, one.customers, one.converted, share(one.converted, one.customers))
        for one in sorted(events(context), key=lambda one: (-one.day.toordinal(), one.type))
    ]
    return Table(columns=columns, rows=rows)


def _days(found: Sequence[DailyEvents], name: str, first: Sequence[str]) -> dict[str, list[Any]]:
    counts: dict[str, int] = {}
    for one in found:
        if one.type == name or (name == "others" and one.type not in first):
            counts[one.day.isoformat()] = counts.get(one.day.isoformat(), 0) + one.events
    return {"x": sorted(counts), "y": [counts[day] for day in sorted(counts)]}


page = Page(
    path="/marketing",
    title="Marketing",
    order=30,
    view=view,
    choices=(
        Choice(
            name="days",
            label="Range",
            options=(("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year")),
            default="30",
        ),
    ),
    tables={"events": table},
)
