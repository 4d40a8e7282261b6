"""A service touches only the schemas that its address names, where the warehouse itself knows no roles."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.datasets import CATALOG
from leandata.errors import LeandataError, SettingsError, WarehouseError
from leandata.rights import Guard, Rights
from leandata.settings import WarehouseAddress
from leandata.statements import statements
from leandata.warehouse import Warehouse, copy_statements, slice_condition

ADDRESS = "snowflake://leandata@fakesnow?host=127.0.0.1&port=1&protocol=http"
READER = Rights(role="READER", reads=("MARTS.SALES", "RAW.LAKE"), writes=("RAW.SHOP",))


def guard() -> Guard:
    return Guard(rights=READER)


def touched(sql: str) -> tuple[str, set[str], str]:
    """Kind, what is read, what is written."""
    [one] = statements(sql)
    return one.kind, {".".join(name) for name in one.reads}, ".".join(one.writes)


# -- what a statement touches ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", set()),
        ("select * from raw.shop.orders", {"RAW.SHOP.ORDERS"}),
        ('SELECT * FROM "RAW"."SHOP"."ORDERS"', {"RAW.SHOP.ORDERS"}),
        ("SELECT * FROM a.b.c, d.e.f AS x", {"A.B.C", "D.E.F"}),
        ("SELECT * FROM a.b.c x JOIN d.e.f y ON x.i = y.i LEFT JOIN g.h.i USING (k)", {"A.B.C", "D.E.F", "G.H.I"}),
        ("SELECT x.a, y.b FROM (SELECT * FROM a.b.c) x, d.e.f y", {"A.B.C", "D.E.F"}),
        ("SELECT * FROM a.b.c WHERE k IN (SELECT k FROM d.e.f)", {"A.B.C", "D.E.F"}),
        ("SELECT (SELECT MAX(k) FROM a.b.c) AS top", {"A.B.C"}),
        ("WITH x AS (SELECT * FROM a.b.c) SELECT * FROM x", {"A.B.C"}),
        ("WITH x (k, l) AS (SELECT * FROM a.b.c), y AS (SELECT * FROM x) SELECT * FROM y, x", {"A.B.C"}),
        ("SELECT * FROM a.b.c UNION ALL SELECT * FROM d.e.f", {"A.B.C", "D.E.F"}),
        ("(SELECT * FROM a.b.c)", {"A.B.C"}),
        ("SELECT $1 FROM @raw.lake.files (PATTERN => 'x')", {"RAW.LAKE.FILES"}),
        ("SELECT $1 FROM @raw.lake.files/shop/orders", {"RAW.LAKE.FILES"}),
        ("SELECT EXTRACT(YEAR FROM d), TRIM(' ' FROM n) FROM a.b.c", {"A.B.C"}),
        ("SELECT 1 FROM a.b.c WHERE x IS DISTINCT FROM y", {"A.B.C"}),
        ("SELECT f.value FROM a.b.c, LATERAL FLATTEN(input => c.v) f", {"A.B.C"}),
        ("SELECT * FROM TABLE(GENERATOR(ROWCOUNT => 3))", set()),
        ("SELECT 'FROM secret.x.y' AS t FROM a.b.c -- FROM d.e.f\n/* JOIN g.h.i */", {"A.B.C"}),
        ("SELECT $$ FROM secret.x.y $$ FROM a.b.c", {"A.B.C"}),
        ("SELECT 'it''s FROM x.y.z' FROM a.b.c", {"A.B.C"}),
        ("SELECT * FROM a.b.c ORDER BY d, e", {"A.B.C"}),
        ("EXPLAIN SELECT * FROM a.b.c", {"A.B.C"}),
        ("SELECT SUM(x) OVER (PARTITION BY a, b ORDER BY c) FROM a.b.c", {"A.B.C"}),
    ],
)  # fmt: skip
def test_every_table_that_is_read_is_seen(sql: str, reads: set[str]) -> None:
    assert touched(sql) == ("read", reads, "")


@pytest.mark.parametrize(
    ("sql", "written", "reads"),
    [
        ("INSERT INTO a.b.c VALUES (1, 'FROM x.y.z')", "A.B.C", set()),
        ("INSERT OVERWRITE INTO a.b.c (k, l) SELECT k, l FROM d.e.f", "A.B.C", {"D.E.F"}),
        ("DELETE FROM a.b.c WHERE k IN (SELECT k FROM d.e.f)", "A.B.C", {"D.E.F"}),
        ("DELETE FROM a.b.c USING d.e.f WHERE 1 = 1", "A.B.C", {"D.E.F"}),
        ("UPDATE a.b.c SET k = 1 FROM d.e.f WHERE c.i = f.i", "A.B.C", {"D.E.F"}),
        ("MERGE INTO a.b.c USING d.e.f ON c.i = f.i WHEN MATCHED THEN DELETE", "A.B.C", {"D.E.F"}),
        ("MERGE INTO a.b.c t USING (SELECT * FROM d.e.f) s ON t.i = s.i", "A.B.C", {"D.E.F"}),
        ("TRUNCATE a.b.c", "A.B.C", set()),
        ("TRUNCATE TABLE IF EXISTS a.b.c", "A.B.C", set()),
        ("CREATE TABLE IF NOT EXISTS a.b.c (k NUMBER(9,0), n VARCHAR)", "A.B.C", set()),
        ("CREATE OR REPLACE TRANSIENT TABLE a.b.c AS SELECT * FROM d.e.f", "A.B.C", {"D.E.F"}),
        ("CREATE OR REPLACE VIEW a.b.c AS WITH x AS (SELECT * FROM d.e.f) SELECT * FROM x", "A.B.C", {"D.E.F"}),
        ("CREATE TABLE a.b.c CLONE d.e.f", "A.B.C", {"D.E.F"}),
        ("CREATE TABLE a.b.c LIKE d.e.f", "A.B.C", {"D.E.F"}),
        ("ALTER TABLE a.b.c ADD COLUMN k INT", "A.B.C", set()),
        ("DROP TABLE IF EXISTS a.b.c", "A.B.C", set()),
        ("DROP VIEW a.b.c", "A.B.C", set()),
        ("COPY INTO a.b.c FROM @raw.lake.files FILES = ('x') FILE_FORMAT = (TYPE = PARQUET)", "A.B.C", {"RAW.LAKE.FILES"}),
    ],
)  # fmt: skip
def test_what_is_written_is_told_apart_from_what_is_read(sql: str, written: str, reads: set[str]) -> None:
    assert touched(sql) == ("write", reads, written)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE DATABASE x",
        "CREATE SCHEMA a.b",
        "CREATE OR REPLACE STAGE a.b.c URL = 's3://x'",
        "CREATE USER x",
        "GRANT SELECT ON a.b.c TO ROLE x",
        "REVOKE SELECT ON a.b.c FROM ROLE x",
        "ALTER ACCOUNT SET x = 1",
        "ALTER USER x SET rsa_public_key = 'y'",
        "DROP DATABASE x",
        "DROP SCHEMA a.b",
        "CALL f()",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "PUT file:///x @a.b.c",
        "USE ROLE accountadmin",
        "USE SECONDARY ROLES ALL",
        "USE WAREHOUSE large",
        "COPY INTO @a.b.c FROM d.e.f",
        "COPY INTO 's3://elsewhere/' FROM d.e.f",
        "UNDROP TABLE a.b.c",
        "SET x = 1",
        "",
        "'SELECT'",
    ],
)
def test_what_is_neither_reading_nor_writing_a_table_is_refused(sql: str) -> None:
    if not sql:
        guard().demand(sql)
        return
    with pytest.raises(WarehouseError, match="READER may not"):
        guard().demand(sql)


@given(st.text(alphabet="SELECTFROMabc.,()'\"$@-/*; \n\\", max_size=60))
def test_whatever_the_text_nothing_breaks(text: str) -> None:
    try:
        guard().demand(text)
    except LeandataError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@given(st.sampled_from(["RAW.SHOP.X", "MARTS.SALES.Y", "MARTS.FEATURES.Z"]), st.integers(0, 5))
def test_a_table_does_not_hide_in_brackets(name: str, depth: int) -> None:
    sql = f"SELECT * FROM {'(SELECT * FROM ' * depth}{name}{')' * depth}"
    assert touched(sql)[1] == {name}


# -- what a role may ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM marts.sales.weekly_sales",
        "SELECT * FROM raw.shop.orders",
        "SELECT COUNT(*) FROM @raw.lake.files",
        "INSERT INTO raw.shop.orders SELECT * FROM marts.sales.weekly_sales",
        "COPY INTO raw.shop.orders FROM @raw.lake.files",
        "SHOW TABLES",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "ALTER SESSION SET TIMEZONE = 'UTC'",
        "SELECT * FROM marts.information_schema.tables",
        "USE SCHEMA raw.shop",
        "SELECT 1; SELECT * FROM raw.shop.orders;",
    ],
)
def test_what_the_address_names_is_allowed(sql: str) -> None:
    guard().demand(sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM marts.features.f", "READER may not read MARTS.FEATURES.F"),
        ("INSERT INTO marts.sales.weekly_sales VALUES (1)", "READER may not write MARTS.SALES.WEEKLY_SALES"),
        ("INSERT INTO raw.shop.o SELECT * FROM marts.features.f", "READER may not read MARTS.FEATURES.F"),
        ("SELECT 1; DROP TABLE marts.sales.weekly_sales", "READER may not write MARTS.SALES.WEEKLY_SALES"),
        ("COPY INTO raw.shop.o FROM @marts.lake.files", "READER may not read MARTS.LAKE.FILES"),
        ("INSERT INTO raw.information_schema.tables VALUES (1)", "READER may not write"),
        ("USE SCHEMA marts.features", "READER may not use MARTS.FEATURES"),
        ("CREATE VIEW raw.shop.v AS SELECT * FROM marts.features.f", "READER may not read MARTS.FEATURES.F"),
    ],
)
def test_what_it_does_not_name_is_refused_in_one_line(sql: str, said: str) -> None:
    with pytest.raises(WarehouseError, match=said) as told:
        guard().demand(sql)
    assert "service.toml" in str(told.value)


def test_a_short_name_is_that_of_the_current_schema() -> None:
    found = guard()
    with pytest.raises(WarehouseError, match="ORDERS may be a table of any schema"):
        found.demand("SELECT * FROM orders")
    found.demand("USE SCHEMA raw.shop")
    found.demand("DELETE FROM orders")
    found.demand("SELECT * FROM shop.orders")
    found.demand("USE DATABASE marts")
    with pytest.raises(WarehouseError, match=r"may not write MARTS\.SALES\.X"):
        found.demand("DELETE FROM sales.x")
    found.demand("USE SCHEMA sales")
    found.demand("SELECT * FROM weekly_sales")
    with pytest.raises(WarehouseError, match=r"may not write MARTS\.SALES\.WEEKLY_SALES"):
        found.demand("TRUNCATE weekly_sales")


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_a_load_needs_the_right_to_write_its_table_and_to_read_its_stage(name: str) -> None:
    dataset = CATALOG[name]
    schema = dataset.warehouse_table.rpartition(".")[0]
    stage = f"{dataset.layer}.LAKE"
    load = [
        dataset.create_table_sql(),
        f"USE SCHEMA {schema}",
        "BEGIN",
        f"DELETE FROM {dataset.warehouse_table}{slice_condition([date(2026, 11, 1)])}",
        *copy_statements(dataset, ["a.parquet", "b.parquet"], stage=f"{stage}.FILES"),
        f"SELECT COUNT(*) AS n FROM {dataset.warehouse_table}",
        "COMMIT",
    ]
    whole = Guard(rights=Rights(role="R", reads=(stage,), writes=(schema,)))
    for sql in load:
        whole.demand(sql)
    for less in (Rights(role="R", reads=(stage, schema), writes=()), Rights(role="R", reads=(), writes=(schema,))):
        assert not all(allowed(Guard(rights=less), sql) for sql in load)


def test_the_whole_matrix_of_schemas_and_actions_is_as_the_rights_say() -> None:
    schemas = sorted({one.warehouse_table.rpartition(".")[0] for one in CATALOG.values()})
    for read, write in itertools.product(range(1 << len(schemas)), repeat=2):
        reads = [schema for place, schema in enumerate(schemas) if read >> place & 1]
        writes = [schema for place, schema in enumerate(schemas) if write >> place & 1]
        found = Guard(rights=Rights(role="R", reads=reads, writes=writes))
        for one in CATALOG.values():
            schema = one.warehouse_table.rpartition(".")[0]
            assert allowed(found, f"SELECT * FROM {one.warehouse_table}") == (schema in reads or schema in writes)
            assert allowed(found, f"DELETE FROM {one.warehouse_table}") == (schema in writes)


def allowed(found: Guard, sql: str) -> bool:
    try:
        found.demand(sql)
    except WarehouseError:
        return False
    return True


# -- the address, and the client ---------------------------------------------------------------------------------------


def test_an_address_without_rights_leaves_the_decision_to_the_warehouse() -> None:
    assert Rights.of(WarehouseAddress.parse(ADDRESS)) is None
    assert Rights.of(WarehouseAddress.parse(f"{ADDRESS}&role=SERVICE_AIRFLOW")) is None


def test_an_address_names_schemas() -> None:
    address = WarehouseAddress.parse(f"{ADDRESS}&role=R&reads=RAW.SHOP,MARTS.SALES&writes=RAW.SHOP")
    assert address.reads == ("MARTS.SALES", "RAW.SHOP")
    assert Rights.of(address) == Rights(
        role="R", reads=frozenset({"MARTS.SALES", "RAW.SHOP"}), writes=frozenset({"RAW.SHOP"})
    )


@pytest.mark.parametrize("name", ["RAW", "raw.shop", "RAW.SHOP.ORDERS", "RAW.SHOP,", "RAW. SHOP", "*"])
def test_what_is_no_schema_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is no schema"):
        WarehouseAddress.parse(f"{ADDRESS}&reads={name}")


class Connection:
    """A connection that writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.rowcount = 0
        self.description: list[Any] = []

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def cursor(self) -> Any:
        return self

    def execute(self, sql: str, params: Any) -> None:
        self.asked.append(sql)

    def fetchall(self) -> list[Any]:
        return []

    def close(self) -> None:
        return None


class Offline(Warehouse):
    """A client whose connection is there already."""

    def __init__(self, text: str) -> None:
        super().__init__(WarehouseAddress.parse(text), timeout=1)
        self.connection = Connection()
        self._connection = self.connection  # type: ignore[assignment]


def test_a_client_asks_nothing_that_its_service_may_not() -> None:
    client = Offline(f"{ADDRESS}&role=SERVICE_X&reads=MARTS.SALES")
    client.query("SELECT * FROM MARTS.SALES.WEEKLY_SALES")
    with pytest.raises(WarehouseError, match=r"SERVICE_X may not write MARTS\.SALES\.WEEKLY_SALES"):
        client.execute("DELETE FROM MARTS.SALES.WEEKLY_SALES")
    with pytest.raises(WarehouseError, match=r"SERVICE_X may not write RAW\.SHOP\.ORDERS"):
        client.ensure(CATALOG["shop.orders"])
    assert client.connection.asked == ["SELECT * FROM MARTS.SALES.WEEKLY_SALES"]


def test_a_refusal_is_final_and_is_not_tried_again() -> None:
    client = Offline(f"{ADDRESS}&reads=MARTS.SALES")
    tries = []

    def act() -> int:
        tries.append(1)
        return client.execute("DELETE FROM RAW.SHOP.ORDERS")

    with pytest.raises(WarehouseError, match="leandata may not write"):
        client.retried(act)
    assert len(tries) == 1


def test_a_client_without_rights_in_its_address_asks_everything() -> None:
    client = Offline(ADDRESS)
    client.execute("GRANT SELECT ON a.b.c TO ROLE x")
    assert client.connection.asked == ["GRANT SELECT ON a.b.c TO ROLE x"]
