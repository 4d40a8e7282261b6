"""The API as a real process over databases of its own, for tests and measures."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.provider import health
from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata.database import connect
from leandata.settings import DatabaseAddress

KEY = "the-key"
PAYLOADS: dict[str, dict[str, Any]] = {
    "add_to_cart": {"product_id": "1"}, "newsletter_click": {"campaign": "c"}, "newsletter_open": {"campaign": "c"},
    "order_placed": {"order_id": "1", "amount_usd": "1.00"}, "page_view": {}, "product_view": {"product_id": "1"},
    "sign_up": {},
}  # fmt: skip
"""The smallest right payload of each type of event."""


@dataclass(slots=True)
class Api:
    """A running API. `events` and `serving` are the owners' addresses, `settings` what the process was told."""

    url: str
    events: DatabaseAddress
    serving: DatabaseAddress
    server: parts.Postgres
    settings: Mapping[str, str]
    folder: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": KEY}, timeout=20)

    def kept(self) -> set[str]:
        """The ids of the events in the inbox."""
        with connect(self.events) as connection:
            if connection.execute("SELECT to_regclass('events.inbox')").fetchone() == (None,):
                return set()
            return {str(row[0]) for row in connection.execute("SELECT event_id FROM events.inbox").fetchall()}

    @contextlib.contextmanager
    def process(self, *, module: str = "serving") -> Generator[Any]:
        """The process that runs `module`, answering; ended at the end."""
        port = int(self.url.rsplit(":", 1)[1])
        asked = {"kind": "http", "url": f"{self.url}/healthz", "port": 0}
        command = [sys.executable, "-m", module, "--port", str(port)]
        was = {name: os.environ.get(name) for name in self.settings}
        os.environ.update(self.settings)
        try:
            with parts.running(command, ready=lambda: health.healthy(asked), log=self.folder / "api.log") as process:
                yield process
        finally:
            for name, value in was.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def prepared(folder: Path) -> Generator[Api]:
    """The databases of an API, and how it would be started; it does not run yet."""
    (folder / "key").write_text(KEY)
    (folder / "postgres").mkdir()
    with parts.postgres(folder / "postgres") as server:
        events = server.database("events", owner="events_writer")
        writer = server.database("serving", owner="serving_writer")
        reader = server.reader("serving_reader", database="serving", schema="serving", owner="serving_writer")
        settings = {
            "LEANDATA_ENVIRONMENT": "trial",
            "LEANDATA_EVENTS": url_of(events),
            "LEANDATA_SERVING": url_of(reader),
            "LEANDATA_API_KEY_FILE": str(folder / "key"),
        }
        url = f"http://127.0.0.1:{parts.free_port()}"
        found = Api(url=url, events=events, serving=writer, server=server, settings=settings, folder=folder)
        with found.client:
            yield found


@contextlib.contextmanager
def running(folder: Path) -> Generator[Api]:
    """A running API over databases of its own."""
    folder.chmod(0o755)
    with prepared(folder) as found, found.process():
        yield found


def event(**changed: Any) -> dict[str, Any]:
    """A right event with an id of its own, with `changed` fields."""
    return {"event_id": str(uuid.uuid4()), "type": "page_view", "occurred_at": "2026-11-24T10:00:00Z", **changed}
