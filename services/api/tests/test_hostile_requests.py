"""Thousands of hostile requests at the real API: no failure of the server, nothing accepted lost, nothing refused kept.

The requests are made from a seed, so that each run sends the same ones.
"""

from __future__ import annotations

import json
import random
import re
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Generator
from urllib.parse import urlsplit

import httpx
import pytest

from infra.testing.api import KEY, PAYLOADS, Api, running
from leandata.database import connect

pytestmark = pytest.mark.integration
REQUESTS = 6_000
IDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
TYPES = ["page_view", "product_view", "add_to_cart", "order_placed", "sign_up", "newsletter_open", "newsletter_click"]
# Each stands for a value, as it is written in JSON or in what only looks like it.
WORDS = [
    b"null", b"true", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" + b"0" * 400, b"0.1", b"-0", b"01",
    b"0x10", b"''", b'""', b'"\\u0000"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff\xfe"', b'"\xc0\x80"', b'"a\nb"',
    b"[]", b"{}", b"[[[[[[]]]]]]", b"[" * 150 + b"]" * 150, b"[" * 3000 + b"]" * 3000, b'{"a":' * 120 + b"1" + b"}" * 120,
    b'{"__proto__": {"x": 1}}', b'"' + b"x" * 3000 + b'"', b'"' + b"\\u4e00" * 2000 + b'"', b"9223372036854775808",
    b'"%s%n"', b"\"'; DROP TABLE events.inbox; --\"", b'"$(reboot)"', b'"{{7*7}}"', b'"../../etc/passwd"', b'"\\u202e"',
    b'"2026-13-45T99:99:99Z"', b'"2026-11-24T10:00:00+99:99"', b'"2026-11-24T10:00:00+23:59"', b'"-0001-01-01T00:00:00Z"',
    b'"294276-12-31T00:00:00Z"', b'"1969-12-31T23:59:59Z"', b'"infinity"', b'"now"', b'"2016-12-31T23:59:60Z"', b"1700000000",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {}, {}, {}, {"Content-Type": "text/plain"}, {"Content-Type": ""}, {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": "application/json" * 50}, {"Idempotency-Key": "x" * 500}, {"Idempotency-Key": str(uuid.UUID(int=4))},
    {"Authorization": "Basic Og=="}, {"X-Forwarded-For": "127.0.0.1"}, {"Content-Encoding": "gzip"}, {"Expect": "nothing"},
    {"Accept": "text/html"}, {"Cookie": "a=" + "b" * 3000}, {"Range": "bytes=0-1"}, {"If-Match": "*"}, {"X-Large": "y" * 30_000},
]  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("hostile")) as found:
        yield found


def right(chance: random.Random) -> dict[str, bytes]:
    """The fields of a right event, each as it is written in JSON."""
    type_ = chance.choice(TYPES)
    day = f"{chance.randrange(1970, 2200)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
    found = {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "type": type_,
        "occurred_at": f"{day}T10:00:00Z",  # in no order at all
        "customer_id": chance.randrange(1, 2**62),
        "payload": PAYLOADS[type_],
    }
    return {name: json.dumps(value).encode() for name, value in found.items()}


def written(fields: dict[str, bytes]) -> bytes:
    return b"{" + b", ".join(json.dumps(name).encode() + b": " + value for name, value in fields.items()) + b"}"


def spoiled(chance: random.Random) -> bytes:
    """An event with something wrong with it, most of the time."""
    fields = right(chance)
    names = list(fields)
    match chance.randrange(7):
        case 0 | 1:
            fields[chance.choice(names)] = chance.choice(WORDS)
        case 2:
            del fields[chance.choice(names)]
        case 3:
            fields[chance.choice(["extra", "EVENT_ID", "", "\x00", "é" * 100, "__class__", "payload.page"])] = b"1"
        case 4:
            twice = chance.choice(names)
            return (
                written(fields)[:-1] + b', "' + twice.encode() + b'": ' + chance.choice([*WORDS, fields[twice]]) + b"}"
            )
        case 5:
            inner = chance.choice(["page", "price_usd", "quantity", "amount_usd", "units", "link", "nothing"])
            fields["payload"] = b'{"' + inner.encode() + b'": ' + chance.choice(WORDS) + b"}"
        case _:
            pass
    return written(fields)


def body_of(chance: random.Random) -> bytes:
    """A body that somebody hostile, or a broken program, sends."""
    batch = b"[" + b", ".join(spoiled(chance) for _ in range(chance.randrange(6))) + b"]"
    match chance.randrange(10):
        case 0:
            return chance.choice(WORDS)
        case 1:
            return chance.randbytes(chance.randrange(200))
        case 2:
            return batch[: chance.randrange(len(batch) + 1)]
        case 3:
            place = chance.randrange(len(batch))
            return batch[:place] + chance.randbytes(1) + batch[place + 1 :]
        case 4:
            return chance.choice([b"\xef\xbb\xbf", b"\x00", b" " * 5000, b"/**/"]) + batch
        case 5:
            return batch + chance.choice([b",", b"]", b"\x00", batch, b"\n" * 100])
        case 6 | 7:
            return spoiled(chance)
        case _:
            return batch


def told(answer: httpx.Response, body: bytes) -> tuple[set[str], set[str]]:
    """The ids that the answer says are kept, and those of the request that it refuses."""
    named = {found.decode() for found in IDS.findall(body)}
    if answer.status_code not in (202, 207):
        return set(), named
    found = answer.json()
    refused = {one["event_id"] for one in found.get("refused", []) if one["event_id"]}
    return set(found["accepted"]), refused - set(found["accepted"])


def test_thousands_of_hostile_requests_lose_nothing_and_leave_nothing(api: Api) -> None:
    chance = random.Random(20261126)
    accepted: set[str] = set()
    refused: set[str] = set()
    statuses: Counter[int] = Counter()
    for number in range(REQUESTS):
        body = body_of(chance)
        headers = {"Content-Type": "application/json", **chance.choice(HEADERS)}
        answer = api.client.post("/v1/events", content=body, headers=headers)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, (number, body[:400], headers, answer.text)
        if answer.status_code not in (202, 207):
            assert answer.headers["content-type"] == "application/problem+json"
            assert "Traceback" not in answer.text
        kept, left = told(answer, body)
        accepted |= kept
        refused |= left
    assert api.kept() >= accepted, "something accepted was lost"
    assert not api.kept() & (refused - accepted), "something refused was kept"
    assert api.kept() == accepted, "something was kept that nobody was told of"
    assert set(statuses) == {202, 207, 400, 415, 422}, statuses
    assert min(statuses.values()) > 100, statuses
    assert httpx.get(f"{api.url}/readyz").status_code == 200


def test_everything_that_was_kept_can_be_read_back(api: Api) -> None:
    with connect(api.events) as connection:
        rows = connection.execute("SELECT occurred_at, customer_id, payload FROM events.inbox").fetchall()
    assert len(rows) > 500
    for moment, customer, payload in rows:
        assert 1970 <= moment.year < 2200
        assert customer is None or customer >= 1
        assert isinstance(payload, dict)


PATHS = [
    "/v1/sales/weekly",
    "/v1/freshness",
    "/v1/%00",
    "/v1/sales/weekly/%2e%2e/%2e%2e/etc/passwd",
    "//v1//events",
    "/v1/events;x=1",
]
VALUES = [
    "",
    "\x00",
    "2026-02-30",
    "2026-11-24T10:00:00",
    "0",
    "-1",
    "1e9",
    "٣",
    "9" * 400,
    "a" * 3000,
    "'; --",
    "%s",
    "null",
    "0001-01-01",
    "9999-12-31",
]


def test_hostile_questions_never_make_the_server_fail(api: Api) -> None:
    chance = random.Random(3)
    seen: Counter[int] = Counter()
    for _ in range(1500):
        names = chance.sample(["from", "to", "limit", "after", "q", "from[]", "", "\x00"], chance.choice([0, 1, 1, 2]))
        answer = api.client.request(
            chance.choice(["GET", "GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]),
            chance.choice(PATHS), params={name: chance.choice(VALUES) for name in names},
        )  # fmt: skip
        seen[answer.status_code] += 1
        assert answer.status_code < 500, (answer.url, answer.text)
    assert seen[200] > 10
    assert seen[422] > 10
    assert seen[404] > 10


def raw(head: bytes, body: bytes = b"", *, cut: bool = False) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(head + b"\r\n" + body)
        if cut:
            connection.shutdown(socket.SHUT_WR)

    return send


START = b"POST /v1/events HTTP/1.1\r\nHost: a\r\nX-API-Key: the-key\r\nContent-Type: application/json\r\n"
RAW: dict[str, Callable[[socket.socket], None]] = {
    "no HTTP at all": raw(b"hello\r\n"),
    "bytes": raw(bytes(range(256)) * 20),
    "a header of a megabyte": raw(START + b"X: " + b"y" * 2**20 + b"\r\n"),
    "ten thousand headers": raw(START + b"X: y\r\n" * 10_000),
    "a header with a null": raw(START + b"X: a\x00b\r\n"),
    "two lengths": raw(START + b"Content-Length: 5\r\nContent-Length: 50\r\n", b"[1,2]"),
    "a negative length": raw(START + b"Content-Length: -5\r\n", b"[1,2]"),
    "a length of many digits": raw(START + b"Content-Length: " + b"9" * 400 + b"\r\n"),
    "less than was said": raw(START + b"Content-Length: 500\r\n", b"[1,2]", cut=True),
    "more than was said": raw(START + b"Content-Length: 2\r\n", b"[]GARBAGE"),
    "chunks that are none": raw(START + b"Transfer-Encoding: chunked\r\n", b"zz\r\n[]\r\n"),
    "a chunk that is too large": raw(START + b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\n"),
    "chunks and a length": raw(START + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"2\r\n[]\r\n0\r\n\r\n"),
    "a method that is none": raw(b"BREW /v1/events HTTP/1.1\r\nHost: a\r\n"),
    "a path of a megabyte": raw(b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: a\r\n"),
    "a path that is no text": raw(b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n"),
    "a key that is no text": raw(b"GET /v1/freshness HTTP/1.1\r\nHost: a\r\nX-API-Key: \xff\xfe\r\n"),
    "HTTP of another time": raw(b"GET / HTTP/9.9\r\n"),
    "an upgrade": raw(b"GET /v1/events HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RAW))
def test_what_is_hardly_http_is_refused_and_the_next_request_is_answered(api: Api, name: str) -> None:
    place = urlsplit(api.url)
    before = api.kept()
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.settimeout(3)
        try:
            RAW[name](connection)
            answer = connection.recv(65_536)
        except (ConnectionError, TimeoutError):  # it may also be cut off, or waited for
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:300]
    assert api.kept() == before
    assert httpx.get(f"{api.url}/v1/freshness", headers={"X-API-Key": KEY}).status_code == 200
