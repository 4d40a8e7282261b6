"""Features of each customer at the start of a week, from what was known before it, as a task farm over the lake.

A task takes one share of the customers (by the remainder of their number) and all files, so that nothing has to be
moved between tasks. All values are whole days, orders or cents: the same rows come out however the work is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import partial

import polars as pl

from leandata.clock import Week
from leandata.compute import Compute
from tasks.features import orders_in

HORIZON = timedelta(days=28)
WINDOWS = (7, 28, 91, 182)
_SCHEMA = {"customer_id": pl.Int64, "ordered_on": pl.Date, "orders": pl.Int64, "cents": pl.Int64}


def build(
    compute: Compute, *, lake_url: str, files: Sequence[str], weeks: Sequence[Week], shares: int = 4
) -> pl.DataFrame:
    """A row for each week and each customer who ordered before it, sorted by both; `files` are of `shop.orders`.

    `tenure`, `recency` and `last_gap` are days since the first order, since the last one, and between the last two
    days with an order (null with one); `days`, `orders`, `cents` count all that came before the week, `days_N` and
    `cents_N` the last N days before it. `bought` says whether an order followed within the four weeks from its Monday.
    """
    share = partial(_share, lake_url=lake_url, files=files, weeks=weeks, shares=shares)
    parts = compute.map(share, range(shares))
    return pl.concat(parts).sort("week", "customer_id")


def at(days: pl.DataFrame, week: Week) -> pl.DataFrame:
    """The features at the start of `week` from the days with an order; later days are not looked at."""
    start = week.start
    age = (pl.lit(start) - pl.col("ordered_on")).dt.total_days()
    return (
        days.filter(pl.col("ordered_on") < start)
        .sort("customer_id", "ordered_on")
        .group_by("customer_id", maintain_order=True)
        .agg(
            week=pl.lit(start),
            tenure=age.max(),
            recency=age.min(),
            last_gap=pl.col("ordered_on").diff().dt.total_days().last(),
            days=pl.len().cast(pl.Int64),
            orders=pl.col("orders").sum(),
            cents=pl.col("cents").sum(),
            last_cents=pl.col("cents").last(),
            **{f"days_{window}": (age <= window).sum().cast(pl.Int64) for window in WINDOWS},
            **{f"cents_{window}": pl.col("cents").filter(age <= window).sum() for window in WINDOWS},
        )
    )


def bought(days: pl.DataFrame, week: Week) -> pl.DataFrame:
    """The customers with an order from the Monday of `week` on, within four weeks."""
    until = week.start + HORIZON
    within = (pl.col("ordered_on") >= week.start) & (pl.col("ordered_on") < until)
    return days.filter(within).select("customer_id").unique().with_columns(bought=pl.lit(value=True))


def plain(orders: Iterable[tuple[int, date, int]], *, weeks: Sequence[Week]) -> list[dict[str, object]]:
    """The same rows by plain Python, from orders as (customer, day, cents): what `build` is held against."""
    known: dict[int, list[tuple[date, int]]] = {}
    for customer, day, cents in orders:
        known.setdefault(customer, []).append((day, cents))
    rows: list[dict[str, object]] = []
    for week in sorted(weeks, key=lambda one: one.start):
        for customer, all_orders in sorted(known.items()):
            before = sorted(order for order in all_orders if order[0] < week.start)
            if before:
                after = [day for day, _ in all_orders if week.start <= day < week.start + HORIZON]
                rows.append({"customer_id": customer, **_plain(before, week.start), "bought": bool(after)})
    return rows


def _plain(before: Sequence[tuple[date, int]], start: date) -> dict[str, object]:
    dates = sorted({day for day, _ in before})
    last = dates[-1]
    near = {window: start - timedelta(days=window) for window in WINDOWS}
    return {
        "week": start,
        "tenure": (start - dates[0]).days,
        "recency": (start - last).days,
        "last_gap": (last - dates[-2]).days if len(dates) > 1 else None,
        "days": len(dates),
        "orders": len(before),
        "cents": sum(cents for _, cents in before),
        "last_cents": sum(cents for day, cents in before if day == last),
        **{f"days_{window}": sum(day >= since for day in dates) for window, since in near.items()},
        **{f"cents_{window}": sum(cents for day, cents in before if day >= since) for window, since in near.items()},
    }


def _share(share: int, *, lake_url: str, files: Sequence[str], weeks: Sequence[Week], shares: int) -> pl.DataFrame:
    days = days_of(files, lake_url=lake_url, share=share, shares=shares)
    parts = [at(days, week).join(bought(days, week), on="customer_id", how="left") for week in weeks]
    whole = pl.concat(parts) if parts else at(days, Week(date(1970, 1, 5))).with_columns(bought=pl.lit(value=False))
    return whole.with_columns(pl.col("bought").fill_null(value=False))


def days_of(files: Sequence[str], *, lake_url: str, share: int = 0, shares: int = 1) -> pl.DataFrame:
    """What each customer of this share ordered on a day: customer_id, ordered_on, orders, cents."""
    if not files:
        return pl.DataFrame(schema=_SCHEMA)
    return (
        orders_in(files, lake_url=lake_url)
        .filter(pl.col("customer_id") % shares == share)
        .group_by("customer_id", "ordered_on")
        .agg(orders=pl.len().cast(pl.Int64), cents=(pl.col("amount_usd") * 100).cast(pl.Int64).sum())
        .collect()
    )
