"""Every page in a real browser, over a real database with the real sales; figures against plain sums of the file."""

from __future__ import annotations

import csv
import re
from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from dashboards.page import discover
from infra.testing import browser, dashboards, parts, published
from infra.testing.fixtures import TODAY

pytestmark = pytest.mark.integration
ASKED = "**/_dash-update-component*"
PATHS = [page.path for page in discover()]


@dataclass(frozen=True, kw_only=True)
class World:
    """Dashboards over the real sales, others over an empty database, and a browser."""

    full: dashboards.Dashboards
    empty: dashboards.Dashboards
    chromium: Any


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    path = browser.find()
    if path is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    folders = [tmp_path_factory.mktemp(name) for name in ("postgres", "full", "empty")]
    with parts.postgres(folders[0]) as server:
        full, empty = (server.database(name, owner="serving_writer") for name in ("serving", "nothing"))
        published.put_all(full, today=TODAY)
        with (
            dashboards.serve(folders[1], full, today=TODAY) as first,
            dashboards.serve(folders[2], empty, today=TODAY) as second,
            browser.browser(path) as chromium,
        ):
            yield World(full=first, empty=second, chromium=chromium)


@pytest.fixture
def page(world: World) -> Generator[Any]:
    """A browser of its own, logged in as editor; whatever it complains about fails the test."""
    context = world.chromium.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light")
    found = context.new_page()
    found.set_default_timeout(browser.PATIENCE_MS)
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    found.wrong = wrong
    browser.log_in(found, world.full.url, user="editor", password=world.full.editor_password)
    expect(found.locator("main h1")).to_have_text("Sales")
    yield found
    context.close()
    assert wrong == []


def revenue(weeks: int) -> str:
    """Revenue of the last weeks, from the file alone."""
    rows = published.sales_rows(published.moved_orders(TODAY), period="week", until=TODAY)
    complete = [row for row in rows if (TODAY - row["week"]).days > 7]
    return f"${sum((row['revenue'] for row in complete[-weeks:]), Decimal(0)):,.2f}"


def test_every_page_is_clicked_and_fits_a_phone(page: Any, tmp_path: Path) -> None:
    for width in (1200, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for title in (found.title for found in discover()):
            page.get_by_role("navigation").get_by_role("link", name=title).click()
            expect(page.locator("main h1")).to_have_text(title)
            expect(page).to_have_title(f"{title} · leandata")
            expect(page.locator("main table, #empty").first).to_be_visible()
            expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text(title)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{title} is wider than {width}"
            page.screenshot(path=str(tmp_path / f"{title}-{width}.png"), full_page=True)


@pytest.mark.parametrize(
    ("late", "last", "lasting"),
    [
        ("Customers", "Sales", ["Revenue by cohort"]),
        ("Marketing", "Customers", ["Cohorts"]),
        ("Customers", "Model", []),
    ],
)
def test_an_answer_that_comes_after_the_next_click_is_not_shown(
    page: Any, late: str, last: str, lasting: list[str]
) -> None:
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(ASKED, hold_the_first)
    with page.expect_request(ASKED):
        page.get_by_role("navigation").get_by_role("link", name=late).click()
    page.get_by_role("navigation").get_by_role("link", name=last).click()
    expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text(last)
    expect(page.locator("main h1")).to_have_text(last)
    expect(page.locator("#lasting h2")).to_contain_text(lasting)
    shown = page.locator("main h1, main h2").all_inner_texts()
    with page.expect_event("requestfinished", lambda request: request == held[0].request):
        held[0].continue_()
    page.wait_for_timeout(500)
    assert page.locator("main h1, main h2").all_inner_texts() == shown


def test_figures_are_those_of_the_file_and_the_address_keeps_what_is_chosen(page: Any) -> None:
    page.get_by_role("link", name="4 weeks").click()
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(4))
    expect(page).to_have_url(re.compile(r"range=4$"))
    page.reload()
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(4))
    page.get_by_role("link", name="13 weeks").click()
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(13))
    page.get_by_role("link", name="Month", exact=True).click()
    expect(page.get_by_role("heading", name="Sales by month")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sales by week")).to_be_visible()
    page.go_back()
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(4))
    expect(page.locator("#sales-chart .bars .point")).to_have_count(4)


def test_days_are_picked_and_forgotten(page: Any) -> None:
    page.locator("#field-from").fill("2026-11-02")
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile(r"from=2026-11-02$"))
    expect(page.locator("#sales-table tbody tr")).to_have_count(3)
    page.reload()
    expect(page.locator("#field-from")).to_have_value("2026-11-02")
    page.get_by_role("link", name="13 weeks").click()
    expect(page.locator("#field-from")).to_have_value("")
    expect(page.locator("#sales-table tbody tr")).to_have_count(13)


def test_what_is_shown_is_downloaded(page: Any) -> None:
    page.get_by_role("link", name="4 weeks").click()
    expect(page.locator("#sales-table tbody tr")).to_have_count(4)
    with page.expect_download() as started:
        page.locator("a.download").first.click()
    with Path(started.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Week"] for row in rows] == page.locator("#sales-table tbody tr td:first-child").all_inner_texts()
    assert f"${sum(Decimal(row['Revenue']) for row in rows):,.2f}" == revenue(4)


def background(page: Any) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_light_and_dark_follow_the_system_until_switched_and_are_remembered(page: Any) -> None:
    light = background(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    assert light == "rgb(255, 255, 255)"
    assert dark != light
    page.emulate_media(color_scheme="light")
    page.click("#theme")
    expect(page.locator("#theme")).to_have_text("Theme: dark")
    assert background(page) == dark
    page.reload()
    expect(page.locator("main h1")).to_be_visible()
    assert background(page) == dark
    page.click("#theme")
    page.emulate_media(color_scheme="dark")
    assert background(page) == light


def test_a_keyboard_is_enough(page: Any) -> None:
    page.reload()
    expect(page.locator("#kpi-revenue")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "4 weeks"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(4))


def test_an_editor_finds_one_customer(page: Any) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Customers").click()
    expect(page.locator("#customers-table tbody tr").first).to_be_visible()
    # As quick typists do it: Dash's field may mix up keys that come within a millisecond while it is drawn.
    page.locator("#field-starts").press_sequentially("2345", delay=50)
    expect(page.locator("#field-starts")).to_have_value("2345")
    page.keyboard.press("Enter")
    expect(page.locator("#customers-table tbody tr").first).to_contain_text("2345")
    page.get_by_role("link", name="2345", exact=True).click()
    paid = sum((one.amount_usd for one in published.moved_orders(TODAY) if one.customer_id == 2345), Decimal(0))
    expect(page.locator("#one-revenue")).to_have_text(f"${paid:,.2f}")
    page.reload()
    expect(page.get_by_role("heading", name="Customer 2345")).to_be_visible()


def test_the_last_runs_are_a_strip_with_the_newest_at_the_right(page: Any) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Platform").click()
    rows = page.locator("#runs-table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("transform")
    expect(rows.first.locator(".bad")).to_have_text("failed")
    strip = rows.first.locator(".strip i")
    expect(strip).to_have_count(14)
    assert [one.get_attribute("data-state") for one in strip.all()] == [*["success"] * 13, "failed"]
    colours = {
        page.evaluate("one => getComputedStyle(one).backgroundColor", one.element_handle()) for one in strip.all()
    }
    assert len(colours) == 2
    expect(rows.first.locator(".strip .unseen")).to_have_text(f"{'success ' * 13}failed")
    expect(rows.filter(has_text="train_model")).to_contain_text("30m 0s")


def test_a_part_that_is_down_and_an_unusual_day_are_seen_first(page: Any) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Platform").click()
    first = page.locator("#health-table tbody tr").first
    expect(first).to_contain_text("dask")
    expect(first.locator(".bad")).to_have_text("down")
    day = page.locator("#volumes-table tbody tr").first
    expect(day.locator(".bad")).to_have_text("unusual")
    heights = [one.evaluate("bar => bar.offsetHeight") for one in day.locator(".bars i").all()]
    assert len(heights) == 28
    assert min(heights) == heights[-1] < max(heights) == 20


def test_what_was_spent_is_drawn_by_day_and_the_dearest_warehouse_comes_first(page: Any) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Platform").click()
    first = page.locator("#spend-table tbody tr").first
    expect(first).to_contain_text("PIPELINES0.1252.62510.500")
    for one in page.locator("#spend-table tbody tr").all():
        heights = [bar.evaluate("bar => bar.offsetHeight") for bar in one.locator(".bars i").all()]
        assert (len(heights), min(heights), max(heights)) == (28, 1, 20), "each by its own most"


def test_drift_and_intervals_are_on_the_page_of_the_model(page: Any) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Model").click()
    rows = page.locator("#drift-table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_have_text("recencyshifted8.100")
    expect(page.locator("#model-auc")).to_have_text("0.84750")
    expect(page.locator("#versions-table")).to_contain_text("0.84750 [0.84190, 0.85310]")


def test_a_viewer_sees_groups_only(world: World) -> None:
    context = world.chromium.new_context()
    page = context.new_page()
    browser.log_in(page, world.full.url, user="analyst", password=world.full.password)
    page.goto(f"{world.full.url}/customers?customer=2345")
    expect(page.locator("#segments-table")).to_be_visible()
    expect(page.locator("#for-editors")).to_be_visible()
    expect(page.locator("#one-revenue")).to_have_count(0)
    context.close()


def test_before_the_first_publication_every_page_says_so(world: World) -> None:
    context = world.chromium.new_context()
    page = context.new_page()
    browser.log_in(page, world.empty.url, user="analyst", password=world.empty.password)
    for path in PATHS:
        page.goto(f"{world.empty.url}{path}")
        expect(page.locator("#empty")).to_contain_text("published yet")
    context.close()


def test_old_figures_say_how_old_they_are(page: Any) -> None:
    expect(page.locator("#data-age")).to_contain_text("Data until 2026-11-22 (2 days behind)")
    assert "stale" in page.locator("#data-age").get_attribute("class")


def test_a_session_that_ended_leads_to_the_login_and_back(world: World, page: Any) -> None:
    page.get_by_role("link", name="13 weeks").click()
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(13))
    page.context.clear_cookies()
    page.get_by_role("link", name="4 weeks").click()
    expect(page).to_have_url(re.compile("/login"))
    page.wrong.clear()  # the browser itself reports the refused request
    page.fill("#user", "editor")
    page.fill("#password", world.full.editor_password)
    page.click("#login")
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(4))


def test_dashboards_that_do_not_answer_are_said(page: Any) -> None:
    page.context.set_offline(True)
    page.get_by_role("link", name="4 weeks").click()
    expect(page.locator("#offline")).to_contain_text("The dashboards do not answer.")
    page.context.set_offline(False)
    page.get_by_role("link", name="13 weeks").click()
    expect(page.locator("#kpi-revenue")).to_have_text(revenue(13))
    expect(page.locator("#offline")).to_be_empty()
    # Browser and Dash report the failed request, some of it a moment later; whatever else is wrong still fails the test.
    reported = ("net::ERR_INTERNET_DISCONNECTED", "Callback failed: the server did not respond.")
    page.wrong[:] = [told for told in page.wrong if not any(known in told for known in reported)]
