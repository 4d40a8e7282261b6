"""A DAG for each declared source: planned, collected, loaded, and its owner told of what was refused."""

from __future__ import annotations

import os
from datetime import date
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, collected
from pipelines.sources.declaration import Source, load, names

_DAYS = {
    "from": Param(None, type=["null", "string"], format="date", description="first day (default: what is missing)"),
    "to": Param(None, type=["null", "string"], format="date", description="last day (default: what is over)"),
}


def declare(name: str, source: Source) -> None:
    """The DAG collect_<name>."""

    @dag(
        dag_id=f"collect_{name}",
        schedule=CronTriggerTimetable(source.schedule, timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args={**DEFAULTS, "owner": source.owner},
        tags=["collect", name],
        params=dict(_DAYS),
        doc_md=source.description,
    )
    def pipeline() -> None:
        @task
        def plan(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
            from leandata.settings import Settings
            from pipelines.sources import collecting

            asked = {key: date.fromisoformat(value) if value else None for key, value in (params or {}).items()}
            settings = Settings.load(os.environ)
            wanted = collecting.plan(settings, source, since=asked.get("from"), until=asked.get("to"))
            return [{**work.plain(), "task": number} for number, work in enumerate(wanted)]

        @task(map_index_template="{{ span }}")
        def collect(work: dict[str, Any]) -> list[str]:
            from datetime import UTC, datetime

            from leandata.settings import Settings
            from pipelines.collect import run_name
            from pipelines.sources import collecting

            context: Any = get_current_context()
            wanted = collecting.Work.of(work)
            context["span"] = wanted.chunk.span or "all"
            run = run_name(context["run_id"], part=work["task"], attempt=context["ti"].try_number)
            done = collecting.collect(Settings.load(os.environ), source, wanted, run=run, now=datetime.now(UTC))
            print("\n".join([f"{done.rows} rows", *done.notes, *done.refused]))
            return list(done.refused)

        @task(outlets=[collected(name)])
        def load_published() -> dict[str, int]:
            from leandata.settings import Settings
            from pipelines.collect import load as load_datasets

            datasets = sorted({"quarantine.rows", *(part.dataset for part in source.parts)})
            return load_datasets(Settings.load(os.environ), datasets)

        @task
        def tell(refused: list[list[str]]) -> None:
            from airflow.sdk.exceptions import AirflowFailException

            found = [one for some in refused for one in some]
            if found:  # red until it is mended, and the owner is told
                raise AirflowFailException("set apart in the quarantine: " + "; ".join(found))

        refused = collect.expand(work=plan())
        refused >> load_published() >> tell(refused)  # pyright: ignore

    pipeline()


for _name in names():
    declare(_name, load(_name))
