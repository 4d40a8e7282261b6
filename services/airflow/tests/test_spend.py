"""Credits that warehouses used: read from a table as Snowflake's account has it, in the stand-in, and kept for the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from infra.testing.fixtures import Platform
from leandata import serving
from leandata.database import connect
from leandata.errors import WarehouseError
from leandata.serving import Spend
from leandata.warehouse import Warehouse
from pipelines import spend

pytestmark = pytest.mark.integration
TODAY = datetime.now(UTC).date()
HISTORY = "SNOWFLAKE.ACCOUNT_USAGE.WAREHOUSE_METERING_HISTORY"


def used(warehouse: str, back: int, amount: str) -> Spend:
    return Spend(warehouse=warehouse, day=TODAY - timedelta(days=back), credits=Decimal(amount))


def metered(warehouse: Warehouse, name: str | None, back: int, hour: int, amount: str) -> None:
    at = datetime.combine(TODAY - timedelta(days=back), time(hour))
    sql = f"INSERT INTO {HISTORY} SELECT %s, %s::TIMESTAMP_NTZ, {amount}::NUMBER(38, 9)"
    warehouse.execute(sql, [name, at.isoformat(sep=" ")])


def test_hours_are_summed_to_days_and_what_was_corrected_is_put_in_place(platform: Platform) -> None:
    account = replace(platform.settings.warehouse, reads=(), writes=())
    with Warehouse.connect(account) as warehouse, connect(platform.settings.serving) as connection:
        with pytest.raises(WarehouseError):
            spend.note(warehouse, connection)
        warehouse.execute("CREATE DATABASE SNOWFLAKE")
        warehouse.execute("CREATE SCHEMA SNOWFLAKE.ACCOUNT_USAGE")
        columns = "warehouse_name VARCHAR, start_time TIMESTAMP_NTZ, credits_used NUMBER(38, 9)"
        warehouse.execute(f"CREATE TABLE {HISTORY} ({columns})")
        assert spend.note(warehouse, connection) == []
        for hour in (0, 11, 23):
            metered(warehouse, "PIPELINES", 2, hour, "0.1000000004")
        metered(warehouse, "PIPELINES", 1, 3, "0.5")
        metered(warehouse, "PEOPLE", 1, 3, "0.25")
        metered(warehouse, "PEOPLE", 36, 3, "7")
        metered(warehouse, None, 1, 3, "9")
        first = [used("PEOPLE", 1, "0.25"), used("PIPELINES", 2, "0.3"), used("PIPELINES", 1, "0.5")]
        assert spend.note(warehouse, connection) == first
        metered(warehouse, "PEOPLE", 1, 4, "0.05")
        spend.note(warehouse, connection)
        known = serving.spend(connection, since=TODAY - timedelta(days=100))
        assert known == [used("PEOPLE", 1, "0.3"), *first[1:]]
        assert serving.spend(connection, since=TODAY - timedelta(days=1)) == [known[0], known[2]]


def test_the_stand_in_meters_nothing(platform: Platform) -> None:
    assert spend.run(platform.settings) == []
