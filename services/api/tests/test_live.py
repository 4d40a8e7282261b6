"""Live totals and streams on the real process: nothing lost, nothing doubled, whatever is killed and when."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.testing.api import KEY, Api, event, prepared, running
from infra.testing.parts import eventually
from leandata.database import connect

pytestmark = pytest.mark.integration
KILLS = 8


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("live")) as found:
        yield found


def totals(api: Api) -> dict[str, int]:
    return {one["type"]: one["ever"] for one in api.client.get("/v1/events/totals").json()["types"]}


def kept_by_type(api: Api) -> dict[str, int]:
    with connect(api.events) as connection:
        return dict(connection.execute("SELECT type, count(*) FROM events.inbox GROUP BY type").fetchall())


def lines(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream, each with its id."""
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            if "data" in found:
                yield {"id": int(found["id"]), "event": found["event"], **json.loads(found["data"])}
            found = {}


def take(api: Api, count: int, *, headers: dict[str, str] | None = None, **params: Any) -> list[dict[str, Any]]:
    """The first `count` events of a stream."""
    found: list[dict[str, Any]] = []
    with api.client.stream("GET", "/v1/events/stream", params=params, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for one in lines(answer):
            found.append(one)
            if len(found) == count:
                break
    return found


def test_before_the_first_event_totals_are_empty(api: Api) -> None:
    assert api.client.get("/v1/events/totals").json() == {"position": 0, "behind": 0, "types": []}


def test_accepted_events_are_in_the_totals_soon_and_a_duplicate_is_counted_once(api: Api) -> None:
    batch = [event() for _ in range(5)] + [event(type="sign_up")]
    for _ in range(2):
        assert api.client.post("/v1/events", json=batch).status_code == 202
    eventually(lambda: totals(api) == {"page_view": 5, "sign_up": 1})
    found = api.client.get("/v1/events/totals").json()
    assert found["behind"] == 0
    assert [one["today"] for one in found["types"]] == [5, 1]


def test_a_stream_tells_what_was_sent_and_goes_on_where_it_was_left(api: Api) -> None:
    sent = [event(payload={"page": f"/{number}\n\n"}, customer_id=number + 1) for number in range(7)]
    api.client.post("/v1/events", json=[event()])
    start = take(api, 1, after="0")[0]["id"]
    api.client.post("/v1/events", json=sent)
    everything = take(api, 7 + 7, after="0")
    assert everything[0]["id"] == start
    ours = everything[7:]
    assert [one["event_id"] for one in ours] == [one["event_id"] for one in sent]
    assert [one["payload"] for one in ours] == [one["payload"] for one in sent], "a line end in a text ends no event"
    rest = take(api, 4, headers={"Last-Event-ID": str(ours[2]["id"])})
    assert [one["event_id"] for one in rest] == [one["event_id"] for one in sent[3:]]


def test_a_stream_of_some_types_holds_no_others(api: Api) -> None:
    api.client.post("/v1/events", json=[event(), event(type="sign_up"), event(), event(type="sign_up")])
    found = take(api, 3, after="0", type="sign_up")
    assert {one["event"] for one in found} == {"sign_up"}


def test_a_stream_that_starts_now_tells_what_comes(api: Api) -> None:
    one = event()
    sender = threading.Timer(1.0, lambda: httpx.post(f"{api.url}/v1/events", json=one, headers={"X-API-Key": KEY}))
    sender.start()
    found = take(api, 1)
    sender.join()
    assert found[0]["event_id"] == one["event_id"]


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30, "٣", " 1"])
def test_a_position_that_is_none_is_a_problem(api: Api, value: str) -> None:
    answer = api.client.get("/v1/events/stream", params={"after": value})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_type_that_is_none_names_the_known_ones(api: Api) -> None:
    answer = api.client.get("/v1/events/stream", params={"type": "page_veiw"})
    assert answer.status_code == 400
    assert "page_view" in answer.json()["detail"]


def test_without_a_key_no_stream_and_no_totals(api: Api) -> None:
    assert httpx.get(f"{api.url}/v1/events/stream").status_code == 401
    assert httpx.get(f"{api.url}/v1/events/totals").status_code == 401


def test_an_open_stream_does_not_hold_a_process_that_is_told_to_end(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with (
        prepared(tmp_path) as found,
        found.process() as process,
        found.client.stream("GET", "/v1/events/stream") as answer,
    ):
        assert answer.status_code == 200
        process.terminate()
        assert list(lines(answer)) == [], "the stream ends in order"
        process.wait(timeout=20)


class Sender(threading.Thread):
    """Sends batches again and again until each is accepted, as a careful client does."""

    def __init__(self, api: Api, seed: int) -> None:
        super().__init__()
        self._api, self._chance = api, random.Random(seed)
        self.stop = threading.Event()
        self.accepted: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._api.url, headers={"X-API-Key": KEY}, timeout=20) as client:
            while not self.stop.is_set():
                types = self._chance.choices(["page_view", "sign_up"], k=self._chance.randrange(1, 30))
                batch = [event(type=type_) for type_ in types]
                while not self._sent(client, batch):
                    time.sleep(0.05)
                self.accepted += [one["event_id"] for one in batch]

    @staticmethod
    def _sent(client: httpx.Client, batch: list[dict[str, Any]]) -> bool:
        try:
            return client.post("/v1/events", json=batch).status_code == 202
        except httpx.TransportError:
            return False


class Reader(threading.Thread):
    """Follows the stream and resumes it after the last id it saw."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self._api = api
        self.stop = threading.Event()
        self.seen: list[tuple[int, str]] = []

    def run(self) -> None:
        while not self.stop.is_set():
            after = str(self.seen[-1][0]) if self.seen else "0"
            try:
                with httpx.stream(
                    "GET", f"{self._api.url}/v1/events/stream", timeout=2,
                    headers={"X-API-Key": KEY, "Last-Event-ID": after},
                ) as answer:  # fmt: skip
                    for one in lines(answer):
                        self.seen.append((one["id"], one["event_id"]))
                        if self.stop.is_set():
                            break
            except httpx.TransportError:
                time.sleep(0.05)


def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    chance = random.Random(6)
    tmp_path.chmod(0o755)
    with prepared(tmp_path) as api:
        senders, reader = [Sender(api, seed) for seed in range(2)], Reader(api)
        for thread in (*senders, reader):
            thread.start()
        try:
            for _ in range(KILLS):
                with api.process() as process:
                    time.sleep(chance.uniform(0.05, 1.5))
                    process.kill()
                    process.wait()
            with api.process():
                for sender in senders:
                    sender.stop.set()
                    sender.join()
                accepted = [id_ for sender in senders for id_ in sender.accepted]
                assert len(accepted) > 100
                assert set(accepted) <= api.kept(), "something accepted was lost"
                eventually(lambda: sum(totals(api).values()) >= len(api.kept()))
                assert totals(api) == kept_by_type(api), "each event is counted once"
                eventually(lambda: len(reader.seen) >= len(api.kept()))
        finally:
            for thread in (*senders, reader):
                thread.stop.set()
            for thread in (*senders, reader):
                thread.join()
        assert Counter(id_ for _, id_ in reader.seen) == Counter(dict.fromkeys(api.kept(), 1)), "each is told once"
        assert [position for position, _ in reader.seen] == sorted(position for position, _ in reader.seen)


def test_two_processes_count_together_and_nothing_twice(tmp_path: Path) -> None:
    from dataclasses import replace

    from infra.testing.parts import free_port

    tmp_path.chmod(0o755)
    with prepared(tmp_path) as one:
        (tmp_path / "other").mkdir()
        other = replace(one, url=f"http://127.0.0.1:{free_port()}", folder=tmp_path / "other")
        with other.client, one.process(), other.process():
            for number in range(60):
                sender = (one, other)[number % 2]
                assert sender.client.post("/v1/events", json=[event() for _ in range(50)]).status_code == 202
            eventually(lambda: totals(one) == {"page_view": 3000} and totals(other) == {"page_view": 3000})
            assert kept_by_type(one) == {"page_view": 3000}
