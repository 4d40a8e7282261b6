"""The daily pipeline over the real orders, and events on their way to the mart: seconds, and memory."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from infra.standins.shop.seed import seed
from infra.testing import parts
from infra.testing.fixtures import TODAY, made_zones, settings_of, url_of
from leandata.database import connect
from leandata.events import INSERT_SQL, SCHEMA_SQL
from leandata.settings import DatabaseAddress, Settings

TARGETS = {
    "pipeline_nothing_new_seconds": "at most 20",
    "pipeline_one_day_seconds": "at most 40",
    "pipeline_history_seconds": "at most 120",
    "event_to_mart_seconds": "at most 60, after the drain's interval",
}
_ONE_DAY = """
INSERT INTO orders SELECT customer_id, %(day)s::date, quantity, amount_usd FROM orders
WHERE ordered_on = (SELECT max(ordered_on) FROM orders WHERE ordered_on < %(day)s)
"""
_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What the pipelines run over: their settings, and the owners of the shop and of the inbox of events."""

    settings: Settings
    shop: DatabaseAddress
    events: DatabaseAddress
    folder: Path

    def daily(self, name: str) -> float:
        """Everything from the shop to the serving database, as the pipelines do it one after the other; seconds."""
        from pipelines import collect

        started = time.monotonic()
        for part, chunk in enumerate(collect.chunks(collect.source_days(self.settings))):
            collect.collect(self.settings, chunk, run=collect.run_name(name, part=part))
        collect.collect_customers(self.settings, run=name)
        collect.load(self.settings)
        self._marts(name)
        return time.monotonic() - started

    def drained(self, name: str) -> float:
        """From the inbox of events to the mart that is served; seconds."""
        from pipelines import drain

        started = time.monotonic()
        drain.drain(self.settings, run=name)
        self._marts(name)
        return time.monotonic() - started

    def later(self) -> World:
        """The same on the next day."""
        tomorrow = self.settings.today() + timedelta(days=1)
        settings = replace(self.settings, values={**self.settings.values, "TODAY": tomorrow.isoformat()})
        return replace(self, settings=settings)

    def _marts(self, name: str) -> None:
        from pipelines import publish, transform

        transform.build(self.settings, folder=self.folder / "dbt")
        publish.publish(self.settings, version=name)


def measure(folder: Path) -> dict[str, float]:
    """All of history, then a day on which nothing is new, a day with orders, and a thousand events to the mart."""
    folder.chmod(0o755)
    with world(folder) as found, peak() as memory:
        figures = {
            "pipeline_history_seconds": found.daily("history"),
            "pipeline_nothing_new_seconds": found.daily("nothing"),
        }
        with connect(found.shop) as shop:
            shop.execute(_ONE_DAY, {"day": TODAY})
        figures["pipeline_one_day_seconds"] = found.later().daily("oneday")
        accept(found, count=1000)
        figures["event_to_mart_seconds"] = found.later().drained("events")
    figures["pipeline_memory_gb"] = memory() / 1e9
    return figures


def accept(found: World, *, count: int) -> None:
    """Put as many events into the inbox as the API would."""
    with connect(found.events) as inbox:
        inbox.execute(SCHEMA_SQL)
        rows = [[str(uuid.uuid4()), "page_view", datetime.now(UTC), 1, json.dumps({"page": "/"})] for _ in range(count)]
        inbox.cursor().executemany(INSERT_SQL, rows)


@contextlib.contextmanager
def world(folder: Path) -> Generator[World]:
    """A shop with the real orders, an inbox, a lake, the stand-in warehouse, a serving database."""
    zones = made_zones(folder)
    (folder / "postgres").mkdir()
    with parts.postgres(folder / "postgres") as server, parts.warehouse(folder, zones=zones) as standin:
        shop = server.database("shop", owner="shop_owner")
        events = server.database("events", owner="events_writer")
        with connect(shop) as connection:
            seed(connection, until=TODAY)
        serving = server.database("serving", owner="serving_writer")
        settings = settings_of(zones, shop=shop, serving=serving, standin=standin, EVENTS=url_of(events))
        yield World(settings=settings, shop=shop, events=events, folder=folder)


@contextlib.contextmanager
def peak() -> Generator[Callable[[], int]]:
    """The most memory, in bytes, that this process and all it began held at a time while the context was open.

    Pages that processes share count once (PSS); they are looked at twice a second.
    """
    ended, most = threading.Event(), [memory()]

    def look() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            most[0] = max(most[0], memory())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        ended.set()
        thread.join()


def memory() -> int:
    """The bytes that this process and all that came from it hold now."""
    own, total = psutil.Process(), 0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total
