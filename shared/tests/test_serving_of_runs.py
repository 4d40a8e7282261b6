"""The runs of pipelines in the serving database: what is kept, what is merged, in which order they are read."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from infra.testing import parts
from leandata import serving
from leandata.database import connect
from leandata.serving import Run
from leandata.serving.runs import KEPT
from leandata.settings import DatabaseAddress

pytestmark = pytest.mark.integration
NIGHT = datetime(2026, 11, 24, 2, 15, tzinfo=UTC)


@pytest.fixture
def address(postgres_server: parts.Postgres, request: pytest.FixtureRequest) -> DatabaseAddress:
    name = f"runs_{abs(hash(request.node.name)) % 10**8}"
    return postgres_server.database(name, owner="serving_writer")


def run(number: int, state: str = "success", *, pipeline: str = "collect", tries: int = 1, task: str = "load") -> Run:
    at = NIGHT + timedelta(minutes=number)
    ended = None if state == "running" else at + timedelta(seconds=9)
    return Run(pipeline=pipeline, run=f"r{number}", state=state, started_at=at, ended_at=ended, tries=tries, task=task)


def test_before_the_first_run_there_is_none(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        assert serving.runs(connection) == []


def test_the_last_runs_of_each_pipeline_are_read_the_newest_first(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        for number in (3, 1, 2):
            for pipeline in ("transform", "collect"):
                serving.record_run(connection, run(number, pipeline=pipeline))
        found = serving.runs(connection, last=2)
    assert found == [run(number, pipeline=name) for name in ("collect", "transform") for number in (3, 2)]


def test_what_is_told_later_holds_but_tries_never_go_down(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        serving.record_run(connection, run(1, "running", tries=3, task="collect"))
        serving.record_run(connection, run(1, "success", tries=1))
        assert serving.runs(connection) == [run(1, "success", tries=3)]
        serving.record_run(connection, run(1, "running"))
        assert [(one.state, one.ended_at) for one in serving.runs(connection)] == [("running", None)], "it was cleared"


def test_who_notes_a_run_hears_which_others_are_not_over(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        assert serving.record_run(connection, run(1, "running")) == []
        serving.record_run(connection, run(2))
        assert serving.record_run(connection, run(1, "running", pipeline="transform")) == [run(1, "running")]


def test_only_the_last_runs_of_a_pipeline_are_kept(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        serving.record_run(connection, run(0, pipeline="transform"))
        for number in range(KEPT + 3):
            serving.record_run(connection, run(number))
        found = serving.runs(connection, last=10 * KEPT)
    assert [one.run for one in found if one.pipeline == "collect"] == [f"r{one}" for one in range(KEPT + 2, 2, -1)]
    assert [one.run for one in found if one.pipeline == "transform"] == ["r0"]


def test_first_tasks_that_begin_at_once_are_all_noted(address: DatabaseAddress) -> None:
    start, wrong = threading.Barrier(6), list[BaseException]()

    def note(number: int) -> None:
        try:
            with connect(address) as connection:
                start.wait()
                serving.record_run(connection, run(number, "running"))
        except BaseException as error:
            wrong.append(error)
            raise

    threads = [threading.Thread(target=note, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with connect(address) as connection:
        assert len(serving.runs(connection)) == 6
