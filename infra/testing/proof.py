"""What a user of the platform can see, asked for in the same words wherever it runs."""

from __future__ import annotations

import contextlib
import csv
import json
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.environment import ROOT
from infra.testing import browser
from leandata.clock import Week

if TYPE_CHECKING:
    from playwright.sync_api import Page

_LAST_SALE = date(1998, 6, 30)  # of the shop's data, which the stand-in moves forward by whole weeks


def get(url: str, **headers: str) -> Any:
    """The JSON that `url` answers with; a header is written with underscores."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def source_revenue(week: Week) -> dict[date, Decimal]:
    """Revenue by the first day of each week, by the standard library and the CSV alone; sales end with `week`."""
    moved = week.start - Week.of(_LAST_SALE).start
    weeks: dict[date, Decimal] = defaultdict(Decimal)
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["order_date"]) + moved
            weeks[day - timedelta(days=day.weekday())] += Decimal(row["amount_usd"])
    return dict(weeks)


def sales_reports(mails: Iterable[bytes]) -> list[EmailMessage]:
    """The weekly sales reports among the mails."""
    parsed = [message_from_bytes(mail, policy=policy.default) for mail in mails]
    return [mail for mail in parsed if str(mail["Subject"]).startswith("Sales of week")]


def send_event(api: str, *, key: str) -> str:
    """Send the same event twice; its id. Raises AssertionError when it is not accepted both times."""
    id_ = str(uuid.uuid4())
    event = {
        "event_id": id_,
        "type": "page_view",
        "occurred_at": "2026-11-24T10:00:00Z",
        "customer_id": 1,
    }
    request = urllib.request.Request(
        f"{api}/v1/events",
        data=json.dumps(event).encode(),
        headers={"Content-Type": "application/json", "X-API-Key": key},
    )
    for _ in range(2):
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202
            assert json.load(answer)["accepted"] == [id_]
    return id_


def click(*, dash: str, mail: str, password: str, revenue: Mapping[date, Decimal], week: Week, shots: Path) -> None:
    """Log in to the dashboards and click, then open the report's mail; pictures of both go to `shots`.

    Raises AssertionError when a figure is not that of `revenue`. Without Chromium the test that asks is skipped.
    """
    with _page() as page:
        from playwright.sync_api import expect

        _click_dashboards(page, dash=dash, password=password, revenue=revenue, week=week, shots=shots)
        page.goto(f"{mail}/")
        page.get_by_role("link", name="Sales of week").first.click()
        chart = page.frame_locator("iframe").locator("img").first
        expect(chart).to_be_visible()
        assert chart.evaluate("image => image.complete && image.naturalWidth > 500"), "the chart is drawn"
        page.screenshot(path=str(shots / "mail.png"))


def click_dashboards(*, dash: str, password: str, revenue: Mapping[date, Decimal], week: Week, shots: Path) -> None:
    """Log in to the dashboards, with a wrong password first, and click; a picture goes to `shots`.

    Raises AssertionError when a figure is not that of `revenue`. Without Chromium the test that asks is skipped.
    """
    with _page() as page:
        _click_dashboards(page, dash=dash, password=password, revenue=revenue, week=week, shots=shots)


def _click_dashboards(
    page: Page, *, dash: str, password: str, revenue: Mapping[date, Decimal], week: Week, shots: Path
) -> None:
    from playwright.sync_api import expect

    shots.mkdir(parents=True, exist_ok=True)
    page.goto(dash)
    expect(page).to_have_url(f"{dash}/login")
    for tried in ("wrong", password):
        page.fill("#user", "analyst")
        page.fill("#password", tried)
        page.click("#login")
        if tried == "wrong":
            expect(page.get_by_role("alert")).to_contain_text("User or password is wrong.")
    expect(page.locator("#kpi-revenue")).to_be_visible()
    page.get_by_text("4 weeks", exact=True).click()
    shown = sum((revenue[start] for start in sorted(revenue)[-4:]), Decimal(0))
    expect(page.locator("#kpi-revenue")).to_have_text(f"${shown:,.2f}")
    expect(page.locator("#sales-table")).to_contain_text(f"${revenue[week.start]:,.2f}")
    expect(page.locator("#sales-chart .bars .point").first).to_be_visible()
    page.screenshot(path=str(shots / "dashboard.png"))


@contextlib.contextmanager
def _page() -> Generator[Page]:
    chromium = browser.find()
    if chromium is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    with browser.browser(chromium) as opened:
        yield opened.new_page(viewport={"width": 1200, "height": 1000})
