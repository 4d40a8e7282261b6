"""The API over a real PostgreSQL: durable before 202, exact figures, clear refusals."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from infra.testing import parts
from infra.testing.api import KEY, Api, event, running
from leandata import serving
from leandata.database import connect
from leandata.datasets import dataset
from leandata.tables import schema

pytestmark = pytest.mark.integration
WEEKLY = dataset("sales.weekly_sales")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("api")) as found:
        yield found


def test_before_the_first_publication_figures_are_empty_not_an_error(api: Api) -> None:
    assert api.client.get("/v1/sales/weekly").json() == {"data_until": None, "weeks": []}
    assert api.client.get("/v1/freshness").json() == {"datasets": []}


def test_an_accepted_event_is_kept_once_however_often_it_is_sent(api: Api) -> None:
    one = event(customer_id=7, payload={"page": "/a", "title": None})
    for before in ({}, {"duplicates": [one["event_id"]]}, {"duplicates": [one["event_id"]]}):
        answer = api.client.post("/v1/events", json=one)
        assert answer.status_code == 202
        assert answer.json() == {"accepted": [one["event_id"]], **before}
    assert one["event_id"] in api.kept()
    with connect(api.events) as connection:
        row = connection.execute(
            "SELECT customer_id, payload FROM events.inbox WHERE event_id = %s", [one["event_id"]]
        ).fetchall()
    assert row == [(7, one["payload"])]


def test_a_batch_is_kept_whole(api: Api) -> None:
    batch = [event() for _ in range(500)]
    answer = api.client.post("/v1/events", json=batch)
    assert answer.status_code == 202
    assert {one["event_id"] for one in batch} <= api.kept()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"text"', b"[1]", b"\xff\xfe", b"{}", b"[[]]", b"1e999",
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused_as_a_problem_and_nothing_is_kept(api: Api, body: bytes) -> None:
    before = api.kept()
    answer = api.client.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert api.kept() == before


@pytest.mark.parametrize(
    "changed",
    [
        {"event_id": "not-a-uuid"},
        {"type": "DROP TABLE"},
        {"type": ""},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-11-24T10:00:00"},
        {"customer_id": 0},
        {"customer_id": "x"},
        {"payload": "text"},
        {"colour": "red"},
    ],
)
def test_an_event_that_breaks_its_schema_is_refused_with_the_place(api: Api, changed: dict[str, Any]) -> None:
    one = event(**changed)
    answer = api.client.post("/v1/events", json=one)
    assert answer.status_code == 422
    assert next(iter(changed)) in answer.json()["detail"]
    assert one["event_id"] not in api.kept()


def test_a_null_character_in_a_payload_does_no_harm(api: Api) -> None:
    answer = api.client.post("/v1/events", json=event(payload={"page": "\u0000"}))
    assert answer.status_code == 422
    assert "Traceback" not in answer.text


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer = api.client.post(
        "/v1/events", content=b"[" + b" " * (2**20) + b"]", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert api.client.post("/v1/events", json=[event() for _ in range(1001)]).status_code == 422


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/events"), ("GET", "/v1/sales/weekly"), ("GET", "/v1/freshness")]
)
def test_without_the_key_nothing_is_told(api: Api, headers: dict[str, str], method: str, path: str) -> None:
    answer = httpx.request(method, f"{api.url}{path}", headers=headers, json=event() if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.json()["title"] == "Unauthorized"
    assert KEY not in answer.text


def test_the_key_may_come_as_a_bearer(api: Api) -> None:
    answer = httpx.get(f"{api.url}/v1/freshness", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200


def test_figures_are_exact_text_and_the_range_is_kept(api: Api) -> None:
    rows = [
        {
            "week": date(2026, 11, day),
            "revenue": Decimal(revenue),
            "orders": 1,
            "customers": 1,
            "new_customers": 0,
            "units": 1,
        }
        for day, revenue in ((2, "0.10"), (9, "12345678901.23"), (16, "7.00"))
    ]
    with connect(api.serving) as connection:
        table = pa.Table.from_pylist(rows, schema=schema(WEEKLY))
        serving.publish(connection, WEEKLY, table, version="v1", data_until=date(2026, 11, 23))
    ask = lambda: api.client.get("/v1/sales/weekly").json()  # noqa: E731
    answer = parts.eventually(lambda: (found := ask())["data_until"] == "2026-11-23" and found)
    assert [week["revenue"] for week in answer["weeks"]] == ["0.10", "12345678901.23", "7.00"]
    some = api.client.get("/v1/sales/weekly", params={"from": "2026-11-09", "to": "2026-11-09"}).json()
    assert [week["week"] for week in some["weeks"]] == ["2026-11-09"]
    assert api.client.get("/v1/freshness").json()["datasets"][0]["dataset"] == "sales.weekly_sales"


def test_a_day_that_is_none_is_refused(api: Api) -> None:
    answer = api.client.get("/v1/sales/weekly", params={"from": "2026-02-30"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_path_that_is_not_there_is_a_problem(api: Api) -> None:
    answer = api.client.get("/v2/nothing")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


def test_metrics_count_answers_by_route_and_status(api: Api) -> None:
    api.client.get("/v1/freshness")
    text = api.client.get("/metrics").text
    assert 'leandata_api_requests_total{route="/v1/freshness",status="200"}' in text


def test_the_api_describes_itself(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    assert {"/v1/events", "/v1/sales/weekly", "/v1/freshness"} < set(paths)


def test_whatever_was_answered_202_is_there_after_postgresql_was_killed_under_writes(api: Api) -> None:
    accepted: set[str] = set()
    statuses: set[int] = set()
    stop = threading.Event()

    def write() -> None:
        with httpx.Client(base_url=api.url, headers={"X-API-Key": KEY}, timeout=20) as client:
            while not stop.is_set():
                one = event()
                answer = client.post("/v1/events", json=one)
                statuses.add(answer.status_code)
                if answer.status_code == 202:
                    accepted.update(answer.json()["accepted"])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    parts.eventually(lambda: len(accepted) > 50)
    api.server.kill()
    assert httpx.get(f"{api.url}/healthz").status_code == 200, "the process itself is fine"
    assert httpx.get(f"{api.url}/readyz").status_code == 503
    parts.eventually(lambda: 503 in statuses)
    api.server.start()
    kept = len(accepted)
    parts.eventually(lambda: len(accepted) > kept)
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses == {202, 503}
    assert accepted <= api.kept()
    assert httpx.get(f"{api.url}/readyz").status_code == 200


def test_the_api_loads_nothing_that_it_does_not_need() -> None:
    import subprocess

    code = "import sys, serving.app; print([m for m in ('pyarrow', 'pandas', 'snowflake.connector', 'numpy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_a_missing_setting_is_one_clear_line(tmp_path: Path) -> None:
    import subprocess

    result = subprocess.run(
        [sys.executable, "-m", "serving"], capture_output=True, text=True, env={}, cwd=tmp_path, check=False
    )
    assert result.returncode == 1
    assert result.stderr == "error: LEANDATA_EVENTS is not set. See shared/leandata/settings.py\n"
