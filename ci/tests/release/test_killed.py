"""A deployment that is killed at any event of the engine is finished by the next, and its state is never damaged.

LEANDATA_KILL_POINTS says at how many events it is killed (default 3; 25 are all that differ).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ci.tests.release.killed_program import FOLDERS
from infra.environment import ROOT

pytestmark = pytest.mark.integration
POINTS = int(os.environ.get("LEANDATA_KILL_POINTS", "3"))
EVENTS = 97
"""About how many events the whole deployment has; a number beyond its end kills nothing."""
MOMENTS = sorted({1 + number * (EVENTS - 1) // max(1, POINTS - 1) for number in range(POINTS)})


def deploy(state: Path, *, killed_after: int = 0) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "LEANDATA_ENV": "local", "LEANDATA_STATE": str(state), "CI": "true"}
    command = [sys.executable, "-m", "ci.tests.release.killed_program", str(killed_after)]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def checkpoint(state: Path) -> dict[str, Any]:
    """The state of the stack: read whenever it is looked at, it is whole."""
    path = state / "engine" / "backend" / ".pulumi" / "stacks" / "killed" / "local.json"
    return json.loads(path.read_text())["checkpoint"]["latest"] or {} if path.exists() else {}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deployment_killed_at_an_event_is_finished_by_the_next(moment: int, tmp_path: Path) -> None:
    killed = deploy(tmp_path, killed_after=moment)
    known = {
        one["inputs"]["path"] for one in checkpoint(tmp_path).get("resources", []) if "path" in one.get("inputs", {})
    }
    pending = {one["resource"]["inputs"]["path"] for one in checkpoint(tmp_path).get("pending_operations") or []}
    again = deploy(tmp_path)
    while "is being deployed since" in again.stderr:  # the engine ends a moment after who started it, and says so
        time.sleep(0.2)
        again = deploy(tmp_path)
    assert again.returncode == 0, again.stderr
    assert killed.returncode == -9 or moment > int(killed.stdout)
    state = checkpoint(tmp_path)
    assert not state.get("pending_operations")
    assert sum(one["type"] == "machine:index:Directory" for one in state["resources"]) == FOLDERS
    made = {str(path) for path in (tmp_path / "made").iterdir()}
    assert len(made) == FOLDERS
    assert known | pending <= made
    assert not list((tmp_path / "engine" / "backend" / ".pulumi" / "locks").rglob("*.json"))
