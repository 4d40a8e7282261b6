"""Events on their way from the API's inbox into the lake and the warehouse: none is lost, none is there twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata.database import connect
from leandata.errors import WarehouseError
from leandata.events import INSERT_SQL, SCHEMA_SQL
from leandata.settings import DatabaseAddress, Settings, foreign
from leandata.warehouse import Warehouse
from pipelines import drain

DAYS = st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 1, 9)), st.integers(0, 5))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(DAYS, DAYS)
def test_a_day_is_read_again_when_the_inbox_holds_more_of_it(known: dict[date, int], held: dict[date, int]) -> None:
    found = drain.outdated(known, held)
    assert found == sorted(found)
    for day in {*known, *held}:
        assert (day in found) == (held.get(day, 0) > known.get(day, 0))


def test_the_day_before_the_newest_is_looked_at_again() -> None:
    assert drain.newest({date(2026, 3, 1): 5, date(2026, 2, 1): 1}) == date(2026, 2, 28)
    assert drain.newest({}) < date(2000, 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inbox:
    """An inbox, and the warehouse that its events go to."""

    values: dict[str, str]
    owner: DatabaseAddress

    @property
    def settings(self) -> Settings:
        return Settings.load(self.values)

    def put(self, count: int, *, at: datetime = NOON, customer: int | None = 7) -> list[str]:
        """Events that came in at `at`; their ids."""
        ids = [str(uuid.uuid4()) for _ in range(count)]
        with connect(self.owner) as connection:
            for one in ids:
                connection.execute(INSERT_SQL, [one, "page_view", at, customer, json.dumps({"page": "/ü"})])  # type: ignore[arg-type]
                connection.execute("UPDATE events.inbox SET received_at = %s WHERE event_id = %s", [at, one])
        return ids

    def loaded(self) -> list[str]:
        with Warehouse.connect(self.settings.warehouse) as warehouse:
            return [
                row["event_id"] for row in warehouse.query("SELECT event_id FROM RAW.SHOP.EVENTS ORDER BY event_id")
            ]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("drained")
    zones = {zone: f"file://{folder / 'lake' / zone}" for zone in ("raw", "curated", "models")}
    for zone in zones:
        (folder / "lake" / zone).mkdir(parents=True)
    with parts.warehouse(folder, zones=zones) as standin:
        yield {f"LEANDATA_LAKE_{zone.upper()}": url for zone, url in zones.items()} | {
            "LEANDATA_WAREHOUSE": standin.url
        }


@pytest.fixture
def inbox(postgres_server: parts.Postgres, warehouse: dict[str, str], request: pytest.FixtureRequest) -> Inbox:
    """An inbox of the test's own, as the API makes it, read as Airflow may; and an empty lake and table."""
    name = f"inbox_{abs(hash(request.node.name)) % 10**8}"
    owner = postgres_server.database(name, owner="inbox_writer")
    reader = postgres_server.reader("inbox_reader", database=name, schema="events", owner="inbox_writer")
    with connect(owner) as connection:
        connection.execute(SCHEMA_SQL)
    lake = Path(warehouse["LEANDATA_LAKE_RAW"].removeprefix("file://"))
    for folder in (lake / "shop", lake / "_manifest"):
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    with Warehouse.connect(Settings.load(warehouse).warehouse) as connection, contextlib.suppress(WarehouseError):
        connection.execute("DROP TABLE RAW.SHOP.EVENTS")
    return Inbox(values={**warehouse, "LEANDATA_EVENTS": url_of(reader)}, owner=owner)


@pytest.mark.integration
def test_every_event_is_loaded_once_by_the_day_it_came_in(inbox: Inbox) -> None:
    sent = inbox.put(5) + inbox.put(3, at=NOON - timedelta(days=2), customer=None)
    assert drain.drain(inbox.settings, run="one") == 8
    assert inbox.loaded() == sorted(sent)
    with Warehouse.connect(inbox.settings.warehouse) as warehouse:
        (row,) = warehouse.query("SELECT * FROM RAW.SHOP.EVENTS WHERE event_id = %s", [sent[0]])
    assert row["occurred_on"] == NOON.date()
    assert row["occurred_at"] == "2026-11-23T12:00:00.000000Z"
    assert json.loads(row["payload"]) == {"page": "/ü"}


@pytest.mark.integration
def test_what_is_drained_is_not_drained_again_and_later_events_are(inbox: Inbox) -> None:
    sent = inbox.put(2)
    assert drain.drain(inbox.settings, run="one") == 2
    assert drain.drain(inbox.settings, run="two") == 0
    sent += inbox.put(1) + inbox.put(1, at=NOON - timedelta(hours=13))
    assert drain.drain(inbox.settings, run="three") == 2
    assert inbox.loaded() == sorted(sent)


@pytest.mark.integration
def test_before_the_first_event_there_is_nothing_to_do(inbox: Inbox) -> None:
    with connect(inbox.owner) as connection:
        connection.execute("DROP SCHEMA events CASCADE")
    assert drain.drain(inbox.settings, run="one") == 0


@pytest.mark.integration
def test_an_event_of_another_time_zone_belongs_to_its_day_in_utc(inbox: Inbox) -> None:
    inbox.put(1, at=datetime.fromisoformat("2026-11-23T23:30:00-05:00"))
    drain.drain(inbox.settings, run="one")
    with Warehouse.connect(inbox.settings.warehouse) as warehouse:
        (row,) = warehouse.query("SELECT occurred_on, _dt FROM RAW.SHOP.EVENTS")
    assert row == {"occurred_on": date(2026, 11, 24), "_dt": date(2026, 11, 24)}


@pytest.mark.integration
def test_two_drains_at_once_end_as_one(inbox: Inbox) -> None:
    sent = inbox.put(20)
    runs = [threading.Thread(target=drain.drain, args=(inbox.settings,), kwargs={"run": f"r{n}"}) for n in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert inbox.loaded() == sorted(sent)


KILLED = """
import os
from leandata.settings import Settings
from pipelines.drain import drain
drain(Settings.load(os.environ), run="killed-{number}")
"""


@pytest.mark.integration
@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.1, 1.4, 1.8])
def test_a_drain_that_is_killed_is_made_good_by_the_next(inbox: Inbox, seconds: float) -> None:
    sent = inbox.put(30)
    known = foreign(os.environ)
    command = [sys.executable, "-c", KILLED.format(number=int(seconds * 10))]
    process = subprocess.Popen(command, env=known | inbox.values)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    sent += inbox.put(2)
    drain.drain(inbox.settings, run="after")
    assert inbox.loaded() == sorted(sent)
