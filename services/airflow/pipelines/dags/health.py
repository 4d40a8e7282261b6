"""Look every five minutes whether the parts of the platform answer, for the page Platform."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import CronTriggerTimetable, dag, task

from pipelines.dag_defaults import DEFAULTS


@dag(
    schedule=CronTriggerTimetable("2-59/5 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["checks"],
    doc_md=__doc__,
)
def health() -> None:
    """From every part to serving.health; a part that is down fails nothing here."""

    @task
    def look() -> list[str]:
        from leandata.settings import Settings
        from pipelines.health import run

        place = os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
        found = run(Settings.load(os.environ), execution_url=place, now=datetime.now(UTC))
        for one in found:
            print(f"{one.part}: {one.state}, {one.detail}, {one.milliseconds} ms")
        return [one.part for one in found if one.state != "up"]

    look()


health()
