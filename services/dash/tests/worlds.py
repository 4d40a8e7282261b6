"""What the tests of the dashboards share: readers that answer from memory, a logged-in client, what a page says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from dashboards.app import build
from dashboards.auth import Account
from dashboards.page import Context, Page, Role, State, discover
from leandata import serving
from leandata.serving import Freshness, Sales

MONDAY = date(2026, 11, 16)
TODAY = date(2026, 11, 24)
PEOPLE = {"analyst": Account(password="right", role="viewer"), "chief": Account(password="wise", role="editor")}


def week(back: int, revenue: str = "100.00", **changed: int) -> Sales:
    values = {"orders": 10, "customers": 8, "new_customers": 2, "units": 20} | changed
    return Sales(period=MONDAY - timedelta(weeks=back), revenue=Decimal(revenue), **values)


def day(of: date, revenue: str = "10.00", **changed: int) -> Sales:
    values = {"orders": 1, "customers": 1, "new_customers": 1, "units": 2} | changed
    return Sales(period=of, revenue=Decimal(revenue), **values)


def history(count: int) -> list[Sales]:
    return [week(back, f"{back * 7 % 101}.{back % 100:02d}", orders=back) for back in range(count - 1, -1, -1)]


def days(count: int, last: date = date(2026, 11, 22)) -> list[Sales]:
    found = [last - timedelta(days=back) for back in range(count - 1, -1, -1)]
    return [day(one, f"{one.toordinal() % 97}.25") for one in found]


def fresh(name: str, until: date = date(2026, 11, 22), rows: int = 1) -> Freshness:
    moment = datetime(2026, 11, 23, 2, 20, tzinfo=UTC)
    return Freshness(dataset=name, version="v1", rows=rows, data_until=until, published_at=moment)


class Readers:
    """Answers instead of a database: by reader, what it gives, or what it raises. Nobody else is asked."""

    def __init__(self, answers: Mapping[Callable[..., Any], Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    def __call__(self, reader: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self.asked.append(reader.__name__)
        answer = self.answers.get(reader, [])
        if isinstance(answer, Exception):
            raise answer
        return answer(*args, **options) if callable(answer) else answer


def sales_world(*, weekly: Sequence[Sales], daily: Sequence[Sales] = (), until: date = date(2026, 11, 22)) -> Readers:
    published = [fresh(name, until) for name in ("sales.daily_sales", "sales.weekly_sales")]
    return Readers({serving.weekly_sales: weekly, serving.daily_sales: daily, serving.freshness: published})


def context(page: Page, read: Any, search: str = "", *, role: Role = "viewer", today: date = TODAY) -> Context:
    return Context(state=State.of(page, search), read=read, role=role, today=today)


def said(components: Any) -> str:
    """All texts of the components, one after the other."""
    if components is None or isinstance(components, int | float):
        return ""
    if isinstance(components, str):
        return f"{components}\n"
    if isinstance(components, list | tuple):
        return "".join(map(said, components))
    props = components["props"] if isinstance(components, dict) else vars(components)
    if "data-table" in props:
        told = json.loads(props["data-table"])
        return said([told["caption"], *(cell[0] for row in [told["head"], *told["rows"]] for cell in row)])
    return said(props.get("children"))


def stranger(read: Any = None, *, pages: Path | None = None, today: date = TODAY, key: str = "k") -> FlaskClient:
    found = discover(pages) if pages else discover()
    app = build(read or Readers({}), people=PEOPLE, session_key=key, today=lambda: today, pages=found)
    return app.server.test_client()


def token(client: FlaskClient) -> str:
    return client.get("/login").text.split('name="token" value="')[1].split('"')[0]


def log_in(client: FlaskClient, password: str = "right", user: str = "analyst", **more: Any) -> Any:
    return client.post("/login", data={"user": user, "password": password, "token": token(client)} | more)


def client(read: Any = None, *, user: str = "analyst", **options: Any) -> FlaskClient:
    found = stranger(read, **options)
    assert log_in(found, PEOPLE[user].password, user).status_code == 302
    return found


def ask(client: FlaskClient, path: str, search: str = "", *, told: Any = None) -> Any:
    """The callback as the browser calls it, which was `told` something before: its HTTP answer."""
    outputs = ["figures.children", "lasting.children", "nav.children", "told.data"]
    body = {
        "output": f"..{'...'.join(outputs)}..",
        "outputs": [dict(zip(("id", "property"), name.split("."), strict=True)) for name in outputs],
        "inputs": [
            {"id": "url", "property": "pathname", "value": path},
            {"id": "url", "property": "search", "value": search},
        ],
        "state": [{"id": "told", "property": "data", "value": told}],
        "changedPropIds": ["url.search"],
    }
    return client.post("/_dash-update-component", json=body)


def page_text(client: FlaskClient, path: str, search: str = "") -> str:
    answer = ask(client, path, search)
    assert answer.status_code == 200, answer.text
    response = answer.get_json()["response"]
    return said([response[part]["children"] for part in ("figures", "lasting")])
