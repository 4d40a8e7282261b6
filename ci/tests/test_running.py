"""How stacks are run: order, failures, interrupts, and the CLI as a child process."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pulumi.automation as auto
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci import graph
from ci.command import Command
from ci.deploy import StackRun, run_all
from ci.engine import Engine, EngineError
from ci.graph import StackInfo
from ci.locks import LockedError
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError


def stacks(**needs: str) -> dict[str, StackInfo]:
    return {
        name: StackInfo(name=name, module=f"m.{name}", folder=Path(name), needs=tuple(text.split()))
        for name, text in needs.items()
    }


class FakeEngine:
    """An engine whose stacks are opened and nothing more."""

    def __init__(self, *, locked: frozenset[str] = frozenset()) -> None:
        self._locked = locked
        self.opened_names: list[str] = []
        self.looked_at: list[str] = []

    @contextmanager
    def opened(self, info: StackInfo) -> Any:
        if info.name in self._locked:
            raise LockedError(f"the stack {info.name} is being deployed since 10:00 by pid 7")
        self.opened_names.append(info.name)
        yield SimpleNamespace(info=info)

    def unlocked(self, info: StackInfo) -> Any:
        self.looked_at.append(info.name)
        return SimpleNamespace(info=info)


class Told:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.expected: list[str] = []
        self.changes: list[tuple[str, str]] = []

    def expect(self, run: StackRun) -> None:
        self.expected.append(run.info.name)

    def changed(self, run: StackRun) -> None:
        self.changes.append((run.info.name, run.state))


def perform(
    found: dict[str, StackInfo], act: Callable[[Any, Any], None], *, engine: FakeEngine | None = None, **options: Any
) -> tuple[dict[str, StackRun], Told]:
    told = Told()
    runs = run_all(cast("Engine", engine or FakeEngine()), found, act=act, watcher=told, **options)
    return {run.info.name: run for run in runs}, told


def test_a_stack_begins_when_all_it_needs_are_done() -> None:
    order: list[str] = []
    runs, told = perform(stacks(a="", b="a", c="a", d="b c"), lambda stack, _: order.append(stack.info.name))
    assert order[0] == "a"
    assert order[-1] == "d"
    assert {run.state for run in runs.values()} == {"done"}
    assert told.expected == ["a", "b", "c", "d"], "all are told before the first begins"


def test_taking_apart_goes_the_other_way_round() -> None:
    order: list[str] = []
    perform(stacks(a="", b="a", c="b"), lambda stack, _: order.append(stack.info.name), reverse=True)
    assert order == ["c", "b", "a"]


def test_what_follows_a_failure_is_not_begun_and_the_rest_is() -> None:
    def act(stack: Any, _: Any) -> None:
        if stack.info.name == "b":
            raise EngineError("no", problems=["bucket: access denied"])

    runs, _ = perform(stacks(a="", b="a", c="b", d="c", e="a"), act)
    assert {name: run.state for name, run in runs.items()} == {
        "a": "done", "b": "failed", "c": "skipped", "d": "skipped", "e": "done",
    }  # fmt: skip
    assert runs["b"].problems == ["bucket: access denied"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LeandataError("no port", where="local.toml"), "no port (local.toml)"),
        (ValueError("two\nlines  of   text"), "ValueError: two lines of text"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError("y" * 900), f"RuntimeError: {'y' * 300}"),
    ],
)
def test_every_failure_is_one_line(error: Exception, said: str) -> None:
    def act(stack: Any, log: Any) -> None:
        raise error

    runs, _ = perform(stacks(a=""), act)
    assert runs["a"].problems == [said]
    assert runs["a"].state == "failed"


def test_a_stack_that_somebody_else_deploys_fails_with_who_and_the_others_go_on() -> None:
    runs, _ = perform(stacks(a="", b=""), lambda *_: None, engine=FakeEngine(locked=frozenset({"a"})))
    assert runs["a"].problems == ["the stack a is being deployed since 10:00 by pid 7"]
    assert runs["b"].state == "done"


def test_a_look_takes_no_lock() -> None:
    engine = FakeEngine()
    perform(stacks(a="", b="a"), lambda *_: None, engine=engine, locked=False)
    assert engine.opened_names == []
    assert engine.looked_at == ["a", "b"]


def test_no_more_stacks_run_at_a_time_than_are_allowed() -> None:
    running: set[str] = set()
    most: list[int] = []
    mutex = threading.Lock()

    def act(stack: Any, _: Any) -> None:
        with mutex:
            running.add(stack.info.name)
            most.append(len(running))
        time.sleep(0.05)
        with mutex:
            running.discard(stack.info.name)

    perform(stacks(**{f"s{number}": "" for number in range(9)}), act, at_a_time=3)
    assert 1 < max(most) <= 3


def test_what_most_others_wait_for_comes_first() -> None:
    order: list[str] = []
    found = stacks(a="", b="", hub="", x="hub", y="hub", z="hub")
    perform(found, lambda stack, _: order.append(stack.info.name), at_a_time=1)
    assert order == ["hub", "a", "b", "x", "y", "z"]


def test_interrupted_nothing_new_is_begun_and_what_runs_is_ended_gently() -> None:
    begun: list[str] = []

    def act(stack: Any, _: Any) -> None:
        begun.append(stack.info.name)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    before = signal.getsignal(signal.SIGINT)
    runs, _ = perform(stacks(a="", b="a", c="b"), act, at_a_time=1)
    assert begun == ["a"]
    assert {name: run.state for name, run in runs.items()} == {"a": "done", "b": "skipped", "c": "skipped"}
    assert signal.getsignal(signal.SIGINT) is before


@settings(max_examples=40, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16),
    failing=st.sets(st.integers(0, 7), max_size=2),
)
def test_in_any_graph_each_is_run_once_after_its_needs_or_skipped(
    edges: list[tuple[int, int]], failing: set[int]
) -> None:
    needs: dict[int, set[int]] = {number: set() for number in range(8)}
    for one, other in edges:
        if one != other:
            needs[max(one, other)].add(min(one, other))
    found = stacks(
        **{f"s{number}": " ".join(f"s{need}" for need in sorted(wanted)) for number, wanted in needs.items()}
    )
    done: list[str] = []

    def act(stack: Any, _: Any) -> None:
        assert set(stack.info.needs) <= set(done)
        if int(stack.info.name[1:]) in failing:
            raise EngineError("no", problems=["no"])
        done.append(stack.info.name)

    runs, _ = perform(found, act, at_a_time=3)
    after = set[str]().union(*(graph.dependents(found, f"s{number}") for number in failing))
    for name, run in runs.items():
        if name in after:
            assert run.state == "skipped"
        else:
            assert run.state == ("failed" if int(name[1:]) in failing else "done")
    assert len(done) == len(set(done))


def test_a_selection_keeps_only_its_own_needs() -> None:
    order: list[str] = []
    found = graph.select(stacks(a="", b="a", c="b"), ["c"])
    perform(found, lambda stack, _: order.append(stack.info.name))
    assert order == ["c"]


def test_a_selection_of_what_is_not_there_names_what_is() -> None:
    with pytest.raises(LeandataError, match=r"unknown stack 'x'\. STACK is one of: a, b"):
        graph.select(stacks(a="", b=""), ["a", "x"])


# -- the CLI as a child ------------------------------------------------------------------------------------------------


def script(folder: Path, text: str) -> Path:
    path = folder / "pulumi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_command_s_output_and_errors_are_kept_and_told_line_by_line(tmp_path: Path) -> None:
    lines: list[str] = []
    errors: list[str] = []
    command = Command(script(tmp_path, 'echo "$@"; echo second; echo oops >&2'))
    result = command.run(["up", "--yes"], str(tmp_path), {}, lines.append, errors.append)
    assert (result.code, result.stdout, result.stderr) == (0, "--non-interactive up --yes\nsecond\n", "oops\n")
    assert lines == ["--non-interactive up --yes", "second"]
    assert errors == ["oops"]


def test_a_command_gets_our_variables_and_its_folder(tmp_path: Path) -> None:
    command = Command(script(tmp_path, 'echo "$PULUMI_HOME $PULUMI_AUTOMATION_API"; pwd'))
    result = command.run(["version"], str(tmp_path), {"PULUMI_HOME": "/home of it"})
    assert result.stdout.splitlines() == ["/home of it true", str(tmp_path)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("echo 'error: no stack named x found' >&2; exit 255", auto.errors.StackNotFoundError),
        ("echo 'error: the stack is currently locked by 1 lock(s)' >&2; exit 255", auto.errors.ConcurrentUpdateError),
        ("echo 'error: anything' >&2; exit 3", auto.errors.CommandError),
        ("kill -9 $$", auto.errors.CommandError),
    ],
)
def test_a_command_that_fails_is_the_sdk_s_own_error(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Command(script(tmp_path, text)).run(["up"], str(tmp_path), {})
    assert Command.live == set()


def test_a_command_reads_nothing_from_us(tmp_path: Path) -> None:
    result = Command(script(tmp_path, "wc -c")).run(["up"], str(tmp_path), {})
    assert result.stdout.strip() == "0"


def test_a_long_output_on_both_sides_does_not_block(tmp_path: Path) -> None:
    text = 'i=0; while [ $i -lt 5000 ]; do echo "line $i of the output"; echo "line $i of the errors" >&2; i=$((i+1)); done'
    result = Command(script(tmp_path, text)).run(["up"], str(tmp_path), {})
    assert len(result.stdout.splitlines()) == len(result.stderr.splitlines()) == 5000


def test_the_lock_is_handed_to_the_command_and_held_while_it_lives(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        command = Command(script(tmp_path, "ls -l /proc/self/fd"), lock=lock.fileno())
        assert str(tmp_path / "lock") in command.run(["up"], str(tmp_path), {}).stdout
        without = Command(script(tmp_path, "ls -l /proc/self/fd"))
        assert str(tmp_path / "lock") not in without.run(["up"], str(tmp_path), {}).stdout


def test_an_interrupt_reaches_every_running_command(tmp_path: Path) -> None:
    program = tmp_path / "waits.py"  # a shell could not trap what its parent ignores, as Go's and Python's programs can
    program.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(print('ended gently')))\n"
        "print('ready', flush=True)\n"
        "time.sleep(10)\n"
    )
    text = f"exec '{sys.executable}' '{program}'"
    command, ready = Command(script(tmp_path, text)), threading.Event()
    results: list[auto.CommandResult] = []
    thread = threading.Thread(
        target=lambda: results.append(command.run(["up"], str(tmp_path), {}, lambda _: ready.set()))
    )
    thread.start()
    assert ready.wait(10)
    Command.interrupt()
    thread.join(20)
    assert results[0].stdout.splitlines()[-1] == "ended gently"


# -- the engine's folder -----------------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    environment = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "st ate")}, root=ROOT)
    return Engine(environment=environment, pulumi=tmp_path / "pulumi")


def checkpoint(engine: Engine, stack: str, text: str) -> None:
    path = engine.checkpoint(stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_passphrase_is_made_once_and_for_us_only(engine: Engine) -> None:
    engine.prepare()
    first = engine.passphrase.read_text()
    engine.prepare()
    assert engine.passphrase.read_text() == first
    assert len(first) >= 40
    assert engine.passphrase.stat().st_mode & 0o777 == 0o600


def test_a_stack_that_was_never_deployed_has_nothing(engine: Engine) -> None:
    assert engine.resources("api") == []
    assert engine.outputs("api") == {}
    assert engine.state("api") == {}


@pytest.mark.parametrize("text", ["", "{", "not json"])
def test_a_state_that_is_damaged_is_named_with_its_file(engine: Engine, text: str) -> None:
    checkpoint(engine, "api", text)
    with pytest.raises(LeandataError, match=r"the state of api is damaged \(.*local\.json\)"):
        engine.state("api")


@pytest.mark.parametrize("text", ["{}", '{"checkpoint": {}}', '{"checkpoint": {"latest": null}}'])
def test_a_state_without_resources_is_an_empty_one(engine: Engine, text: str) -> None:
    checkpoint(engine, "api", text)
    assert engine.resources("api") == []


def test_outputs_are_those_of_the_stack_itself(engine: Engine) -> None:
    resources = [
        {"type": "machine:index:File", "outputs": {"path": "/x"}},
        {"type": "pulumi:pulumi:Stack", "outputs": {"url": "http://127.0.0.1:1"}},
    ]
    checkpoint(engine, "api", json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    assert engine.outputs("api") == {"url": "http://127.0.0.1:1"}
    assert len(engine.resources("api")) == 2


def test_only_the_newest_of_the_history_is_kept(engine: Engine) -> None:
    history = engine.folder / "backend" / ".pulumi" / "history" / "api" / "local"
    history.mkdir(parents=True)
    for number in range(60):
        (history / f"local-{number:03}.json").write_text("{}")
        os.utime(history / f"local-{number:03}.json", (number, number))
    engine._prune("api")
    assert sorted(path.name for path in history.glob("*")) == [f"local-{number:03}.json" for number in range(20, 60)]
