"""A DAG for each declared source: planned, collected, loaded, its owner told of new columns and of what was refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
        def collect(work: dict[str, Any]) -> dict[str, Any]:
            return _collect(source, work)

        @task(outlets=[collected(name)])
        def load_published(done: list[dict[str, Any]]) -> dict[str, int]:
            return _load(source, done)

        @task
        def announce(done: list[dict[str, Any]]) -> list[str]:
            return _announce(source, done)

        @task(trigger_rule="none_failed")
        def tell(done: list[dict[str, Any]]) -> None:
            from airflow.sdk.exceptions import AirflowFailException

            found = [one for some in done for one in some["refused"]]
            if found:  # red until it is mended, and the owner is told
                raise AirflowFailException("set apart in the quarantine: " + "; ".join(found))

        done = collect.expand(work=plan())
        announce(done)  # pyright: ignore
        load_published(done) >> tell(done)  # pyright: ignore

    pipeline()


def _collect(source: Source, work: dict[str, Any]) -> dict[str, Any]:
    """A task's work, and what the next ones have to know of it."""
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
    return {"part": wanted.part, "refused": list(done.refused), "fresh": list(done.fresh), "changed": done.changed}


def _load(source: Source, done: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The warehouse brought to what the lake publishes; skipped, with all that follows, where nothing has come."""
    from airflow.sdk.exceptions import AirflowSkipException

    from leandata.settings import Settings
    from pipelines.collect import load as load_datasets
    from pipelines.sources import collecting

    datasets = sorted({"quarantine.rows", *(part.dataset for part in source.parts)})
    loaded = load_datasets(Settings.load(os.environ), datasets)
    if not collecting.came(done, loaded):
        raise AirflowSkipException("nothing has come")
    return loaded


def _announce(source: Source, done: Iterable[Mapping[str, Any]]) -> list[str]:
    """The owner told of columns that are new."""
    from leandata.settings import Settings
    from pipelines.sources import collecting

    fresh: dict[int, list[str]] = {}
    for one in done:
        fresh.setdefault(one["part"], []).extend(one["fresh"])
    return collecting.announce(Settings.load(os.environ), source, fresh)


for _name in names():
    declare(_name, load(_name))
