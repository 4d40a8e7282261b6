"""Transform what was loaded: staging and marts with their tests, by dbt."""

from __future__ import annotations

import os

from airflow.sdk import AssetAny, dag, task

from pipelines.dag_defaults import DEFAULTS, EVENTS, MARTS, RAW, SOURCES


@dag(
    schedule=AssetAny(RAW, EVENTS, *SOURCES),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["transform"],
    doc_md=__doc__,
)
def transform() -> None:
    """From RAW to MARTS."""

    @task(outlets=[MARTS])
    def build() -> dict[str, int]:
        from pathlib import Path

        from leandata.settings import Settings
        from pipelines.transform import build as run_dbt

        return run_dbt(Settings.load(os.environ), folder=Path(os.environ["AIRFLOW_HOME"]) / "dbt")

    build()


transform()
