"""One service is deployed and looked at first; the others follow only when it is well."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ci.deploy import StackRun
from ci.engine import Engine, EngineError
from ci.graph import StackInfo
from ci.release.canary import in_waves, waves
from leandata.errors import LeandataError

NEEDS = {"airflow": ("api", "lake"), "api": ("database",), "dash": ("database",), "database": (), "lake": ()}
STACKS = {name: StackInfo(name=name, module=name, folder=Path(name), needs=needs) for name, needs in NEEDS.items()}


class FakeEngine:
    environment = SimpleNamespace(name="dev")

    @contextmanager
    def opened(self, info: StackInfo) -> Any:
        yield SimpleNamespace(info=info)


class Told:
    def expect(self, run: StackRun) -> None: ...

    def changed(self, run: StackRun) -> None: ...


def deployed(canary: str, *, problem: str = "", fails: str = "") -> tuple[list[str], dict[str, StackRun]]:
    order: list[str] = []

    def act(stack: Any, _: Any) -> None:
        order.append(stack.info.name)
        if stack.info.name == fails:
            raise EngineError("no", problems=["access denied"])

    def looked(_: Any, service: str) -> str:
        order.append(f"look at {service}")
        return problem

    runs = in_waves(cast("Engine", FakeEngine()), STACKS, canary=canary, act=act, watcher=Told(), looked=looked)
    return order, {run.info.name: run for run in runs}


def test_the_canary_comes_first_with_what_it_stands_on():
    assert [sorted(wave) for wave in waves(STACKS, "dash")] == [["dash", "database"], ["airflow", "api", "lake"]]


def test_without_a_canary_there_is_one_wave_and_no_look():
    assert waves(STACKS, "") == [STACKS]
    order, runs = deployed("")
    assert "look at" not in " ".join(order)
    assert {run.state for run in runs.values()} == {"done"}


def test_what_stands_on_everything_leaves_nobody_behind():
    assert [sorted(wave) for wave in waves({name: STACKS[name] for name in ("database", "dash")}, "dash")] == [
        ["dash", "database"]
    ]


def test_a_canary_that_is_no_stack_is_named():
    with pytest.raises(LeandataError, match="no stack 'cash' to deploy first"):
        waves(STACKS, "cash")


def test_the_others_are_deployed_after_a_good_look():
    order, runs = deployed("dash")
    assert order[:3] == ["database", "dash", "look at dash"]
    assert list(runs) == sorted(NEEDS)
    assert {run.state for run in runs.values()} == {"done"}


def test_a_canary_that_is_not_well_stops_the_others():
    order, runs = deployed("dash", problem="dash answers 500")
    assert order == ["database", "dash", "look at dash"]
    assert runs["dash"].problems == ["deployed first, and it is not well: dash answers 500"]
    assert [runs[name].state for name in ("airflow", "api", "dash", "lake")] == [
        "skipped",
        "skipped",
        "failed",
        "skipped",
    ]


def test_a_canary_that_fails_is_not_looked_at():
    order, runs = deployed("dash", fails="dash")
    assert order == ["database", "dash"]
    assert runs["api"].state == "skipped"
