"""The components that pages are built of: one look, one way to be read by a keyboard, a phone and a screen reader."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dash import dcc, html

from dashboards.formats import shown
from dashboards.page import Choice, Kind, State, Table
from leandata.serving import Freshness

BLUE, ORANGE, GREY = "#3b7dc4", "#d9822b", "#8a939e"
_ROWS_SHOWN = 100
_DRAWN = frozenset({"bars", "strip"})
_LEFT = _DRAWN | {"text"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One figure and how it changed, both as people read them."""

    id: str
    label: str
    value: str
    change: str = ""
    note: str = ""


def attributes(**values: str) -> dict[str, Any]:
    """Attributes of HTML that no argument of Python can be called: `aria_label` is aria-label."""
    return {name.replace("_", "-"): value for name, value in values.items()}


def tiles(found: Sequence[Tile]) -> html.Div:
    """Figures side by side."""
    return html.Div([_tile(tile) for tile in found], id="tiles", className="tiles")


def _tile(tile: Tile) -> html.Div:
    trend = "" if not tile.change else "up" if tile.change.startswith("+") else "down"
    arrow = {"up": "▲ ", "down": "▼ ", "": ""}[trend]
    return html.Div(
        [
            html.Span(tile.label, className="label"),
            html.Strong(tile.value, id=tile.id),
            html.Span(f"{arrow}{tile.change}" if tile.change else tile.note, className=f"change {trend}".strip()),
        ],
        className="tile",
    )


def choices(state: State, *names: str, labels: Mapping[str, Mapping[str, str]] | None = None) -> html.Div:
    """The named choices as rows of links and fields; `labels` says some options otherwise."""
    known = {choice.name: choice for choice in state.choices}
    return html.Div([_choice(known[name], state, (labels or {}).get(name, {})) for name in names], className="controls")


def _choice(choice: Choice, state: State, labels: Mapping[str, str]) -> Any:
    if choice.kind == "option":
        links = [_option(choice, state, value, labels.get(value, label)) for value, label in choice.options]
        return html.Div(
            [html.Span(choice.label, className="label"), html.Div(links, className="options")],
            className="choice", role="group", **attributes(aria_label=choice.label),
        )  # fmt: skip
    kind: Any = "date" if choice.kind == "day" else "search"
    field = dcc.Input(
        id=f"field-{choice.name}", type=kind, value=state[choice.name], debounce=True, autoComplete="off",
        className="field",
    )  # fmt: skip
    return html.Label(
        [html.Span(choice.label, className="label"), field], className="choice", **attributes(data_field=choice.name)
    )


def _option(choice: Choice, state: State, value: str, label: str) -> html.A:
    taken = state[choice.name] == value and not any(state[name] for name in choice.clears)
    href = state.href(**{choice.name: value}, **dict.fromkeys(choice.clears, ""))
    return html.A(label, href=href, **attributes(data_go="here", **({"aria_current": "true"} if taken else {})))


def link(text: str, href: str) -> html.A:
    """A link to another state or page, without loading everything again."""
    return html.A(text, href=href, **attributes(data_go="here"))


def section(title: str, *children: Any, download: str = "", note: str = "") -> html.Section:
    """A part of a page under a heading, with what it shows as a file."""
    heading: list[Any] = [html.H2(title)]
    if download:
        heading.append(html.A("Download CSV", href=download, download="", className="download"))
    inside = [html.Div(heading, className="heading"), *([html.P(note, className="quiet")] if note else []), *children]
    return html.Section(inside, className="section", **attributes(aria_label=title))


def table(
    found: Table,
    *,
    name: str,
    caption: str,
    links: Mapping[int, Sequence[str]] | None = None,
    marks: Mapping[str, str] | None = None,
) -> html.Div:
    """The first hundred rows; `links` are the addresses of a column's cells, `marks` the styles of some texts."""
    kinds: list[Kind] = [kind for _, kind in found.columns]
    rows = [
        [
            _cell(value, kinds[at], (links or {}).get(at, ())[number : number + 1], (marks or {}).get(value, ""))
            for at, value in enumerate(row)
        ]
        for number, row in enumerate(found.rows[:_ROWS_SHOWN])
    ]
    head = [[heading, "left" if kind in _LEFT else ""] for heading, kind in found.columns]
    # One component instead of one for each cell, which the browser would need milliseconds for: assets/dashboards.js
    # makes the table of it.
    told = json.dumps({"id": name, "caption": caption, "head": head, "rows": rows})
    wild = attributes(aria_label=caption, data_table=told)
    inside: list[Any] = [html.Div(className="scroll", tabIndex=0, role="region", **wild)]
    if len(found.rows) > len(rows):
        inside.append(
            html.P(f"The first {len(rows)} of {len(found.rows):,} rows; the download has all.", className="quiet")
        )
    return html.Div(inside)


def _cell(value: Any, kind: Kind, links: Sequence[str], mark: str) -> list[str]:
    style = f"{'left' if kind in _LEFT else ''} {kind if kind in _DRAWN else mark}".strip()
    return [shown(value, kind), style, *links]


def chart(
    name: str, traces: Sequence[Mapping[str, Any]], *, title: str, layout: Mapping[str, Any] | None = None
) -> Any:
    """A chart whose texts and lines take their colours from the page, light or dark; `title` is for those who hear."""
    look: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "height": 320, "autosize": True,
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": GREY}, "bargap": 0.2,
        "margin": {"l": 60, "r": 12, "t": 30, "b": 40}, "showlegend": len(traces) > 1,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {"showgrid": False, "automargin": True}, "hovermode": "closest",
        "yaxis": {"gridcolor": "rgba(128,128,128,.25)", "zeroline": False, "automargin": True, "rangemode": "tozero"},
    }  # fmt: skip
    for part, value in (layout or {}).items():
        known = look.get(part)
        look[part] = {**known, **value} if isinstance(known, dict) else value
    figure = {"data": list(traces), "layout": look}
    graph = dcc.Graph(id=name, figure=figure, config={"displayModeBar": False, "responsive": True}, responsive=True)
    return html.Div(graph, className="chart", role="img", **attributes(aria_label=title))


def empty(what: str, hint: str = "") -> html.Div:
    """There is nothing to show, and why."""
    return html.Div(
        [html.Strong(what), *([html.P(hint)] if hint else [])], className="notice empty", id="empty", role="status"
    )


def problem(what: str, *, retry: str) -> html.Div:
    """Something failed: what, and a link that tries again."""
    return html.Div(
        [html.Strong("No figures now"), html.P(what, id="problem"), html.A("Try again", href=retry)],
        className="notice failed", role="alert",
    )  # fmt: skip


def age(published: Freshness | None, today: date, *, allowed: int = 1) -> html.P:
    """Until when the figures go; said loudly when that is more than the `allowed` days ago."""
    if published is None:
        return html.P("Nothing was published yet.", id="data-age", className="quiet")
    behind = (today - published.data_until).days
    text = "up to yesterday" if behind <= 1 else f"{behind} days behind"
    moment = shown(published.published_at, "moment")
    return html.P(
        f"Data until {published.data_until} ({text}), published {moment}.",
        id="data-age", className="quiet" if behind <= allowed else "quiet stale",
    )  # fmt: skip
