"""The API: events kept against a route that only parses them, figures against a route that does nothing."""

from __future__ import annotations

import itertools
import json
import operator
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from infra.testing import published
from infra.testing.api import KEY, Api, prepared
from leandata.database import connect
from leandata.errors import LeandataError

TARGETS = {
    "events_kept_to_parsed": "at least 0.50",
    "single_event_p99_ms": "at most 50",
    "live_total_p95_seconds": "at most 5",
    "weekly_to_empty": "at least 0.50",
}
_BATCH = 100
_SENDERS = 32
_SECONDS = 4.0
_ROUNDS = 5
_A_SECOND = 100
_SINGLES = 1000
_TOTALS = 20
_STEM = "00000000-0000-4000-8000-0000"


class Connection:
    """One connection that is kept open; requests are bytes, so that the sender costs little."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._socket.sendall(request)
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._more()
        head, _, body = came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._more()
        return int(head[9:12]), body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._socket.close()

    def _more(self) -> bytes:
        found = self._socket.recv(1 << 20)
        if not found:
            raise LeandataError("the API ended a connection", where="bench")
        return found


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def events(count: int) -> list[dict[str, Any]]:
    """Events of three types with ids of their own."""
    kinds = itertools.cycle(
        [
            ("page_view", {"page": "/shop/records?page=2", "referrer": "https://search.example/"}),
            ("add_to_cart", {"product_id": "cd-1041", "quantity": 1, "price_usd": "14.79"}),
            ("newsletter_click", {"campaign": "autumn", "link": "https://shop.example/autumn"}),
        ]
    )
    return [
        {
            "event_id": str(uuid.uuid4()), "type": type_, "occurred_at": "2026-11-24T10:00:00.250Z",
            "customer_id": 1 + number % 20_000, "payload": payload,
        }
        for number, (type_, payload) in zip(range(count), kinds, strict=False)
    ]  # fmt: skip


def throughput(port: int, requests: Callable[[], Iterator[bytes]], *, seconds: float) -> float:
    """Requests a second that all senders get answered well. Raises LeandataError for another answer."""
    counts, wrong = [0] * _SENDERS, list[str]()
    ready = threading.Barrier(_SENDERS)

    def send(number: int) -> None:
        own = requests()
        with Connection(port) as connection:
            ready.wait()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end and not wrong:
                status, body = connection.ask(next(own))
                if status not in (200, 202):
                    wrong.append(f"{status} {body[:200].decode()}")
                counts[number] += 1

    threads = [threading.Thread(target=send, args=[number]) for number in range(_SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise LeandataError(f"the API answered {wrong[0]}", where="bench")
    return sum(counts) / seconds


def batches(path: str) -> Callable[[], Iterator[bytes]]:
    """Batches without end; they differ in the beginning of their ids, which costs the sender little."""
    text = json.dumps(
        [{**one, "event_id": f"{_STEM}{number:08x}"} for number, one in enumerate(events(_BATCH))]
    ).encode()

    def made() -> Iterator[bytes]:
        stem = uuid.uuid4().hex
        for number in itertools.count():
            own = f"{stem[:8]}-{stem[8:12]}-4{stem[13:16]}-8{number >> 16 & 0xFFF:03x}-{number & 0xFFFF:04x}"
            yield request("POST", path, text.replace(_STEM.encode(), own.encode()))

    return made


def measure(folder: Path) -> dict[str, float]:
    """Events and figures a second against the routes to compare with, and how long single events take."""
    folder.chmod(0o755)
    with prepared(folder) as api, api.process(module="ci.bench.api_server"):
        _publish(api)
        port = int(api.url.rsplit(":", 1)[1])
        return _events(port) | _figures(port) | _live(api, port)


def _events(port: int) -> dict[str, float]:
    """Single events as they come, then batches; then single events while the disk still takes in what was written."""
    single = sorted(_singles(port))
    kept, parsed = list[float](), list[float]()
    for _ in range(_ROUNDS):
        parsed.append(_BATCH * throughput(port, batches("/bench/parse"), seconds=_SECONDS))
        kept.append(_BATCH * throughput(port, batches("/v1/events"), seconds=_SECONDS))
    after = sorted(_singles(port))
    return {
        "events_kept_a_second": statistics.median(kept),
        "events_parsed_a_second": statistics.median(parsed),
        "events_kept_to_parsed": statistics.median(map(operator.truediv, kept, parsed)),
        "single_event_p50_ms": 1000 * single[len(single) // 2],
        "single_event_p99_ms": 1000 * single[int(len(single) * 0.99)],
        "single_event_after_load_p99_ms": 1000 * after[int(len(after) * 0.99)],
    }


def _singles(port: int) -> list[float]:
    """Seconds from the moment that each event was due until its answer, at a hundred a second."""
    took: list[float] = []
    bodies = [request("POST", "/v1/events", json.dumps(one).encode()) for one in events(_SINGLES)]
    started = time.perf_counter() + 0.1

    def send(own: Sequence[int]) -> None:
        with Connection(port) as connection:
            for number in own:
                due = started + number / _A_SECOND
                time.sleep(max(0.0, due - time.perf_counter()))
                connection.ask(bodies[number])
                took.append(time.perf_counter() - due)

    threads = [threading.Thread(target=send, args=[range(first, _SINGLES, 4)]) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _figures(port: int) -> dict[str, float]:
    weekly, empty = list[float](), list[float]()
    for _ in range(_ROUNDS):
        empty.append(throughput(port, _again("/bench/empty"), seconds=_SECONDS / 2))
        weekly.append(throughput(port, _again("/v1/sales/weekly?from=2026-09-01"), seconds=_SECONDS / 2))
    return {
        "weekly_a_second": statistics.median(weekly),
        "empty_a_second": statistics.median(empty),
        "weekly_to_empty": statistics.median(map(operator.truediv, weekly, empty)),
    }


def _again(path: str) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.repeat(request("GET", path))


def _live(api: Api, port: int) -> dict[str, float]:
    """Seconds from an accepted event until the totals hold it, the 95th of a hundred."""
    took: list[float] = []
    with connect(api.events) as database:
        (kept,) = database.execute("SELECT count(*) FROM events.inbox").fetchone() or (0,)
    with Connection(port) as connection:
        while _total(connection) < kept:
            time.sleep(0.05)
        for one in events(_TOTALS):
            connection.ask(request("POST", "/v1/events", json.dumps(one).encode()))
            started, kept = time.perf_counter(), kept + 1
            while _total(connection) < kept:
                time.sleep(0.02)
            took.append(time.perf_counter() - started)
    return {"live_total_p95_seconds": sorted(took)[int(len(took) * 0.95)]}


def _total(connection: Connection) -> int:
    _, body = connection.ask(request("GET", "/v1/events/totals"))
    return sum(one["ever"] for one in json.loads(body)["types"])


def _publish(api: Api) -> None:
    """Two years of weeks."""
    rows = [
        {
            "week": date(2026, 11, 16) - timedelta(weeks=back), "revenue": Decimal("12345.67"), "orders": 400,
            "customers": 390, "new_customers": 20, "units": 900,
        }
        for back in range(104)
    ]  # fmt: skip
    published.put(api.serving, "sales.weekly_sales", rows, until=date(2026, 11, 22))
