"""The page "Weekly sales": a range of weeks, its figures against the range before, a chart and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
from dash import dash_table, dcc, html

from leandata.clock import Week
from leandata.serving import Sales

_RANGES = {"4": "4 weeks", "13": "13 weeks", "26": "26 weeks", "52": "52 weeks", "all": "All"}
DEFAULT_RANGE = "26"
_NAMED_BARS = 13
_BLUE = "#2f6fb5"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One figure of the range and how it changed, both as people read them."""

    id: str
    label: str
    value: str
    change: str


def chosen(sales: Sequence[Sales], weeks: str) -> tuple[list[Sales], list[Sales]]:
    """The last `weeks` weeks ("4", "all", ...), and as many before them."""
    count = int(weeks) if weeks.isdecimal() and int(weeks) > 0 else len(sales)
    now = list(sales[-count:])
    return now, list(sales[max(0, len(sales) - 2 * count) : len(sales) - len(now)])


def between(sales: Sequence[Sales], start: date | None, end: date | None) -> tuple[list[Sales], list[Sales]]:
    """The weeks that touch the days from `start` to `end`, and as many before them."""
    inside = [
        found
        for found in sales
        if (end is None or found.period <= end) and (start is None or found.period + timedelta(days=6) >= start)
    ]
    first = sales.index(inside[0]) if inside else 0
    return inside, list(sales[max(0, first - len(inside)) : first])


def tiles(now: Sequence[Sales], before: Sequence[Sales]) -> list[Tile]:
    """Totals of the range; without as many weeks before it, nothing is compared."""
    comparable = len(before) == len(now) > 0

    def tile(name: str, label: str, *, money: bool = False) -> Tile:
        total = sum((Decimal(getattr(found, name)) for found in now), Decimal(0))
        earlier = sum((Decimal(getattr(found, name)) for found in before), Decimal(0))
        shown = f"${total:,.2f}" if money else f"{total:,}"
        change = f"{(total - earlier) * 100 / earlier:+,.1f}%" if comparable and earlier else ""
        return Tile(id=f"kpi-{name.replace('_', '-')}", label=label, value=shown, change=change)

    return [
        tile("revenue", "Revenue", money=True),
        tile("orders", "Orders"),
        tile("new_customers", "New customers"),
        tile("units", "Units"),
    ]


def chart(now: Sequence[Sales]) -> go.Figure:
    """Revenue a week as bars; it takes its colours from the page, light or dark."""
    figure = go.Figure(
        go.Bar(
            x=[found.period for found in now],
            y=[float(found.revenue) for found in now],
            marker_color=_BLUE,
            customdata=[[Week(found.period).label, f"{found.revenue:,.2f}", found.orders] for found in now],
            hovertemplate="%{customdata[0]}<br>$%{customdata[1]}<br>%{customdata[2]} orders<extra></extra>",
        )
    )
    figure.update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": "#7a828c"},
        margin={"l": 64, "r": 16, "t": 16, "b": 40}, height=340, bargap=0.2,
        yaxis={"tickprefix": "$", "gridcolor": "rgba(128,128,128,.25)", "zeroline": False},
        xaxis={"showgrid": False, **_ticks(now)},
    )  # fmt: skip
    return figure


def _ticks(now: Sequence[Sales]) -> dict[str, Any]:
    """Every bar is named while there is room for it."""
    if not 0 < len(now) <= _NAMED_BARS:
        return {}
    return {"tickvals": [found.period for found in now], "ticktext": [Week(found.period).label for found in now]}


def table(now: Sequence[Sales]) -> list[dict[str, str]]:
    """The weeks as rows of text, newest first."""
    return [
        {
            "week": Week(found.period).label,
            "starts": found.period.isoformat(),
            "revenue": f"${found.revenue:,.2f}",
            "orders": f"{found.orders:,}",
            "customers": f"{found.customers:,}",
            "new_customers": f"{found.new_customers:,}",
            "units": f"{found.units:,}",
        }
        for found in reversed(now)
    ]


def layout() -> html.Div:
    """The page before its figures are there."""
    columns = ("week", "starts", "revenue", "orders", "customers", "new_customers", "units")
    options: Any = [{"label": label, "value": value} for value, label in _RANGES.items()]
    return html.Div(
        [
            dcc.Location(id="url"),
            html.Header([html.H1("Weekly sales"), html.A("Log out", href="/logout", id="logout")]),
            html.Div(
                [
                    dcc.RadioItems(id="range", options=options, value=DEFAULT_RANGE, inline=True, className="range"),
                    dcc.DatePickerRange(id="days", clearable=True, display_format="YYYY-MM-DD", first_day_of_week=1),
                ],
                className="controls",
            ),
            html.P(id="data-age", className="quiet"),
            html.Div(id="problem", role="alert"),
            dcc.Loading(
                [
                    html.Div(id="tiles", className="tiles"),
                    dcc.Graph(id="weekly-chart", config={"displayModeBar": False}),
                    dash_table.DataTable(
                        id="weekly-table",
                        columns=[{"name": name.replace("_", " "), "id": name} for name in columns],
                        page_size=13,
                        style_as_list_view=True,
                        style_cell={"textAlign": "right", "padding": "8px", "fontFamily": "system-ui, sans-serif"},
                    ),
                ]
            ),
        ],
        className="page",
    )


def tile_card(tile: Tile) -> html.Div:
    """A tile as it is shown."""
    trend = "up" if tile.change.startswith("+") else "down"
    return html.Div(
        [
            html.Span(tile.label, className="label"),
            html.Strong(tile.value, id=tile.id),
            html.Span(tile.change or "nothing to compare", className=f"change {trend if tile.change else ''}"),
        ],
        className="tile",
    )
