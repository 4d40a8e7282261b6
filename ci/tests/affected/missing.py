"""Tries generated edits: the stacks whose recorded graph differs are compared with those that are said to be affected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ci.affected.changes import changes
from ci.affected.stacks import Question
from ci.tests.affected.edits import Edit, apply, generated
from ci.tests.affected.recorder import Recorder, recording
from infra.environment import ROOT

WHO = ("-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One edit in one environment: what differs (None: the programs fail, or all are said), what was said, of how many."""

    edit: Edit
    environment: str
    differ: frozenset[str] | None
    said: frozenset[str]
    all_: int

    @property
    def missed(self) -> frozenset[str]:
        """The stacks that differ and were not said; where programs fail, something had to be said."""
        if self.differ is None:
            return frozenset() if self.said else frozenset({"a program that fails"})
        return self.differ - self.said


def git(tree: Path, *arguments: str) -> str:
    command = ["git", *WHO, "-C", str(tree), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def clone(folder: Path) -> Path:
    """The committed state of this checkout, as a tree of its own."""
    tree = folder / "tree"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tree)], check=True, capture_output=True)
    return tree


def tried(edits: Iterable[Edit], tree: Path, recorder: Recorder, environments: Iterable[str]) -> Iterator[Tried]:
    """Make each edit, commit it, record what every stack declares then, and take it back."""
    base = git(tree, "rev-parse", "HEAD")
    asked = list(environments)
    before = {name: recorder.graphs(tree, name) for name in asked}
    for edit in edits:
        apply(edit, tree)
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "--allow-empty", "-m", "edit")
        environment = asked[edit.number % len(asked)]
        question = Question(changes(tree, base))
        said, every = frozenset(question.stacks(environment)), frozenset(question.all_stacks(environment))
        # Where every stack is said to be affected none can be missed: the programs need not run.
        differ = None if said == every else _differ(before[environment], recorder.graphs(tree, environment))
        yield Tried(edit=edit, environment=environment, differ=differ, said=said, all_=len(every))
        git(tree, "reset", "-q", "--hard", base)
        git(tree, "clean", "-fdq")


def _differ(old: dict[str, str] | None, new: dict[str, str] | None) -> frozenset[str] | None:
    assert old is not None, "the programs of the base fail"
    return None if new is None else frozenset(name for name in {*old, *new} if old.get(name) != new.get(name))


def main() -> None:
    """`python missing.py FOLDER COUNT ENVIRONMENT... [cloud]`: a line of JSON for each edit."""
    folder, count, *environments = sys.argv[1:]
    cloud = "cloud" in environments
    tree = clone(Path(folder))
    with recording() as recorder:
        edits = generated(tree, int(count), seed=7 if cloud else 5, cloud=cloud)
        for one in tried(edits, tree, recorder, [name for name in environments if name != "cloud"]):
            differ = None if one.differ is None else sorted(one.differ)
            row = {"edit": str(one.edit), "environment": one.environment, "differ": differ, "said": sorted(one.said)}
            print(json.dumps({**row, "missed": sorted(one.missed), "all": one.all_}), flush=True)


if __name__ == "__main__":
    main()
