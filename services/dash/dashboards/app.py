"""The application: login, the frame around the pages, and the one callback that fills it."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import dash
from dash import Input, Output, html, no_update
from dash.exceptions import PreventUpdate
from flask import Flask

from dashboards import downloads, frame, parts, shipping
from dashboards.auth import Account, accounts, protect, role, user
from dashboards.page import Context, Page, Reading, State, discover
from leandata import serving
from leandata.database import pool
from leandata.errors import LeandataError
from leandata.proxies import Network
from leandata.settings import Settings

_POOL = 4
_LOG = logging.getLogger(__name__)


def create(settings: Settings) -> dash.Dash:
    """The application that reads the serving database. Raises SettingsError when a setting is missing, PageError for a
    page that is none."""
    connections = pool(settings.serving, size=_POOL)
    connections.open()

    def read(reader: Callable[..., Any], *args: Any, **options: Any) -> Any:
        with connections.connection() as connection:
            return reader(connection, *args, **options)

    return build(
        read,
        people=accounts(settings),
        session_key=settings.secret("DASH_SESSION_KEY_FILE"),
        today=settings.today,
        pages=discover(),
        trusted=settings.trusted_proxies,
    )


def build(
    read: Reading, *, people: Mapping[str, Account], session_key: str, today: Callable[[], date],
    pages: Sequence[Page], trusted: Sequence[Network] = (),
) -> dash.Dash:  # fmt: skip
    """The application with these pages over anything that calls readers, behind the `trusted` proxies."""
    server = Flask("dashboards")
    protect(server, people=people, session_key=session_key, trusted=trusted)
    shipping.compress(server)
    app = dash.Dash(
        "dashboards", server=server, title="leandata", serve_locally=True, update_title=None,  # pyright: ignore
        index_string=frame.INDEX, assets_folder=str(frame.ASSETS),
    )  # fmt: skip
    app.layout = lambda: frame.layout(user=user(), role=role())

    def context(page: Page, search: str) -> Context:
        return Context(state=State.of(page, search), read=_once(read), role=role(), today=today())

    downloads.serve(server, pages, context)
    _fill(app, pages, context)
    return app


def _fill(app: dash.Dash, pages: Sequence[Page], context: Callable[[Page, str], Context]) -> None:
    @app.callback(
        Output("figures", "children"),
        Output("lasting", "children"),
        Output("nav", "children"),
        Output("told", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
        dash.State("told", "data"),
    )
    def fill(path: str | None, search: str | None, told: Any) -> tuple[Any, ...]:  # pyright: ignore[reportUnusedFunction]
        if path is None:
            raise PreventUpdate
        page = pages[0] if path == "/" else next((found for found in pages if found.path == path), None)
        if page is None:
            missing = parts.empty(f"There is no page {path}.", "The navigation has all pages.")
            return [html.H1("Not found"), missing], [], frame.navigation(pages, ""), None
        before = told if isinstance(told, dict) and told.get("page") == page.path else None
        figures, lasting, now = shown(page, context(page, search or ""), told=before)
        links = no_update if before else frame.navigation(pages, page.path)
        return [html.H1(page.title), *figures], lasting, links, now


def shown(page: Page, context: Context, *, told: Mapping[str, Any] | None = None) -> tuple[Sequence[Any], Any, Any]:
    """What the page shows: what follows its choices, what does not, and what the browser tells next time as `told`.

    What is as it was told is not sent and not drawn again. When figures cannot be shown, the error state stands alone.
    """
    try:
        now = {"page": page.path, "published": _published(context) if page.lasting else ""}
        figures = page.view(context)
        if now == told:
            return figures, no_update, no_update
        plain = replace(context, state=State.of(page, ""))
        return figures, page.lasting(plain) if page.lasting else [], now
    except Exception as error:  # noqa: BLE001 - whatever stands between us and the figures, the page says so and stays
        _LOG.warning("the page %s has no figures", page.path, exc_info=True)
        reason = error.what if isinstance(error, LeandataError) else "the serving database does not answer"
        problem = parts.problem(f"{reason[:1].upper()}{reason[1:]}. Try again in a moment.", retry=context.state.href())
        return [problem], [], {"page": page.path, "published": None}


def _published(context: Context) -> str:
    """What is published, what day it is and who looks: while that is the same, so is what follows no choice."""
    versions = [f"{one.dataset} {one.version} {one.published_at}" for one in context.read(serving.freshness)]
    return hashlib.sha256("\n".join([str(context.today), context.role, *versions]).encode()).hexdigest()


def _once(read: Reading) -> Reading:
    """Readers whose answers are kept for one request, so that a page may ask twice."""

    @functools.cache
    def kept(reader: Callable[..., Any], args: tuple[Any, ...], options: tuple[tuple[str, Any], ...]) -> Any:
        return read(reader, *args, **dict(options))

    def once(reader: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return kept(reader, args, tuple(sorted(options.items())))

    return once
