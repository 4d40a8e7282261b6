"""The dashboards in Chromium over the real sales: first paint, figures, chart, and how soon a click shows."""

from __future__ import annotations

import statistics
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from infra.testing import browser, dashboards, parts, published
from leandata.errors import LeandataError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TARGETS = {
    "dash_first_paint_seconds": "at most 1.5",
    "dash_first_paint_again_seconds": "at most 1.5",
    "dash_click_seconds": "at most 0.3",
}
_TODAY = date(2026, 11, 24)
_ROUNDS = 5
_CLICKS = ("4 weeks", "52 weeks", "13 weeks", "26 weeks")
_PAINT = "performance.getEntriesByType('paint').find(one => one.name === 'first-contentful-paint')?.startTime ?? 0"
_HEADING = "document.querySelector('main h1') && performance.now()"
_FIGURES = "document.querySelector('#kpi-revenue') && performance.now()"
_CHART = "document.querySelector('#sales-chart .bars .point') && performance.now()"
# From the click until the new figure is painted: the frame after the one in which it is there.
_CLICK = """name => new Promise(done => {
  const before = document.querySelector("#kpi-revenue").textContent;
  const link = [...document.querySelectorAll(".options a")].find(one => one.textContent === name);
  const started = performance.now();
  const look = () => document.querySelector("#kpi-revenue")?.textContent === before
    ? requestAnimationFrame(look)
    : requestAnimationFrame(() => done(performance.now() - started));
  link.click();
  look();
})"""


def measure(folder: Path) -> dict[str, float]:
    """Seconds, the median of five: with an empty cache, with a warm one, and of clicks on other ranges.

    Raises LeandataError without Chromium.
    """
    path = browser.find()
    if path is None:
        raise LeandataError("Chromium is missing", hint="apt-get install chromium")
    (folder / "postgres").mkdir()
    (folder / "dash").mkdir()
    folder.chmod(0o755)
    with parts.postgres(folder / "postgres") as server:
        serving = server.database("serving", owner="serving_writer")
        published.put_sales(serving, today=_TODAY)
        published.put_customers(serving, today=_TODAY)
        with dashboards.serve(folder / "dash", serving, today=_TODAY) as dash, browser.browser(path) as chromium:
            rounds = [_round(chromium, dash) for _ in range(_ROUNDS)]
    names = sorted(rounds[0])
    return {f"dash_{name}_seconds": statistics.median(one[name] for one in rounds) / 1000 for name in names}


def _round(chromium: Browser, dash: dashboards.Dashboards) -> dict[str, float]:
    """Milliseconds of one browser with an empty cache."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    try:
        page = context.new_page()
        answer = page.request.get(f"{dash.url}/login").text()
        token = answer.split('name="token" value="')[1].split('"')[0]
        form: dict[str, str | float | bool] = {"user": "editor", "password": dash.editor_password, "token": token}
        page.request.post(f"{dash.url}/login", form=form, max_redirects=0)
        first = _opened(page, dash.url)
        # One tab only: in a tab behind another the browser draws once a second.
        again = _opened(page, dash.url)
        found = {"click": statistics.median(page.evaluate(_CLICK, name) for name in _CLICKS)}
    finally:
        context.close()
    return found | first | {f"{name}_again": value for name, value in again.items()}


def _opened(page: Page, url: str) -> dict[str, float]:
    """Milliseconds from the start of the navigation: something is painted, the heading, the figures, the chart."""
    page.goto(f"{url}/sales", wait_until="commit")
    waits = {"heading": _HEADING, "figures": _FIGURES, "chart": _CHART}
    found = {name: float(page.wait_for_function(wait, polling="raf").json_value()) for name, wait in waits.items()}
    return {"first_paint": float(page.evaluate(_PAINT)), **found}
