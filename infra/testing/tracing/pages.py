"""Every page of the dashboards, clicked in Chromium and held against the CSV, with what it lets one download."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.testing import browser
from infra.testing.tracing import other_pages, sales_page, sight
from infra.testing.tracing.ledger import Ledger
from infra.testing.tracing.rows import World
from infra.testing.tracing.sales_page import Asked

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PATIENCE = 20.0
_LABELS = {"year": "Year before", "previous": "Range before", "none": "Nothing"}
LEFT = {
    "/model": "figures of the model's own judgement: services/dask/tests/test_purchase_evaluation.py",
    "axes": "the scales that Plotly draws follow from the figures that are held",
}
"""What is not traced to the CSV, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """Somebody who looks: the browser's page, where the dashboards are, and the ledger."""

    page: Page
    url: str
    ledger: Ledger
    world: World
    shots: Path

    def hold(self, where: str, expected: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Hold what is shown now; while it is being drawn anew, look again."""
        until = time.monotonic() + _PATIENCE
        while True:
            seen = sight.seen(self.page)
            found = Ledger()
            wanted = expected(seen)
            texts, lines = seen.pop("texts"), wanted.pop("texts")
            found.hold(where, seen, wanted)
            found.lines(f"{where} / texts", texts, lines)
            if not found.wrong or time.monotonic() > until:
                break
            time.sleep(0.1)
        self.ledger.add(found)

    def shot(self, name: str) -> None:
        """A picture of the page as it is now, to be looked at."""
        self.shots.mkdir(parents=True, exist_ok=True)
        sight.settle(self.page)
        self.page.screenshot(path=str(self.shots / f"{name}.png"), full_page=True)

    def click(self, group: str, option: str) -> None:
        """Take an option of a group of choices, and wait until it is said to be taken."""
        choice = self.page.get_by_role("group", name=group, exact=True)
        choice.get_by_role("link", name=option, exact=True).click()
        choice.locator("a[aria-current=true]", has_text=option).wait_for()

    def download(self, where: str, address: str, expected: Iterable[Iterable[Any]]) -> None:
        """Hold a table as it is downloaded: exact figures."""
        answer = self.page.context.request.get(self.url + address)
        rows = list(csv.reader(io.StringIO(answer.text())))
        self.ledger.hold(where, rows, [["" if one is None else str(one) for one in row] for row in expected])


def everything(visit: Visit, *, editor: str, checked: datetime) -> None:
    """Click every page of the navigation; one that is not known here is wrong. `editor` is the editor's password."""
    browser.log_in(visit.page, visit.url, user="editor", password=editor)
    visit.page.wait_for_selector("main h1")
    known: dict[str, Callable[[Visit], None]] = {
        "/sales": _sales,
        "/customers": _customers,
        "/marketing": _marketing,
        "/platform": lambda each: _platform(each, checked),
    }
    links = visit.page.locator("nav a")
    for path in [str(links.nth(at).get_attribute("href")) for at in range(links.count())]:
        visit.page.locator(f'nav a[href="{path}"]').click()
        visit.page.locator(f'nav a[href="{path}"][aria-current=page]').wait_for()
        if path in known:
            known[path](visit)
        elif path in LEFT:
            visit.ledger.leave(f"page {path}", why=LEFT[path])
        else:
            visit.ledger.wrong.append(f"page {path}: no rule covers this page")
        visit.shot(path.strip("/"))
    visit.ledger.leave("axes of charts", why=LEFT["axes"])


def _sales(visit: Visit) -> None:
    for asked in _asked():
        visit.click("By", asked.by.capitalize())
        visit.click("Range", _range_label(asked))
        visit.click("Compare with", _LABELS[asked.compare])
        _hold_sales(visit, asked)
    last = visit.world.shop.last_week
    for asked in (
        Asked(by="day", start=last - timedelta(days=40), end=last - timedelta(days=10), compare="year"),
        Asked(by="week", start=last - timedelta(days=40)),
        Asked(by="month", end=last - timedelta(days=100), compare="none"),
    ):
        sight.go(visit.page, f"{visit.url}/sales{asked.search}")
        _hold_sales(visit, asked)
    shop = visit.world.shop
    head = ["Cohort", "Month", "Cohort customers", "Customers", "Orders", "Revenue", "Month is over"]
    rows = [
        [
            *(str(name), at, one.size, len(one.sums.customers), one.sums.orders, str(one.sums.revenue)),
            "no" if shop.open_month(name, at) else "yes",
        ]
        for (name, at), one in shop.cohorts.items()
    ]
    for page in ("sales", "customers"):
        visit.download(f"page {page}, cohorts.csv", f"/download/{page}/cohorts.csv", [head, *rows])


def _asked() -> Iterator[Asked]:
    for by in ("day", "week", "month"):
        for weeks in ("4", "13", "26", "52", "all"):
            for compare in ("previous", "year", "none"):
                yield Asked(by=by, range=weeks, compare=compare)


def _range_label(asked: Asked) -> str:
    at = ("4", "13", "26", "52").index(asked.range) if asked.range != "all" else None
    return "All" if at is None else sales_page.range_labels(asked.by)[at]


def _hold_sales(visit: Visit, asked: Asked) -> None:
    where = f"page /sales{asked.search}"
    visit.hold(where, lambda _: sales_page.page(visit.world, asked))
    now, _ = sales_page.span(visit.world.shop, asked)
    address = f"/download/sales/sales.csv{asked.search}"
    visit.download(f"{where}, download", address, sales_page.table(now, asked.by))


def _customers(visit: Visit) -> None:
    shop, url = visit.world.shop, f"{visit.url}/customers"
    visit.hold("page /customers", lambda _: other_pages.customers(visit.world, editor=True))
    last = other_pages.people(shop)[-1][0]
    visit.page.get_by_text("Next customers", exact=True).click()
    visit.page.get_by_text("First customers", exact=True).wait_for()
    visit.hold("page /customers, next", lambda _: other_pages.customers(visit.world, editor=True, after=last))
    for name in shop.segments:
        visit.click("Segment", name.replace("_", " ").capitalize())
        visit.hold(
            f"page /customers, {name}",
            lambda _, name=name: other_pages.customers(visit.world, editor=True, segment=name),
        )
    sight.go(visit.page, f"{url}?starts=123")
    visit.hold("page /customers, 123", lambda _: other_pages.customers(visit.world, editor=True, starts="123"))
    best = [number for number, _ in shop.top(since=min(shop.days), until=shop.until, most=2)]
    for number in [*best, 1, max(shop.people)]:
        sight.go(visit.page, f"{url}?customer={number}")
        visit.hold(
            f"page /customers, {number}", lambda _, one=number: other_pages.customers(visit.world, editor=True, one=one)
        )
        days = [[day, of.orders, of.units, of.revenue] for day, of in sorted(shop.customer_days[number].items())]
        head = ["Day", "Orders", "Units", "Revenue"]
        address = f"/download/customers/history.csv?customer={number}"
        visit.download(f"page /customers, {number}, download", address, [head, *reversed(days)])
    sight.go(visit.page, url)


def _marketing(visit: Visit) -> None:
    for days, label in ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")):
        visit.click("Range", label)
        visit.hold(f"page /marketing, {label}", lambda _, days=days: other_pages.marketing(visit.world, days=days))


def _platform(visit: Visit, checked: datetime) -> None:
    visit.hold("page /platform", lambda seen: other_pages.platform(visit.world, seen, checked=checked))


def viewer(visit: Visit, *, password: str) -> None:
    """What somebody sees of Customers who is no editor: no single customer."""
    browser.log_in(visit.page, visit.url, user="analyst", password=password)
    visit.page.wait_for_selector("main h1")
    sight.go(visit.page, f"{visit.url}/customers")
    visit.hold("page /customers of a viewer", lambda _: other_pages.customers(visit.world, editor=False))
    whole = Decimal(sum(len(one) for one in visit.world.shop.segments.values()))
    visit.ledger.hold("every customer has a segment", whole, Decimal(len(visit.world.shop.people)))
