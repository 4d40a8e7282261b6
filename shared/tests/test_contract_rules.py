"""Each rule of each contract, on each column: what passes, what is set apart, and with which reason."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.contract import Column, Dataset
from leandata.datasets import CATALOG
from leandata.errors import ContractError
from leandata.tables import rows_as_json, schema, validate

DAY = date(2026, 11, 16)
EXAMPLES: dict[str, Any] = {
    "date": DAY,
    "integer": 7,
    "bigint": 2**40,
    "text": "word",
    "boolean": True,
    "decimal(9,6)": Decimal("999.999999"),
    "decimal(12,2)": Decimal("9999999999.99"),
    "decimal(14,2)": Decimal("999999999999.99"),
}
# A source type that cannot be cast as a whole, a value in it that fits, and one that does not.
STRANGE: dict[str, tuple[list[Any], Any]] = {
    "date": (["2026-11-16", "yesterday"], DAY),
    "integer": (["12", "a dozen"], 12),
    "bigint": (["12", "1e99x"], 12),
    "decimal(9,6)": (["11.77", "11,77"], Decimal("11.77")),
    "decimal(12,2)": (["11.77", "11 dollars"], Decimal("11.77")),
    "decimal(14,2)": (["11.77", "11,77"], Decimal("11.77")),
}
HIGHEST = {"integer": 2**31 - 1, "bigint": 2**63 - 1}


def columns(*, where: Any = lambda _: True) -> list[Any]:
    return [
        pytest.param(contract, column, id=f"{contract.name}.{column.name}")
        for contract in CATALOG.values()
        for column in contract.columns
        if where(column)
    ]


def row(contract: Dataset, **changed: Any) -> dict[str, Any]:
    return {column.name: EXAMPLES[column.type] for column in contract.columns} | changed


def table(contract: Dataset, *rows: dict[str, Any]) -> pa.Table:
    fields = [pa.field(field.name, field.type) for field in schema(contract)]
    return pa.Table.from_pylist(list(rows), schema=pa.schema(fields))


def with_column(contract: Dataset, name: str, values: list[Any]) -> pa.Table:
    whole = table(contract, *[row(contract) for _ in values])
    return whole.set_column(whole.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize("contract", CATALOG.values(), ids=lambda found: found.name)
def test_an_example_of_every_contract_passes_and_comes_out_typed(contract: Dataset) -> None:
    checked = validate(contract, table(contract, row(contract), row(contract)))
    assert checked.good.schema == schema(contract)
    assert checked.good.to_pylist() == [row(contract), row(contract)]
    assert checked.bad.num_rows == 0
    assert checked.reasons == ()


@pytest.mark.parametrize(("contract", "column"), columns(where=lambda column: not column.nullable))
def test_a_null_where_none_may_be_is_named(contract: Dataset, column: Column) -> None:
    checked = validate(contract, table(contract, row(contract), row(contract, **{column.name: None})))
    assert checked.good.num_rows == 1
    assert checked.reasons == (f"{column.name} is null",)


@pytest.mark.parametrize(("contract", "column"), columns(where=lambda column: column.minimum is not None))
def test_the_lowest_value_passes_and_what_is_below_is_named(contract: Dataset, column: Column) -> None:
    assert column.minimum is not None
    lowest = EXAMPLES[column.type].__class__(column.minimum)
    step = Decimal("0.01") if column.type.startswith("decimal") else 1
    checked = validate(
        contract,
        table(contract, row(contract, **{column.name: lowest}), row(contract, **{column.name: lowest - step})),
    )
    assert checked.good.to_pylist() == [row(contract, **{column.name: lowest})]
    assert checked.reasons == (f"{column.name} is below {column.minimum}",)


@pytest.mark.parametrize(("contract", "column"), columns())
def test_a_column_that_is_missing_stops_the_whole_table(contract: Dataset, column: Column) -> None:
    whole = table(contract, row(contract)).drop_columns([column.name])
    with pytest.raises(ContractError, match=f"{contract.name} lacks the column {column.name}"):
        validate(contract, whole)


@pytest.mark.parametrize(("contract", "column"), columns(where=lambda column: column.type in STRANGE))
def test_a_value_of_another_type_is_set_apart_and_the_rest_is_cast(contract: Dataset, column: Column) -> None:
    values, fits = STRANGE[column.type]
    checked = validate(contract, with_column(contract, column.name, values))
    assert checked.good.to_pylist() == [row(contract, **{column.name: fits})]
    (reason,) = checked.reasons
    assert reason.startswith(f"{column.name} is no {column.type}")
    assert checked.bad.column(column.name).to_pylist() == values[1:]


@pytest.mark.parametrize(("contract", "column"), columns(where=lambda column: column.type in HIGHEST))
def test_the_highest_number_fits(contract: Dataset, column: Column) -> None:
    highest = HIGHEST[column.type]
    checked = validate(contract, table(contract, row(contract, **{column.name: highest})))
    assert checked.good.column(column.name).to_pylist() == [highest]


@pytest.mark.parametrize(("contract", "column"), columns(where=lambda column: column.type == "integer"))
def test_a_number_that_is_too_large_is_set_apart(contract: Dataset, column: Column) -> None:
    checked = validate(contract, with_column(contract, column.name, [5, 2**31]))
    assert checked.good.num_rows == 1
    assert checked.reasons[0].startswith(f"{column.name} is no integer")


@pytest.mark.parametrize(("contract", "column"), columns(where=lambda column: column.type.startswith("decimal")))
def test_money_that_comes_as_a_float_is_never_rounded_but_set_apart(contract: Dataset, column: Column) -> None:
    checked = validate(contract, with_column(contract, column.name, [11.77, None, 11.775]))
    assert checked.good.num_rows == int(column.nullable)
    float_, null = f"{column.name} is a float, no {column.type}", f"{column.name} is null"
    assert checked.reasons == ((float_, float_) if column.nullable else (float_, null, float_))
    assert checked.bad.column(column.name).to_pylist() == (
        [11.77, 11.775] if column.nullable else [11.77, None, 11.775]
    )


@pytest.mark.parametrize(
    "contract", [found for found in CATALOG.values() if found.partition in {c.name for c in found.columns}],
    ids=lambda found: found.name,
)  # fmt: skip
def test_a_day_after_the_last_one_is_in_the_future(contract: Dataset) -> None:
    assert contract.partition is not None
    later = row(contract, **{contract.partition: DAY + timedelta(days=1)})
    checked = validate(contract, table(contract, row(contract), later), latest=DAY)
    assert checked.good.num_rows == 1
    assert checked.reasons == (f"{contract.partition} is in the future",)
    assert validate(contract, table(contract, later)).reasons == (), "only where somebody says what today is"


def test_all_that_is_wrong_with_a_row_is_told_in_the_order_of_its_columns() -> None:
    contract = CATALOG["shop.orders"]
    worst = {"customer_id": 0, "ordered_on": None, "quantity": -3, "amount_usd": Decimal("-0.01")}
    checked = validate(contract, table(contract, worst))
    assert checked.reasons == (
        "customer_id is below 1; ordered_on is null; quantity is below 1; amount_usd is below 0",
    )


def test_the_order_of_good_and_of_bad_rows_is_kept() -> None:
    contract = CATALOG["shop.orders"]
    rows = [row(contract, customer_id=number, quantity=number % 3) for number in range(1, 31)]
    checked = validate(contract, table(contract, *rows))
    assert checked.good.column("customer_id").to_pylist() == [n for n in range(1, 31) if n % 3]
    assert checked.bad.column("customer_id").to_pylist() == [n for n in range(1, 31) if n % 3 == 0]


ORDERS = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": st.one_of(st.none(), st.integers(-2, 2**62)),
            "ordered_on": st.one_of(st.none(), st.dates(date(2020, 1, 1), date(2030, 1, 1))),
            "quantity": st.one_of(st.none(), st.integers(-2, 2**31 - 1)),
            "amount_usd": st.one_of(st.none(), st.decimals(-10, 10**9, places=2)),
        }
    ),
    max_size=40,
)


def keeps(found: dict[str, Any], latest: date) -> bool:
    if any(value is None for value in found.values()):
        return False
    return (
        found["customer_id"] >= 1
        and found["ordered_on"] <= latest
        and found["quantity"] >= 1
        and found["amount_usd"] >= 0
    )


@given(rows=ORDERS)
def test_every_row_is_good_or_bad_as_plain_python_says(rows: list[dict[str, Any]]) -> None:
    contract, latest = CATALOG["shop.orders"], date(2026, 1, 1)
    checked = validate(contract, table(contract, *rows), latest=latest)
    assert checked.good.to_pylist() == [found for found in rows if keeps(found, latest)]
    assert checked.bad.to_pylist() == [found for found in rows if not keeps(found, latest)]
    assert len(checked.reasons) == checked.bad.num_rows
    assert all(checked.reasons)


@given(rows=ORDERS)
def test_a_bad_row_s_json_holds_all_of_it(rows: list[dict[str, Any]]) -> None:
    contract = CATALOG["shop.orders"]
    for text, found in zip(rows_as_json(table(contract, *rows)), rows, strict=True):
        again = json.loads(text)
        assert list(again) == sorted(found)
        assert {name: str(value) for name, value in again.items()} == {
            name: str(value) for name, value in found.items()
        }


@pytest.mark.parametrize(("contract", "column"), columns())
def test_the_warehouse_the_serving_database_and_the_files_agree_on_a_column(contract: Dataset, column: Column) -> None:
    null = "" if column.nullable else " NOT NULL"
    assert f"{column.name.upper()} " in contract.create_table_sql()
    kinds = {"decimal(9,6)": "numeric(9,6)", "decimal(12,2)": "numeric(12,2)", "decimal(14,2)": "numeric(14,2)"}
    assert f"{column.name} {kinds.get(column.type, column.type)}{null}" in contract.postgres_columns()
    assert schema(contract).field(column.name).nullable == column.nullable


@pytest.mark.parametrize("contract", CATALOG.values(), ids=lambda found: found.name)
def test_a_contract_without_a_partition_has_no_day_in_its_rows(contract: Dataset) -> None:
    loaded = {column.name for column in contract.loaded}
    assert ("_dt" in loaded) == (contract.partition is not None)
    assert contract.layer == "RAW" or not loaded, "only what is loaded from the lake says where it is from"
