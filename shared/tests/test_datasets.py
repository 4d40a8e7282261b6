"""Every dataset is a contract that holds together, and tables are held against it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from leandata.contract import Dataset
from leandata.datasets import CATALOG, dataset
from leandata.errors import ContractError
from leandata.tables import rows_as_json, schema, validate

ORDERS = dataset("shop.orders")


def orders(*rows: tuple[Any, Any, Any, Any]) -> pa.Table:
    names = ("customer_id", "ordered_on", "quantity", "amount_usd")
    types = (pa.int64(), pa.date32(), pa.int32(), pa.decimal128(12, 2))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names=list(names))


DAY = date(2026, 11, 16)
GOOD = (1, DAY, 2, Decimal("11.77"))


@pytest.mark.parametrize("contract", CATALOG.values(), ids=str)
def test_a_contract_has_an_owner_descriptions_and_a_key_of_its_own_columns(contract: Dataset) -> None:
    names = [column.name for column in contract.stored]
    assert contract.owner
    assert contract.description.endswith(".")
    assert len(set(names)) == len(names)
    assert set(contract.key) <= set(names)
    assert all(column.description for column in contract.stored)
    assert contract.freshness.total_seconds() > 0


@pytest.mark.parametrize("contract", CATALOG.values(), ids=str)
def test_a_contract_says_the_same_to_every_store(contract: Dataset) -> None:
    sql = contract.create_table_sql()
    assert sql.startswith(f"CREATE TABLE IF NOT EXISTS {contract.warehouse_table} (")
    for column in contract.stored:
        assert column.name.upper() in sql
    assert [field.name for field in schema(contract, stored=True)] == [column.name for column in contract.stored]
    assert contract.postgres_columns().count(",") >= len(contract.columns) - 1


def test_no_money_is_a_float_anywhere() -> None:
    for contract in CATALOG.values():
        for column in contract.columns:
            if "US dollars" in column.description:
                assert column.type.startswith("decimal")


def test_an_unknown_dataset_names_the_known_ones() -> None:
    with pytest.raises(ContractError, match=r"no dataset 'sales'.*sales.daily_sales"):
        dataset("sales")


def test_rows_that_keep_the_contract_pass_unchanged() -> None:
    table = orders(GOOD, GOOD)
    found = validate(ORDERS, table)
    assert found.good.equals(table.cast(schema(ORDERS)))
    assert found.bad.num_rows == 0
    assert found.reasons == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((None, DAY, 2, Decimal(1)), "customer_id is null"),
        ((0, DAY, 2, Decimal(1)), "customer_id is below 1"),
        ((1, None, 2, Decimal(1)), "ordered_on is null"),
        ((1, date(2026, 11, 25), 2, Decimal(1)), "ordered_on is in the future"),
        ((1, DAY, 0, Decimal(1)), "quantity is below 1"),
        ((1, DAY, 2, Decimal("-0.01")), "amount_usd is below 0"),
        ((1, DAY, 2, None), "amount_usd is null"),
        ((None, DAY, 0, None), "customer_id is null; quantity is below 1; amount_usd is null"),
    ],
)
def test_a_bad_row_is_set_apart_with_its_reasons(row: tuple[Any, ...], reason: str) -> None:
    found = validate(ORDERS, orders(GOOD, row, GOOD), latest=date(2026, 11, 24))  # type: ignore[arg-type]
    assert found.good.num_rows == 2
    assert found.bad.num_rows == 1
    assert found.reasons == (reason,)


def test_an_amount_of_nothing_is_a_good_order() -> None:
    assert validate(ORDERS, orders((1, DAY, 1, Decimal("0.00")))).good.num_rows == 1


def test_a_value_of_another_type_is_a_bad_row_not_a_failure() -> None:
    table = orders(GOOD, GOOD).set_column(2, "quantity", pa.array(["2", "two"]))
    found = validate(ORDERS, table)
    assert found.good["quantity"].to_pylist() == [2]
    assert found.reasons == ("quantity is no integer",)


def test_cents_that_do_not_fit_are_a_bad_row() -> None:
    table = orders(GOOD, GOOD).set_column(
        3, "amount_usd", pa.array([Decimal("1.000"), Decimal("1.005")], pa.decimal128(9, 3))
    )
    found = validate(ORDERS, table)
    assert found.good["amount_usd"].to_pylist() == [Decimal("1.00")]
    assert found.reasons == ("amount_usd is no decimal(12,2)",)


def test_a_lost_column_fails_with_what_the_source_gave() -> None:
    with pytest.raises(ContractError, match=r"lacks the column quantity.*customer_id, ordered_on, amount_usd"):
        validate(ORDERS, orders(GOOD).drop_columns(["quantity"]))


def test_a_further_column_is_left_out() -> None:
    table = orders(GOOD).append_column("colour", pa.array(["red"]))
    assert validate(ORDERS, table).good.column_names == [column.name for column in ORDERS.columns]


def test_an_empty_table_is_fine() -> None:
    assert validate(ORDERS, orders()).good.num_rows == 0


def test_a_bad_row_is_kept_as_json_with_sorted_keys() -> None:
    assert rows_as_json(orders(GOOD)) == [
        '{"amount_usd": "11.77", "customer_id": 1, "ordered_on": "2026-11-16", "quantity": 2}'
    ]
