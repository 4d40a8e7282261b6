"""Edits of the real programs: every risky one is flagged with the right kind at the right resource, no harmless one is."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ci.preview.changes import compare
from ci.preview.model import RISKS, Risk, StackChanges
from ci.preview.risks import assess
from ci.programs import Program, Resource
from infra.environment import ROOT
from leandata.settings import foreign

HERE = Path(__file__).parent
ENVIRONMENTS = ("local", "prod")
NOT_COPIED = shutil.ignore_patterns(".venv", "__pycache__", "tests", "node_modules", "target", ".state")


def rows(file: str, kind: str) -> list[dict[str, Any]]:
    """The rows of a table of edits."""
    return tomllib.loads((HERE / file).read_text(encoding="utf-8")).get(kind, [])


RISKY, HARMLESS = rows("risky.toml", "edit"), rows("harmless.toml", "edit")
BY_HAND = rows("risky.toml", "graph")


def name_of(row: Mapping[str, Any]) -> str:
    kind = row.get("flags", "").split(" ")[0]
    return f"{kind}: {row['id']}" if kind else str(row["id"])


class NobodySigns:
    """No teams: who signs is not the question here."""

    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return ()


@dataclasses.dataclass(frozen=True)
class Runs:
    """The programs of the environments, and the one program of each edit; `root` is the checkout that was edited."""

    root: Path
    base: dict[str, dict[str, Program]]
    heads: dict[str, Program | str]

    def previewed(self, row: Mapping[str, Any]) -> tuple[tuple[StackChanges, ...], tuple[Risk, ...]]:
        """What the edit changes, and its risks."""
        environment, stack = row["at"].split("/")
        head = self.heads[row["id"]]
        assert isinstance(head, Program), head
        return self.judged(environment, {**self.base[environment], stack: head})

    def judged(
        self, environment: str, head: Mapping[str, Program]
    ) -> tuple[tuple[StackChanges, ...], tuple[Risk, ...]]:
        base = self.base[environment]
        changes = compare(base, head, base_root=self.root, head_root=self.root, reasons={})
        return changes, assess(changes, base=base, head=head, teams=NobodySigns())


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One process runs the programs of all edits in a copy of this checkout."""
    root = tmp_path_factory.mktemp("edited") / "checkout"
    root.mkdir()
    for name in ("ci", "infra", "services", "shared"):
        shutil.copytree(ROOT / name, root / name, ignore=NOT_COPIED)
    for path in ROOT.glob("*.toml"):
        shutil.copy(path, root)
    lines = [
        json.dumps({"id": one["id"], "environment": one["at"].split("/")[0], "stack": one["at"].split("/")[1],
                    "changes": changes_of(one)})
        for one in (*RISKY, *HARMLESS)
    ]  # fmt: skip
    paths = os.pathsep.join(
        [str(root), str(root / "shared"), *(str(one) for one in sorted((root / "services").glob("*")))]
    )
    ran = subprocess.run(
        [sys.executable, str(HERE / "seeding.py"), *ENVIRONMENTS],
        cwd=root,
        env={**foreign(os.environ), "PYTHONPATH": paths, "LEANDATA_STATE": "/leandata-state"},
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    base: dict[str, dict[str, Program]] = {}
    heads: dict[str, Program | str] = {}
    for line in map(json.loads, ran.stdout.splitlines()):
        if "environment" in line:
            base[line["environment"]] = {name: program(one) for name, one in line["stacks"].items()}
        else:
            heads[line["id"]] = program(line["program"]) if "program" in line else line["error"]
    return Runs(root=root, base=base, heads=heads)


def changes_of(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The changes of files that an edit is made of."""
    own = [{key: row[key] for key in ("file", "old", "new")}] if "old" in row else []
    return [*own, *row.get("more", [])]


def program(raw: Mapping[str, Any]) -> Program:
    resources = [
        Resource(**{**one, **{key: tuple(one[key]) for key in ("aliases", "ignore", "needs")}})
        for one in raw["resources"]
    ]
    return Program(resources={one.urn: one for one in resources}, outputs=raw["outputs"])


def found(risks: tuple[Risk, ...]) -> set[str]:
    """The risks as the tables say them: kind and resource."""
    return {f"{one.kind} {one.name}" for one in risks}


@pytest.mark.integration
@pytest.mark.parametrize("row", RISKY, ids=name_of)
def test_a_risky_edit_is_flagged_at_its_resource(runs: Runs, row: dict[str, Any]) -> None:
    _, risks = runs.previewed(row)
    assert row["flags"] in found(risks)


@pytest.mark.integration
@pytest.mark.parametrize("row", HARMLESS, ids=name_of)
def test_a_harmless_edit_is_not_flagged(runs: Runs, row: dict[str, Any]) -> None:
    changes, risks = runs.previewed(row)
    assert found(risks) == set()
    changed = sum(len(stack.changes) for stack in changes)
    assert bool(changed) == row.get("changes", False)


@pytest.mark.integration
@pytest.mark.parametrize("row", BY_HAND, ids=name_of)
def test_a_risky_change_of_the_declared_graph_is_flagged(runs: Runs, row: dict[str, Any]) -> None:
    environment, stack = row["at"].split("/")
    head = copy.deepcopy(runs.base[environment])
    one = next(
        one for one in head[stack].resources.values() if one.name == row["name"] and one.type.endswith(row["type"])
    )
    if row.get("gone"):
        del head[stack].resources[one.urn]
    else:
        place: Any = one.properties
        *way, last = row["path"]
        for key in way:
            place = place[key]
        if "value" in row:
            place[last] = row["value"]
        else:
            del place[last]
    _, risks = runs.judged(environment, head)
    assert row["flags"] in found(risks)


def test_every_kind_of_risk_is_seeded_at_least_four_times() -> None:
    kinds = Counter(row["flags"].split()[0] for row in (*RISKY, *BY_HAND))
    assert len(RISKY) + len(BY_HAND) >= 60
    assert len(HARMLESS) >= 60
    assert {kind: kinds[kind] for kind in RISKS if kind != "cost" and kinds[kind] < 4} == {}
