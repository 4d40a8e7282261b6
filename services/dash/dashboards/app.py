"""The application: login, the page, and the one callback that fills it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlencode

import dash
from dash import Input, Output, State, ctx, html, no_update
from flask import Flask

from dashboards import sales
from dashboards.auth import protect
from leandata import serving
from leandata.clock import Week
from leandata.database import pool
from leandata.errors import LeandataError
from leandata.serving import Freshness, Sales
from leandata.settings import Settings

_POOL = 4
Source = Callable[[], tuple[list[Sales], Freshness | None]]


def create(settings: Settings) -> dash.Dash:
    """The application that reads the serving database. Raises SettingsError when a setting is missing."""
    connections = pool(settings.serving, size=_POOL)
    connections.open()

    def source() -> tuple[list[Sales], Freshness | None]:
        with connections.connection() as connection:
            known = {found.dataset: found for found in serving.freshness(connection)}
            return serving.weekly_sales(connection), known.get("sales.weekly_sales")

    return build(
        source,
        password=settings.secret("DASH_PASSWORD_FILE"),
        session_key=settings.secret("DASH_SESSION_KEY_FILE"),
        today=settings.today,
    )


def build(source: Source, *, password: str, session_key: str, today: Callable[[], date]) -> dash.Dash:
    """The application over any source of weekly sales."""
    server = Flask("dashboards")
    protect(server, password=password, session_key=session_key)
    app = dash.Dash("dashboards", server=server, title="leandata", serve_locally=True, update_title=None)  # pyright: ignore
    app.layout = sales.layout
    _fill(app, source, today)
    return app


def _fill(app: dash.Dash, source: Source, today: Callable[[], date]) -> None:
    @app.callback(
        Output("tiles", "children"),
        Output("weekly-chart", "figure"),
        Output("weekly-table", "data"),
        Output("data-age", "children"),
        Output("problem", "children"),
        Output("url", "search"),
        Output("range", "value"),
        Input("range", "value"),
        Input("days", "start_date"),
        Input("days", "end_date"),
        State("url", "search"),
    )
    def fill(weeks: str, start: str | None, end: str | None, search: str) -> tuple[Any, ...]:  # pyright: ignore[reportUnusedFunction]
        if ctx.triggered_id is None:
            weeks = parse_qs((search or "").removeprefix("?")).get("weeks", [weeks])[0]
        try:
            everything, published = source()
        except Exception as error:  # noqa: BLE001 - whatever stands between us and the figures, the page says so and stays
            reason = error.what if isinstance(error, LeandataError) else "the serving database does not answer"
            return [], no_update, [], "", f"No figures now: {reason}. Try again in a moment.", no_update, no_update
        complete = [found for found in everything if published and Week(found.period).end <= published.data_until]
        if start or end:
            span = (date.fromisoformat(start) if start else None, date.fromisoformat(end) if end else None)
            now, before = sales.between(complete, *span)
        else:
            now, before = sales.chosen(complete, weeks)
        tiles = [sales.tile_card(tile) for tile in sales.tiles(now, before)]
        problem = "" if now else "No sales are published for this range yet."
        address = f"?{urlencode({'weeks': weeks})}"
        return tiles, sales.chart(now), sales.table(now), _age(published, today()), problem, address, weeks


def _age(published: Freshness | None, today: date) -> Any:
    if published is None:
        return "Nothing was published yet."
    behind = (today - published.data_until).days
    age = "up to yesterday" if behind <= 1 else f"{behind} days behind"
    moment = published.published_at.strftime("%Y-%m-%d %H:%M UTC")
    return html.Span(f"Data until {published.data_until} ({age}), published {moment}.")
