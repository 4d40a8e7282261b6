"""pandas: revenue by week, a share of the lake's files at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from leandata.compute import Compute
from tasks.features import orders_in


def build(compute: Compute, *, lake_url: str, files: Sequence[str], shares: int = 4) -> pd.DataFrame:
    """Orders and whole cents of each week with an order, by its Monday; `files` are of `shop.orders`.

    The same however many shares there are: counts and cents are whole numbers, and their sums know no order.
    """
    cut = [list(files[share::shares]) for share in range(shares)]
    parts = compute.map(partial(_by_week, lake_url=lake_url), [one for one in cut if one])
    return _summed(pd.concat(parts) if parts else _by_day([]))


def _by_week(files: Sequence[str], *, lake_url: str) -> pd.DataFrame:
    rows = orders_in(files, lake_url=lake_url).select("ordered_on", "amount_usd").collect().rows()
    return _summed(_by_day([(day, int(amount * 100)) for day, amount in rows]))


def _by_day(rows: Sequence[tuple[object, int]]) -> pd.DataFrame:
    days = pd.DatetimeIndex([day for day, _ in rows])
    monday = days - pd.to_timedelta(days.day_of_week, unit="D")
    cents = pd.Series([cents for _, cents in rows], dtype="int64")
    return pd.DataFrame({"week": monday, "orders": cents * 0 + 1, "cents": cents})


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.groupby("week", as_index=False)
    return pd.DataFrame(groups[["orders", "cents"]].sum())
