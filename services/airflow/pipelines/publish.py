"""Publish the marts that have changed to the serving database, and features computed on Dask to both."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date

import pyarrow as pa

from leandata import compute, serving
from leandata.database import connect
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.settings import Settings
from leandata.warehouse import Warehouse
from pipelines import built
from pipelines.transform import collected_until, order_files

MARTS = (
    "sales.cohorts",
    "sales.customer_days",
    "sales.customers",
    "sales.daily_events",
    "sales.daily_sales",
    "sales.segments",
    "sales.weekly_sales",
)
_FEATURES = "features.customer_features"
_STAGE = "MARTS.LAKE.FILES"
_TASK = "tasks.features:build"


def publish(settings: Settings, names: Collection[str] = MARTS, *, version: str, full: bool = False) -> dict[str, int]:
    """Put those of these marts whose rows have changed in place of what is served, all where it is `full`; their rows
    by dataset. Of the others it is noted until when they are right. Readers never see half of one.

    Of a mart that is being built, whose build or tests failed, or that was edited by hand, stays what is served, unless
    it is `full`.
    """
    published: dict[str, int] = {}
    contracts = [dataset(name) for name in sorted(names)]
    with Warehouse.connect(settings.warehouse) as warehouse, connect(settings.serving) as connection:
        # Read before the rows: where a mart is built meanwhile they are older than it, and the next time looks again.
        until = date.fromisoformat(built.noted(warehouse).until or collected_until(settings).isoformat())
        marks = built.whole(warehouse, [contract.warehouse_table for contract in contracts])
        for contract in contracts:
            mark = marks.get(contract.warehouse_table, "")
            if not mark and not full:
                print(f"{contract.name}: it is not built whole, so what is served stays")
            elif full or not serving.renew(connection, contract, mark=mark, data_until=until):
                table = warehouse.table(contract)
                put = serving.publish if full else serving.publish_changed
                if put(connection, contract, table, version=version, data_until=until, mark=mark):
                    published[contract.name] = table.num_rows
            connection.commit()
    return published


def version_name(run_id: str) -> str:
    """A run's name as a version: its moment and what makes it unique, such as "20261124t125446_jhivl3ma"."""
    moment = re.search(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", run_id)
    tail = re.sub(r"[^a-z0-9]+", "_", run_id.lower()).strip("_")[-8:].strip("_")
    return f"{''.join(moment.groups()[:3])}t{''.join(moment.groups()[3:])}_{tail}" if moment else tail


def features(settings: Settings, *, run: str, version: str) -> int:
    """Compute customer features on Dask from the lake, load them as a mart, and publish them; the rows."""
    contract, as_of = dataset(_FEATURES), collected_until(settings)
    files = order_files(settings)
    with compute.connect(settings.dask) as cluster:
        table: pa.Table = cluster.call(_TASK, lake_url=settings.lake.raw, files=files, as_of=as_of)
    return load_features(settings, table, contract_name=contract.name, as_of=as_of, run=run, version=version)


def load_features(
    settings: Settings, table: pa.Table, *, contract_name: str, as_of: date, run: str, version: str
) -> int:
    """Put a table of features into the curated lake, the warehouse and the serving database; the rows."""
    contract = dataset(contract_name)
    manifests = Lake(settings.lake.curated).publish(contract, {None: table}, run=run)
    with Warehouse.connect(settings.warehouse) as warehouse, connect(settings.serving) as connection:
        rows = warehouse.load(contract, {None: manifests[0]}, stage=_STAGE).rows
        serving.publish_changed(connection, contract, table, version=version, data_until=as_of)
        connection.commit()
    return rows
