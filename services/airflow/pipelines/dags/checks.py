"""Check every night what is promised of each dataset, and tell the owner of what has failed since the night before."""

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
    """From every layer to serving.checks."""

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

    look()


checks()
