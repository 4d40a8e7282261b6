"""Drain the API's inbox of events into the lake and the warehouse, every five minutes."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, EVENTS


@dag(
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["collect", "events"],
    doc_md=__doc__,
)
def drain_events() -> None:
    """From the inbox to RAW; where nothing is new, nothing after it runs."""

    @task(outlets=[EVENTS])
    def drain() -> int:
        from airflow.sdk.exceptions import AirflowSkipException

        from leandata.settings import Settings
        from pipelines.collect import run_name
        from pipelines.drain import drain as drain_inbox

        context: Any = get_current_context()
        name = run_name(context["run_id"], attempt=context["ti"].try_number)
        found = drain_inbox(Settings.load(os.environ), run=name)
        if not found:
            raise AirflowSkipException("no event has come in")
        print(f"{found} events")
        return found

    drain()


drain_events()
