"""Transform what has changed of what was loaded: staging and marts with their tests, by dbt."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import AssetAny, Param, dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, EVENTS, MARTS, RAW, SOURCES


@dag(
    schedule=AssetAny(RAW, EVENTS, *SOURCES),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["transform"],
    params={"full": Param(False, type="boolean", description="build and publish all, not only what has changed")},
    doc_md=__doc__,
)
def transform() -> None:
    """From RAW to MARTS."""

    @task(outlets=[MARTS])
    def build(params: dict[str, Any] | None = None) -> dict[str, int]:
        from pathlib import Path

        from leandata.settings import Settings
        from pipelines.transform import build as run_dbt

        full = bool((params or {}).get("full"))
        context: Any = get_current_context()
        context["outlet_events"][MARTS].extra = {"full": full}  # publish_serving reads it
        return run_dbt(Settings.load(os.environ), folder=Path(os.environ["AIRFLOW_HOME"]) / "dbt", full=full)

    build()


transform()
