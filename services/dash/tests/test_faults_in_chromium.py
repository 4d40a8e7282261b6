"""What goes wrong around the dashboards, in a real browser over real parts: every page says so, and the same process
shows figures again when it is over."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from dashboards.page import discover
from infra.testing import browser, dashboards, parts, published, silence
from infra.testing.fixtures import TODAY
from leandata.database import connect
from leandata.settings import DatabaseAddress

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
PAGES = discover()
FIGURES = {
    "/customers": "#segments-table", "/marketing": "#events-table", "/model": "#versions-table",
    "/platform": "#freshness-table", "/sales": "#kpi-revenue",
}  # fmt: skip
"""What stands on a page once it has figures."""
SAME_FOR_ALL = pytest.mark.thorough(
    *(f"services/dash/dashboards/{name}.py" for name in ("__main__", "app", "auth", "frame", "health", "page")),
    *("shared/*", "infra/*", "services/dash/Dockerfile", "services/dash/service.toml", "pyproject.toml", "uv.lock"),
)
"""No page reads for itself: what a page of its own does with figures has nothing to do with how their absence is said."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A server of its own, dashboards over figures of TODAY, the same over a database that starts empty, a browser."""

    postgres: parts.Postgres
    full: dashboards.Dashboards
    full_database: DatabaseAddress
    later: dashboards.Dashboards
    later_database: DatabaseAddress
    chromium: Any


def fill(address: DatabaseAddress) -> None:
    published.put_all(address, today=TODAY)
    until = TODAY - timedelta(days=2)
    told = {"type": "page_view", "events": 9, "customers": 3, "converted": 1}
    published.put(address, "sales.daily_events", [{"day": until, **told}], until=until)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    path = browser.find()
    if path is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    folders = [tmp_path_factory.mktemp(name) for name in ("postgres", "full", "later")]
    with parts.postgres(folders[0]) as server:
        full, later = (server.database(name, owner="serving_writer") for name in ("serving", "later"))
        fill(full)
        with (
            dashboards.serve(folders[1], full, today=TODAY) as first,
            dashboards.serve(folders[2], later, today=TODAY) as second,
            browser.browser(path) as chromium,
        ):
            yield World(
                postgres=server, full=first, full_database=full, later=second, later_database=later, chromium=chromium
            )


def opened(world: World, found: dashboards.Dashboards) -> Any:
    page = world.chromium.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(browser.PATIENCE_MS)
    browser.log_in(page, found.url, user="analyst", password=found.password)
    expect(page.locator("main h1")).to_be_visible()
    return page


def workers(url: str) -> set[int]:
    """The processes that listen where the dashboards are."""
    port = int(url.rpartition(":")[2])
    return {
        one.pid
        for one in psutil.net_connections("tcp4")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid
    }


def shows(page: Any, address: str, mark: str) -> None:
    """The page has its figures, perhaps after trying again as a person would."""
    page.goto(address)
    for _ in range(20):
        page.wait_for_selector(f"{mark}, #problem")
        if page.locator(mark).count():
            break
        page.get_by_role("link", name="Try again").click()
    expect(page.locator(mark).first).to_be_visible()
    expect(page.locator("#problem")).to_have_count(0)


def test_every_page_is_tried() -> None:
    assert sorted(FIGURES) == sorted(page.path for page in PAGES)


@SAME_FOR_ALL
def test_a_database_that_is_down_is_said_on_every_page_and_every_page_recovers(world: World) -> None:
    page, before = opened(world, world.full), workers(world.full.url)
    assert before
    world.postgres.kill()
    try:
        for path in FIGURES:
            page.goto(f"{world.full.url}{path}")
            expect(page.get_by_role("alert").filter(has_text="No figures now")).to_be_visible()
            expect(page.locator("#problem")).to_contain_text("Try again in a moment.")
            expect(page.get_by_role("link", name="Try again")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    finally:
        world.postgres.start()
    for path, mark in FIGURES.items():
        shows(page, f"{world.full.url}{path}", mark)
    assert workers(world.full.url) == before, "the same process"
    page.context.close()


@SAME_FOR_ALL
def test_a_database_that_is_silent_is_said_on_every_page_and_every_page_recovers(world: World, tmp_path: Path) -> None:
    address = world.full_database
    with (
        silence.before(address.host, address.port) as between,
        dashboards.serve(tmp_path, replace(address, host="127.0.0.1", port=between.port), today=TODAY) as found,
    ):
        page, before = opened(world, found), workers(found.url)
        shows(page, f"{found.url}/sales", FIGURES["/sales"])
        between.fall()
        for path in FIGURES:
            page.goto(f"{found.url}{path}")
            expect(page.get_by_role("alert").filter(has_text="No figures now")).to_be_visible(timeout=60_000)
        assert httpx.get(f"{found.url}/healthz").status_code == 200
        between.end()
        for path, mark in FIGURES.items():
            shows(page, f"{found.url}{path}", mark)
        assert workers(found.url) == before, "the same process"
        page.context.close()


def test_a_table_that_cannot_be_read_is_an_error_of_its_page_only_and_passes(world: World) -> None:
    page, rename = opened(world, world.full), "ALTER VIEW serving.purchase_scores RENAME COLUMN {} TO {}"
    with connect(world.full_database, autocommit=True) as connection:
        connection.execute(rename.format("low", "lost"))
        try:
            page.goto(f"{world.full.url}/model")
            expect(page.locator("#problem")).to_be_visible()
            assert "purchase_scores" not in page.locator("main").inner_text(), "what is inside is not told"
            shows(page, f"{world.full.url}/sales", FIGURES["/sales"])
        finally:
            connection.execute(rename.format("lost", "low"))
    shows(page, f"{world.full.url}/model", FIGURES["/model"])
    page.context.close()


def test_before_anything_is_there_every_page_says_so_and_shows_figures_once_they_are_published(world: World) -> None:
    page, before = opened(world, world.later), workers(world.later.url)
    for path in FIGURES:
        page.goto(f"{world.later.url}{path}")
        expect(page.locator("#empty").first).to_contain_text("published yet")
    fill(world.later_database)
    for path, mark in FIGURES.items():
        shows(page, f"{world.later.url}{path}", mark)
    assert workers(world.later.url) == before, "the same process"
    page.context.close()


def test_stale_figures_are_shown_with_their_age_and_what_was_not_looked_at_lately_is_not_known(world: World) -> None:
    page = opened(world, world.full)
    with connect(world.full_database, autocommit=True) as connection:
        connection.execute("UPDATE serving.freshness SET data_until = data_until - 9")
        connection.execute("UPDATE serving.health SET looked_at = looked_at - interval '1 hour'")
        try:
            page.goto(f"{world.full.url}/platform")
            expect(page.locator("#freshness-table tbody tr .bad").first).to_have_text("late")
            expect(page.locator("#datasets-late")).not_to_have_text("0")
            expect(page.locator("#health-table tbody tr .warned")).to_have_text(["not known"] * 5)
            for path in ("/sales", "/customers", "/marketing", "/model"):
                page.goto(f"{world.full.url}{path}")
                expect(page.locator("#data-age")).to_contain_text("11 days behind")
                expect(page.locator("#data-age")).to_have_class("quiet stale")
                expect(page.locator(FIGURES[path]).first).to_be_visible()
        finally:
            connection.execute("UPDATE serving.freshness SET data_until = data_until + 10")
            connection.execute("UPDATE serving.health SET looked_at = looked_at + interval '1 hour'")
        page.goto(f"{world.full.url}/platform")
        expect(page.locator("#datasets-late")).to_have_text("0")
        connection.execute("UPDATE serving.freshness SET data_until = data_until - 1")
    page.context.close()
