"""What warehouses used, as the serving database keeps it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from infra.testing import parts
from leandata import serving
from leandata.database import connect
from leandata.serving import Spend
from leandata.serving.locks import Lock

pytestmark = pytest.mark.integration
DAY = date(2026, 11, 24)


def used(back: int, amount: str = "1.500000") -> Spend:
    return Spend(warehouse="PIPELINES", day=DAY - timedelta(days=back), credits=Decimal(amount))


def test_days_are_put_in_place_and_kept_for_four_hundred_days(postgres_server: parts.Postgres) -> None:
    address = postgres_server.database("spend", owner="spend_owner")
    with connect(address) as connection:
        serving.record_spend(connection, [])
        assert serving.spend(connection, since=date.min) == []
        serving.record_spend(connection, [used(402), used(400), used(0)])
        serving.record_spend(connection, [used(0, "2.25"), used(1)])
        assert serving.spend(connection, since=date.min) == [used(400), used(1), used(0, "2.25")]
        assert serving.spend(connection, since=DAY) == [used(0, "2.25")]


def test_spend_is_put_while_marts_are_built(postgres_server: parts.Postgres) -> None:
    """A build takes minutes, and holds a lock of its own for as long."""
    address = postgres_server.database("spend_beside", owner="spend_beside_owner")
    with connect(address) as building, connect(address) as connection:
        building.execute("SELECT pg_advisory_lock(%s)", [Lock.BUILD])
        connection.execute("SET lock_timeout = '2s'")
        serving.record_spend(connection, [used(0)])
        assert serving.spend(connection, since=DAY) == [used(0)]
