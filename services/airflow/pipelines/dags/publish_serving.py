"""Publish the marts to the serving database, whole or not at all."""

from __future__ import annotations

import os

from airflow.sdk import dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, MARTS, SERVING


@dag(schedule=[MARTS], catchup=False, max_active_runs=1, default_args=DEFAULTS, tags=["publish"], doc_md=__doc__)
def publish_serving() -> None:
    """From MARTS to the serving database."""

    @task(outlets=[SERVING])
    def publish() -> dict[str, int]:
        from leandata.settings import Settings
        from pipelines.publish import publish as publish_marts
        from pipelines.publish import version_name

        return publish_marts(Settings.load(os.environ), version=version_name(str(get_current_context().get("run_id"))))

    publish()


publish_serving()
