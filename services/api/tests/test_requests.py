"""The API's answers to strange requests, without a database: each is a clear problem and never a 500."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg_pool import PoolTimeout

from leandata.errors import SettingsError
from leandata.events import KEEP_SQL
from leandata.settings import Settings
from serving.access import Keyring
from serving.answers import Answers
from serving.app import create
from serving.customers import Cursors
from serving.inbox import Inbox
from serving.limits import LARGEST_BODY
from serving.live import Live

KEY = "the-key-1"


class Client:
    """Speaks to the application itself, without a socket; the application's pools stand in for a database."""

    def __init__(self, app: FastAPI, *, key: str | None = None) -> None:
        self._app = app
        self._headers = {} if key is None else {"X-API-Key": key.encode()}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            pool = self._app.state.pools["events"]  # what belongs to one event loop is made in it
            self._app.state.inbox = Inbox(pool)
            self._app.state.keyring = Keyring(pool, bootstrap=KEY)
            self._app.state.live = Live(pool)
            if not hasattr(self._app.state, "answers"):
                self._app.state.answers = Answers(self._app.state.pools["serving"])
            self._app.state.cursors = Cursors(KEY)
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=self._headers) as client:  # type: ignore[arg-type]
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Pool:
    """A pool whose connections do what `act` does."""

    def __init__(self, act: Any) -> None:
        self._act = act
        self.statements: list[Any] = []

    @asynccontextmanager
    async def connection(self, timeout: float = 0) -> AsyncIterator[Any]:
        del timeout
        yield self

    async def execute(self, query: Any, parameters: Any = ()) -> Any:
        self.statements.append((query, parameters))
        rows = self._act()

        async def fetchall() -> list[Any]:
            return rows

        return SimpleNamespace(fetchall=fetchall)

    async def set_autocommit(self, value: bool) -> None:
        self.statements.append(f"AUTOCOMMIT {value}")

    async def commit(self) -> None:
        self.statements.append("COMMIT")


def refuse(error: Exception) -> Any:
    def act() -> Any:
        raise error

    return act


def application(folder: Path, act: Any = list) -> FastAPI:
    (folder / "key").write_text(f"{KEY}\n")
    app = create(
        Settings.load(
            {
                "LEANDATA_EVENTS": "postgresql://w@127.0.0.1:9/events",
                "LEANDATA_SERVING": "postgresql://r@127.0.0.1:9/serving",
                "LEANDATA_API_KEY_FILE": str(folder / "key"),
            }
        )
    )
    app.state.pools = {"events": Pool(act), "serving": Pool(act)}
    return app


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(application(tmp_path), key=KEY)


def event(**changed: Any) -> dict[str, Any]:
    return {"event_id": str(uuid.uuid4()), "type": "page_view", "occurred_at": "2026-11-24T10:00:00Z", **changed}


def is_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["title"]
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"event_id": "no uuid"},
        {"event_id": 7},
        {"event_id": None},
        {"type": ""},
        {"type": "Page_View"},
        {"type": "9lives"},
        {"type": "a" * 65},
        {"type": "a b"},
        {"type": "a\n"},
        {"type": None},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-11-24T10:00:00"},
        {"occurred_at": "2026-11-24"},
        {"occurred_at": "2026-02-30T10:00:00Z"},
        {"occurred_at": None},
        {"customer_id": 0},
        {"customer_id": -1},
        {"customer_id": 2**63},
        {"customer_id": "seven"},
        {"customer_id": 1.5},
        {"payload": []},
        {"payload": "text"},
        {"payload": None},
        {"payload": {"page": "x" * 2049}},
        {"payload": {"page": "a\0b"}},
        {"payload": {"price": 1}},
        {"occurred_at": 1_700_000_000},
        {"occurred_at": "0001-01-01T00:00:00Z"},
        {"occurred_at": "9999-12-31T23:59:59Z"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_an_event_with_a_wrong_field_is_refused_with_the_field_s_name(client: Client, changed: dict[str, Any]) -> None:
    found = is_problem(client.post("/v1/events", json=event(**changed)), 422)
    assert next(iter(changed)) in found["detail"]


@pytest.mark.parametrize("name", ["event_id", "type", "occurred_at"])
def test_an_event_without_a_field_it_needs_is_refused(client: Client, name: str) -> None:
    body = {key: value for key, value in event().items() if key != name}
    assert name in is_problem(client.post("/v1/events", json=body), 422)["detail"]


@pytest.mark.parametrize(
    "changed",
    [
        {"customer_id": 1},
        {"customer_id": 2**62},
        {"customer_id": None},
        {"payload": {"page": "/ü", "title": None}},
        {"payload": {"page": "x" * 2048}},
        {"payload": {}},
        {"type": "sign_up", "payload": {"method": "email"}},
        {"type": "order_placed", "payload": {"order_id": "7", "amount_usd": "9999999999.99", "units": 1_000_000}},
        {"type": "order_placed", "payload": {"order_id": "7", "amount_usd": "0"}},
        {"occurred_at": "2026-11-24T10:00:00+05:30"},
        {"occurred_at": "1970-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_an_event_at_the_edge_of_what_is_allowed_is_taken(client: Client, changed: dict[str, Any]) -> None:
    one = event(**changed)
    answer = client.post("/v1/events", json=one)
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"accepted": [one["event_id"]]}


@pytest.mark.parametrize(("count", "status"), [(0, 422), (1, 202), (1000, 202), (1001, 422)])
def test_a_batch_has_one_to_a_thousand_events(client: Client, count: int, status: int) -> None:
    assert client.post("/v1/events", json=[event() for _ in range(count)]).status_code == status


def test_an_answer_comes_after_a_statement_that_commits_itself(tmp_path: Path) -> None:
    app = application(tmp_path)
    client = Client(app, key=KEY)
    assert client.post("/v1/events", json=event()).status_code == 202
    statements = app.state.pools["events"].statements
    assert statements[-3] == "AUTOCOMMIT True"
    assert statements[-2][0] == KEEP_SQL


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'"x"',
        b"[[]]",
        b"\xff\xfe\x00",
        b"1e999",
        b'{"a": NaN}',
        b"[" * 900,
        b"{}" * 3,
        b'{"a":' * 200,
    ],
    ids=lambda found: str(found[:12]),
)
def test_a_body_that_is_no_event_is_a_problem(client: Client, body: bytes) -> None:
    answer = client.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
)
def test_no_json_at_all_makes_the_server_fail(client: Client, body: Any) -> None:
    answer = client.post("/v1/events", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code in (202, 400, 422)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(since=st.text(max_size=20), until=st.text(max_size=20))
def test_no_range_at_all_makes_the_server_fail(client: Client, since: str, until: str) -> None:
    assert client.get("/v1/sales/weekly", params={"from": since, "to": until}).status_code in (200, 422)


@pytest.mark.parametrize("length", [LARGEST_BODY + 1, 10**12])
def test_a_body_that_says_it_is_too_large_is_refused_at_once(client: Client, length: int) -> None:
    answer = client.post("/v1/events", content=b"", headers={"Content-Length": str(length)})
    is_problem(answer, 413)


def test_a_body_that_does_not_say_how_large_it_is_is_cut_off(client: Client) -> None:
    body = pieces(b'[{"payload": {"x": "', *[b"y" * 65_536] * 40)
    is_problem(client.post("/v1/events", content=body, headers={"Content-Type": "application/json"}), 413)


def test_a_body_in_pieces_that_is_small_enough_is_taken(client: Client) -> None:
    text = json.dumps(event()).encode()
    answer = client.post(
        "/v1/events", content=pieces(text[:10], text[10:]), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("path", ["/v1/events", "/v1/sales/weekly", "/v1/freshness"])
@pytest.mark.parametrize("given", [None, "", "wrong", "the-key", f"{KEY}x", "Bearer wrong"])
def test_without_the_right_key_nothing_is_told(tmp_path: Path, path: str, given: str | None) -> None:
    client = Client(application(tmp_path), key=given)
    answer = client.post(path, json=event()) if path == "/v1/events" else client.get(path)
    assert "X-API-Key" in is_problem(answer, 401)["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/openapi.json"])
def test_what_tells_nothing_of_the_data_needs_no_key(tmp_path: Path, path: str) -> None:
    assert Client(application(tmp_path)).get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/events", 405),
        ("DELETE", "/v1/events", 405),
        ("POST", "/v1/freshness", 405),
        ("PUT", "/v1/sales/weekly", 405),
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/sales", 404),
        ("GET", "/v1/customers/1/2", 404),
        ("GET", "/v1/sales/weekly/../../../etc/passwd", 404),
        ("GET", "/v2/events", 404),
    ],
)
def test_a_route_that_is_none_is_a_problem(client: Client, method: str, path: str, status: int) -> None:
    is_problem(client.request(method, path), status)


DOWN = [psycopg.OperationalError("server closed the connection"), PoolTimeout("no connection within 5 s")]


@pytest.mark.parametrize("error", DOWN, ids=lambda found: type(found).__name__)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/events"), ("GET", "/v1/sales/weekly"), ("GET", "/v1/freshness")]
)
def test_a_database_that_is_down_is_503_with_when_to_try_again(
    tmp_path: Path, error: Exception, method: str, path: str
) -> None:
    client = Client(application(tmp_path, refuse(error)), key=KEY)
    answer = client.request(method, path, json=event() if method == "POST" else None)
    found = is_problem(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert "closed the connection" not in found["detail"], "what the server says of itself is not for clients"


@pytest.mark.parametrize("error", DOWN, ids=lambda found: type(found).__name__)
def test_readiness_follows_the_database_and_liveness_does_not(tmp_path: Path, error: Exception) -> None:
    client = Client(application(tmp_path, refuse(error)))
    is_problem(client.get("/readyz"), 503)
    assert client.get("/healthz").text == "ok"
    assert Client(application(tmp_path)).get("/readyz").text == "ready"


@pytest.mark.parametrize("error", [psycopg.errors.UndefinedTable("x"), psycopg.errors.InvalidSchemaName("x")])
def test_before_the_first_publication_there_is_nothing_and_no_error(tmp_path: Path, error: Exception) -> None:
    client = Client(application(tmp_path, refuse(error)), key=KEY)
    assert client.get("/v1/sales/weekly").json() == {"data_until": None, "weeks": []}
    assert client.get("/v1/freshness").json() == {"datasets": []}


def test_metrics_name_routes_and_never_what_was_asked(client: Client) -> None:
    client.get("/v1/sales/weekly", params={"from": "2026-11-16"})
    client.get("/nowhere/hunter2")
    text = client.get("/metrics").text
    assert 'route="/v1/sales/weekly",status="200"' in text
    assert 'route="unknown",status="404"' in text
    assert "hunter2" not in text


def test_the_description_tells_every_route_with_its_answers(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == {
        ("/v1/events", "post"), ("/v1/events/stream", "get"), ("/v1/events/totals", "get"), ("/v1/freshness", "get"),
        ("/v1/sales/weekly", "get"), ("/v1/sales/daily", "get"), ("/v1/segments", "get"), ("/v1/cohorts", "get"),
        ("/v1/customers", "get"), ("/v1/customers/{customer_id}", "get"), ("/v1/datasets", "get"), ("/v1/checks", "get"),
        ("/v1/datasets/{dataset}/export", "get"), ("/v1/predictions", "get"),
    }  # fmt: skip
    for methods in paths.values():
        for operation in methods.values():
            assert operation["description"]
            assert set(operation["responses"]) & {"200", "202"}


def test_every_error_is_described_as_the_problem_that_it_is_told_as(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    answers = [answer for methods in paths.values() for one in methods.values() for answer in one["responses"].items()]
    errors = [set(answer["content"]) for status, answer in answers if status[0] in "45"]
    assert len(errors) > 30
    assert all(content == {"application/problem+json"} for content in errors)
    told = client.get("/v1/sales/weekly", params={"from": "never"})
    assert (told.status_code, told.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("name", ["EVENTS", "SERVING", "API_KEY_FILE"])
def test_a_setting_that_is_missing_stops_it_at_the_start(tmp_path: Path, name: str) -> None:
    values = {
        "LEANDATA_EVENTS": "postgresql://w@h/events",
        "LEANDATA_SERVING": "postgresql://r@h/serving",
        "LEANDATA_API_KEY_FILE": str(tmp_path / "key"),
    }
    (tmp_path / "key").write_text("k")
    del values[f"LEANDATA_{name}"]
    with pytest.raises(SettingsError, match=f"LEANDATA_{name} is not set"):
        create(Settings.load(values))


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ([("X-Many", "y")] * 101, "/v1/freshness"),
        ([("X-Long", "y" * 70_000)], "/v1/freshness"),
        ([("X-Long", "y" * 10_000)], "/v1/freshness?" + "y" * 60_000),
    ],
    ids=["many", "long", "a long question"],
)
def test_a_head_that_is_too_large_is_refused_before_anything_searches_it(
    client: Client, headers: list[tuple[str, str]], path: str
) -> None:
    is_problem(client.get(path, headers=headers), 431)
