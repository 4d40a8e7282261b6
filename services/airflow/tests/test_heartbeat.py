"""Whether a process of Airflow is alive, asked of a real PostgreSQL."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest

from infra.testing import parts
from leandata.database import connect
from leandata.settings import DatabaseAddress
from pipelines.heartbeat import LATE_SECONDS, alive, main

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(postgres_server: parts.Postgres) -> DatabaseAddress:
    found = postgres_server.database("heartbeats", owner="heartbeats")
    with connect(found, autocommit=True) as connection:
        connection.execute("CREATE TABLE job (job_type text, hostname text, state text, latest_heartbeat timestamptz)")
    return found


@pytest.fixture
def address(database: DatabaseAddress) -> str:
    with connect(database, autocommit=True) as connection:
        connection.execute("TRUNCATE job")
    server = f"{database.host}:{database.port}"
    return f"postgresql+psycopg://{database.user}:{database.password}@{server}/{database.database}"


def beat(database: DatabaseAddress, job: str, *, host: str, seconds_ago: int = 1, state: str = "running") -> None:
    with connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO job VALUES (%s, %s, %s, now() - make_interval(secs => %s))", (job, host, state, seconds_ago)
        )


def test_who_was_heard_of_just_now_is_alive(database: DatabaseAddress, address: str) -> None:
    beat(database, "TriggererJob", host="one")
    assert alive(address, job="TriggererJob", host="one")


def test_of_several_beats_the_last_one_counts(database: DatabaseAddress, address: str) -> None:
    beat(database, "TriggererJob", host="one", seconds_ago=LATE_SECONDS * 10)
    beat(database, "TriggererJob", host="one")
    assert alive(address, job="TriggererJob", host="one")


@pytest.mark.parametrize(
    ("job", "host", "seconds_ago", "state"),
    [
        ("DagProcessorJob", "one", 1, "running"),
        ("TriggererJob", "two", 1, "running"),
        ("TriggererJob", "one", LATE_SECONDS + 60, "running"),
        ("TriggererJob", "one", 1, "success"),
    ],
    ids=["another kind", "another host", "long ago", "ended"],
)
def test_who_was_not_is_not(
    database: DatabaseAddress, address: str, job: str, host: str, seconds_ago: int, state: str
) -> None:
    beat(database, job, host=host, seconds_ago=seconds_ago, state=state)
    assert not alive(address, job="TriggererJob", host="one")


def test_the_command_answers_for_its_own_host(
    database: DatabaseAddress, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "address"
    file.write_text(address)
    assert main(["TriggererJob", str(file)]) == 1
    assert "no heartbeat of TriggererJob" in capsys.readouterr().err
    beat(database, "TriggererJob", host=socket.gethostname())
    assert main(["TriggererJob", str(file)]) == 0


def test_a_database_that_is_away_is_one_line_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "address"
    file.write_text(f"postgresql+psycopg://airflow:very-secret@127.0.0.1:{parts.free_port()}/airflow")
    assert main(["TriggererJob", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the metadata database cannot be asked" in said
    assert "very-secret" not in said


@pytest.mark.parametrize("arguments", [[], ["TriggererJob"], ["TriggererJob", "a", "b"]])
def test_too_few_or_too_many_arguments_are_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert "two arguments are needed" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["TriggererJob", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_the_table_and_the_columns_are_those_of_the_pinned_airflow() -> None:
    from airflow.jobs.job import Job, JobState

    table = Job.__table__
    assert table.name == "job"
    assert {"job_type", "hostname", "state", "latest_heartbeat"} <= {column.name for column in table.columns}
    assert JobState.RUNNING.value == "running"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("airflow.jobs.dag_processor_job_runner", "DagProcessorJob"),
        ("airflow.jobs.triggerer_job_runner", "TriggererJob"),
    ],
)
def test_the_kinds_that_are_asked_for_are_those_of_the_pinned_airflow(module: str, name: str) -> None:
    import importlib

    found = [value for value in vars(importlib.import_module(module)).values() if hasattr(value, "job_type")]
    assert name in {value.job_type for value in found}


def test_nothing_is_known_of_a_database_that_refuses(database: DatabaseAddress) -> None:
    wrong = f"postgresql+psycopg://{database.user}:wrong@{database.host}:{database.port}/{database.database}"
    with pytest.raises(psycopg.OperationalError):
        alive(wrong, job="TriggererJob", host="one")
