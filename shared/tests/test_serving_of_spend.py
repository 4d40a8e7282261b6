"""What warehouses used, as the serving database keeps it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from infra.testing import parts
from leandata import serving
from leandata.database import connect
from leandata.serving import Spend

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
