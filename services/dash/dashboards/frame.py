"""The frame around every page: heading, navigation, light or dark, who is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dash import dcc, html

from dashboards.page import Page, Role
from dashboards.parts import attributes, link

ASSETS = Path(__file__).parent / "assets"
# The theme is set before anything is painted, so that a dark page never flashes.
THEME = (
    "<script>try{var t=localStorage.getItem('theme');if(t)document.documentElement.dataset.theme=t}catch(e){}</script>"
)
INDEX = (
    """<!doctype html><html lang="en"><head>{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{%title%}</title>"""
    + THEME
    + """{%favicon%}{%css%}</head><body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>"""
)


def layout(*, user: str, role: Role) -> html.Div:
    """The frame before its page is there."""
    leave = html.Form(html.Button("Log out", id="logout", type="submit"), action="/logout", method="post")
    theme = html.Button("Theme", id="theme", type="button", title="Light, dark, or as the system", n_clicks=0)
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            html.A("Skip to the figures", href="#content", className="skip"),
            html.Header(
                [
                    html.Div([html.Span("leandata", className="brand")]),
                    html.Nav(id="nav", **attributes(aria_label="Pages")),
                    html.Div([theme, html.Span(f"{user} ({role})", className="who"), leave], className="tools"),
                ]
            ),
            html.Div(id="offline", role="alert"),
            dcc.Store(id="told"),
            html.Main([html.Div(waiting(), id="figures"), html.Div(id="lasting")], id="content", tabIndex=-1),
        ]
    )


def waiting() -> html.Div:
    """The place of figures that are on their way."""
    tiles = html.Div([html.Div(className="tile bone") for _ in range(4)], className="tiles")
    return html.Div(
        [html.Div(className="bone line"), tiles, html.Div(className="bone block")], **attributes(aria_busy="true")
    )


def navigation(pages: Sequence[Page], current: str) -> list[html.A]:
    """A link to each page; the one that is shown is marked."""
    found = [link(page.title, page.path) for page in pages]
    for page, one in zip(pages, found, strict=True):
        if page.path == current:
            setattr(one, "aria-current", "page")
    return found
