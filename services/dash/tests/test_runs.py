"""The last runs on the page Platform: one line a pipeline, what failed first, and what came before as a strip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboards import runs
from dashboards.formats import shown, to_csv
from dashboards.pages import platform as page
from leandata import serving
from leandata.serving import Run
from services.dash.tests.worlds import Readers, ask, client, context, fresh, page_text

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def run(pipeline: str, state: str = "success", *, back: int = 0, took: int = 72, tries: int = 1) -> Run:
    at = NOON - timedelta(days=back, minutes=30)
    ended = None if state == "running" else at + timedelta(seconds=took)
    return Run(
        pipeline=pipeline, run=f"{pipeline}-{back}", state=state, started_at=at, ended_at=ended, tries=tries, task="load"
    )  # fmt: skip


def world(*found: Run) -> Readers:
    return Readers({serving.freshness: [fresh("sales.daily_sales")], serving.runs: list(found)})


def test_a_pipeline_is_one_line_with_its_newest_run_and_those_before_it() -> None:
    found = world(run("transform", "failed", tries=4), run("transform", back=1), run("transform", "lost", back=2))
    (row,) = page.ran(context(page.page, found)).rows
    assert row == (
        "transform", "failed", ("lost", "success", "failed"), NOON - timedelta(minutes=30), 72, 72, 4, "load",
    )  # fmt: skip


def test_what_failed_comes_first_then_what_is_lost_or_running() -> None:
    found = world(run("a"), run("b", "running"), run("c", "failed"), run("d", "lost"), run("e", "failed"))
    rows = page.ran(context(page.page, found)).rows
    assert [row[0] for row in rows] == ["c", "e", "d", "b", "a"]


def test_a_run_that_goes_on_has_taken_the_time_until_now() -> None:
    (row,) = page.ran(context(page.page, world(run("transform", "running")))).rows
    assert row[4] == 30 * 60
    assert shown(row[4], "span") == "30m 0s"


def test_a_run_that_is_lost_says_no_time() -> None:
    lost = run("transform", "lost")
    (row,) = page.ran(context(page.page, world(Run(**{**_fields(lost), "ended_at": None})))).rows
    assert row[4] is None


def _fields(one: Run) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def test_the_usual_time_is_the_median_of_what_succeeded() -> None:
    took = {0: 10, 1: 20, 2: 1_000}
    found = [run("p", back=back, took=seconds) for back, seconds in took.items()]
    assert runs.usual([*found, run("p", "failed", back=3, took=1), run("p", "running", back=4)]) == 20
    assert runs.usual([run("p", "failed")]) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3_599, "59m 59s"), (3_600, "1h 0m"), (90_061, "25h 1m")]
)  # fmt: skip
def test_a_span_is_shown_as_people_say_it(seconds: int, text: str) -> None:
    assert shown(seconds, "span") == text


def test_a_file_has_seconds_and_the_words_of_the_strip() -> None:
    found = world(run("transform"), run("transform", "failed", back=1))
    text = to_csv(page.ran(context(page.page, found)))
    assert "transform,success,failed success,2026-11-24T11:30:00+00:00,72,72,1,load" in text
    assert client(found).get("/download/platform/runs.csv").text.splitlines()[1].startswith("transform,success")


def test_runs_are_shown_before_anything_is_published() -> None:
    found = Readers({serving.runs: [run("collect_shop", "failed")]})
    text = page_text(client(found), "/platform")
    assert "Nothing is published yet." in text
    assert "collect_shop" in text


def test_without_a_run_the_page_says_so_and_shows_the_rest() -> None:
    text = page_text(client(world()), "/platform")
    assert "No run is noted yet." in text
    assert "sales.daily_sales" in text


def test_the_strip_is_drawn_by_its_words() -> None:
    answer = ask(client(world(run("transform"), run("transform", "failed", back=1))), "/platform")
    assert r"[\"failed success\", \"left strip\"]" in answer.text
