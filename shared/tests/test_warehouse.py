"""The warehouse's client against the stand-in: loads happen once or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from infra.testing import parts
from leandata.datasets import dataset
from leandata.errors import WarehouseError
from leandata.lake import Lake, Manifest
from leandata.tables import schema
from leandata.warehouse import Warehouse, copy_statements, slice_condition, worth_another_try

ORDERS = dataset("shop.orders")
STAGE = "RAW.LAKE.FILES"
DAYS = [date(2026, 11, day) for day in range(1, 21)]


def orders(day: date, *amounts: str) -> pa.Table:
    rows = [{"customer_id": 1, "ordered_on": day, "quantity": 1, "amount_usd": Decimal(amount)} for amount in amounts]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


def test_a_slice_is_named_by_its_days_in_order() -> None:
    assert slice_condition([DAYS[1], DAYS[0]]) == " WHERE _dt IN ('2026-11-01', '2026-11-02')"
    assert slice_condition([None]) == ""


def test_more_than_a_thousand_files_are_copied_by_several_statements() -> None:
    statements = copy_statements(ORDERS, [f"f{number}" for number in range(2001)], stage=STAGE)
    assert len(statements) == 3
    assert sum(statement.count("'f") for statement in statements) == 2001
    assert copy_statements(ORDERS, [], stage=STAGE) == []


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("TransactionContext Error: Conflict on update!", "conflict"),
        ("290401: 401 Unauthorized", "lost"),
        ("250001: Failed to connect to DB", "lost"),
        ("Table ORDERS does not exist", ""),
    ],
)
def test_only_what_may_pass_is_tried_again(text: str, worth: str) -> None:
    assert worth_another_try(text) == worth


@pytest.fixture
def standin(tmp_path: Path) -> Generator[parts.Warehouse]:
    """A stand-in of the test's own, to be killed."""
    zones = {zone: f"file://{tmp_path / zone}" for zone in ("raw", "curated")}
    for zone in zones:
        (tmp_path / zone).mkdir()
    with parts.warehouse(tmp_path, zones=zones) as found:
        yield found


@pytest.fixture
def slices(tmp_path: Path) -> dict[date | None, Manifest]:
    lake = Lake(f"file://{tmp_path / 'raw'}")
    lake.publish(ORDERS, {day: orders(day, "1.10", "2.20") for day in DAYS}, run="r1")
    return dict(lake.latest(ORDERS))


def total(standin: parts.Warehouse) -> tuple[int, Decimal]:
    with Warehouse.connect(standin.address) as warehouse:
        row = warehouse.query("SELECT COUNT(*) AS n, SUM(amount_usd) AS s FROM RAW.SHOP.ORDERS")[0]
    return int(row["n"]), row["s"]


@pytest.mark.integration
def test_the_whole_life_of_a_slice(
    standin: parts.Warehouse, slices: dict[date | None, Manifest], tmp_path: Path
) -> None:
    with Warehouse.connect(standin.address) as warehouse:
        assert warehouse.load(ORDERS, slices, stage=STAGE).rows == 40
        assert warehouse.load(ORDERS, slices, stage=STAGE).rows == 40, "a second load changes nothing"
    assert total(standin) == (40, Decimal("66.00"))

    lake = Lake(f"file://{tmp_path / 'raw'}")
    lake.publish(ORDERS, {DAYS[0]: orders(DAYS[0], "5.00")}, run="r2")
    with Warehouse.connect(standin.address) as warehouse:
        warehouse.load(ORDERS, {DAYS[0]: lake.latest(ORDERS)[DAYS[0]]}, stage=STAGE)
    assert total(standin) == (39, Decimal("67.70")), "only the day that was loaded has changed"

    standin.kill()
    standin.start()
    assert total(standin) == (39, Decimal("67.70")), "data, stages and schemas survive a kill"
    with Warehouse.connect(standin.address) as warehouse:
        assert warehouse.load(ORDERS, slices, stage=STAGE).rows == 40, "the stage is still there"


@pytest.mark.integration
def test_a_load_that_does_not_count_up_changes_nothing(
    standin: parts.Warehouse, slices: dict[date | None, Manifest], tmp_path: Path
) -> None:
    with Warehouse.connect(standin.address) as warehouse:
        warehouse.load(ORDERS, slices, stage=STAGE)
        lake = Lake(f"file://{tmp_path / 'raw'}")
        right = lake.publish(ORDERS, {DAYS[0]: orders(DAYS[0], "9.00")}, run="r3")[0]
        wrong = Manifest(**{name: getattr(right, name) for name in Manifest.__slots__} | {"rows": 7})
        with pytest.raises(WarehouseError, match="1 rows arrived where 7 were published"):
            warehouse.load(ORDERS, {DAYS[0]: wrong}, stage=STAGE)
    assert total(standin) == (40, Decimal("66.00"))


# The connector's own timer thread wants to cancel the statement on the server that was killed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.integration
def test_a_warehouse_stopped_in_a_load_loses_nothing_and_the_next_load_mends_it(
    standin: parts.Warehouse, slices: dict[date | None, Manifest]
) -> None:
    with Warehouse.connect(standin.address) as warehouse:
        warehouse.load(ORDERS, slices, stage=STAGE)
    problems: list[WarehouseError] = []

    def load() -> None:
        try:
            with Warehouse.connect(standin.address, timeout=3) as warehouse:
                for _ in range(200):
                    warehouse.load(ORDERS, slices, stage=STAGE)
        except WarehouseError as error:
            problems.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(1.0)
    standin.kill()
    thread.join()
    assert len(problems) == 1
    assert "\n" not in str(problems[0])
    assert f"127.0.0.1:{standin.port}" in str(problems[0])
    standin.start()
    assert total(standin) == (40, Decimal("66.00"))
    with Warehouse.connect(standin.address) as warehouse:
        assert warehouse.load(ORDERS, slices, stage=STAGE).rows == 40


@pytest.mark.integration
def test_a_client_reconnects_after_a_restart_of_the_warehouse(
    standin: parts.Warehouse, slices: dict[date | None, Manifest]
) -> None:
    with Warehouse.connect(standin.address, timeout=10) as warehouse:
        warehouse.load(ORDERS, slices, stage=STAGE)
        standin.kill()
        standin.start()
        assert warehouse.load(ORDERS, slices, stage=STAGE).rows == 40


@pytest.mark.integration
def test_a_warehouse_that_is_not_there_is_one_clear_line() -> None:
    from leandata.settings import WarehouseAddress

    address = WarehouseAddress.parse(f"snowflake://u@fakesnow?host=127.0.0.1&port={parts.free_port()}&protocol=http")
    with pytest.raises(WarehouseError) as caught, Warehouse.connect(address, timeout=1):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT SUM(a) AS x FROM (SELECT 1.10::NUMBER(12,2) AS a UNION ALL SELECT 2.20::NUMBER(12,2))",
            Decimal("3.30"),
        ),
        ("SELECT DATE_TRUNC('week', '2026-11-24'::DATE)::DATE AS x", date(2026, 11, 23)),
        ("SELECT COUNT(DISTINCT a) AS x FROM (SELECT 1 AS a UNION ALL SELECT NULL)", 1),
        ("SELECT DATEDIFF('day', '2026-11-01'::DATE, '2026-11-24'::DATE) AS x", 23),
        (
            "SELECT COALESCE(SUM(a), 0)::NUMBER(14,2) AS x FROM (SELECT 1.00::NUMBER(12,2) AS a WHERE 1 = 0)",
            Decimal("0.00"),
        ),
    ],
)
def test_the_stand_in_answers_as_snowflake_does_where_we_depend_on_it(
    platform_warehouse: parts.Warehouse, sql: str, expected: object
) -> None:
    with Warehouse.connect(platform_warehouse.address) as warehouse:
        assert warehouse.query(sql)[0]["x"] == expected


@pytest.mark.integration
def test_statements_about_access_succeed_and_do_nothing(platform_warehouse: parts.Warehouse) -> None:
    with Warehouse.connect(platform_warehouse.address) as warehouse:
        for sql in (
            "CREATE ROLE LOADER",
            "GRANT USAGE ON DATABASE RAW TO ROLE LOADER",
            "CREATE WAREHOUSE LOAD WAREHOUSE_SIZE = XSMALL",
            "ALTER SESSION SET TIMEZONE = 'UTC'",
        ):
            warehouse.execute(sql)


@pytest.mark.integration
def test_a_failing_statement_is_an_error_at_once(platform_warehouse: parts.Warehouse) -> None:
    with Warehouse.connect(platform_warehouse.address) as warehouse, pytest.raises(WarehouseError):
        warehouse.query("SELECT nonsense FROM nowhere")


@pytest.fixture(scope="module")
def platform_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.Warehouse]:
    with parts.warehouse(tmp_path_factory.mktemp("warehouse")) as found:
        yield found
