"""Arrow tables held against a dataset's contract."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported, so no type checker sees them.
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leandata.contract import Column, Dataset
from leandata.errors import ContractError

_TYPES: dict[str, Callable[[], pa.DataType]] = {
    "date": pa.date32,
    "timestamp": lambda: pa.timestamp("us", tz="UTC"),
    "integer": pa.int32,
    "bigint": pa.int64,
    "text": pa.string,
    "boolean": pa.bool_,
    "decimal(9,6)": lambda: pa.decimal128(9, 6),
    "decimal(12,2)": lambda: pa.decimal128(12, 2),
    "decimal(14,2)": lambda: pa.decimal128(14, 2),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """The rows that keep the contract, typed by it; and the others as they came, each with its reason."""

    good: pa.Table
    bad: pa.Table
    reasons: tuple[str, ...]


def schema(dataset: Dataset, *, stored: bool = False) -> pa.Schema:
    """The Arrow schema of the contract; with `stored`, of the files and tables that hold it."""
    columns = dataset.stored if stored else dataset.columns
    return pa.schema([pa.field(column.name, _TYPES[column.type](), nullable=column.nullable) for column in columns])


def fitted(dataset: Dataset, table: pa.Table) -> pa.Table:
    """The table with the columns and types of the contract. Raises ContractError where a value does not fit."""
    found = schema(dataset)
    try:
        return table.select(found.names).cast(found)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise ContractError(f"a value does not fit: {error}", where=dataset.name) from error


def validate(dataset: Dataset, table: pa.Table, *, latest: Any = None) -> Validation:
    """Split `table` by the contract: every column there and typed, no null where none may be, nothing below minimum.

    With `latest`, a day of the partition column after it is wrong too. Raises ContractError when a column is missing.
    """
    missing = [column.name for column in dataset.columns if column.name not in table.column_names]
    if missing:
        hint = f"The source gave: {', '.join(table.column_names)}"
        raise ContractError(f"{dataset.name} lacks the column {missing[0]}", where=dataset.name, hint=hint)
    reasons = pa.array([""] * table.num_rows, pa.string())
    typed: dict[str, pa.ChunkedArray | pa.Array] = {}
    for column in dataset.columns:
        values, wrong, why = _typed(table[column.name].combine_chunks(), column)
        typed[column.name] = values
        reasons = _add(reasons, wrong, why)
        if not column.nullable:
            reasons = _add(reasons, pc.is_null(table[column.name].combine_chunks()), f"{column.name} is null")
        if column.minimum is not None:
            low = pc.less(values, pa.scalar(column.minimum, values.type))
            reasons = _add(reasons, low, f"{column.name} is below {column.minimum}")
        if latest is not None and column.name == dataset.partition:
            reasons = _add(
                reasons, pc.greater(values, pa.scalar(latest, values.type)), f"{column.name} is in the future"
            )
    bad = pc.not_equal(reasons, "")
    good = pa.table(typed).filter(pc.invert(bad)).cast(schema(dataset))
    return Validation(good=good, bad=table.filter(bad), reasons=tuple(pc.filter(reasons, bad).to_pylist()))


def rows_as_json(table: pa.Table) -> list[str]:
    """Each row as one line of JSON with sorted keys; what JSON does not know becomes text."""
    return [json.dumps(row, default=str, sort_keys=True) for row in table.to_pylist()]


def _typed(values: pa.Array, column: Column) -> tuple[pa.Array, pa.Array, str]:
    """The values in the column's type; which of them do not fit; and what to say of those."""
    wanted = _TYPES[column.type]()
    nothing = pa.array([False] * len(values), pa.bool_())
    if pa.types.is_floating(values.type) and pa.types.is_decimal(wanted):
        # A float has no cents: Arrow would round it and say nothing.
        return pa.nulls(len(values), wanted), pc.is_valid(values), f"{column.name} is a float, no {column.type}"
    try:
        return values.cast(wanted), nothing, ""
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        fitted = [_fit(value, wanted) for value in values]
        wrong = pa.array([value.is_valid and fit is None for value, fit in zip(values, fitted, strict=True)])
        return pa.array(fitted, wanted), wrong, f"{column.name} is no {column.type}"


def _fit(value: pa.Scalar, wanted: pa.DataType) -> Any:
    try:
        return value.cast(wanted).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _add(reasons: pa.Array, wrong: pa.Array, why: str) -> pa.Array:
    """The reasons, with `why` behind those of the rows where `wrong` is true."""
    hit = pc.fill_null(wrong, fill_value=False)
    joined = pc.if_else(pc.equal(reasons, ""), why, pc.binary_join_element_wise(reasons, why, "; "))
    return pc.if_else(hit, joined, reasons)
