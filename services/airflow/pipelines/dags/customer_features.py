"""Compute customer features on Dask and publish them as a mart."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, FEATURES, SERVING


@dag(schedule=[SERVING], catchup=False, max_active_runs=1, default_args=DEFAULTS, tags=["features"], doc_md=__doc__)
def customer_features() -> None:
    """From the raw lake to MARTS.FEATURES."""

    @task(outlets=[FEATURES])
    def compute() -> int:
        from leandata.settings import Settings
        from pipelines.collect import run_name
        from pipelines.publish import features, version_name

        context: Any = get_current_context()
        run = run_name(context["run_id"], attempt=context["ti"].try_number)
        return features(Settings.load(os.environ), run=run, version=version_name(context["run_id"]))

    compute()


customer_features()
