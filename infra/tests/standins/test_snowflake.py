"""The stand-in warehouse as a real server: what our SQL and our client rely on, one rule after the other."""

from __future__ import annotations

import ast
import threading
from collections.abc import Generator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.testing import parts
from leandata.errors import WarehouseError
from leandata.settings import WarehouseAddress
from leandata.warehouse import Warehouse

pytestmark = pytest.mark.integration
ROWS = 30_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snowflake")


@pytest.fixture(scope="module")
def standin(folder: Path) -> Generator[parts.Warehouse]:
    zones = {zone: f"file://{folder / 'lake' / zone}" for zone in ("raw", "curated", "models")}
    for zone in zones:
        (folder / "lake" / zone).mkdir(parents=True)
    with parts.warehouse(folder, zones=zones) as found:
        yield found


@pytest.fixture
def client(standin: parts.Warehouse) -> Generator[Warehouse]:
    with Warehouse.connect(WarehouseAddress.parse(standin.url)) as found:
        found.execute("CREATE DATABASE IF NOT EXISTS T")
        found.execute("CREATE SCHEMA IF NOT EXISTS T.S")
        found.execute("USE SCHEMA T.S")
        yield found


def values(client: Warehouse, sql: str) -> list[Any]:
    return [next(iter(row.values())) for row in client.query(sql)]


def test_a_large_result_keeps_its_order(client: Warehouse) -> None:
    client.execute(f"CREATE OR REPLACE TABLE T.S.N AS SELECT range AS n FROM range({ROWS})")
    assert values(client, "SELECT n FROM T.S.N ORDER BY n") == list(range(ROWS))
    assert values(client, "SELECT n FROM T.S.N ORDER BY n DESC") == list(range(ROWS - 1, -1, -1))
    assert values(client, "SELECT n FROM T.S.N ORDER BY n LIMIT 5 OFFSET 12345") == list(range(12345, 12350))


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT 0.1::NUMBER(12,2) + 0.2::NUMBER(12,2)", Decimal("0.30")),
        ("SELECT SUM(x) FROM (SELECT 0.10::NUMBER(12,2) AS x FROM range(1000))", Decimal("100.00")),
        ("SELECT 99999999.99::NUMBER(14,2)", Decimal("99999999.99")),
        ("SELECT '2026-11-16'::DATE", date(2026, 11, 16)),
        ("SELECT DATEADD(day, 1, '2026-02-28'::DATE)", date(2026, 3, 1)),
        ("SELECT TO_DATE('2026-11-16')", date(2026, 11, 16)),
        ("SELECT DATE_TRUNC('week', '2026-11-22'::DATE)::DATE", date(2026, 11, 16)),
        ("SELECT COALESCE(NULL, 'a')", "a"),
        ("SELECT IFF(1 = 1, 'yes', 'no')", "yes"),
        ("SELECT 'it''s'", "it's"),
        ("SELECT 'ü€😀'", "ü€😀"),
        ("SELECT NULL", None),
        ("SELECT TRUE", True),
        ("SELECT COUNT(*) FROM range(7)", 7),
    ],
)
def test_values_come_back_as_they_are(client: Warehouse, sql: str, value: Any) -> None:
    assert values(client, sql) == [value]


def test_parameters_are_values_and_never_sql(client: Warehouse) -> None:
    evil = "'; DROP TABLE T.S.KEEP; --"
    client.execute("CREATE OR REPLACE TABLE T.S.KEEP (x VARCHAR)")
    client.execute("INSERT INTO T.S.KEEP VALUES (%s)", [evil])
    assert values(client, "SELECT x FROM T.S.KEEP") == [evil]


def test_what_was_rolled_back_never_was(client: Warehouse) -> None:
    client.execute("CREATE OR REPLACE TABLE T.S.R (x NUMBER)")
    client.execute("INSERT INTO T.S.R VALUES (1)")
    client.execute("BEGIN")
    client.execute("DELETE FROM T.S.R")
    client.execute("INSERT INTO T.S.R VALUES (2), (3)")
    assert sorted(values(client, "SELECT x FROM T.S.R")) == [2, 3]
    client.execute("ROLLBACK")
    assert values(client, "SELECT x FROM T.S.R") == [1]


def test_another_connection_sees_what_was_committed_and_nothing_else(
    client: Warehouse, standin: parts.Warehouse
) -> None:
    client.execute("CREATE OR REPLACE TABLE T.S.C (x NUMBER)")
    with Warehouse.connect(WarehouseAddress.parse(standin.url)) as other:
        client.execute("BEGIN")
        client.execute("INSERT INTO T.S.C VALUES (1)")
        assert values(other, "SELECT COUNT(*) FROM T.S.C") == [0]
        client.execute("COMMIT")
        assert values(other, "SELECT COUNT(*) FROM T.S.C") == [1]


def test_two_writers_of_the_same_rows_end_as_one_and_the_other_is_told(
    standin: parts.Warehouse, client: Warehouse
) -> None:
    client.execute("CREATE OR REPLACE TABLE T.S.W (x NUMBER, who NUMBER)")
    client.execute("INSERT INTO T.S.W SELECT range, 0 FROM range(100)")
    gate = threading.Barrier(2)
    said: dict[int, str] = {}

    def write(who: int) -> None:
        with Warehouse.connect(WarehouseAddress.parse(standin.url)) as own:
            own.execute("BEGIN")
            gate.wait(20)
            try:
                own.execute(f"UPDATE T.S.W SET who = {who}")
                gate_passed.append(who)
                own.execute("COMMIT")
                said[who] = "done"
            except WarehouseError as error:
                said[who] = str(error)

    gate_passed: list[int] = []
    threads = [threading.Thread(target=write, args=[who]) for who in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [who for who, text in said.items() if text == "done"]
    assert winners
    assert set(values(client, "SELECT DISTINCT who FROM T.S.W")) == {gate_passed[-1]} or len(winners) == 1
    for text in said.values():
        assert text == "done" or "conflict" in text.lower()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM T.S.NOWHERE", "NOWHERE"),
        ("SELECT no_column FROM (SELECT 1 AS x)", "no_column"),
        ("SELEC 1", "SELEC"),
        ("SELECT 1 / 'x'", ""),
        ("INSERT INTO T.S.NOWHERE VALUES (1)", "NOWHERE"),
        ("USE SCHEMA T.NOWHERE", ""),
        ("COPY INTO T.S.NOWHERE FROM @T.S.NOSTAGE", ""),
    ],
)
def test_a_statement_that_fails_is_an_sql_error_of_one_line(client: Warehouse, sql: str, said: str) -> None:
    with pytest.raises(WarehouseError) as caught:
        client.execute(sql)
    assert said.lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)
    assert values(client, "SELECT 1") == [1], "the connection goes on"


@pytest.mark.parametrize(
    "sql",
    [
        "GRANT USAGE ON DATABASE T TO ROLE ANALYST",
        "REVOKE USAGE ON DATABASE T FROM ROLE ANALYST",
        "CREATE ROLE IF NOT EXISTS ANALYST",
        "CREATE OR REPLACE WAREHOUSE LOAD WITH WAREHOUSE_SIZE = XSMALL",
        "ALTER WAREHOUSE LOAD SET AUTO_SUSPEND = 60",
        "DROP ROLE IF EXISTS ANALYST",
        "CREATE USER loader TYPE = SERVICE",
        "ALTER SESSION SET QUERY_TAG = 'x'",
        "USE SECONDARY ROLES NONE",
        "ALTER TABLE T.S.N SET COMMENT = 'x'",
    ],
)
def test_statements_about_access_and_sizes_do_nothing_and_succeed(client: Warehouse, sql: str) -> None:
    client.execute("CREATE TABLE IF NOT EXISTS T.S.N (n NUMBER)")
    client.execute(sql)


def parquet(folder: Path, name: str, amounts: list[str]) -> None:
    table = pa.table(
        {
            "Amount": pa.array([Decimal(amount) for amount in amounts], pa.decimal128(12, 2)),
            "D": [date(2026, 11, 16)] * len(amounts),
        }
    )
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name)


def test_files_of_a_stage_are_copied_by_name_to_the_cent(client: Warehouse, folder: Path) -> None:
    parquet(folder / "files", "a b/1.parquet", ["0.10", "0.20"])
    parquet(folder / "files", "2.parquet", ["99999.99"])
    parquet(folder / "files", "not-asked.parquet", ["7.00"])
    client.execute(f"CREATE OR REPLACE STAGE T.S.FILES URL = 'file://{folder / 'files'}/'")
    client.execute("CREATE OR REPLACE TABLE T.S.M (d DATE, amount NUMBER(12,2))")
    client.execute(
        "COPY INTO T.S.M FROM @T.S.FILES FILES = ('a b/1.parquet', '2.parquet')"
        " FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
    )
    assert values(client, "SELECT SUM(amount) FROM T.S.M") == [Decimal("100000.29")]
    assert values(client, "SELECT COUNT(*) FROM T.S.M WHERE d = '2026-11-16'") == [3]


def test_a_file_that_is_missing_fails_the_copy(client: Warehouse, folder: Path) -> None:
    (folder / "files").mkdir(exist_ok=True)
    client.execute(f"CREATE OR REPLACE STAGE T.S.FILES URL = 'file://{folder / 'files'}/'")
    client.execute("CREATE OR REPLACE TABLE T.S.M (d DATE, amount NUMBER(12,2))")
    with pytest.raises(WarehouseError):
        client.execute(
            "COPY INTO T.S.M FROM @T.S.FILES FILES = ('gone.parquet') FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
        )
    assert values(client, "SELECT COUNT(*) FROM T.S.M") == [0]


def test_stages_and_formats_come_and_go(client: Warehouse, folder: Path) -> None:
    client.execute(f"CREATE OR REPLACE STAGE T.S.TEMPORARY URL = 'file://{folder}/'")
    client.execute("CREATE OR REPLACE FILE FORMAT T.S.P TYPE = PARQUET")
    assert "TEMPORARY" in [row["name"] for row in client.query("SHOW STAGES IN SCHEMA T.S")]
    assert "P" in [row["name"] for row in client.query("SHOW FILE FORMATS IN SCHEMA T.S")]
    client.execute("DROP STAGE IF EXISTS T.S.TEMPORARY")
    client.execute("DROP FILE FORMAT T.S.P")
    assert "TEMPORARY" not in [row["name"] for row in client.query("SHOW STAGES IN SCHEMA T.S")]
    assert "P" not in [row["name"] for row in client.query("SHOW FILE FORMATS IN SCHEMA T.S")]


def test_more_results_than_are_kept_do_no_harm(client: Warehouse) -> None:
    assert [values(client, f"SELECT {number}")[0] for number in range(60)] == list(range(60))


def test_many_clients_at_once_get_their_own_answers(standin: parts.Warehouse) -> None:
    wrong: list[tuple[int, Any]] = []

    def ask(number: int) -> None:
        with Warehouse.connect(WarehouseAddress.parse(standin.url)) as own:
            for offset in range(5):
                found = values(own, f"SELECT {number * 100 + offset}")
                if found != [number * 100 + offset]:
                    wrong.append((number, found))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_everything_is_there_again_after_a_restart(client: Warehouse, standin: parts.Warehouse, folder: Path) -> None:
    client.execute("CREATE OR REPLACE TABLE T.S.KEPT AS SELECT 7 AS x")
    client.execute(f"CREATE OR REPLACE STAGE T.S.KEPT_STAGE URL = 'file://{folder}/'")
    client.close()
    standin.kill()
    standin.start()
    with Warehouse.connect(WarehouseAddress.parse(standin.url)) as again:
        assert values(again, "SELECT x FROM T.S.KEPT") == [7]
        assert "KEPT_STAGE" in [row["name"] for row in again.query("SHOW STAGES IN SCHEMA T.S")]


def test_the_launcher_names_every_rule_that_it_adds() -> None:
    tree = ast.parse(parts.LAUNCHER.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert ast.get_docstring(node), node.name
