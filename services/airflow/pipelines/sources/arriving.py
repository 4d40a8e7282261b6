"""What has arrived, held against its contract: rows to publish and to set apart, columns that are new or gone."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported, so no type checker sees them.
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from leandata.contract import Dataset
from leandata.tables import rows_as_json, schema, validate

_ROW = "__row"
_FEWEST_WRONG = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrived:
    """Rows held against a contract.

    `good` are those to publish, with `_extra` where the contract stores it; `bad` those to set apart, each with its
    reason. `refused` says why none of them can be taken: then all are bad. `new` are columns that the contract lacks,
    `kept` the numbers of the good rows among those that arrived.
    """

    good: pa.Table
    bad: pa.Table
    reasons: tuple[str, ...]
    refused: str = ""
    new: tuple[str, ...] = ()
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What came of a task: rows published, what was refused and why, columns that are new, and lines for the log.

    `fresh` are the new columns that no earlier collection knew; `changed` is False where nothing was there to take.
    """

    rows: int = 0
    refused: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    changed: bool = True


def noted(new: Iterable[str]) -> set[str]:
    """These new columns as a manifest keeps them among its notes."""
    return {f"column:{name}" for name in new}


def judge(contract: Dataset, table: pa.Table, *, latest: Any = None, timezone: str = "") -> Arrived:
    """Hold what arrived against its contract.

    A column that is gone, or of which at least half of the values (and three) do not fit, changes the schema: nothing
    is taken. Times without a zone are meant in `timezone`; without one, and where a clock is set back or forward over
    them, they do not fit. A day after `latest` is wrong.
    """
    known = {column.name for column in contract.columns}
    new = tuple(sorted(set(table.column_names) - known - {column.name for column in contract.loaded}))
    lost = sorted(known - set(table.column_names))
    if lost:
        return _refused(contract, table, f"the column {lost[0]} is gone", new=new)
    numbered = _zoned(contract, table, timezone).append_column(_ROW, pa.array(range(table.num_rows), pa.int64()))
    found = validate(contract, numbered, latest=latest)
    changed = _changed(contract, table, found.reasons)
    if changed:
        return _refused(contract, table, changed, new=new)
    wrong = sorted(found.bad[_ROW].to_pylist())
    kept = sorted({*range(table.num_rows)} - {*wrong})
    good = found.good
    if any(column.name == "_extra" for column in contract.loaded):
        extra = rows_as_json(_taken(table, kept).select(list(new))) if new else [None] * len(kept)
        good = good.append_column("_extra", pa.array(extra, pa.string()))
    return Arrived(good=good, bad=_taken(table, wrong), reasons=found.reasons, new=new, kept=tuple(kept))


def table_of(rows: Sequence[Mapping[str, Any]], *, columns: Iterable[str] = ()) -> pa.Table:
    """Rows as a table: a column for each name that any of them has, in order of appearance; text where values mix.

    Without rows it has `columns`, for the contract then has nothing to say against them.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    if not rows:
        return pa.table({name: pa.nulls(0) for name in columns})
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _taken(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    return table.take(pa.array(rows, pa.int64()))


def _array(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _refused(contract: Dataset, table: pa.Table, why: str, *, new: tuple[str, ...]) -> Arrived:
    empty = schema(contract).empty_table()
    return Arrived(good=empty, bad=table, reasons=(why,) * table.num_rows, refused=why, new=new)


def _changed(contract: Dataset, table: pa.Table, reasons: Sequence[str]) -> str:
    """The column whose type is another now, "" where there is none."""
    for column in contract.columns:
        said = (f"{column.name} is no {column.type}", f"{column.name} is a float, no {column.type}")
        wrong = sum(any(one in reason.split("; ") for one in said) for reason in reasons)
        values = table.num_rows - table[column.name].null_count
        if wrong >= _FEWEST_WRONG and wrong * 2 >= values:
            return f"the column {column.name} is no {column.type} any more: {wrong} of {values} values"
    return ""


def _zoned(contract: Dataset, table: pa.Table, timezone: str) -> pa.Table:
    """The table with times in UTC that say their zone or are meant in `timezone`; others are texts, and do not fit."""
    zone = ZoneInfo(timezone) if timezone else None
    for column in contract.columns:
        if column.type == "timestamp" and not _aware(table[column.name].type):
            place = table.column_names.index(column.name)
            values = [_in_utc(value, zone) for value in table[column.name].to_pylist()]
            table = table.set_column(place, column.name, pa.array(values, pa.string()))
    return table


def _aware(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _in_utc(value: Any, zone: ZoneInfo | None) -> str | None:
    """The time as Arrow reads it, or as it came, where it says nothing certain."""
    if value is None:
        return None
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return f"{value} is no time"
    if time.tzinfo is None:
        if zone is None or not _certain(time, zone):
            return f"{value} says no zone"
        time = time.replace(tzinfo=zone)
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _certain(time: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks of the zone show this time just once."""
    first, second = (time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    there = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == time
    return there and first.utcoffset() == second.utcoffset()
