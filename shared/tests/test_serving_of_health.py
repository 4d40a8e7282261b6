"""Health and volumes in the serving database: what replaces what, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from infra.testing import parts
from leandata import serving
from leandata.database import connect
from leandata.serving import Health, Volume
from leandata.settings import DatabaseAddress

pytestmark = pytest.mark.integration
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = date(2026, 11, 24)


@pytest.fixture
def address(postgres_server: parts.Postgres, request: pytest.FixtureRequest) -> DatabaseAddress:
    name = f"health_{abs(hash(request.node.name)) % 10**8}"
    return postgres_server.database(name, owner="serving_writer")


def part(name: str, state: str = "up", *, at: datetime = NOON) -> Health:
    return Health(part=name, state=state, detail="said", milliseconds=3, looked_at=at, since=at)


def test_before_the_first_look_there_is_nothing(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        assert serving.health(connection) == []
        assert serving.volumes(connection) == []


def test_a_part_keeps_since_when_it_is_so_until_its_state_changes(address: DatabaseAddress) -> None:
    later, latest = NOON + timedelta(minutes=5), NOON + timedelta(minutes=10)
    with connect(address) as connection:
        serving.record_health(connection, [part("lake"), part("mail")])
        serving.record_health(connection, [part("mail", "down", at=later), part("lake", at=later)])
        assert serving.health(connection) == [
            replace(part("lake", at=later), since=NOON),
            part("mail", "down", at=later),
        ]
        serving.record_health(connection, [part("mail", "down", at=latest)])
        assert serving.health(connection) == [replace(part("mail", "down", at=latest), since=later)]


def day(name: str, back: int, rows: int = 10, score: str | None = "0.5") -> Volume:
    known = None if score is None else Decimal(score)
    return Volume(dataset=name, day=TODAY - timedelta(days=back), rows=rows, usual=known, score=known)


def test_a_day_that_is_counted_again_is_replaced_and_the_last_days_are_read(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        serving.record_volumes(connection, [day("b", back) for back in (1, 2, 3)] + [day("a", 1, score=None)])
        serving.record_volumes(connection, [day("b", 2, rows=99)])
        assert serving.volumes(connection, last=2) == [day("a", 1, score=None), day("b", 2, rows=99), day("b", 1)]


def test_what_is_long_past_is_forgotten(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        serving.record_volumes(connection, [day("a", 401), day("a", 400)])
        assert len(serving.volumes(connection)) == 2, "nothing is old yet"
        serving.record_volumes(connection, [day("a", 0)])
        assert serving.volumes(connection) == [day("a", 400), day("a", 0)]
        serving.record_volumes(connection, [])
        assert len(serving.volumes(connection)) == 2
