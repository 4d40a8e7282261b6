"""Which column is made from which, read from SQL by sqlglot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify

from ci.lineage.compiled import Compiled
from leandata.contract import Dataset
from leandata.errors import LeandataError

ROWS = "*"
"""Stands for a table's rows, where they are counted and no column is."""
Edge = tuple[str, str]
"""From, to: full names of columns, such as RAW.SHOP.ORDERS.AMOUNT_USD."""


def edges(found: Compiled, contracts: Iterable[Dataset]) -> frozenset[Edge]:
    """Edges between columns of the warehouse, over all models.

    A column comes from those whose values make it, also as a key or a window's order; not from what only filters or
    joins rows. Raises LeandataError naming the model whose SQL cannot be read.
    """
    schema: dict[str, Any] = {}
    for contract in contracts:
        if contract.warehouse_table not in found.models:
            _add(schema, contract.warehouse_table, [column.name for column in contract.stored])
    made: set[Edge] = set()
    for table, model in found.models.items():
        try:
            query = sqlglot.parse_one(model.sql, dialect="snowflake")
            if query.is_star:
                query = qualify(query, schema=schema, dialect="snowflake", validate_qualify_columns=False)
            if not isinstance(query, exp.Query):
                raise LeandataError("it is no SELECT", where=model.path)
            names = query.named_selects
            for name in names:
                made |= {(source, f"{table}.{name.upper()}") for source in _sources(name, query, schema)}
        except SqlglotError as error:
            raise LeandataError(f"sqlglot cannot read it: {str(error).splitlines()[0]}", where=model.path) from error
        _add(schema, table, names)
    return frozenset(made)


def read_columns(sql: str, tables: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """The columns (`schema.table.column`) that a query of PostgreSQL reads, wherever in it.

    Only those of `tables`, which have these columns. Raises LeandataError for a query that cannot be read.
    """
    schema: dict[str, Any] = {}
    for table, names in tables.items():
        _add(schema, table, names)
    try:
        query = qualify(
            sqlglot.parse_one(sql, dialect="postgres"),
            schema=schema,
            dialect="postgres",
            validate_qualify_columns=False,
        )
    except SqlglotError as error:
        raise LeandataError(f"sqlglot cannot read a query: {str(error).splitlines()[0]}", where=sql[:80]) from error
    known = {table.lower() for table in tables}
    aliases = {
        table.alias_or_name.lower(): f"{table.db}.{table.name}".lower()
        for table in query.find_all(exp.Table)
        if f"{table.db}.{table.name}".lower() in known
    }
    found = {
        f"{aliases[column.table.lower()]}.{column.name.lower()}"
        for column in query.find_all(exp.Column)
        if column.table.lower() in aliases
    }
    return frozenset(found)


def _sources(name: str, query: exp.Query, schema: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for node in lineage(name, query.copy(), schema=dict(schema), dialect="snowflake").walk():
        if not node.downstream and isinstance(node.source, exp.Table):
            found.add(f"{_full(node.source)}.{node.name.rpartition('.')[2].upper()}")
    if not found:
        found = {f"{_full(table)}.{ROWS}" for table in query.find_all(exp.Table) if table.catalog}
    return found


def _full(table: exp.Table) -> str:
    return f"{table.catalog}.{table.db}.{table.name}".upper()


def _add(schema: dict[str, Any], table: str, names: Iterable[str]) -> None:
    *path, last = table.split(".")
    place = schema
    for part in path:
        place = place.setdefault(part, {})
    place[last] = dict.fromkeys(names, "text")
