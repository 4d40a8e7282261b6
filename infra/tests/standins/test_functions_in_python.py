"""Functions in Python in the stand-in warehouse: called by SQL over the connector, as Snowflake would call them."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.components.functions import Function, read
from infra.testing import parts
from leandata.errors import WarehouseError
from leandata.warehouse import Warehouse

pytestmark = pytest.mark.integration
TEXTS = {
    "double": "def double(x: int) -> int:\n    'Doc.'\n    return x * 2 if type(x) is int else 0\n",
    "half": "def half(x: float) -> float | None:\n    'Doc.'\n    return x / 2 if x else None\n",
    "later": (
        "from datetime import date, timedelta\n"
        "def later(day: date, days: int) -> date:\n    'Doc.'\n    return day + timedelta(days)\n"
    ),
    "long": "_LONG = 3\ndef long(x: str) -> bool:\n    'Doc.'\n    return len(x) > _LONG\n",
    "broken": "def broken(x: int) -> int:\n    'Doc.'\n    return x // 0\n",
}


def made(**texts: str) -> tuple[Function, ...]:
    return tuple(read(text, where=f"{name}.py") for name, text in texts.items())


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.Warehouse]:
    found = parts.Warehouse(folder=tmp_path_factory.mktemp("w"), port=parts.free_port(), functions=made(**TEXTS))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def client(standin: parts.Warehouse) -> Generator[Warehouse]:
    with Warehouse.connect(standin.address) as found:
        found.execute("CREATE DATABASE IF NOT EXISTS STAGING")
        found.execute("CREATE SCHEMA IF NOT EXISTS STAGING.SHOP")
        yield found


def value(client: Warehouse, sql: str) -> Any:
    [row] = client.query(sql)
    return next(iter(row.values()))


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("STAGING.SHOP.DOUBLE(21)", 42),
        ("staging.shop.double(21::NUMBER(9, 0))", 42),
        ("STAGING.SHOP.DOUBLE(STAGING.SHOP.DOUBLE(STAGING.SHOP.DOUBLE(1)))", 8),
        ("STAGING.SHOP.DOUBLE(NULL)", None),
        ("STAGING.SHOP.HALF(3)", 1.5),
        ("STAGING.SHOP.HALF(0)", None),
        ("STAGING.SHOP.LATER('2026-02-28'::DATE, 1)", date(2026, 3, 1)),
        ("STAGING.SHOP.LATER(NULL, 1)", None),
        ("STAGING.SHOP.LONG('four')", True),
        ("'STAGING.SHOP.DOUBLE(1)'", "STAGING.SHOP.DOUBLE(1)"),
    ],
)
def test_a_call_by_its_full_name_is_answered_by_python(client: Warehouse, call: str, answer: Any) -> None:
    assert value(client, f"SELECT {call} AS x") == answer


def test_tables_and_views_are_made_with_it(client: Warehouse) -> None:
    client.execute("CREATE OR REPLACE TABLE STAGING.SHOP.T AS SELECT STAGING.SHOP.DOUBLE(range) AS n FROM range(5000)")
    assert value(client, "SELECT SUM(n) AS x FROM STAGING.SHOP.T") == 2 * sum(range(5000))
    client.execute(
        "CREATE OR REPLACE VIEW STAGING.SHOP.V AS SELECT n FROM STAGING.SHOP.T WHERE STAGING.SHOP.DOUBLE(n) = 8"
    )
    assert value(client, "SELECT n FROM STAGING.SHOP.V") == 4


def test_what_a_function_raises_is_an_error_of_its_statement(client: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="ZeroDivisionError"):
        client.query("SELECT STAGING.SHOP.BROKEN(1) AS x")
    assert value(client, "SELECT STAGING.SHOP.DOUBLE(1) AS x") == 2


@pytest.mark.parametrize("name", ["DOUBLE", "SHOP.DOUBLE", "RAW.SHOP.DOUBLE", "STAGING.SHOP.UNKNOWN"])
def test_it_has_no_other_name(client: Warehouse, name: str) -> None:
    with pytest.raises(WarehouseError):
        client.query(f"SELECT {name}(1) AS x")


def test_a_changed_function_is_another_after_a_restart_and_one_taken_away_is_gone(tmp_path: Path) -> None:
    standin = parts.Warehouse(folder=tmp_path, port=parts.free_port(), functions=made(**TEXTS))
    standin.start()
    standin.kill()
    standin.functions = made(double=TEXTS["double"].replace("x * 2", "x + x + 1"))
    standin.start()
    try:
        with Warehouse.connect(standin.address) as client:
            assert value(client, "SELECT STAGING.SHOP.DOUBLE(21) AS x") == 43
            with pytest.raises(WarehouseError):
                client.query("SELECT STAGING.SHOP.LONG('x') AS x")
    finally:
        standin.stop()
