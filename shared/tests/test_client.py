"""The client of the API: generated from the API's description, typed, patient, clear about refusals."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from ci.client import PLACE, description, generated
from infra.testing.api import KEY, Api, running
from infra.testing.parts import eventually
from leandata import serving
from leandata.client import (
    ApiError,
    Client,
    Ordered,
    OrderPlaced,
    Outcome,
    PageView,
    PageViewed,
    SignUp,
    WeeklySales,
)
from leandata.client.transport import decode, encode
from leandata.database import connect
from leandata.datasets import dataset
from leandata.tables import schema

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_the_generated_files_are_up_to_date() -> None:
    for name, text in generated(description()).items():
        assert (PLACE / name).read_text(encoding="utf-8") == text, "run python -m ci.client"


def test_every_route_of_the_api_has_a_method_with_its_description() -> None:
    for methods in description()["paths"].values():
        for operation in methods.values():
            method = getattr(Client, operation["operationId"])
            assert method.__doc__.split()[:5] == operation["description"].split()[:5]


def client(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> Client:
    return Client("http://api", key="k", transport=httpx.MockTransport(answer), **options)


def test_an_event_is_sent_as_the_schemas_have_it() -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.headers["x-api-key"], json.loads(request.content)))
        return httpx.Response(202, json={"accepted": [str(uuid.UUID(int=1))]})

    order = OrderPlaced(
        event_id=uuid.UUID(int=1), occurred_at=NOW, payload=Ordered(order_id="A-1", amount_usd=Decimal("29.30"))
    )
    with client(answer) as api:
        assert api.post_events([order]) == Outcome(accepted=[uuid.UUID(int=1)])
    expected = {
        "event_id": str(uuid.UUID(int=1)), "type": "order_placed", "occurred_at": "2026-11-24T10:00:00+00:00",
        "payload": {"order_id": "A-1", "amount_usd": "29.30", "units": 1},
    }  # fmt: skip
    assert sent == [("k", [expected])]


def test_figures_come_as_exact_values_and_a_field_that_is_not_known_does_no_harm() -> None:
    week = {
        "week": "2026-11-16",
        "revenue": "0.10",
        "orders": 1,
        "customers": 1,
        "new_customers": 0,
        "units": 2,
        "x": 1,
    }
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"data_until": None, "weeks": [week], "later": []})

    with client(answer) as api:
        found = api.get_weekly_sales(from_=date(2026, 11, 2))
    assert asked == ["http://api/v1/sales/weekly?from=2026-11-02"]
    assert isinstance(found, WeeklySales)
    assert (found.data_until, found.weeks[0].week, found.weeks[0].revenue) == (
        None,
        date(2026, 11, 16),
        Decimal("0.10"),
    )


def test_a_busy_server_is_asked_again_as_it_says() -> None:
    answers = iter([
        httpx.Response(503, headers={"Retry-After": "0"}), httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(200, json={"datasets": []}),
    ])  # fmt: skip
    with client(lambda request: next(answers)) as api:
        assert api.get_freshness().datasets == []


def test_a_server_that_stays_busy_is_an_error_with_its_status() -> None:
    problem = {"detail": "The database does not answer; try again."}
    busy = httpx.Response(503, json=problem, headers={"Retry-After": "0"})
    with client(lambda request: busy, tries=2) as api, pytest.raises(ApiError) as told:
        api.get_freshness()
    assert (told.value.status, str(told.value)) == (503, "The database does not answer; try again (/v1/freshness)")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]"[:0]])
def test_a_refusal_without_a_problem_is_one_line_too(body: bytes) -> None:
    with client(lambda request: httpx.Response(404, content=body)) as api, pytest.raises(ApiError) as told:
        api.get_customer(7)
    assert str(told.value) == "Not Found (/v1/customers/7)"


def test_a_server_that_is_not_there_is_an_error_without_a_status() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with client(answer, tries=1) as api:
        with pytest.raises(ApiError, match="does not answer: refused") as told:
            api.get_totals()
        with pytest.raises(ApiError, match="does not answer"):
            list(api.get_export("sales.weekly_sales"))
    assert told.value.status == 0


def test_a_name_in_a_path_stays_one_part_of_it() -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path)
        return httpx.Response(200, content=b"x")

    with client(answer) as api:
        assert b"".join(api.get_export("../keys?x=1", format_="csv")) == b"x"
    assert asked == [b"/v1/datasets/..%2Fkeys%3Fx%3D1/export?format=csv"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Decimal, "0.10", Decimal("0.10")),
        (date | None, "2026-11-16", date(2026, 11, 16)),
        (date | None, None, None),
        (list[uuid.UUID], [str(uuid.UUID(int=7))], [uuid.UUID(int=7)]),
        (datetime, "2026-11-24T10:00:00Z", NOW),
        (int, 7, 7),
    ],
)
def test_values_are_decoded_by_their_type(kind: Any, text: Any, value: Any) -> None:
    assert decode(kind, text) == value


def test_nothing_is_sent_for_a_field_that_is_none() -> None:
    assert encode(PageViewed(page="/")) == {"page": "/"}
    assert encode({"a": [Decimal("1.10"), NOW.date()]}) == {"a": ["1.10", "2026-11-24"]}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.mark.integration
def test_it_speaks_with_the_real_api(api: Api, tmp_path: Path) -> None:
    contract = dataset("sales.weekly_sales")
    row = {
        "week": date(2026, 11, 16), "revenue": Decimal("12345678901.23"), "orders": 1, "customers": 1,
        "new_customers": 0, "units": 1,
    }  # fmt: skip
    with connect(api.serving) as connection:
        table = pa.Table.from_pylist([row], schema=schema(contract))
        serving.publish(connection, contract, table, version="v1", data_until=date(2026, 11, 22))
    with Client(api.url, key=KEY) as found:
        view = PageView(event_id=uuid.uuid4(), occurred_at=NOW, customer_id=1)
        assert found.post_events(view).accepted == [view.event_id]
        again = found.post_events([view, SignUp(event_id=uuid.uuid4(), occurred_at=NOW)])
        assert again.duplicates == [view.event_id]
        totals = eventually(lambda: (got := found.get_totals()).types and got)
        assert {one.type for one in totals.types} <= {"page_view", "sign_up"}
        weeks = eventually(lambda: found.get_weekly_sales().weeks)
        assert weeks[0].revenue == Decimal("12345678901.23")
        assert [one.dataset for one in found.get_freshness().datasets] == ["sales.weekly_sales"]
        assert b"".join(found.get_export("sales.weekly_sales", format_="csv")).startswith(b"week,revenue")
        assert b"page_view" in next(part for part in found.get_stream(after="0") if b"data:" in part)
        with pytest.raises(ApiError, match="No customer has the number 7") as told:
            found.get_customer(7)
        assert told.value.status == 404
        wrong = PageView(event_id=uuid.uuid4(), occurred_at=datetime(1950, 1, 1, tzinfo=UTC))
        with pytest.raises(ApiError, match="occurred_at") as refused:
            found.post_events([wrong])
        assert refused.value.problem["refused"][0]["index"] == 0
    with Client(api.url, key="wrong") as stranger, pytest.raises(ApiError, match="valid key"):
        stranger.get_freshness()
