"""Runs that are noted for the dashboards: what is decided of a task's context, and what a real Airflow's tasks note."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.testing import parts
from infra.testing.fixtures import url_of
from infra.testing.parts import eventually
from leandata import serving
from leandata.database import connect
from leandata.errors import DatabaseError
from leandata.serving import Run
from leandata.settings import DatabaseAddress, Settings
from pipelines import noting
from pipelines.noting import Fate
from services.airflow.tests.airflows import Airflow, airflow

NIGHT = datetime(2026, 11, 24, 2, 15, tzinfo=UTC)


# -- what is decided ---------------------------------------------------------------------------------------------------


def context(task: str, after: dict[str, set[str]], **changed: Any) -> dict[str, Any]:
    """A task's context in a DAG of these tasks, each with those that follow it."""
    instance = {"dag_id": "p", "run_id": "r", "task_id": task, "try_number": 2, "map_index": -1, "start_date": NIGHT}
    made = [SimpleNamespace(task_id=name, downstream_task_ids=found) for name, found in after.items()]
    run = SimpleNamespace(start_date=NIGHT - timedelta(minutes=1))
    return {"ti": SimpleNamespace(**instance | changed), "dag": SimpleNamespace(tasks=made), "dag_run": run}


CHAIN: dict[str, set[str]] = {"plan": {"load"}, "load": set()}


def test_a_run_is_over_with_the_only_task_that_nothing_follows() -> None:
    assert noting.is_last(context("load", CHAIN))
    assert not noting.is_last(context("plan", CHAIN))
    assert not noting.is_last(context("load", CHAIN | {"mail": set()})), "the mail may still be on its way"
    assert not noting.is_last(context("load", CHAIN, map_index=0)), "one of several"


def test_a_run_says_since_when_it_runs_how_many_tries_it_took_and_which_task_told_it() -> None:
    found = noting.run_of(context("load", CHAIN), "running", now=NIGHT)
    assert found == Run(
        pipeline="p", run="r", state="running", started_at=NIGHT - timedelta(minutes=1), ended_at=None, tries=2, task="load"
    )  # fmt: skip
    over = noting.run_of(context("load", CHAIN), "failed", now=NIGHT + timedelta(hours=1))
    assert (over.state, over.ended_at) == ("failed", NIGHT + timedelta(hours=1))
    without = {**context("load", CHAIN), "dag_run": None}
    assert noting.run_of(without, "running", now=NIGHT).started_at == NIGHT


@pytest.mark.parametrize("state", ["running", "queued", "not told"])
def test_what_is_not_over_stays_as_it_is_noted(state: str) -> None:
    noted = noting.run_of(context("load", CHAIN), "running", now=NIGHT)
    assert noting.settled(noted, Fate(state=state, started_at=NIGHT, ended_at=None)) is None


def test_what_became_of_a_run_is_what_airflow_says_and_a_run_it_forgot_is_lost() -> None:
    noted = noting.run_of(context("load", CHAIN), "running", now=NIGHT)
    begun, done = NIGHT - timedelta(minutes=5), NIGHT + timedelta(minutes=5)
    found = noting.settled(noted, Fate(state="failed", started_at=begun, ended_at=done))
    assert found == replace(noted, state="failed", started_at=begun, ended_at=done)
    kept = noting.settled(noted, Fate(state="success", started_at=None, ended_at=done))
    assert kept == replace(noted, state="success", ended_at=done)
    assert noting.settled(noted, None) == replace(noted, state="lost")


# -- in the serving database -------------------------------------------------------------------------------------------


@pytest.fixture
def address(postgres_server: parts.Postgres, request: pytest.FixtureRequest) -> DatabaseAddress:
    name = f"noting_{abs(hash(request.node.name)) % 10**8}"
    return postgres_server.database(name, owner="serving_writer")


def settings(address: DatabaseAddress) -> Settings:
    return Settings.load({"LEANDATA_ENVIRONMENT": "test", "LEANDATA_SERVING": url_of(address)})


def known(address: DatabaseAddress) -> dict[str, tuple[str, int]]:
    with connect(address) as connection:
        return {f"{one.pipeline} {one.run}": (one.state, one.tries) for one in serving.runs(connection)}


def run(name: str, state: str = "running", *, pipeline: str = "p", tries: int = 1, at: datetime = NIGHT) -> Run:
    ended = None if state == "running" else at + timedelta(seconds=72)
    return Run(pipeline=pipeline, run=name, state=state, started_at=at, ended_at=ended, tries=tries, task="load")


@pytest.mark.integration
def test_a_task_that_begins_puts_right_what_others_could_not_tell(address: DatabaseAddress) -> None:
    asked: list[str] = []

    def ask(pipeline: str, name: str) -> Fate | None:
        asked.append(f"{pipeline} {name}")
        fates = {"killed": Fate(state="failed", started_at=NIGHT, ended_at=NIGHT), "gone": None}
        return fates.get(name, Fate(state="running", started_at=NIGHT, ended_at=None))

    for name in ("killed", "gone", "going"):
        noting.note(settings(address), run(name, pipeline="other"))
    noting.note(settings(address), run("done", "success", pipeline="other"))
    noting.note(settings(address), run("mine"), ask=ask)
    assert sorted(asked) == ["other going", "other gone", "other killed"], "neither its own nor what is over"
    assert known(address) == {
        "other done": ("success", 1), "other going": ("running", 1), "other gone": ("lost", 1),
        "other killed": ("failed", 1), "p mine": ("running", 1),
    }  # fmt: skip


@pytest.mark.integration
def test_without_a_database_a_task_goes_on_and_its_log_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("x")
    place = f"postgresql://w@127.0.0.1:{parts.free_port()}/serving?password_file={tmp_path / 'password'}"
    known = {"LEANDATA_ENVIRONMENT": "test", "LEANDATA_SERVING": place}
    with pytest.raises(DatabaseError):
        noting.note(Settings.load(known), run("mine"))
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    noting.failed(context("load", CHAIN))
    assert "the run could not be noted: PostgreSQL cannot be reached" in capsys.readouterr().out


@pytest.mark.integration
def test_who_may_not_write_says_so_in_a_line(postgres_server: parts.Postgres, address: DatabaseAddress) -> None:
    noting.note(settings(address), run("mine"))
    reader = postgres_server.reader(
        "serving_reader", database=address.database, schema="serving", owner="serving_writer"
    )
    with pytest.raises(DatabaseError, match=r"a run cannot be noted: .*(read-only|permission denied)"):
        noting.note(settings(reader), run("other"))


# -- in a real Airflow -------------------------------------------------------------------------------------------------

DAGS = """
import os, signal
from datetime import timedelta
from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from pipelines.dag_defaults import DEFAULTS

QUICK = {**DEFAULTS, "retries": 1, "retry_delay": timedelta(seconds=1)}

@dag(schedule=None, default_args=QUICK)
def chained():
    @task
    def first():
        if get_current_context()["ti"].try_number == 1:
            raise ValueError("not the first time")
    @task
    def last():
        print("done")
    first() >> last()

@dag(schedule=None, default_args=QUICK)
def idle():
    @task
    def drain():
        raise AirflowSkipException("nothing came in")
    drain()

@dag(schedule=None, default_args=QUICK)
def broken():
    @task
    def load():
        raise ValueError("always")
    load()

@dag(schedule=None, default_args={**QUICK, "retries": 0})
def killed():
    @task
    def load():
        os.kill(os.getpid(), signal.SIGKILL)
    load()

@dag(schedule=None, default_args=QUICK)
def two_ends():
    @task
    def left(): pass
    @task
    def right(): pass
    left(), right()

chained(), idle(), broken(), killed(), two_ends()
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """A running Airflow, and the serving database that its tasks write to; its other processes know nothing of it."""

    airflow: Airflow
    serving: DatabaseAddress

    def noted(self, dag: str) -> list[Run]:
        with connect(self.serving) as connection:
            return [one for one in serving.runs(connection) if one.pipeline == dag]


@pytest.fixture(scope="module")
def world(postgres_server: parts.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    found = postgres_server.database("airflow_noting", owner="airflow")
    place = postgres_server.database("serving_noting", owner="serving_writer")
    address = f"postgresql+psycopg://{found.user}:{found.password}@{found.host}:{found.port}/{found.database}"
    told = {"LEANDATA_ENVIRONMENT": "test", "LEANDATA_SERVING": url_of(place)}
    folder = tmp_path_factory.mktemp("airflow")
    with airflow(folder, database=address, dags=DAGS, workers=0, settings=told) as started:
        yield World(airflow=started, serving=place)


def ends(world: World, dag: str) -> dict[str, Any]:
    """Run it; what Airflow's own pages say of the run that is over."""
    path = world.airflow.run(dag)
    world.airflow.ends(path)
    return world.airflow.ask("GET", path)


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("dag", "state", "tries", "task"),
    [("chained", "success", 2, "last"), ("idle", "success", 1, "drain"), ("broken", "failed", 2, "load")],
)
def test_a_run_is_noted_as_airflow_knows_it(world: World, dag: str, state: str, tries: int, task: str) -> None:
    said = ends(world, dag)
    (found,) = eventually(lambda: [one for one in world.noted(dag) if one.state != "running"])
    assert (found.run, found.state, found.tries, found.task) == (said["dag_run_id"], state, tries, task)
    assert said["state"] == state
    assert found.started_at == datetime.fromisoformat(said["start_date"])
    assert found.ended_at is not None
    assert found.ended_at > found.started_at


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("dag", "state"), [("killed", "failed"), ("two_ends", "success")])
def test_what_no_task_could_tell_is_put_right_by_the_next_one(world: World, dag: str, state: str) -> None:
    said = ends(world, dag)
    assert said["state"] == state
    assert [one.state for one in world.noted(dag)] == ["running"], "nobody has told the end"
    ends(world, "idle")
    (found,) = world.noted(dag)
    assert (found.state, found.ended_at) == (state, datetime.fromisoformat(said["end_date"]))


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_a_run_that_airflow_forgot_is_lost(world: World) -> None:
    with connect(world.serving) as connection:
        serving.record_run(connection, run("manual__of_old", pipeline="chained", at=NIGHT - timedelta(days=99)))
    ends(world, "idle")
    assert [one.state for one in world.noted("chained") if one.run == "manual__of_old"] == ["lost"]
