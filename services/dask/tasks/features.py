"""Customer features: recency, frequency and monetary value (RFM), as a task farm over the lake's files.

Definitions after P. Fader, B. Hardie, K. L. Lee, "RFM and CLV", Journal of Marketing Research 42 (2005), by days:

- recency_days: days from the last order to `as_of`;
- frequency: days with an order after the day of the first one;
- monetary_value: US dollars a repeat day, over all of them; 0.00 for a customer without one;
- tenure_days: days from the first order to `as_of`.

Money is whole cents inside the tasks: sums are exact, and only the mean is rounded, half to even.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leandata.compute import Compute
from leandata.datasets import dataset
from leandata.settings import LakeAddress
from leandata.tables import schema

_FILES_A_TASK = 100


def build(compute: Compute, *, lake_url: str, files: Sequence[str], as_of: date) -> pa.Table:
    """The features of every customer with an order until `as_of`, typed by the contract, sorted by customer.

    `files` are paths of Parquet files of `shop.orders` in the lake at `lake_url`; each task reads some of them.
    """
    groups = [list(files[start : start + _FILES_A_TASK]) for start in range(0, len(files), _FILES_A_TASK)]
    parts = compute.map(partial(days_of, lake_url=lake_url, as_of=as_of), groups)
    return summarise(pl.concat(parts) if parts else days_of([], lake_url=lake_url, as_of=as_of), as_of=as_of)


def days_of(files: Sequence[str], *, lake_url: str, as_of: date) -> pl.DataFrame:
    """Cents that each customer spent on each day with an order: customer_id, ordered_on, cents."""
    if not files:
        return pl.DataFrame(schema={"customer_id": pl.Int64, "ordered_on": pl.Date, "cents": pl.Int64})
    return (
        orders_in(files, lake_url=lake_url)
        .filter(pl.col("ordered_on") <= as_of)
        .select("customer_id", "ordered_on", cents=(pl.col("amount_usd") * 100).cast(pl.Int64))
        .group_by("customer_id", "ordered_on")
        .agg(pl.col("cents").sum())
        .collect()
    )


def summarise(days: pl.DataFrame, *, as_of: date) -> pa.Table:
    """The features from the days of all customers; days that several tasks saw are added up."""
    whole = days.group_by("customer_id", "ordered_on").agg(pl.col("cents").sum())
    first = pl.col("ordered_on").min()
    features = (
        whole.group_by("customer_id")
        .agg(
            recency_days=(pl.lit(as_of) - pl.col("ordered_on").max()).dt.total_days(),
            frequency=pl.len() - 1,
            repeat_cents=pl.col("cents").filter(pl.col("ordered_on") > first).sum(),
            tenure_days=(pl.lit(as_of) - first).dt.total_days(),
        )
        .sort("customer_id")
    )
    rows = features.to_dicts()
    return _typed(rows, as_of=as_of)


def plain(orders: pa.Table, *, as_of: date) -> pa.Table:
    """The same features by plain Python over a table of orders: the reference that `build` is held against."""
    spent: dict[int, dict[date, int]] = {}
    for order in orders.to_pylist():
        if order["ordered_on"] <= as_of:
            days = spent.setdefault(order["customer_id"], {})
            days[order["ordered_on"]] = days.get(order["ordered_on"], 0) + int(order["amount_usd"] * 100)
    rows = [
        {
            "customer_id": customer,
            "recency_days": (as_of - max(days)).days,
            "frequency": len(days) - 1,
            "repeat_cents": sum(cents for day, cents in days.items() if day > min(days)),
            "tenure_days": (as_of - min(days)).days,
        }
        for customer, days in sorted(spent.items())
    ]
    return _typed(rows, as_of=as_of)


def _typed(rows: Sequence[dict[str, Any]], *, as_of: date) -> pa.Table:
    def row(found: dict[str, Any]) -> dict[str, Any]:
        repeats = found["frequency"]
        mean = Decimal(found["repeat_cents"]) / 100 / repeats if repeats else Decimal(0)
        value = mean.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        return {**found, "as_of": as_of, "monetary_value": value}

    contract = dataset("features.customer_features")
    names = [column.name for column in contract.columns]
    return pa.Table.from_pylist([{name: row(found)[name] for name in names} for found in rows], schema=schema(contract))


def orders_in(files: Sequence[str], *, lake_url: str) -> pl.LazyFrame:
    """The rows of these files of the lake, at least one, not read yet."""
    lake = LakeAddress.parse(lake_url)
    options = {**lake.options, "allow_http": "true"} if lake.plain_http else lake.options
    return pl.scan_parquet([place(lake.place, file) for file in files], storage_options=options or None)


def place(lake: str, file: str) -> str:
    """Where Polars finds a file: a path on one machine, an address elsewhere."""
    if lake.startswith("file://"):
        return str(Path(lake.removeprefix("file://"), file))
    return f"{lake.rstrip('/')}/{file}"
