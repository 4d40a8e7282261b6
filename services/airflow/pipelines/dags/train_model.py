"""Hold what was predicted against what customers did, train the purchase model once a week, serve what it predicts."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, FEATURES, on_dask


@dag(schedule=[FEATURES], catchup=False, max_active_runs=1, default_args=DEFAULTS, tags=["models"], doc_md=__doc__)
def train_model() -> None:
    """From the raw lake to the models' zone, and to what is served."""

    @task
    def watch() -> str:
        from leandata.settings import Settings
        from pipelines import guard
        from pipelines.collect import run_name
        from pipelines.publish import version_name

        context: Any = get_current_context()
        run = run_name(context["run_id"], part=2, attempt=context["ti"].try_number)
        said = guard.watch(Settings.load(os.environ), run=run, version=f"live_{version_name(context['run_id'])}")
        print(said or "no predictions are due to be judged")
        return said

    @task(executor=on_dask())
    def train() -> str:
        from leandata.settings import Settings
        from pipelines import purchase
        from pipelines.collect import run_name
        from pipelines.publish import version_name

        context: Any = get_current_context()
        run = run_name(context["run_id"], attempt=context["ti"].try_number)
        said = purchase.train(Settings.load(os.environ), run=run, version=version_name(context["run_id"]))
        print(said or "the newest version is of the last seven days")
        return said

    @task
    def predict() -> int:
        from leandata.settings import Settings
        from pipelines import purchase
        from pipelines.collect import run_name
        from pipelines.publish import version_name

        context: Any = get_current_context()
        run = run_name(context["run_id"], part=1, attempt=context["ti"].try_number)
        rows = purchase.predict(Settings.load(os.environ), run=run, version=version_name(context["run_id"]))
        print(f"{rows} customers")
        return rows

    watch() >> train() >> predict()  # pyright: ignore


train_model()
