"""What every DAG has: its owner, retries, a mail to the owner when a task has failed for good, its runs noted."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset

from pipelines import noting
from pipelines.failure import mail_owner
from pipelines.sources.declaration import names

RAW = Asset("leandata://raw/shop")
EVENTS = Asset("leandata://raw/events")
MARTS = Asset("leandata://marts/sales")
SERVING = Asset("leandata://serving/sales")
FEATURES = Asset("leandata://marts/features")


def collected(source: str) -> Asset:
    """What the pipeline of a declared source brings up to date in RAW."""
    return Asset(f"leandata://raw/{source}")


SOURCES = [collected(name) for name in names()]

DEFAULTS: dict[str, Any] = {
    "owner": "data-team",
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(minutes=30),
    "on_execute_callback": noting.begun,
    "on_success_callback": noting.ended,
    "on_skipped_callback": noting.ended,
    "on_failure_callback": [mail_owner, noting.failed],
}


def on_dask() -> str | None:
    """What a task says as `executor` to run whole on a worker of the Dask cluster, where Airflow has workers there.

    Elsewhere None: the task runs as all others do.
    """
    chosen = os.environ.get("AIRFLOW__CORE__EXECUTOR", "").split(",")
    return "DaskExecutor" if any(one.startswith("DaskExecutor:") for one in chosen) else None
