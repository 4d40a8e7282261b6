"""A preview from its parts: one environment that fails leaves the others, plans are for clean heads, live is asked once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.preview.making import Given, Made, failed, make, unknown
from ci.preview.model import StackChanges
from ci.preview.report import Live
from ci.preview.sources import Repository
from ci.prices import Prices
from ci.programs import Program
from ci.release.plan import Plan
from ci.tests.preview.previews import COMMITS
from ci.tests.preview.test_base_and_head import Small


class Signers:
    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return (f"{stack}-team",)


GIVEN = Given(teams=Signers(), prices=Prices.load(), manifests={})  # type: ignore[arg-type]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    return Small(tmp_path)


def planned(name: str, programs: object, teams: tuple[str, ...]) -> Plan:
    assert isinstance(programs, dict)
    assert all(isinstance(one, Program) for one in programs.values())
    return Plan(commit="c", environment=name, graph={}, images={}, serials={}, tools={}, needs=teams)


def test_what_changed_is_shown_with_its_plan_and_the_live_state(small: Small) -> None:
    small.commit({"a": "1", "b": "1"})
    small.commit({"a": "1", "b": "2"})
    seen: list[tuple[StackChanges, ...]] = []

    def look(changes: tuple[StackChanges, ...]) -> Live:
        seen.append(changes)
        return Live(compared=True, why="", agreed=1)

    made = make(
        small.repository, ["one"], given=GIVEN, store=small.store, live=lambda name: look, plan=planned, say=small.said.append
    )["one"]  # fmt: skip
    assert [stack.stack for stack in made.preview.changed] == ["b"]
    assert made.preview.exit_code == 2
    assert made.preview.live.agreed == 1
    assert len(seen) == 1
    assert made.plan is not None
    assert made.preview.fingerprint == made.plan.fingerprint
    assert small.said != []


def test_uncommitted_work_has_no_plan(small: Small) -> None:
    small.commit({"a": "1"})
    small.write({"a": "2"})
    made = make(small.repository, ["one"], given=GIVEN, store=small.store, plan=planned, say=small.said.append)["one"]
    assert (made.plan, made.preview.fingerprint) == (None, "")
    assert made.preview.commits.dirty
    assert made.preview.commits.shown.endswith("+ uncommitted changes")


def test_a_head_that_fails_is_a_preview_that_says_why(small: Small) -> None:
    small.commit({"a": "1"})
    small.commit({"a": "broken"})
    made = make(small.repository, ["one", "two"], given=GIVEN, store=small.store, say=small.said.append)
    assert {name: found.preview.failure for name, found in made.items()} == {
        name: f"the programs of {name} fail: NameError: broken" for name in ("one", "two")
    }
    assert {found.preview.exit_code for found in made.values()} == {1}


def test_what_is_not_known_about_commits_is_said_to_be_not_found(small: Small, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert unknown(Repository(root=tmp_path / "empty")).head == ""
    head = small.commit({"a": "1"})
    assert unknown(small.repository).head == head
    assert isinstance(failed("one", COMMITS, "x"), Made)
