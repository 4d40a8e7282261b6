"""The DAGs as Airflow itself loads them: what each task has, what starts it, and that loading them touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.environment import ROOT

pytestmark = pytest.mark.integration
FOLDER = ROOT / "services" / "airflow" / "pipelines" / "dags"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "sources")

# Runs in a process of its own: what Airflow loads cannot be unloaded, and what it does is noted by Python itself.
LOADER = """
import json, os, sys
touched = []
def note(event, args):
    if event in ("socket.connect", "sqlite3.connect", "subprocess.Popen", "os.system"):
        touched.append(event)
from airflow.dag_processing.dagbag import DagBag
sys.addaudithook(note)
bag = DagBag(os.environ["DAGS"])
heavy = ("dbt", "distributed", "matplotlib", "pandas", "polars", "psycopg", "pyarrow", "snowflake.connector")

def callbacks(task, when):
    found = getattr(task, f"on_{when}_callback")
    return [f"{one.__module__}.{one.__name__}" for one in (found if isinstance(found, list) else [found])]

def seconds(span):
    return span.total_seconds() if span else None

def of(task):
    return {
        "owner": task.owner, "retries": task.retries, "delay": seconds(task.retry_delay),
        "longest_delay": seconds(task.max_retry_delay), "limit": seconds(task.execution_timeout),
        "callbacks": {when: callbacks(task, when) for when in ("execute", "success", "skipped", "failure")},
        "after": sorted(task.upstream_task_ids),
        "outlets": [asset.uri for asset in task.outlets], "mapped": task.is_mapped,
    }

def schedule(dag):
    condition = getattr(dag.timetable, "asset_condition", None)
    return [asset.uri for asset in condition.objects] if condition else getattr(dag.timetable, "expression", "")

print("RESULT " + json.dumps({
    "errors": bag.import_errors, "touched": touched, "heavy": [name for name in heavy if name in sys.modules],
    "dags": {name: {
        "tasks": {task.task_id: of(task) for task in dag.tasks}, "schedule": schedule(dag), "catchup": dag.catchup,
        "runs_at_once": dag.max_active_runs, "says": dag.doc_md, "at_once": getattr(dag.timetable, "run_immediately", None),
        "params": {key: dag.params.get_param(key).schema for key in dag.params},
    } for name, dag in bag.dags.items()},
}))
"""


def load(home: Path, folder: Path, **environ: str) -> dict[str, Any]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LEANDATA_", "AIRFLOW"))}
    result = subprocess.run(
        [sys.executable, "-c", LOADER],
        env={**known, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "DAGS": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    lines = [line for line in result.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, result.stdout + result.stderr
    return json.loads(lines[0].removeprefix("RESULT "))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow found, with no setting of ours and no database."""
    return load(tmp_path_factory.mktemp("airflow"), FOLDER)


def tasks(loaded: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{name}.{task}": values for name, dag in loaded["dags"].items() for task, values in dag["tasks"].items()
    }  # fmt: skip


def test_every_file_but_that_of_the_sources_is_one_dag_and_loads_without_an_error(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}
    assert sorted(loaded["dags"]) == NAMES


def test_loading_opens_no_database_no_socket_and_no_process(loaded: dict[str, Any]) -> None:
    assert loaded["touched"] == []


def test_loading_brings_in_nothing_that_only_a_task_needs(loaded: dict[str, Any]) -> None:
    assert loaded["heavy"] == []


def test_the_check_for_touching_things_sees_a_dag_that_does(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(
        "import sqlite3, pandas\nfrom airflow.sdk import dag, task\nsqlite3.connect(':memory:').close()\n"
        "@dag(schedule=None)\ndef greedy():\n    @task\n    def nothing(): pass\n    nothing()\ngreedy()\n"
    )
    found = load(tmp_path / "home", tmp_path)
    assert "sqlite3.connect" in found["touched"]
    assert "pandas" in found["heavy"]


def test_the_pipelines_have_just_these_tasks(loaded: dict[str, Any]) -> None:
    assert sorted(tasks(loaded)) == [
        "checks.look", "checks.meter", "collect_shop.collect", "collect_shop.customers", "collect_shop.load", "collect_shop.plan",
        "customer_features.compute", "drain_events.drain", "health.look", "publish_serving.publish", "train_model.predict", "train_model.train", "train_model.watch", "transform.build", "weekly_sales_report.mail",
    ]  # fmt: skip


def test_every_task_is_owned_tried_again_bounded_and_its_failure_is_told(loaded: dict[str, Any]) -> None:
    for name, task in tasks(loaded).items():
        assert task["owner"] == "data-team", name
        assert task["retries"] == 3, name
        assert task["delay"] == 10, name
        assert task["longest_delay"] == 300, name
        assert task["limit"] == 1800, name
        assert task["callbacks"]["failure"][0] == "pipelines.failure.mail_owner", name


def test_every_task_notes_its_run(loaded: dict[str, Any]) -> None:
    for name, task in tasks(loaded).items():
        assert task["callbacks"] == {
            "execute": ["pipelines.noting.begun"],
            "success": ["pipelines.noting.ended"],
            "skipped": ["pipelines.noting.ended"],
            "failure": ["pipelines.failure.mail_owner", "pipelines.noting.failed"],
        }, name


def test_orders_are_collected_chunk_by_chunk_after_the_plan_and_loaded_at_the_end(loaded: dict[str, Any]) -> None:
    found = loaded["dags"]["collect_shop"]["tasks"]
    assert {name: task["after"] for name, task in found.items()} == {
        "plan": [], "collect": ["plan"], "customers": [], "load": ["collect", "customers"],
    }  # fmt: skip
    assert [name for name, task in found.items() if task["mapped"]] == ["collect"]


def test_the_collection_has_a_clock_and_begins_at_once_and_the_checks_follow_in_the_night(
    loaded: dict[str, Any],
) -> None:
    dags = loaded["dags"]
    assert dags["collect_shop"]["schedule"] == "15 2 * * *"
    assert dags["collect_shop"]["at_once"] is True
    assert dags["checks"]["at_once"] is False
    assert {name: dag["schedule"] for name, dag in dags.items() if name != "collect_shop"} == {
        "checks": "30 3 * * *",
        "drain_events": "*/5 * * * *",
        "health": "2-59/5 * * * *",
        "customer_features": ["leandata://serving/sales"],
        "publish_serving": ["leandata://marts/sales"],
        "train_model": ["leandata://marts/features"],
        "transform": ["leandata://raw/shop", "leandata://raw/events"],
        "weekly_sales_report": ["leandata://serving/sales"],
    }


def test_whatever_starts_a_pipeline_is_made_by_another_one(loaded: dict[str, Any]) -> None:
    made = {uri for task in tasks(loaded).values() for uri in task["outlets"]}
    for name, dag in loaded["dags"].items():
        if isinstance(dag["schedule"], list):
            own = {uri for task in dag["tasks"].values() for uri in task["outlets"]}
            assert set(dag["schedule"]) <= made - own, name


def test_an_asset_is_made_by_one_task_and_only_by_the_last_one(loaded: dict[str, Any]) -> None:
    made = [uri for task in tasks(loaded).values() for uri in task["outlets"]]
    assert len(made) == len(set(made)) == 5
    for dag in loaded["dags"].values():
        before = {name for task in dag["tasks"].values() for name in task["after"]}
        assert not [name for name, task in dag["tasks"].items() if task["outlets"] and name in before]


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_does_not_overtake_itself_or_catch_up_and_says_what_it_is(loaded: dict[str, Any], name: str) -> None:
    dag = loaded["dags"][name]
    assert dag["runs_at_once"] == 1
    assert dag["catchup"] is False
    assert dag["says"].strip().endswith(".")


def test_a_range_of_days_may_be_asked_for_and_is_checked_as_days(loaded: dict[str, Any]) -> None:
    params = loaded["dags"]["collect_shop"]["params"]
    assert sorted(params) == ["from", "to"]
    for schema in params.values():
        assert schema["type"] == ["null", "string"]
        assert schema["format"] == "date"
