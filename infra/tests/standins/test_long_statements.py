"""Statements that take longer than a client waits for an answer: each runs once, and its client has its result."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.components.functions import read
from infra.testing import parts
from leandata.errors import WarehouseError
from leandata.warehouse import Warehouse

pytestmark = pytest.mark.integration
SLOW = """import time
def slow(x: int) -> int:
    'Doc.'
    time.sleep(1.2)
    return x // (x - 13)
"""


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.Warehouse]:
    """One whose clients are told after 0.4 seconds that their statement is still running."""
    folder: Path = tmp_path_factory.mktemp("w")
    slow = (read(SLOW, where="slow.py"),)
    found = parts.Warehouse(folder=folder, port=parts.free_port(), functions=slow, answer_within=0.4)
    found.start()
    with Warehouse.connect(found.address) as client:
        client.execute("CREATE DATABASE STAGING")
        client.execute("CREATE SCHEMA STAGING.SHOP")
        client.execute("CREATE TABLE STAGING.SHOP.KEPT (n NUMBER(38, 0))")
    yield found
    found.stop()


def test_its_rows_come_when_it_is_done(standin: parts.Warehouse) -> None:
    with Warehouse.connect(standin.address) as client:
        assert client.query("SELECT STAGING.SHOP.SLOW(14) AS x") == [{"x": 14}]
        assert client.query("SELECT 1 AS x") == [{"x": 1}]


def test_it_writes_once(standin: parts.Warehouse) -> None:
    with Warehouse.connect(standin.address) as client:
        client.execute("INSERT INTO STAGING.SHOP.KEPT SELECT STAGING.SHOP.SLOW(14)")
        assert client.query("SELECT n FROM STAGING.SHOP.KEPT") == [{"n": 14}]


def test_its_error_is_told(standin: parts.Warehouse) -> None:
    with Warehouse.connect(standin.address) as client, pytest.raises(WarehouseError, match="ZeroDivisionError"):
        client.query("SELECT STAGING.SHOP.SLOW(13) AS x")


def test_each_of_several_clients_has_its_own(standin: parts.Warehouse) -> None:
    def ask(number: int) -> int:
        with Warehouse.connect(standin.address) as client:
            return client.query(f"SELECT STAGING.SHOP.SLOW(14) + {number} AS x")[0]["x"]

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(ask, range(4))) == [14, 15, 16, 17]
