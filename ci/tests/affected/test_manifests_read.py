"""A changed manifest: only stacks whose programs read a changed key are run again, and no stack that differs is left out.

By default a few edits; LEANDATA_EDITS=200 tries that many.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ci.affected.changes import changes
from ci.affected.stacks import Question
from ci.graph import everything, order
from ci.preview.graphs import Wanted
from ci.programs import Program, Some
from ci.tests.affected.edits import Edit, apply
from ci.tests.affected.missing import clone, git
from ci.tests.affected.recorder import digest, recording
from infra.components.naming import services
from infra.environment import ROOT

COUNT = int(os.environ.get("LEANDATA_EDITS", "8"))
ENVIRONMENTS = ("local", "cluster", "dev")


def sure(question: Question, environment: str, *, base: Mapping[str, Any]) -> frozenset[str]:
    """The stacks that are run in any case, where the programs answered so at the base."""
    wanted = Wanted(
        environments=(environment,),
        affected={environment: question.stacks(environment)},
        unsure={environment: question.unsure(environment)},
    )
    return frozenset(wanted.surely(environment, base))


def again(question: Question, environment: str, *, base: Mapping[str, Any], head: Mapping[str, Any]) -> set[str]:
    """The stacks that a preview runs, where the programs answered so at the base, and would at head."""
    before = {name: Program(outputs=found["outputs"]) for name, found in base.items()}
    some = Some(surely=sure(question, environment, base=base), before=before)
    done: dict[str, Program] = {}
    infos = everything(question.found.root, environment)
    for name in order(infos):
        if some.wanted(infos[name], done):
            done[name] = Program(outputs=head[name]["outputs"])
    return set(done)


@pytest.mark.integration
@pytest.mark.timeout(7200)
def test_a_stack_that_is_not_run_again_declares_what_it_did(tmp_path: Path) -> None:
    tree = clone(tmp_path)
    base = git(tree, "rev-parse", "HEAD")
    missed: dict[str, list[str]] = {}
    ran = every = failed = 0
    with recording() as recorder:
        before = {name: recorder.answer(tree, name) for name in ENVIRONMENTS}
        for number in range(COUNT):
            service, environment = sorted(services())[number % 4], ENVIRONMENTS[number // 4 % 3]
            edit = Edit(number=number, kind="value", path=f"services/{service}/service.toml")
            apply(edit, tree)
            question = Question(changes(tree, base))
            old, new = before[environment], recorder.answer(tree, environment)
            assert old is not None
            if new is None:
                failed += 1
            else:
                run = again(question, environment, base=old, head=new)
                left = {name for name in new if name not in run and digest(new[name]) != digest(old[name])}
                missed |= {f"{edit} {environment}": sorted(left)} if left else {}
                ran, every = ran + len(run), every + len(new)
            git(tree, "checkout", "-q", "--", ".")
    print(f"{COUNT} edits, {failed} with programs that fail: {ran} of {every} stacks run again")
    assert missed == {}
    assert failed < COUNT / 2
    assert 0 < ran < every / 2


def question(folder: Path, text: str) -> Question:
    """The checkout's own manifest of the API against this text of it."""
    tree = clone(folder)
    (tree / "services" / "api" / "service.toml").write_text(text)
    return Question(changes(tree, git(tree, "rev-parse", "HEAD")))


MANIFEST = (ROOT / "services" / "api" / "service.toml").read_text()


def test_the_changed_keys_are_named_and_the_service_itself_is_sure_to_differ(tmp_path: Path) -> None:
    assert 'memory = "384MiB"' in MANIFEST
    found = question(tmp_path, MANIFEST.replace('memory = "384MiB"', 'memory = "320MiB"'))
    assert found.keys("api") == {"api.process[0].memory"}
    unsure = found.unsure("local")
    assert set(found.stacks("local")) - set(unsure) == {"api"}
    assert unsure["dash"] == {"api.process[0].memory"}


@pytest.mark.parametrize("text", ["not toml at all =", MANIFEST + "\nstrange = 1\n"])
def test_a_manifest_that_cannot_be_read_leaves_no_stack_unsure(tmp_path: Path, text: str) -> None:
    found = question(tmp_path, text)
    assert found.keys("api") is None
    assert found.unsure("local") == {}
    assert len(found.stacks("local")) == 8


def test_a_comment_in_a_manifest_leaves_no_stack_unsure(tmp_path: Path) -> None:
    assert question(tmp_path, f"# a word\n{MANIFEST}").unsure("local") == {}
