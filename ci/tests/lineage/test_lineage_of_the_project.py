"""Lineage of this very project, computed from what is checked in."""

from __future__ import annotations

import json

import pytest

from ci import cli
from ci.lineage.graph import Lineage, lineage, table_of, tables_of
from ci.verbs import lineage as verb
from infra.environment import ROOT
from leandata.datasets import CATALOG
from leandata.errors import LeandataError

pytestmark = pytest.mark.integration
PAID = "source shop.orders.amount_usd"


@pytest.fixture(scope="module")
def found() -> Lineage:
    return lineage(ROOT)


def after(found: Lineage, node: str) -> set[str]:
    return verb.reached(node, found.after)


def test_what_a_customer_paid_is_followed_to_the_route_and_the_mail(found: Lineage) -> None:
    assert {
        "RAW.SHOP.ORDERS.AMOUNT_USD", "STAGING.SHOP.STG_ORDERS.AMOUNT_USD", "MARTS.SALES.WEEKLY_SALES.REVENUE",
        "serving.weekly_sales.revenue", "route GET /v1/sales/weekly", "mail weekly sales report",
    } <= after(found, PAID)  # fmt: skip


def test_a_route_is_followed_back_to_every_column_of_the_source_that_makes_its_figures(found: Lineage) -> None:
    before = verb.reached("route GET /v1/sales/weekly", found.before)
    sources = {node for node in before if node.startswith("source ")}
    assert sources == {f"source shop.orders.{name}" for name in ("amount_usd", "customer_id", "ordered_on", "quantity")}


def test_what_only_filters_or_joins_does_not_make_a_figure(found: Lineage) -> None:
    assert "MARTS.SALES.WEEKLY_SALES.REVENUE" not in after(found, "source shop.orders.quantity")


def test_features_that_python_makes_come_from_what_its_code_names(found: Lineage) -> None:
    before = verb.reached("MARTS.FEATURES.CUSTOMER_FEATURES.MONETARY_VALUE", found.before)
    assert {"RAW.SHOP.ORDERS.AMOUNT_USD", PAID} <= before
    assert "RAW.SHOP.ORDERS.QUANTITY" not in before


def test_every_mart_comes_from_a_source_and_every_contract_is_there(found: Lineage) -> None:
    tables = {table_of(node) for node in found.nodes}
    for one in CATALOG.values():
        assert one.warehouse_table in tables or one.name == "quarantine.rows"
    for one in (one for one in CATALOG.values() if one.layer == "MARTS"):
        column = f"{one.warehouse_table}.{one.columns[0].name.upper()}"
        assert [node for node in verb.reached(column, found.before) if node.startswith("source ")], one.name


def test_nothing_goes_back_into_what_it_was_made_from(found: Lineage) -> None:
    for node in found.nodes:
        assert node not in after(found, node)


def test_marts_have_checks(found: Lineage) -> None:
    assert "week: unique" in found.checks["MARTS.SALES.WEEKLY_SALES"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("weekly_sales.revenue", "MARTS.SALES.WEEKLY_SALES.REVENUE"),
        ("MARTS.SALES.WEEKLY_SALES", "MARTS.SALES.WEEKLY_SALES.UNITS"),
        ("shop.orders.amount_usd", PAID),
        ("/v1/sales/weekly", "route GET /v1/sales/weekly"),
        ("mail", "mail weekly sales report"),
        ("route GET /v1/sales/weekly", "route GET /v1/sales/weekly"),
        ("GET /v1/sales/weekly", "route GET /v1/sales/weekly"),
        ("page /sales", "page /sales"),
        ("/Sales", "page /sales"),
    ],
)
def test_a_thing_is_found_by_the_end_of_its_name(found: Lineage, what: str, expected: str) -> None:
    assert expected in found.named(what)


def test_what_is_not_there_is_told_with_what_lies_near(found: Lineage) -> None:
    with pytest.raises(LeandataError, match=r"Near it are: .*revenue"):
        found.named("weekly.revenues")
    with pytest.raises(LeandataError, match="nothing is called"):
        found.named("zebra")


def test_it_is_told_as_a_tree_in_both_directions(found: Lineage) -> None:
    lines = verb.told(found, "MARTS.SALES.WEEKLY_SALES.REVENUE").splitlines()
    assert lines[:4] == [
        "MARTS.SALES.WEEKLY_SALES.REVENUE", "  made from", "    MARTS.SALES.CUSTOMER_DAYS.REVENUE",
        "      STAGING.SHOP.STG_ORDERS.AMOUNT_USD",
    ]  # fmt: skip
    assert "      mail weekly sales report" in lines
    assert "it begins here" in verb.told(found, PAID)


@pytest.mark.parametrize("node", ["mail weekly sales report", "page /sales", "route GET /v1/sales/weekly"])
def test_what_people_see_is_an_end_and_not_forgotten(found: Lineage, node: str) -> None:
    assert verb.told(found, node).splitlines()[-1] == "  people see it"


@pytest.mark.thorough("ci/*")  # the lineage is computed three times
def test_the_verb_answers_people_and_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lineage", "--what", "stg_orders.amount_usd", "--json"]) == 0
    (node,) = json.loads(capsys.readouterr().out)["nodes"]
    assert PAID in node["made_from"]
    assert "serving.daily_sales.revenue" in node["goes_into"]
    assert cli.run(["lineage"]) == 0
    assert "RAW.SHOP.ORDERS  ->  STAGING.SHOP.STG_ORDERS" in capsys.readouterr().out
    assert cli.run(["lineage", "--what", "zebra"]) == 1
    assert "nothing is called 'zebra'" in capsys.readouterr().err


def test_steps_between_tables_are_sorted_and_leave_tables(found: Lineage) -> None:
    pairs = tables_of(found.edges)
    assert pairs == sorted(pairs)
    assert all(source != made for source, made in pairs)


def test_a_page_shows_the_columns_that_its_readers_ask_for(found: Lineage) -> None:
    assert "page /sales" in after(found, PAID)
    assert {"page /sales", "mail weekly sales report"} <= set(found.after("serving.weekly_sales.revenue"))
    assert "page /customers" in found.after("serving.segments.segment")
