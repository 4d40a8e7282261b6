"""What of a warehouse is kept as rows, what as loads to do again, and in which order it is made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ci.backup import warehouse as warehouses
from ci.backup.manifest import BackupError
from ci.backup.warehouse import OBJECTS, TableColumn
from leandata.datasets import dataset
from leandata.errors import WarehouseError
from leandata.lake import Lake
from leandata.tables import schema

ORDERS = dataset("shop.orders")
DAY = date(2026, 11, 2)
CENTS = ("10.01", "20.02", "0.07")


def column(
    name: str, type_: str, *, precision: int | None = None, scale: int | None = None, nullable: bool = True
) -> TableColumn:
    return TableColumn(name=name, type=type_, precision=precision, scale=scale, nullable=nullable)


class Fake:
    """A warehouse that notes what it is told, refuses what `refuses` names, and answers by how a query begins."""

    def __init__(self, answers: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self.answers = answers or {}
        self.told: list[str] = []
        self.refuses: Callable[[str], bool] = lambda _: False
        self.loaded: list[tuple[str, list[str], str]] = []

    def execute(self, sql: str) -> int:
        if self.refuses(sql):
            raise WarehouseError("an object does not exist")
        self.told.append(sql)
        return 0

    def query(self, sql: str) -> list[dict[str, Any]]:
        found = [rows for head, rows in self.answers.items() if sql.strip().startswith(head)]
        return found[0] if found else []

    def load(self, contract: Any, wanted: dict[Any, Any], *, stage: str) -> None:
        self.loaded.append((contract.name, [f"{day} {one.run}" for day, one in wanted.items()], stage))


def objects(**changes: Any) -> dict[str, Any]:
    """What is written down of an empty warehouse, but for these."""
    empty = {"databases": [], "schemas": [], "stages": {}, "file_formats": {}, "tables": {}, "views": {}}
    return {**empty, **changes}


def restored(fake: Any, folder: Path, lake: Lake, **changes: Any) -> list[str]:
    (folder / OBJECTS).write_text(json.dumps(objects(**changes)))
    return warehouses.restore(fake, lake, folder, moved=lambda url: url.replace("/old/", "/new/"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A raw zone with one day of orders."""
    found = Lake(f"file://{tmp_path / 'raw'}")
    rows = [
        {"customer_id": n, "ordered_on": DAY, "quantity": 1, "amount_usd": Decimal(text)}
        for n, text in enumerate(CENTS)
    ]
    found.publish(ORDERS, {DAY: pa.Table.from_pylist(rows, schema=schema(ORDERS))}, run="first")
    return found


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "declared", "arrow", "decimal"),
    [
        (column("A", "TEXT"), '"A" VARCHAR', pa.string(), False),
        (column("A", "TEXT", nullable=False), '"A" VARCHAR NOT NULL', pa.string(), False),
        (column("A", "NUMBER", precision=14, scale=2), '"A" NUMBER(14,2)', pa.decimal128(14, 2), True),
        (column("A", "NUMBER", precision=18, scale=0), '"A" NUMBER(18,0)', pa.int64(), False),
        (column("A", "NUMBER", precision=19, scale=0), '"A" NUMBER(19,0)', pa.decimal128(38, 0), False),
        (column("A", "NUMBER", precision=38, scale=0), '"A" NUMBER(38,0)', pa.decimal128(38, 0), False),
        (column("A", "BOOLEAN"), '"A" BOOLEAN', pa.bool_(), False),
        (column("A", "DATE", nullable=False), '"A" DATE NOT NULL', pa.date32(), False),
        (column("A", "FLOAT"), '"A" FLOAT', pa.float64(), False),
        (column("A", "TIMESTAMP_NTZ"), '"A" TIMESTAMP_NTZ', pa.timestamp("us"), False),
        (column("A", "TIMESTAMP_TZ"), '"A" TIMESTAMP_TZ', pa.timestamp("us", tz="UTC"), False),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_column_is_made_again_as_it_was_and_loses_no_digit(
    given: TableColumn, declared: str, arrow: pa.DataType, decimal: bool
) -> None:
    assert (given.declared(), given.arrow(), given.decimal) == (declared, arrow, decimal)


@pytest.mark.parametrize("type_", ["VARIANT", "ARRAY", "GEOGRAPHY", "BINARY"])
def test_a_type_that_cannot_be_kept_is_told_before_anything_is_lost(type_: str) -> None:
    with pytest.raises(BackupError) as told:
        column("PAYLOAD", type_).arrow()
    assert str(told.value) == f"the type {type_} of PAYLOAD cannot be kept in a backup yet"


# -- totals ------------------------------------------------------------------------------------------------------------


def test_a_total_sums_decimals_only_and_an_empty_sum_is_nothing() -> None:
    fake: Any = Fake(
        {
            'SELECT COUNT(*) AS n, SUM("USD") AS s0, SUM("EUR") AS s1 FROM T': [
                {"n": 2, "s0": Decimal("1.10"), "s1": None}
            ]
        }
    )
    columns = [
        column("ID", "NUMBER", precision=18, scale=0),
        column("USD", "NUMBER", precision=14, scale=2),
        column("EUR", "NUMBER", precision=14, scale=2),
    ]
    assert warehouses.total(fake, "T", columns) == {"rows": 2, "sums": {"USD": "1.10", "EUR": "0"}}


# -- taken -------------------------------------------------------------------------------------------------------------


def shown(name: str, **types: tuple[str, int | None, int | None]) -> dict[str, list[dict[str, Any]]]:
    """How a warehouse with this one table of RAW shows itself."""
    schema_, _, table = name.partition(".")
    columns = [
        {
            "table_schema": schema_, "table_name": table, "column_name": one, "data_type": type_,
            "numeric_precision": precision, "numeric_scale": scale, "is_nullable": "YES",
        }
        for one, (type_, precision, scale) in types.items()
    ]  # fmt: skip
    return {
        "SHOW DATABASES": [{"name": "RAW"}],
        "SHOW SCHEMAS": [{"name": schema_}, {"name": "public"}, {"name": "INFORMATION_SCHEMA"}],
        "SHOW TABLES": [{"schema_name": schema_, "name": table}],
        "SELECT table_schema": [*columns, {**columns[0], "table_name": "A_VIEW"}],
    }


def test_rows_of_no_load_are_kept_as_they_are_with_their_sums(tmp_path: Path, lake: Lake) -> None:
    answers = shown("HAND.MADE", USD=("NUMBER", 14, 2), NOTE=("TEXT", None, None))
    rows = [{"usd": Decimal("1.10"), "note": "a"}, {"usd": Decimal("2.02"), "note": None}, {"usd": None, "note": "c"}]
    fake: Any = Fake({**answers, 'SELECT "USD", "NOTE" FROM RAW.HAND.MADE': rows})
    assert warehouses.take(fake, lake, tmp_path) == {"RAW.HAND.MADE": {"rows": 3, "sums": {"USD": "3.12"}}}
    kept = pq.read_table(tmp_path / "RAW.HAND.MADE.parquet")
    assert kept.to_pylist() == [{name.upper(): value for name, value in row.items()} for row in rows]
    found = json.loads((tmp_path / OBJECTS).read_text())
    assert found["schemas"] == ["RAW.HAND"]
    assert {name: table["file"] for name, table in found["tables"].items()} == {
        "RAW.HAND.MADE": "RAW.HAND.MADE.parquet"
    }
    assert fake.told == ["BEGIN", "COMMIT"]


def test_an_empty_table_is_written_down_without_a_file(tmp_path: Path, lake: Lake) -> None:
    fake: Any = Fake(shown("HAND.MADE", USD=("NUMBER", 14, 2)))
    assert warehouses.take(fake, lake, tmp_path) == {"RAW.HAND.MADE": {"rows": 0, "sums": {"USD": "0"}}}
    assert json.loads((tmp_path / OBJECTS).read_text())["tables"]["RAW.HAND.MADE"]["file"] == ""
    assert list(tmp_path.glob("*.parquet")) == []


@pytest.mark.parametrize(
    ("run", "count", "replayed"),
    [("first", 3, True), ("first", 2, False), ("first", 4, False), ("by-hand", 3, False)],
    ids=["all rows of a load", "a row was deleted", "a row was added", "a run nobody published"],
)
def test_a_table_is_loaded_again_only_when_all_its_rows_are_those_of_its_loads(
    tmp_path: Path, lake: Lake, run: str, count: int, replayed: bool
) -> None:
    answers = {
        **shown("SHOP.ORDERS", AMOUNT_USD=("NUMBER", 12, 2)),
        "SELECT _dt, _run, COUNT(*) AS n FROM RAW.SHOP.ORDERS": [{"_dt": DAY, "_run": run, "n": count}],
        "SELECT COUNT(*) AS n,": [{"n": count, "s0": Decimal("30.10")}],
        'SELECT "AMOUNT_USD" FROM RAW.SHOP.ORDERS': [{"amount_usd": Decimal("1.00")}] * count,
    }
    fake: Any = Fake(answers)
    warehouses.take(fake, lake, tmp_path)
    table = json.loads((tmp_path / OBJECTS).read_text())["tables"]["RAW.SHOP.ORDERS"]
    assert table.get("replayed") == ([["2026-11-02", "first"]] if replayed else None)
    assert (tmp_path / "RAW.SHOP.ORDERS.parquet").exists() is not replayed


def test_the_transaction_is_ended_when_a_table_cannot_be_kept(tmp_path: Path, lake: Lake) -> None:
    fake: Any = Fake(shown("HAND.MADE", PAYLOAD=("VARIANT", None, None)))
    with pytest.raises(BackupError, match="the type VARIANT of PAYLOAD"):
        warehouses.take(fake, lake, tmp_path)
    assert fake.told == ["BEGIN", "COMMIT"]
    assert not (tmp_path / OBJECTS).exists()


# -- made again --------------------------------------------------------------------------------------------------------

USD = {"name": "USD", "type": "NUMBER", "precision": 14, "scale": 2, "nullable": True}


def test_everything_is_made_after_what_it_stands_in_and_the_stage_of_the_restore_goes(
    tmp_path: Path, lake: Lake
) -> None:
    fake = Fake()
    said = restored(
        fake, tmp_path, lake, databases=["RAW"], schemas=["RAW.HAND"], file_formats={"RAW.LAKE.P": "PARQUET"},
        stages={"RAW.LAKE.FILES": "file:///old/lake/raw/"},
        tables={"RAW.HAND.MADE": {"columns": [USD], "file": "m.parquet"}, "RAW.HAND.EMPTY": {"columns": [USD], "file": ""}},
    )  # fmt: skip
    assert said == []
    assert fake.told == [
        "CREATE DATABASE IF NOT EXISTS RAW",
        "CREATE SCHEMA IF NOT EXISTS RAW.HAND",
        "CREATE OR REPLACE FILE FORMAT RAW.LAKE.P TYPE = PARQUET",
        "CREATE OR REPLACE STAGE RAW.LAKE.FILES URL = 'file:///new/lake/raw/'",
        f"CREATE OR REPLACE STAGE RAW.LAKE.RESTORED URL = 'file://{tmp_path}/'",
        'CREATE TABLE IF NOT EXISTS RAW.HAND.EMPTY ("USD" NUMBER(14,2))',
        'CREATE TABLE IF NOT EXISTS RAW.HAND.MADE ("USD" NUMBER(14,2))',
        "USE SCHEMA RAW.HAND",
        (
            "COPY INTO RAW.HAND.MADE FROM @RAW.LAKE.RESTORED FILES = ('m.parquet')"
            " FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
        ),
        "DROP STAGE IF EXISTS RAW.LAKE.RESTORED",
    ]


def test_a_replayed_table_is_loaded_from_the_manifests_that_were_written_down(tmp_path: Path, lake: Lake) -> None:
    fake = Fake()
    restored(
        fake, tmp_path, lake, tables={"RAW.SHOP.ORDERS": {"columns": [USD], "replayed": [["2026-11-02", "first"]]}}
    )
    assert fake.loaded == [("shop.orders", ["2026-11-02 first"], "RAW.LAKE.FILES")]


@pytest.mark.parametrize(
    ("table", "slices", "line"),
    [
        (
            "RAW.SHOP.ORDERS",
            [["2026-11-03", "first"]],
            "the lake lacks first of 2026-11-03 (RAW.SHOP.ORDERS). Restore the lake first: PART=lake",
        ),
        ("RAW.OLD.TABLE", [], "RAW.OLD.TABLE is no longer loaded from the lake. Restore with the code of the backup"),
    ],
)
def test_a_load_that_cannot_be_done_again_is_told_and_the_stage_still_goes(
    tmp_path: Path, lake: Lake, table: str, slices: list[list[str]], line: str
) -> None:
    fake = Fake()
    with pytest.raises(BackupError) as told:
        restored(fake, tmp_path, lake, tables={table: {"columns": [USD], "replayed": slices}})
    assert str(told.value) == line
    assert fake.loaded == []
    assert fake.told[-1] == "DROP STAGE IF EXISTS RAW.LAKE.RESTORED"


def test_views_are_made_after_those_they_read_whatever_their_names(tmp_path: Path, lake: Lake) -> None:
    fake = Fake()
    fake.refuses = lambda sql: " M.S.A " in sql and not any(" M.S.B " in told for told in fake.told)
    views = {"M.S.A": "CREATE VIEW s.a AS SELECT * FROM B;", "M.S.B": "CREATE VIEW s.b(x, y) AS SELECT 1 AS p, 2 AS q"}
    assert restored(fake, tmp_path, lake, views=views) == []
    assert fake.told[-2:] == [
        "CREATE OR REPLACE VIEW M.S.B (x, y) AS SELECT 1 AS p, 2 AS q",
        "CREATE OR REPLACE VIEW M.S.A  AS SELECT * FROM B",
    ]


def test_views_that_cannot_be_made_are_left_to_dbt_and_each_is_told(tmp_path: Path, lake: Lake) -> None:
    fake = Fake()
    fake.refuses = lambda sql: "lost" in sql
    views = {
        f"M.S.{name}": f"CREATE VIEW s.x AS SELECT * FROM {of}"
        for name, of in {"C": "lost", "B": "t", "A": "lost"}.items()
    }
    assert restored(fake, tmp_path, lake, views=views) == [
        "the view M.S.A is left to dbt: an object does not exist",
        "the view M.S.C is left to dbt: an object does not exist",
    ]
    assert fake.told[-1] == "CREATE OR REPLACE VIEW M.S.B  AS SELECT * FROM t"
