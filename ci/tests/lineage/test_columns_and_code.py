"""Lineage from SQL and syntax: which column is made from which, and which function reads what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.lineage.code import code
from ci.lineage.columns import edges, read_columns
from ci.lineage.compiled import Compiled, Model, read
from leandata.datasets import dataset
from leandata.errors import LeandataError

ORDERS = dataset("shop.orders")


def models(**sql: str) -> Compiled:
    """Each model in STAGING.SHOP, made from RAW.SHOP.ORDERS unless it says otherwise."""
    found = {
        f"STAGING.SHOP.{name.upper()}": Model(
            table=f"STAGING.SHOP.{name.upper()}", sql=text, path=f"{name}.sql", needs=("RAW.SHOP.ORDERS",)
        )
        for name, text in sql.items()
    }
    return Compiled(models=found, checks={})


def made(sql: str) -> set[tuple[str, str]]:
    return {
        (source.removeprefix("RAW.SHOP.ORDERS."), to.rpartition(".")[2])
        for source, to in edges(models(m=sql), [ORDERS])
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select amount_usd as paid from RAW.SHOP.orders", {("AMOUNT_USD", "PAID")}),
        ("select amount_usd * quantity as total from RAW.SHOP.orders", {("AMOUNT_USD", "TOTAL"), ("QUANTITY", "TOTAL")}),
        ("select o.quantity from RAW.SHOP.orders as o where o.amount_usd > 3", {("QUANTITY", "QUANTITY")}),
        ("with a as (select ordered_on as day from RAW.SHOP.orders) select max(day) as last from a", {("ORDERED_ON", "LAST")}),
        (
            "select case when quantity > 1 then amount_usd end as big from RAW.SHOP.orders",
            {("QUANTITY", "BIG"), ("AMOUNT_USD", "BIG")},
        ),
        (
            "select row_number() over (partition by customer_id order by _row) as n from RAW.SHOP.orders",
            {("CUSTOMER_ID", "N"), ("_ROW", "N")},
        ),
        (
            "select quantity as a from RAW.SHOP.orders union all select amount_usd as a from RAW.SHOP.orders",
            {("QUANTITY", "A"), ("AMOUNT_USD", "A")},
        ),
        ("select count(*) as orders from RAW.SHOP.orders", {("*", "ORDERS")}),
    ],
)  # fmt: skip
def test_a_column_comes_from_those_whose_values_make_it(sql: str, expected: set[tuple[str, str]]) -> None:
    assert made(sql) == expected


def test_a_model_that_reads_another_is_followed_to_its_columns() -> None:
    first = "select customer_id as who, amount_usd from RAW.SHOP.orders"
    second = "select who, sum(amount_usd) as paid from STAGING.SHOP.first group by who"
    found = edges(models(first=first, second=second), [ORDERS])
    assert ("STAGING.SHOP.FIRST.AMOUNT_USD", "STAGING.SHOP.SECOND.PAID") in found
    assert ("RAW.SHOP.ORDERS.CUSTOMER_ID", "STAGING.SHOP.FIRST.WHO") in found


def test_a_star_is_the_columns_of_the_contract() -> None:
    names = {to for _, to in made("select * from (select * from RAW.SHOP.orders)")}
    assert names == {column.name.upper() for column in ORDERS.stored}


def test_sql_that_nobody_can_read_names_the_model() -> None:
    with pytest.raises(LeandataError, match=r"m\.sql"):
        edges(models(m="select from from where"), [ORDERS])


def test_a_model_that_is_no_query_is_refused() -> None:
    with pytest.raises(LeandataError, match="no SELECT"):
        edges(models(m="drop table RAW.SHOP.orders"), [ORDERS])


TABLES = {"serving.weekly_sales": ["week", "revenue"], "serving.customers": ["customer_id", "revenue"]}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT week FROM serving.weekly_sales WHERE revenue > %(least)s", {"weekly_sales.week", "weekly_sales.revenue"}),
        (
            "SELECT s.week, c.revenue FROM serving.weekly_sales s CROSS JOIN serving.customers AS c LIMIT %(limit)s",
            {"weekly_sales.week", "customers.revenue"},
        ),
        ("SELECT version FROM serving.freshness WHERE dataset = %(name)s::text", set()),
        ("SELECT count(*) FROM serving.customers WHERE customer_id = ANY(%(ids)s)", {"customers.customer_id"}),
    ],
)  # fmt: skip
def test_a_query_reads_the_columns_that_stand_anywhere_in_it(sql: str, expected: set[str]) -> None:
    assert read_columns(sql, TABLES) == {f"serving.{one}" for one in expected}


def test_a_query_that_nobody_can_read_is_told() -> None:
    with pytest.raises(LeandataError, match="cannot read a query"):
        read_columns("SELECT FROM WHERE (", TABLES)


def manifest() -> dict[str, Any]:
    def model(name: str, *needs: str) -> dict[str, Any]:
        return {
            "resource_type": "model", "database": "MARTS", "schema": "SALES", "alias": name, "compiled_code": "select 1",
            "original_file_path": f"models/{name}.sql", "depends_on": {"nodes": list(needs)},
        }  # fmt: skip

    def check(name: str, column: str | None, attached: str | None, *needs: str) -> dict[str, Any]:
        known = {"test_metadata": {"name": name}} if column else {}
        return {
            "resource_type": "test", "name": name, "column_name": column, "attached_node": attached,
            "depends_on": {"nodes": list(needs)}, **known,
        }  # fmt: skip

    return {
        "sources": {
            "source.shop": {"resource_type": "source", "database": "RAW", "schema": "SHOP", "identifier": "orders"}
        },
        "nodes": {
            "model.b": model("b", "model.c", "source.shop"),
            "model.c": model("c", "source.shop"),
            "test.1": check("not_null", "week", "model.b", "model.b"),
            "test.2": check("totals_are_the_same", None, None, "model.b", "source.shop"),
        },
    }


def test_models_come_after_those_that_they_are_made_from() -> None:
    found = read(manifest())
    assert list(found.models) == ["MARTS.SALES.C", "MARTS.SALES.B"]
    assert found.models["MARTS.SALES.B"].needs == ("MARTS.SALES.C", "RAW.SHOP.ORDERS")
    assert found.models["MARTS.SALES.B"].path.endswith("dbt/models/b.sql")


def test_checks_are_told_of_every_table_that_they_look_at() -> None:
    assert read(manifest()).checks == {
        "MARTS.SALES.B": ("totals are the same", "week: not null"),
        "RAW.SHOP.ORDERS": ("totals are the same",),
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "shared/leandata/__init__.py": "",
        "shared/leandata/serving/__init__.py": "from leandata.serving.sales import weekly as weekly\n",
        "shared/leandata/serving/sales.py": "def weekly(): return weekly_sql()\ndef weekly_sql(): return 'SELECT 1'\n",
        "services/api/serving/__init__.py": "",
        "services/api/serving/app.py": (
            "from fastapi import APIRouter\nfrom leandata import serving as read\nrouter = APIRouter(prefix='/v1')\n"
            "NAMES = ('a', 'b')\nONE, TWO = 'one', 'two'\n"
            "@router.get('/weekly')\nasync def weekly_route(): return _helper()\n"
            "def _helper(): return read.weekly(), NAMES\n"
            "def _second(): return TWO\n"
        ),
        "services/api/tests/test_app.py": "def test_nothing(): pass\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_route_reaches_a_query_through_other_functions_and_modules_that_pass_it_on(tree: Path) -> None:
    found = code(tree)
    assert found.functions["serving.app.weekly_route"].route == "GET /v1/weekly"
    assert "leandata.serving.sales.weekly_sql" in found.reached({"serving.app.weekly_route"})


def test_a_constant_s_texts_belong_to_whoever_names_it(tree: Path) -> None:
    functions = code(tree).functions
    assert {"a", "b"} <= functions["serving.app._helper"].texts
    assert "a" not in functions["serving.app.weekly_route"].texts
    assert functions["serving.app.<module>"].whole
    assert functions["serving.app._second"].texts == {"two"}, "several constants of one line are several"


def test_tests_are_no_code_of_a_service(tree: Path) -> None:
    assert not [name for name in code(tree).functions if "test" in name]


def test_a_file_that_is_no_python_is_named(tree: Path) -> None:
    (tree / "services/api/serving/broken.py").write_text("def (:\n")
    with pytest.raises(LeandataError, match=r"services/api/serving/broken\.py"):
        code(tree)
