"""Features of fifty times the customers by two Dask workers of one thread, against one Polars process of two."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.standins.shop.seed import read
from infra.testing.dask import cluster
from leandata.clock import Week
from leandata.compute import Compute, connect, function
from leandata.datasets import dataset
from leandata.errors import ComputeError
from leandata.tables import schema

TARGETS = {"features_dask_to_polars": "at most 1.3"}
COPIES = 50
_ROUNDS = 2
_SHARES = 2
_WEEK = Week(date(1998, 6, 1))
_TASK = "tasks.purchase.panel:build"
_PLAIN = "import sys; from ci.bench.features import plain; print(plain(sys.argv[1], sys.argv[2]))"


def measure(folder: Path, *, copies: int = COPIES) -> dict[str, float]:
    """Seconds of both, the best of two, their ratio, and the rows. Raises ComputeError where the tables differ."""
    import polars as pl

    url, rows = f"file://{folder / 'lake'}", orders(folder / "lake", copies=copies)
    with cluster(folder, workers=2, environ={"POLARS_MAX_THREADS": "1"}) as dask, connect(dask.address) as spread:
        built(spread, url, copies=1)  # workers import what they need
        took, table = min((timed(spread, url, copies=copies) for _ in range(_ROUNDS)), key=lambda one: one[0])
    place = folder / "plain.parquet"
    command = [sys.executable, "-c", _PLAIN, url, str(place)]
    environ = {**os.environ, "POLARS_MAX_THREADS": "2"}
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
    if not table.equals(pl.read_parquet(place)):
        raise ComputeError("the features of Dask are not those of one process", where=str(place))
    polars = float(printed.split()[-1])
    return {
        "features_dask_seconds": took,
        "features_dask_to_polars": took / polars,
        "features_orders": float(rows),
        "features_polars_seconds": polars,
        "features_rows": float(table.height),
    }


def plain(url: str, place: str) -> float:
    """Seconds of the same in this process, all customers at once, the best of two; the table goes to `place`."""
    from leandata.compute import InProcess

    copies = len(files(url))
    built(InProcess(), url, copies=1)
    took, table = min((timed(InProcess(), url, copies=copies, shares=1) for _ in range(_ROUNDS)), key=lambda it: it[0])
    table.write_parquet(place)
    return took


def timed(compute: Compute, url: str, *, copies: int, shares: int = _SHARES) -> tuple[float, Any]:
    """Seconds until the table of features is in this process, and the table."""
    started = time.perf_counter()
    table = built(compute, url, copies=copies, shares=shares)
    return time.perf_counter() - started, table


def built(compute: Compute, url: str, *, copies: int, shares: int = _SHARES) -> Any:
    """The features of a week from the first files."""
    task = function(_TASK)
    return task(compute, lake_url=url, files=files(url)[:copies], weeks=[_WEEK], shares=shares)


def orders(folder: Path, *, copies: int) -> int:
    """The shop's real orders, so many times, each time of other customers and in a file of its own; the rows."""
    folder.mkdir()
    found, contract = read(), dataset("shop.orders")
    step = max(order.customer_id for order in found)
    typed = schema(contract)
    for copy in range(copies):
        columns: dict[str, list[Any]] = {
            "customer_id": [order.customer_id + copy * step for order in found],
            "ordered_on": [order.ordered_on for order in found],
            "quantity": [order.quantity for order in found],
            "amount_usd": [order.amount_usd for order in found],
        }
        pq.write_table(pa.table(columns, schema=typed), folder / f"{copy:03}.parquet", compression="zstd")
    return copies * len(found)


def files(url: str) -> list[str]:
    """The files of orders in the lake, sorted."""
    return sorted(path.name for path in Path(url.removeprefix("file://")).glob("*.parquet"))
