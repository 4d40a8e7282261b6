"""No stack is missed: generated edits are made, and what every stack declares then is compared with what was said.

By default a few edits on one machine's environment; LEANDATA_EDITS=200 tries that many, and
`python ci/tests/affected/missing.py FOLDER COUNT ENVIRONMENT...` any environment.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci.tests.affected.edits import apply, generated
from ci.tests.affected.missing import clone, git, tried
from ci.tests.affected.recorder import recording
from infra.environment import ROOT

COUNT = int(os.environ.get("LEANDATA_EDITS", "10"))


@pytest.mark.integration
@pytest.mark.timeout(7200)
def test_no_affected_stack_is_missed(tmp_path: Path) -> None:
    tree = clone(tmp_path)
    with recording() as recorder:
        found = list(tried(generated(tree, COUNT), tree, recorder, ["local"]))
    missed = {str(one.edit): sorted(one.missed) for one in found if one.missed}
    share = sum(len(one.said) / one.all_ for one in found) / len(found)
    print(f"{len(found)} edits: {len(missed)} with a missed stack, {share:.0%} of all stacks previewed on average")
    assert missed == {}
    assert len(found) == COUNT
    assert all(one.all_ >= 8 for one in found)


def test_the_edits_are_the_same_each_time_and_of_every_kind() -> None:
    edits = generated(ROOT, 200)
    assert edits == generated(ROOT, 200)
    assert {edit.kind for edit in edits} == {"value", "line", "new", "delete", "rename"}
    assert len({edit.path for edit in edits}) > 100


@pytest.mark.integration
def test_every_edit_changes_the_tree(tmp_path: Path) -> None:
    tree = clone(tmp_path)
    for edit in generated(tree, 60):
        apply(edit, tree)
        assert git(tree, "status", "--porcelain"), str(edit)
        git(tree, "reset", "-q", "--hard")
        git(tree, "clean", "-fdq")
