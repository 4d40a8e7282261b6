"""Publish the marts that have changed to the serving database, whole or not at all."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, MARTS, SERVING


@dag(
    schedule=[MARTS],
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["publish"],
    params={"full": Param(False, type="boolean", description="publish all marts, not only those that have changed")},
    doc_md=__doc__,
)
def publish_serving() -> None:
    """From MARTS to the serving database."""

    @task(outlets=[SERVING])
    def publish(params: dict[str, Any] | None = None) -> dict[str, int]:
        from leandata.settings import Settings
        from pipelines.publish import publish as publish_marts
        from pipelines.publish import version_name

        context: Any = get_current_context()
        events = [event for found in context["triggering_asset_events"].values() for event in found]
        full = bool((params or {}).get("full")) or any(event.extra.get("full") for event in events)
        done = publish_marts(Settings.load(os.environ), version=version_name(context["run_id"]), full=full)
        print("\n".join(f"{name}: {rows} rows" for name, rows in done.items()) or "no mart has changed")
        return done

    publish()


publish_serving()
