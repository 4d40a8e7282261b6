"""Check every night what is promised of each dataset, and tell the owner of what has failed since the night before.

What the warehouses used of credits is noted beside it, where they are metered.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import CronTriggerTimetable, dag, task

from pipelines.dag_defaults import DEFAULTS


@dag(
    schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["checks"],
    doc_md=__doc__,
)
def checks() -> None:
    """From every layer to serving.checks, and from Snowflake's metering to serving.spend."""

    @task
    def look() -> dict[str, int]:
        from airflow.sdk.exceptions import AirflowFailException

        from leandata.settings import Settings
        from pipelines.checks import run, told

        found, new = run(Settings.load(os.environ), now=datetime.now(UTC))
        for one in found:
            print(f"{one.status}: {one.dataset} {one.check}: {one.detail}")
        if new:
            raise AirflowFailException(told(new))  # another try would find the same
        statuses = [one.status for one in found]
        return {status: statuses.count(status) for status in sorted(set(statuses))}

    @task
    def meter() -> int:
        from leandata.settings import Settings
        from pipelines.spend import run

        return len(run(Settings.load(os.environ)))

    look()
    meter()


checks()
