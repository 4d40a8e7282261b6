"""Rows that cannot be published, set apart with their reasons by the day that they belong to."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported, so no type checker sees them.
from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.tables import rows_as_json, schema

_MOST = 10_000
_LOOKS = 3


def set_apart(
    lake: Lake,
    name: str,
    bad: pa.Table,
    reasons: Sequence[str],
    *,
    days: Collection[date],
    places: Sequence[date],
    run: str,
) -> None:
    """Publish the bad rows of a dataset, each at its place; of `days` that had some and have none now an empty slice.

    At most 10,000 rows. Rows of other datasets in a slice stay; where two publish one slice at once, the first looks
    again.
    """
    contract = dataset("quarantine.rows")
    ours = pa.table(
        {
            "dataset": pa.array([name] * min(len(places), _MOST), pa.string()),
            "reason": pa.array(list(reasons[:_MOST]), pa.string()),
            "row_json": pa.array(rows_as_json(bad.slice(0, _MOST)), pa.string()),
        },
        schema=schema(contract),
    )
    placed = pa.array(list(places[:_MOST]), pa.date32())
    for look in range(_LOOKS):
        known = lake.latest(contract)
        slices: dict[date | None, pa.Table] = {}
        filled = [one for one, found in known.items() if one and one in days and found.rows]
        for day in sorted({*places, *filled}):
            held = schema(contract).empty_table()
            if day in known:
                held = lake.read(known[day], contract).select(held.column_names).cast(held.schema)
            own = ours.filter(pc.equal(placed, pa.scalar(day, pa.date32())))
            others = held.filter(pc.not_equal(held["dataset"], name))
            if held.filter(pc.equal(held["dataset"], name)).to_pylist() != own.to_pylist():
                slices[day] = pa.concat_tables([others, own])
        if not slices:
            return
        lake.publish(contract, slices, run=run if look == 0 else f"{run}.l{look}")
