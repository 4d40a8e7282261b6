"""The warehouse in a backup: its objects, and the rows that no file of the lake can give again; and back again.

A table that loads fill from the lake is only written down as the manifests to load once more, when all its rows are
theirs. All other rows are kept as Parquet.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.backup.manifest import BackupError, Totals
from leandata.contract import Dataset
from leandata.datasets import CATALOG
from leandata.errors import WarehouseError
from leandata.lake import Lake, Manifest
from leandata.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

OBJECTS = "objects.json"
_SCHEMA_ONLY = ("INFORMATION_SCHEMA", "PUBLIC")
_RESTORED = "RAW.LAKE.RESTORED"
_STAGE = "RAW.LAKE.FILES"
_TABLES = """
SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale, is_nullable
FROM {database}.INFORMATION_SCHEMA.COLUMNS ORDER BY table_schema, table_name, ordinal_position
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumn:
    """One column as INFORMATION_SCHEMA tells it; precision and scale of numbers only."""

    name: str
    type: str
    precision: int | None
    scale: int | None
    nullable: bool

    @property
    def decimal(self) -> bool:
        """Whether it holds money and the like: its sum is compared to the last digit."""
        return self.type == "NUMBER" and bool(self.scale)

    def declared(self) -> str:
        """The column as CREATE TABLE says it."""
        type_ = {"TEXT": "VARCHAR"}.get(self.type, self.type)
        size = f"({self.precision},{self.scale})" if self.type == "NUMBER" else ""
        return f'"{self.name}" {type_}{size}{"" if self.nullable else " NOT NULL"}'

    def arrow(self) -> pa.DataType:
        """The type in Parquet. Raises BackupError for a type that no table of ours has."""
        import pyarrow as pa

        known: dict[str, pa.DataType] = {
            "BOOLEAN": pa.bool_(),
            "DATE": pa.date32(),
            "FLOAT": pa.float64(),
            "TEXT": pa.string(),
            "TIMESTAMP_NTZ": pa.timestamp("us"),
            "TIMESTAMP_TZ": pa.timestamp("us", tz="UTC"),
        }
        if self.type == "NUMBER":
            if not self.scale:
                return pa.int64() if (self.precision or 38) <= 18 else pa.decimal128(38, 0)
            return pa.decimal128(self.precision or 38, self.scale)
        if self.type not in known:
            raise BackupError(f"the type {self.type} of {self.name} cannot be kept in a backup yet")
        return known[self.type]


def take(warehouse: Warehouse, lake: Lake, folder: Path) -> Totals:
    """Write objects and rows to `folder`; the totals, which are of the rows that were written. Raises LeandataError.

    `lake` is the raw zone. What it holds now it still holds when it is copied after this.
    """
    found = _objects(warehouse)
    totals: Totals = {}
    warehouse.execute("BEGIN")
    try:
        for name, table in sorted(found["tables"].items()):
            columns = [TableColumn(**column) for column in table["columns"]]
            contract = _replayed(name)
            slices = _slices(warehouse, contract, lake) if contract else None
            if slices is not None:
                table["replayed"] = slices
                totals[name] = total(warehouse, name, columns)
                continue
            totals[name] = _keep_rows(warehouse, name, columns, folder / f"{name}.parquet")
            table["file"] = f"{name}.parquet" if totals[name]["rows"] else ""
    finally:
        with contextlib.suppress(WarehouseError):
            warehouse.execute("COMMIT")
    (folder / OBJECTS).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return totals


def restore(warehouse: Warehouse, lake: Lake, folder: Path, *, moved: Callable[[str], str]) -> list[str]:
    """Make the objects and rows in an empty warehouse; a sentence for everything that could not be made.

    `moved` turns the address of a stage at the backup into that of the environment it is restored in.
    """
    found = json.loads((folder / OBJECTS).read_text(encoding="utf-8"))
    for database in found["databases"]:
        warehouse.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
    for schema in found["schemas"]:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for name, options in sorted(found["file_formats"].items()):
        warehouse.execute(f"CREATE OR REPLACE FILE FORMAT {name} TYPE = {options}")
    for name, url in sorted(found["stages"].items()):
        warehouse.execute(f"CREATE OR REPLACE STAGE {name} URL = '{moved(url)}'")
    warehouse.execute(f"CREATE OR REPLACE STAGE {_RESTORED} URL = 'file://{folder.resolve()}/'")
    try:
        for name, table in sorted(found["tables"].items()):
            columns = ", ".join(TableColumn(**column).declared() for column in table["columns"])
            warehouse.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
            if "replayed" in table:
                _replay(warehouse, lake, name, table["replayed"])
            elif table["file"]:
                warehouse.execute(f"USE SCHEMA {name.rpartition('.')[0]}")
                warehouse.execute(
                    f"COPY INTO {name} FROM @{_RESTORED} FILES = ('{table['file']}')"
                    " FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
                )
    finally:
        warehouse.execute(f"DROP STAGE IF EXISTS {_RESTORED}")
    return _views(warehouse, found["views"])


def totals(warehouse: Warehouse) -> Totals:
    """Rows and sums of every table as they are now."""
    tables = _objects(warehouse)["tables"]
    return {name: total(warehouse, name, [TableColumn(**one) for one in tables[name]["columns"]]) for name in tables}


def total(warehouse: Warehouse, name: str, columns: list[TableColumn]) -> dict[str, Any]:
    """Rows and sums of one table."""
    decimals = [column.name for column in columns if column.decimal]
    sums = ", ".join(["COUNT(*) AS n", *(f'SUM("{column}") AS s{i}' for i, column in enumerate(decimals))])
    row = warehouse.query(f"SELECT {sums} FROM {name}")[0]
    return {"rows": int(row["n"]), "sums": {column: str(row[f"s{i}"] or 0) for i, column in enumerate(decimals)}}


def _objects(warehouse: Warehouse) -> dict[str, Any]:
    """Everything but rows: databases, schemas, stages, file formats, views, and tables with their columns."""
    databases = sorted(row["name"] for row in warehouse.query("SHOW DATABASES"))
    schemas, tables, views, formats = list[str](), dict[str, Any](), dict[str, str](), dict[str, str]()
    for database in databases:
        shown = warehouse.query(f"SHOW SCHEMAS IN DATABASE {database}")
        schemas += sorted(f"{database}.{row['name']}" for row in shown if row["name"].upper() not in _SCHEMA_ONLY)
        for row in warehouse.query(f"SHOW VIEWS IN DATABASE {database}"):
            views[f"{database}.{row['schema_name']}.{row['name']}"] = row["text"]
        for row in warehouse.query(f"SHOW FILE FORMATS IN DATABASE {database}"):
            formats[f"{database}.{row['schema_name']}.{row['name']}"] = row["type"]
        known = {(row["schema_name"], row["name"]) for row in warehouse.query(f"SHOW TABLES IN DATABASE {database}")}
        for row in warehouse.query(_TABLES.format(database=database)):
            if (row["table_schema"], row["table_name"]) not in known:
                continue
            name = f"{database}.{row['table_schema']}.{row['table_name']}"
            tables.setdefault(name, {"columns": []})["columns"].append(_column(row))
    stages = {
        f"{row['database_name']}.{row['schema_name']}.{row['name']}": row["url"]
        for row in warehouse.query("SHOW STAGES IN ACCOUNT")
    }
    return {
        "databases": databases,
        "schemas": schemas,
        "stages": stages,
        "file_formats": formats,
        "tables": tables,
        "views": views,
    }


def _column(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["column_name"],
        "type": row["data_type"],
        "precision": row["numeric_precision"],
        "scale": row["numeric_scale"],
        "nullable": row["is_nullable"] == "YES",
    }


def _replayed(name: str) -> Dataset | None:
    """The contract of a table that loads from the raw zone fill."""
    found = [one for one in CATALOG.values() if one.warehouse_table == name and one.layer == "RAW" and one.loaded]
    return found[0] if found else None


def _slices(warehouse: Warehouse, contract: Dataset, lake: Lake) -> list[list[str]] | None:
    """The manifests (day, run) that all rows of the table come from; None when any row has another origin."""
    days = "_dt, " if contract.partition else ""
    query = f"SELECT {days}_run, COUNT(*) AS n FROM {contract.warehouse_table} GROUP BY {days}_run"
    published = {(manifest.dt, manifest.run): manifest.rows for manifest in lake.manifests(contract)}
    slices: list[list[str]] = []
    for row in warehouse.query(query):
        key = (str(row["_dt"]) if contract.partition else "all", row["_run"])
        if published.get(key) != row["n"]:
            return None
        slices.append(list(key))
    return sorted(slices)


def _keep_rows(warehouse: Warehouse, name: str, columns: list[TableColumn], path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    listed = ", ".join(f'"{column.name}"' for column in columns)
    rows = warehouse.query(f"SELECT {listed} FROM {name}")
    shape = pa.schema([pa.field(column.name, column.arrow()) for column in columns])
    given = [{column.name: row[column.name.lower()] for column in columns} for row in rows]
    table = pa.Table.from_pylist(given, schema=shape)
    if table.num_rows:
        pq.write_table(table, path, compression="zstd")
    sums = {column.name: str(pc.sum(table[column.name]).as_py() or 0) for column in columns if column.decimal}  # pyright: ignore
    return {"rows": table.num_rows, "sums": sums}


def _replay(warehouse: Warehouse, lake: Lake, name: str, slices: list[list[str]]) -> None:
    contract = _replayed(name)
    if contract is None:
        raise BackupError(f"{name} is no longer loaded from the lake", hint="Restore with the code of the backup")
    published = {(manifest.dt, manifest.run): manifest for manifest in lake.manifests(contract)}
    wanted: dict[date | None, Manifest] = {}
    for dt, run in slices:
        if (dt, run) not in published:
            raise BackupError(f"the lake lacks {run} of {dt}", where=name, hint="Restore the lake first: PART=lake")
        wanted[published[dt, run].day] = published[dt, run]
    warehouse.load(contract, wanted, stage=_STAGE)


def _views(warehouse: Warehouse, views: dict[str, str]) -> list[str]:
    """Make the views, those that others read first; a sentence for each that cannot be made."""
    left = {name: _statement(name, text) for name, text in sorted(views.items())}
    while left:
        made, said = list[str](), dict[str, str]()
        for name, statement in left.items():
            try:
                warehouse.execute(statement)
                made.append(name)
            except WarehouseError as error:
                said[name] = error.what
        for name in made:
            del left[name]
        if not made:
            return [f"the view {name} is left to dbt: {said[name][:120]}" for name in sorted(left)]
    return []


def _statement(name: str, text: str) -> str:
    """The view's statement under its full name: the stand-in tells it without its database."""
    head, _, query = text.partition(" AS ")
    columns = head[head.find("(") :] if "(" in head else ""
    return f"CREATE OR REPLACE VIEW {name} {columns} AS {query.rstrip().removesuffix(';')}"
