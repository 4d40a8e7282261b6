"""Mail the sales report of the last complete week, once, when its week is published whole."""

from __future__ import annotations

import os

from airflow.sdk import dag, task

from pipelines.dag_defaults import DEFAULTS, SERVING


@dag(schedule=[SERVING], catchup=False, max_active_runs=1, default_args=DEFAULTS, tags=["report"], doc_md=__doc__)
def weekly_sales_report() -> None:
    """From the serving database to the managers' mail."""

    @task
    def mail() -> str:
        from leandata.settings import Settings
        from pipelines.weekly_report import mail_report

        done = mail_report(Settings.load(os.environ))
        print(done)
        return done

    mail()


weekly_sales_report()
