"""Whole tasks of a real Airflow on workers of a real Dask cluster, beside the usual executor, when things go wrong too."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from infra.testing import parts
from infra.testing.parts import eventually
from services.airflow.tests.airflows import Airflow, airflow

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

# `held` notes that it began, starts a process of its own, and runs until its test lets it go.
DAGS = """
import fcntl, os, subprocess, time
from datetime import timedelta
from pathlib import Path
from airflow.sdk import dag, get_current_context, task

NOTES = Path("@notes@")
ON_DASK = {"executor": "DaskExecutor", "retries": 1, "retry_delay": timedelta(seconds=1)}
SECRET = "AIRFLOW__API_AUTH__JWT_SECRET"

@dag(schedule=None)
def executors():
    @task
    def usual():
        print("the secret is", "here" if os.environ.get(SECRET) else "elsewhere")
    @task(**ON_DASK)
    def on_dask():
        print("the secret is", "here" if os.environ.get(SECRET) else "elsewhere")
        return 41
    @task(**ON_DASK)
    def after(found):
        print("found", found + 1)
    usual() >> after(on_dask())

@dag(schedule=None)
def failing():
    @task(**ON_DASK)
    def second_time():
        if get_current_context()["ti"].try_number == 1:
            raise ValueError("not the first time")
        print("well the second time")
    second_time()

@dag(schedule=None)
def holding():
    @task(**ON_DASK)
    def held():
        notes = NOTES / get_current_context()["dag_run"].run_id
        notes.mkdir(exist_ok=True)
        alone = os.open(notes / "alone", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            (notes / "twice").touch()
        child = subprocess.Popen(["sleep", "600"], pass_fds=[alone], start_new_session=True)
        with (notes / "begun").open("a") as begun:
            begun.write(f"{os.getpid()} {child.pid}\\n")
        while not (notes / "go").exists():
            time.sleep(0.05)
    held()

executors(), failing(), holding()
"""


class Notes:
    """What the task `held` of one run noted."""

    def __init__(self, folder: Path, run: str) -> None:
        self._folder = folder / run.rpartition("/")[2]

    def begun(self) -> list[list[int]]:
        """The processes of each time it began."""
        path = self._folder / "begun"
        return [[int(one) for one in line.split()] for line in path.read_text().splitlines()] if path.exists() else []

    def twice(self) -> bool:
        """Whether it began while it was running."""
        return (self._folder / "twice").exists()

    def let_go(self) -> None:
        (self._folder / "go").touch()


@pytest.fixture(scope="module")
def running(
    postgres_server: parts.Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Airflow, Path]]:
    folder = tmp_path_factory.mktemp("airflow")
    notes = folder / "notes"
    notes.mkdir()
    found = postgres_server.database("airflow", owner="airflow")
    address = f"postgresql+psycopg://{found.user}:{found.password}@{found.host}:{found.port}/{found.database}"
    with airflow(folder, database=address, dags=DAGS.replace("@notes@", str(notes)), workers=2) as started:
        yield started, notes


def gone(processes: list[int]) -> bool:
    return not any(psutil.pid_exists(one) for one in processes)


def hold(running: tuple[Airflow, Path]) -> tuple[str, Notes, list[int]]:
    """A run whose task is running; its notes, the task's processes."""
    started, folder = running
    run = started.run("holding")
    notes = Notes(folder, run)
    return run, notes, eventually(notes.begun, seconds=90)[0]


def test_tasks_of_both_executors_work_in_one_run_and_only_airflow_s_own_know_its_secret(
    running: tuple[Airflow, Path],
) -> None:
    started, _ = running
    run = started.run("executors")
    assert started.ends(run) == "success"
    assert "the secret is here" in started.log(run, "usual")
    assert "the secret is elsewhere" in started.log(run, "on_dask")
    assert "found 42" in started.log(run, "after")
    assert {name: one["executor"] for name, one in started.tasks(run).items()} == {
        "after": "DaskExecutor", "on_dask": "DaskExecutor", "usual": None,
    }  # fmt: skip


def test_a_task_that_fails_is_tried_again_and_each_try_has_its_log(running: tuple[Airflow, Path]) -> None:
    started, _ = running
    run = started.run("failing")
    assert started.ends(run) == "success"
    assert started.tasks(run)["second_time"]["try_number"] == 2
    assert "not the first time" in started.log(run, "second_time", attempt=1)
    assert "well the second time" in started.log(run, "second_time", attempt=2)


def test_a_task_whose_worker_is_killed_ends_whole_and_is_tried_again_on_another_one(
    running: tuple[Airflow, Path],
) -> None:
    started, _ = running
    run, notes, processes = hold(running)
    workers = {process.pid: name for name, process in started.processes.items() if name.startswith("worker")}
    (name,) = [workers[one.pid] for one in psutil.Process(processes[0]).parents() if one.pid in workers]
    started.kill(name)
    eventually(lambda: gone(processes))
    eventually(lambda: len(notes.begun()) == 2, seconds=90)
    notes.let_go()
    assert started.ends(run) == "success"
    assert started.tasks(run)["held"]["try_number"] == 2
    assert not notes.twice()
    started.start(name)


@pytest.mark.parametrize("how", ["gently", "by force"])
def test_a_task_goes_on_while_airflow_s_scheduler_is_started_again_and_does_not_run_twice(
    running: tuple[Airflow, Path], how: str
) -> None:
    started, _ = running
    run, notes, processes = hold(running)
    if how == "gently":
        started.processes["scheduler"].terminate()
        started.processes["scheduler"].wait(timeout=60)
    else:
        started.kill("scheduler", children=True)
    started.start("scheduler")
    assert not gone(processes)
    assert started.state(run) == "running"
    notes.let_go()
    assert started.ends(run) == "success"
    assert len(notes.begun()) == 1


def test_a_task_that_is_cleared_while_it_runs_ends_whole_before_it_runs_again(running: tuple[Airflow, Path]) -> None:
    started, _ = running
    run, notes, processes = hold(running)
    name = run.rpartition("/")[2]
    started.ask(
        "POST", "/dags/holding/clearTaskInstances", dry_run=False, dag_run_id=name, task_ids=["held"], only_failed=False
    )
    eventually(lambda: gone(processes), seconds=60)
    eventually(lambda: len(notes.begun()) == 2, seconds=90)
    notes.let_go()
    assert started.ends(run) == "success"
    assert not notes.twice()
