"""While stacks are deployed a person sees each of them and how far it is, with a canary too; machines see nothing."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ci.deploy import StackRun, run_all
from ci.engine import Engine
from ci.events import Log, Step
from ci.graph import StackInfo
from ci.progress import LiveTable, counted, did, line, watching
from ci.release.canary import in_waves
from leandata.errors import LeandataError

NEEDS = {"api": ("database",), "dash": ("database",), "database": (), "lake": ()}
STACKS = {name: StackInfo(name=name, module=name, folder=Path(name), needs=needs) for name, needs in NEEDS.items()}
STATES = ("waiting", "running", "done", "failed", "skipped")


class FakeEngine:
    environment = SimpleNamespace(name="prod")

    @contextmanager
    def opened(self, info: StackInfo) -> Iterator[Any]:
        yield SimpleNamespace(info=info)


class Told:
    """Remembers what it is told, in its order."""

    def __init__(self) -> None:
        self.expected: list[str] = []
        self.states: list[tuple[str, str]] = []

    def expect(self, run: StackRun) -> None:
        self.expected.append(run.info.name)

    def changed(self, run: StackRun) -> None:
        self.states.append((run.info.name, run.state))


def a_run(name: str = "api", *, state: str = "waiting", seen: int = 0, current: str = "", **ops: int) -> StackRun:
    steps = [Step(op=op, type="File", name=f"{op}{number}") for op, count in ops.items() for number in range(count)]
    log = Log(steps=steps, seen={str(number) for number in range(seen)}, current=current)
    return StackRun(info=StackInfo(name=name, module="m", folder=Path("f"), needs=()), state=state, log=log)


def rows(table: LiveTable) -> list[str]:
    console = Console(width=110, file=io.StringIO(), force_terminal=False)
    console.print(table)
    return [text.strip() for text in cast("io.StringIO", console.file).getvalue().splitlines()]


def row(run: StackRun) -> str:
    table = LiveTable()
    table.expect(run)
    return rows(table)[1]


# -- lines -------------------------------------------------------------------------------------------------------------


@given(
    ops=st.dictionaries(st.sampled_from(["create", "update", "replace", "delete"]), st.integers(1, 9)),
    state=st.sampled_from(STATES),
    seen=st.integers(0, 200),
)
def test_any_run_is_one_line_that_begins_with_its_mark_and_name(ops: dict[str, int], state: str, seen: int) -> None:
    said = line(a_run("api", state=state, seen=seen, **ops))
    assert said[1:5] == " api"
    assert "\n" not in said
    ended = state in ("done", "failed")
    assert (f"{seen} resources" in said) is ended
    assert (said.endswith(state)) is not ended


def test_each_state_has_a_mark_of_its_own() -> None:
    assert len({line(a_run(state=state))[0] for state in STATES}) == len(STATES)


@given(ops=st.dictionaries(st.sampled_from(["create", "update", "replace", "delete"]), st.integers(1, 9)))
def test_all_that_was_done_is_said(ops: dict[str, int]) -> None:
    said = did(a_run(**ops))
    assert sum(int(part.split()[0]) for part in said.split(", ") if ops) == sum(ops.values())
    assert (said == "nothing to change") is (ops == {})


@given(done=st.integers(0, 500), total=st.integers(0, 500))
def test_never_more_than_all_are_counted(done: int, total: int) -> None:
    first, _, second = counted(done, total).partition("/")
    assert int(first) == done
    assert second == "" or int(second) == total >= done


# -- the table ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "last"),
    [
        (a_run(), "waiting"),
        (a_run(state="running", current="shop-seed", create=1), "shop-seed"),
        (a_run(state="done", create=2), "2 created"),
        (a_run(state="done"), "nothing to change"),
        (a_run(state="failed", create=2), "failed"),
        (a_run(state="skipped"), "skipped"),
    ],
    ids=lambda value: value.state if isinstance(value, StackRun) else None,
)
def test_a_row_ends_with_what_goes_on_in_its_stack(run: StackRun, last: str) -> None:
    assert row(run).endswith(f" {last}")


def test_a_table_of_no_stack_has_headings_alone() -> None:
    assert [text.split() for text in rows(LiveTable())] == [["stack", "resources", "seconds", "now"]]


def test_a_stack_that_was_not_begun_took_no_time_and_one_that_ended_keeps_its_own() -> None:
    ended = a_run(state="done")
    ended.started, ended.seconds = 1.0, 7.25
    assert " 0.0 " in row(a_run())
    assert " 7.2 " in row(ended)


def test_the_table_shows_what_becomes_of_a_run_without_being_told() -> None:
    table, run = LiveTable(), a_run(state="running", current="x")
    table.expect(run)
    run.state = "failed"
    assert rows(table)[1].endswith(" failed")


def test_a_run_that_is_expected_again_has_one_row() -> None:
    table = LiveTable()
    for state in ("waiting", "done"):
        table.expect(a_run("lake", state=state))
    assert len(rows(table)) == 2


def test_stacks_are_shown_by_name() -> None:
    table = LiveTable()
    for name in ("lake", "api", "dash"):
        table.expect(a_run(name))
    assert [text.split()[1] for text in rows(table)[1:]] == ["api", "dash", "lake"]


def test_totals_are_asked_beside_the_work_and_waited_for_by_nobody() -> None:
    table, asked, answer = LiveTable(), threading.Event(), threading.Event()
    table.expect(a_run("api", state="running", seen=3))

    def totals() -> dict[str, int]:
        asked.set()
        assert answer.wait(10)
        raise LeandataError("nobody can say")

    table.learn(totals)
    assert asked.wait(10)
    assert " 3 " in rows(table)[1]
    answer.set()


@pytest.mark.parametrize("quiet", [True, False])
def test_a_failure_of_the_work_goes_through_what_shows_it(quiet: bool) -> None:
    with pytest.raises(LeandataError, match="no disk"), watching(quiet=quiet):
        raise LeandataError("no disk")


def test_totals_are_not_asked_where_nobody_sees_them(capsys: pytest.CaptureFixture[str]) -> None:
    def totals() -> dict[str, int]:
        raise AssertionError("asked")

    for quiet in (True, False):
        with watching(quiet=quiet, totals=totals) as watcher:
            watcher.expect(a_run())
    assert capsys.readouterr().out == ""


# -- what is told of a whole deployment --------------------------------------------------------------------------------


def act(stack: Any, log: Log) -> None:
    del log
    if stack.info.name == "database":
        raise LeandataError("no disk")


def test_every_stack_is_said_at_first_and_each_change_once() -> None:
    told = Told()
    run_all(cast("Engine", FakeEngine()), STACKS, act=act, watcher=told)
    assert told.expected == sorted(NEEDS)
    assert sorted(told.states) == [
        ("api", "skipped"), ("dash", "skipped"), ("database", "failed"), ("database", "running"), ("lake", "done"),
        ("lake", "running"),
    ]  # fmt: skip


def with_canary(canary: str, *, wrong: str = "", fails: bool = False) -> Told:
    told = Told()
    in_waves(
        cast("Engine", FakeEngine()),
        STACKS,
        canary=canary,
        act=act if fails else lambda stack, log: None,
        watcher=told,
        looked=lambda environment, service: wrong,
    )
    return told


@pytest.mark.parametrize(
    "case", [{}, {"wrong": "dash answers 500"}, {"fails": True}], ids=["well", "not well", "fails"]
)
def test_with_a_canary_every_stack_is_seen_and_its_last_state_is_how_it_ended(case: dict[str, Any]) -> None:
    told = with_canary("dash", **case)
    assert sorted(told.expected) == sorted(NEEDS)
    last = dict(told.states)
    assert set(last) == set(NEEDS)
    assert not {"waiting", "running"} & set(last.values())
    later = "skipped" if case else "done"
    assert (last["api"], last["lake"]) == (later, later)


def test_a_canary_that_is_not_well_is_seen_to_have_failed_after_it_was_done() -> None:
    told = with_canary("dash", wrong="dash answers 500")
    assert [state for name, state in told.states if name == "dash"] == ["running", "done", "failed"]


def test_a_canary_that_is_well_is_said_to_be_done_once() -> None:
    assert [state for name, state in with_canary("dash").states if name == "dash"] == ["running", "done"]


def test_stacks_that_need_each_other_are_skipped_and_nothing_waits_for_ever() -> None:
    ring = {
        name: StackInfo(name=name, module=name, folder=Path(name), needs=(other,))
        for name, other in (("a", "b"), ("b", "a"))
    }
    runs = run_all(cast("Engine", FakeEngine()), ring, act=lambda stack, log: None, watcher=Told())
    assert [run.state for run in runs] == ["skipped", "skipped"]


def test_no_stack_is_no_work() -> None:
    assert run_all(cast("Engine", FakeEngine()), {}, act=act, watcher=Told()) == []
    told = Told()
    assert in_waves(cast("Engine", FakeEngine()), {}, canary="", act=act, watcher=told) == []
    assert told.expected == []
