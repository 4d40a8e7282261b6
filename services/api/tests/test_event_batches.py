"""Batches over a real PostgreSQL: what is right is kept, what is wrong is named, and nothing is kept twice."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Generator
from typing import Any

import httpx
import pytest

from infra.testing.api import KEY, Api, event, running
from leandata.database import connect

pytestmark = pytest.mark.integration
ORDER = {"order_id": "A-1", "amount_usd": "29.33"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("batches")) as found:
        yield found


def post(api: Api, body: Any, **headers: str) -> httpx.Response:
    return api.client.post("/v1/events", json=body, headers=headers)


def test_the_right_events_of_a_batch_are_kept_and_each_wrong_one_is_named(api: Api) -> None:
    batch = [
        event(), event(type="page_veiw"), event(type="order_placed", payload=ORDER), event(occurred_at="yesterday"),
        "text", event(type="order_placed", payload={"order_id": "A-2"}), {"event_id": 7},
    ]  # fmt: skip
    answer = post(api, batch)
    assert answer.status_code == 207
    found = answer.json()
    assert found["accepted"] == [batch[0]["event_id"], batch[2]["event_id"]]
    assert [one["index"] for one in found["refused"]] == [1, 3, 4, 5, 6]
    assert [one["event_id"] for one in found["refused"]] == [
        batch[1]["event_id"], batch[3]["event_id"], None, batch[5]["event_id"], None,
    ]  # fmt: skip
    reasons = [one["reason"] for one in found["refused"]]
    assert "'order_placed'" in reasons[0], "the known types are named"
    assert reasons[1].startswith("occurred_at: ")
    assert reasons[3] == "payload.amount_usd: Field required"
    assert {one["event_id"] for one in (batch[0], batch[2])} <= api.kept()
    assert not {batch[1]["event_id"], batch[3]["event_id"], batch[5]["event_id"]} & api.kept()


def test_a_batch_without_a_right_event_is_a_problem_that_names_them_all(api: Api) -> None:
    answer = post(api, [event(type="x"), event(customer_id="7")])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["index"] for one in answer.json()["refused"]] == [0, 1]
    assert answer.json()["refused"][1]["reason"].startswith("customer_id: ")


def test_an_event_twice_in_a_batch_is_kept_once_and_told(api: Api) -> None:
    one, other = event(), event()
    answer = post(api, [one, other, one]).json()
    assert answer == {
        "accepted": [one["event_id"], other["event_id"], one["event_id"]],
        "duplicates": [one["event_id"]],
    }
    assert post(api, [other, event()]).json()["duplicates"] == [other["event_id"]]


def test_the_same_moment_and_figures_written_in_another_way_are_the_same_event(api: Api) -> None:
    one = event(customer_id=3, occurred_at="2026-11-24T10:00:00Z")
    again = {"occurred_at": "2026-11-24T15:30:00.000+05:30", **{k: v for k, v in one.items() if k != "occurred_at"}}
    post(api, one)
    assert post(api, again).json() == {"accepted": [one["event_id"]], "duplicates": [one["event_id"]]}


@pytest.mark.parametrize("changed", [{"customer_id": 8}, {"payload": {"page": "/b"}}, {"type": "sign_up"}], ids=str)
def test_another_event_under_an_id_that_is_taken_is_refused_and_changes_nothing(
    api: Api, changed: dict[str, Any]
) -> None:
    one = event(customer_id=7)
    post(api, one)
    assert post(api, {**one, **changed}).status_code == 409
    answer = post(api, [{**one, **changed}, event()])
    assert answer.status_code == 207
    assert [found["index"] for found in answer.json()["refused"]] == [0]
    with connect(api.events) as connection:
        query = "SELECT type, customer_id, payload FROM events.inbox WHERE event_id = %s"
        assert connection.execute(query, [one["event_id"]]).fetchall() == [("page_view", 7, {})]


def test_an_idempotency_key_stands_for_the_id_of_a_single_event(api: Api) -> None:
    id_ = str(uuid.uuid4())
    one = {name: value for name, value in event().items() if name != "event_id"}
    assert post(api, one, **{"Idempotency-Key": id_}).json() == {"accepted": [id_]}
    assert post(api, one, **{"Idempotency-Key": id_}).json() == {"accepted": [id_], "duplicates": [id_]}
    own = event()
    assert post(api, own, **{"Idempotency-Key": id_}).json() == {"accepted": [own["event_id"]]}
    assert post(api, one, **{"Idempotency-Key": "no uuid"}).status_code == 422


@pytest.mark.parametrize("type_", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_say_it_is_json_is_refused(api: Api, type_: str) -> None:
    one = event()
    answer = api.client.post("/v1/events", content=json.dumps(one).encode(), headers={"Content-Type": type_})
    assert answer.status_code == 415
    assert one["event_id"] not in api.kept()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'{"event_id": "', b'{"event_id": "urn:uuid:'),
        lambda text: text.replace(b"10:00:00Z", b"10:00:00+20:00").replace(b"-24T", b"-25T"),
        lambda text: text.replace(b"2026-11-24T", b"2026-11-24_"),
        lambda text: text.replace(b'"type":', b'"type": "\\u0000", "type":'),
        lambda text: text.replace(b'"type":', b'"type": ["again"], "type":'),
        lambda text: b" \r\n\t" + text.replace(b", ", b" ,\n") + b"\n\n",
    ],
    ids=[
        "a URN",
        "far from UTC",
        "another separator",
        "a null that is given again",
        "a field given again",
        "white space",
    ],
)
def test_what_is_right_is_kept_however_it_is_written(api: Api, change: Any) -> None:
    batch = [event(customer_id=5), event(payload={"page": "/ü"})]
    body = change(json.dumps(batch).encode())
    answer = api.client.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.json() == {"accepted": [one["event_id"] for one in batch]}
    with connect(api.events) as connection:
        query = "SELECT type, customer_id, payload, occurred_at::text FROM events.inbox WHERE event_id = ANY(%s::uuid[]) ORDER BY position"
        found = connection.execute(query, [[one["event_id"] for one in batch]]).fetchall()
    assert [row[:3] for row in found] == [("page_view", 5, {}), ("page_view", None, {"page": "/ü"})]
    assert all(row[3].startswith("2026-11-24 ") for row in found)


def test_positions_follow_the_order_in_which_events_were_accepted(api: Api) -> None:
    sent: list[str] = []
    for _ in range(20):
        batch = [event() for _ in range(3)]
        post(api, batch)
        sent += [one["event_id"] for one in batch]
    with connect(api.events) as connection:
        query = "SELECT event_id::text FROM events.inbox WHERE event_id = ANY(%s::uuid[]) ORDER BY position"
        assert [row[0] for row in connection.execute(query, [sent]).fetchall()] == sent


def test_senders_at_the_same_time_are_each_told_of_their_own_events(api: Api) -> None:
    shared = [event() for _ in range(50)]
    told: list[tuple[list[dict[str, Any]], dict[str, Any]]] = []

    def send(number: int) -> None:
        with httpx.Client(base_url=api.url, headers={"X-API-Key": KEY}, timeout=30) as client:
            for _ in range(10):
                batch = [event(customer_id=number + 1), *shared[number : number + 20], event(type="x")]
                told.append((batch, client.post("/v1/events", json=batch).json()))

    threads = [threading.Thread(target=send, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 60
    for batch, answer in told:
        assert answer["accepted"] == [one["event_id"] for one in batch[:-1]]
        assert [one["index"] for one in answer["refused"]] == [21]
    new = [id_ for _, answer in told for id_ in answer["accepted"] if id_ not in set(answer.get("duplicates", []))]
    assert len(new) == len(set(new)), "an event is new to one sender only"
    assert set(new) <= api.kept()


def test_an_inbox_of_an_older_release_is_taken_as_it_is(tmp_path: Any, api: Api) -> None:
    from infra.testing.api import prepared

    old = "CREATE SCHEMA events; CREATE TABLE events.inbox (event_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(), type text NOT NULL, occurred_at timestamptz NOT NULL, customer_id bigint, payload jsonb NOT NULL); INSERT INTO events.inbox (event_id, type, occurred_at, payload) VALUES ('6f1c2f0e-5c1b-4e3a-9a53-0d6f6f1f2a10', 'order.placed', now(), '{}')"
    tmp_path.chmod(0o755)
    with prepared(tmp_path) as older:
        with connect(older.events) as connection:
            connection.execute(old)
        with older.process():
            assert post(older, event()).status_code == 202
        with connect(older.events) as connection:
            assert connection.execute("SELECT count(DISTINCT position) FROM events.inbox").fetchone() == (2,)
