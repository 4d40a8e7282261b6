"""What a contract is: name, owner, schema, key, freshness, classification; and contracts that are written as files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal

from leandata.errors import ContractError

Type = Literal[
    "date", "timestamp", "integer", "bigint", "text", "boolean", "decimal(9,6)", "decimal(12,2)", "decimal(14,2)"
]
Classification = Literal["internal", "personal"]
_SNOWFLAKE = {
    "date": "DATE",
    "timestamp": "TIMESTAMP_NTZ",
    "integer": "NUMBER(9,0)",
    "bigint": "NUMBER(18,0)",
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "decimal(9,6)": "NUMBER(9,6)",
    "decimal(12,2)": "NUMBER(12,2)",
    "decimal(14,2)": "NUMBER(14,2)",
}
_EXACT = {"decimal(9,6)": "numeric(9,6)", "decimal(12,2)": "numeric(12,2)", "decimal(14,2)": "numeric(14,2)"}
_POSTGRES = {**{kind: kind for kind in _SNOWFLAKE}, "timestamp": "timestamptz", **_EXACT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column; `minimum` is the lowest value that makes sense (None = any)."""

    name: str
    type: Type
    description: str
    nullable: bool = False
    minimum: int | None = None
    classification: Classification = "internal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A table that somebody promises: `key` is unique, data is never older than `freshness`.

    `name` is `<schema>.<table>`; `layer` is the warehouse's database, and what is of MODELS lies in the lake alone. A
    dataset with a `partition` column is collected and loaded by its days; `loaded` columns come from the loading, not
    from the source.
    """

    name: str
    layer: Literal["RAW", "STAGING", "MARTS", "MODELS"]
    owner: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    freshness: timedelta
    partition: str | None = None
    loaded: tuple[Column, ...] = ()
    classification: Classification = "internal"

    @property
    def table(self) -> str:
        """The table's own name, without its schema."""
        return self.name.split(".")[1]

    @property
    def in_warehouse(self) -> bool:
        """Whether the warehouse has a table of it; what has none lies in the lake alone."""
        return self.layer != "MODELS"

    @property
    def warehouse_table(self) -> str:
        """The full name in the warehouse, such as RAW.SHOP.ORDERS; where it is not `in_warehouse`, its name only."""
        return f"{self.layer}.{self.name}".upper()

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns as they lie in the lake and the warehouse."""
        return (*self.columns, *self.loaded)

    def late(self, data_until: date, *, now: datetime) -> bool:
        """Whether data that goes until that day is older now than was promised."""
        return age(data_until, now=now) > self.freshness

    def create_table_sql(self) -> str:
        """The statement that makes the table in the warehouse unless it is there."""
        columns = ", ".join(
            f"{column.name.upper()} {_SNOWFLAKE[column.type]}{'' if column.nullable else ' NOT NULL'}"
            for column in self.stored
        )
        return f"CREATE TABLE IF NOT EXISTS {self.warehouse_table} ({columns})"

    def postgres_columns(self) -> str:
        """The columns as PostgreSQL declares them, for the serving database."""
        return ", ".join(
            f"{column.name} {_POSTGRES[column.type]}{'' if column.nullable else ' NOT NULL'}" for column in self.columns
        )


def age(data_until: date, *, now: datetime) -> timedelta:
    """How old data is that goes until that day: from the end of the day (UTC), however late it was published."""
    return max(now - datetime.combine(data_until + timedelta(days=1), time(), UTC), timedelta(0))


DT = Column(name="_dt", type="date", description="The day of the slice that the row was loaded with")
RUN = Column(name="_run", type="text", description="The run that collected the row")
ROW = Column(name="_row", type="bigint", description="The row's number in its file, from 0")
EXTRA = Column(
    name="_extra", type="text", description="Columns that the contract does not know, as JSON", nullable=True
)


def written(folder: Path) -> tuple[Dataset, ...]:
    """The contracts of RAW in a folder, a TOML file each, named after its dataset, sorted by name.

    A contract with a `partition` is loaded by days; all have `_extra`, where columns go that they do not know yet.
    Raises ContractError with the file and what is wrong in it.
    """
    return tuple(_written(path) for path in sorted(folder.glob("*.toml")))


def _written(path: Path) -> Dataset:
    try:
        said: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        columns = tuple(Column(**column) for column in said.pop("columns"))
        hours, partition = said.pop("freshness_hours"), said.get("partition")
        options: dict[str, Any] = {**said, "key": tuple(said["key"])}
        found = Dataset(
            **options,
            layer="RAW",
            columns=columns,
            freshness=timedelta(hours=hours),
            loaded=(DT, RUN, ROW, EXTRA) if partition else (RUN, EXTRA),
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ContractError(f"{path.name} is no contract: {error}", where=str(path)) from error
    known = {column.name for column in found.stored}
    strange = [column.type for column in columns if column.type not in _SNOWFLAKE]
    if strange or found.name != path.stem or not {*found.key, *([partition] if partition else [])} <= known:
        hint = f"Types are: {', '.join(sorted(_SNOWFLAKE))}; key and partition name columns; the file has the name"
        why = f"no type {strange[0]}" if strange else "its name, key or partition"
        raise ContractError(f"{path.name} is no contract: {why}", where=str(path), hint=hint)
    return found
