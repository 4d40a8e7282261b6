"""Collect the shop's orders by day, and load them into the warehouse."""

from __future__ import annotations

import os
from datetime import date
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

from pipelines.dag_defaults import DEFAULTS, RAW


@dag(
    schedule=CronTriggerTimetable("15 2 * * *", timezone="UTC", run_immediately=True),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["collect", "shop"],
    params={
        "from": Param(None, type=["null", "string"], format="date", description="first day (default: what is missing)"),
        "to": Param(None, type=["null", "string"], format="date", description="last day (default: yesterday)"),
    },
    doc_md=__doc__,
)
def collect_shop() -> None:
    """From the shop's replica to RAW."""

    @task
    def plan(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        from leandata.settings import Settings
        from pipelines.collect import chunks, source_days

        asked = {name: date.fromisoformat(value) if value else None for name, value in (params or {}).items()}
        wanted = source_days(Settings.load(os.environ), since=asked.get("from"), until=asked.get("to"))
        return [{"part": part, **chunk.plain()} for part, chunk in enumerate(chunks(wanted))]

    @task(map_index_template="{{ span }}")
    def collect(chunk: dict[str, Any]) -> int:
        from leandata.settings import Settings
        from pipelines.collect import Chunk, run_name
        from pipelines.collect import collect as collect_days

        context: Any = get_current_context()
        context["span"] = f"{chunk['days'][0]} to {chunk['days'][-1]}"
        name = run_name(context["run_id"], part=chunk["part"], attempt=context["ti"].try_number)
        days = tuple(date.fromisoformat(day) for day in chunk["days"])
        rows = collect_days(Settings.load(os.environ), Chunk(days=days, strays=chunk["strays"]), run=name)
        print(f"{rows} orders of {len(days)} days")
        return rows

    @task
    def customers() -> int:
        from leandata.settings import Settings
        from pipelines.collect import collect_customers, run_name

        context: Any = get_current_context()
        name = run_name(context["run_id"], attempt=context["ti"].try_number)
        return collect_customers(Settings.load(os.environ), run=name)

    @task(outlets=[RAW])
    def load() -> dict[str, int]:
        from leandata.settings import Settings
        from pipelines.collect import load as load_published

        return load_published(Settings.load(os.environ))

    [collect.expand(chunk=plan()), customers()] >> load()  # pyright: ignore


collect_shop()
