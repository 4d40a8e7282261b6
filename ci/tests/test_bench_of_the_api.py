"""The measures of the API: what is sent is right, and an answer that is none stops the measuring."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ci.bench import api, exports
from leandata.errors import LeandataError
from serving.schemas import BATCH


def body(request: bytes) -> bytes:
    head, _, rest = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(rest)}".encode() in head
    return rest


def test_every_batch_is_right_and_no_id_comes_twice() -> None:
    ids: list[str] = []
    for sender in (api.batches("/v1/events")(), api.batches("/v1/events")()):
        for _ in range(3):
            found = BATCH.validate_json(body(next(sender)))
            assert len(found) == 100
            ids += [str(one.event_id) for one in found]
    assert len(set(ids)) == 600


def test_events_are_of_several_types_and_each_is_right() -> None:
    found = BATCH.validate_json(json.dumps(api.events(30)))
    assert {one.type for one in found} == {"page_view", "add_to_cart", "newsletter_click"}


@contextmanager
def serving(answer: bytes) -> Generator[int]:
    """A port that gives one answer to whoever asks, in small pieces as a network does."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65_536):
                for start in range(0, len(answer), 7):
                    self.request.sendall(answer[start : start + 7])

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


WELL = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"a":"\r\n\r\n"}\n'


def test_an_answer_is_read_to_its_end_and_not_further() -> None:
    with serving(WELL) as port, api.Connection(port) as connection:
        for _ in range(3):
            status, found = connection.ask(api.request("GET", "/"))
            assert (status, len(found)) == (200, 13)


def test_answers_are_counted() -> None:
    with serving(WELL) as port:
        assert api.throughput(port, lambda: iter(lambda: api.request("GET", "/"), None), seconds=0.2) > 0


def test_an_answer_that_is_none_stops_the_measuring() -> None:
    answer = b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy"
    with serving(answer) as port, pytest.raises(LeandataError, match="503 busy"):
        api.throughput(port, lambda: iter(lambda: api.request("GET", "/"), None), seconds=0.2)


@pytest.mark.integration
def test_an_export_is_measured_and_holds_every_row(tmp_path: Path) -> None:
    found = exports.measure(tmp_path, rows=5000)
    assert set(exports.TARGETS) <= set(found)
    assert all(value > 0 for value in found.values())
