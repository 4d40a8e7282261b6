"""The mark `stacks` is held to: a module that deploys more than it names fails, and is told what."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.testing.confined import deployed

MODULE = """
import json, pytest
pytestmark = pytest.mark.stacks({names})

def test_deploys(tmp_path):
    for stack, resources in {states}.items():
        state = tmp_path / "state" / "engine" / "backend" / ".pulumi" / "stacks" / stack / "local.json"
        state.parent.mkdir(parents=True)
        state.write_text(json.dumps({{"checkpoint": {{"latest": {{"resources": [{{}}] * resources}}}}}}))
"""


def run(folder: Path, *names: str, **states: int) -> tuple[int, str]:
    module = folder / "test_of_a_few_stacks.py"
    module.write_text(MODULE.format(names=", ".join(map(repr, names)), states=states))
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    result = subprocess.run(
        [*command, "-p", "infra.testing.confined", "--basetemp", str(folder / "base"), str(module)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("names", "states"), [(("lake", "mail"), {"lake": 2}), ((), {}), (("lake",), {"lake": 5, "api": 1})]
)
def test_a_module_that_deploys_what_it_names_passes(
    tmp_path: Path, names: tuple[str, ...], states: dict[str, int]
) -> None:
    code, said = run(tmp_path, *names, **states)
    assert code == 0, said


def test_a_module_that_deploys_more_fails_and_is_told_what(tmp_path: Path) -> None:
    code, said = run(tmp_path, "lake", lake=2, mail=2, api=3)
    assert code == 1, said
    assert "its mark `stacks` does not name api, mail" in said


def test_a_stack_of_which_nothing_is_left_was_not_deployed(tmp_path: Path) -> None:
    empty, gone, full = (tmp_path / name / "local.json" for name in ("empty", "gone", "full"))
    for place, latest in ((empty, None), (gone, {"resources": [{}]}), (full, {"resources": [{}, {}]})):
        place.parent.mkdir()
        place.write_text(json.dumps({"checkpoint": {"latest": latest}}))
    assert deployed([empty, gone, full]) == {"full"}
