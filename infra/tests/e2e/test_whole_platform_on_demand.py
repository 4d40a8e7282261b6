"""What takes too long for every run, on the whole platform: killed deployments, and each part lost alone.

LEANDATA_WHOLE_PLATFORM=yes runs it (about an hour on two cores); LEANDATA_KILL_POINTS says how often a deployment is killed
(default 25).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.testing.checkout import Checkout, cut_power, free_base
from infra.testing.parts import eventually
from infra.testing.proof import get, sales_reports, send_event

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.environ.get("LEANDATA_WHOLE_PLATFORM") != "yes", reason="LEANDATA_WHOLE_PLATFORM=yes runs it: about an hour"
    ),
]
POINTS = int(os.environ.get("LEANDATA_KILL_POINTS", "25"))
WHOLE = 11
"""Processes of a platform that is well."""


def stacks_of(state: Path) -> dict[str, dict[str, Any]]:
    """What the engine remembers of each stack; whenever it is read, it is whole."""
    folder = state / "engine" / "backend" / ".pulumi" / "stacks"
    return {
        path.parent.name: json.loads(path.read_text())["checkpoint"]["latest"] or {}
        for path in sorted(folder.glob("*/*.json"))
    }


def killed_after(on: Checkout, seconds: float) -> bool:
    """Kill a deployment, its engine and their children at once; False when it was done before that."""
    run = on.start("deploy", "--yes")
    try:
        run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    return run.returncode == -signal.SIGKILL


def deployed(on: Checkout) -> str:
    """Deploy until nobody holds the environment; what it printed. An engine ends a moment after who started it."""
    until = time.monotonic() + 60
    while True:
        result = on.run("deploy", "--yes")
        if "is being deployed since" not in result.stderr or time.monotonic() > until:
            assert result.returncode == 0, result.stdout + result.stderr
            return result.stdout
        time.sleep(0.5)


@pytest.fixture(scope="module")
def whole_seconds(tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long one whole deployment takes here and now."""
    on = Checkout(state=tmp_path_factory.mktemp("timed") / "local", base=free_base())
    begun = time.monotonic()
    deployed(on)
    seconds = time.monotonic() - begun
    assert on.run("destroy", "--data").returncode == 0
    return seconds


@pytest.mark.parametrize("point", range(POINTS))
def test_a_whole_deployment_killed_at_any_moment_is_finished_by_the_next(
    point: int, whole_seconds: float, tmp_path: Path
) -> None:
    on = Checkout(state=tmp_path / "local", base=free_base())
    try:
        killed = killed_after(on, whole_seconds * (point + 0.5) / POINTS)
        between = stacks_of(on.state) if (on.state / "engine").exists() else {}
        known = {one["urn"] for state in between.values() for one in state.get("resources", [])}
        deployed(on)
        after = stacks_of(on.state)
        assert killed or point > POINTS // 2
        assert len(after) == 8
        assert not [name for name, state in after.items() if state.get("pending_operations")]
        assert known <= {one["urn"] for state in after.values() for one in state["resources"]}
        assert not list((on.state / "engine" / "backend" / ".pulumi" / "locks").rglob("*.json"))
        status = eventually(lambda: (found := on.json("status"))["ok"] and found, seconds=120)
        assert len(status["services"]) == WHOLE
        drift = on.run("drift")
        assert drift.returncode == 0, drift.stdout + drift.stderr
    finally:
        on.run("destroy", "--data")
        on.supervisor.shutdown()
    assert on.supervisor.marked() == []


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Generator[Checkout]:
    """A platform whose first report was mailed, with a backup of it."""
    found = Checkout(state=tmp_path_factory.mktemp("lost") / "local", base=free_base())
    try:
        deployed(found)
        mails = found.state / "mail"
        eventually(lambda: sales_reports(path.read_bytes() for path in sorted(mails.glob("*.eml"))), seconds=300)
        assert found.run("backup", **keys(found)).returncode == 0
        yield found
    finally:
        found.run("destroy", "--data")
        found.supervisor.shutdown()


def keys(on: Checkout) -> dict[str, str]:
    return {"LEANDATA_BACKUP_KEY": str(on.state.parent / "backup.key")}


def weekly(on: Checkout) -> str:
    """The sales of every week, as the API tells them."""
    url = f"{on.url('api')}/v1/sales/weekly"
    return json.dumps(get(url, X_API_Key=on.secret("api-key")), sort_keys=True)


LOST: Mapping[str, Callable[[Path], Path]] = {
    "lake": lambda state: state / "lake",
    "database": lambda state: state / "postgres",
    "warehouse": lambda state: state / "warehouse",
    "secrets": lambda state: state / "secrets",
    "state": lambda state: state / "engine",
}


@pytest.mark.parametrize("part", LOST)
def test_a_part_that_was_lost_alone_comes_back_to_the_cent(platform: Checkout, part: str) -> None:
    place = LOST[part](platform.state)
    assert place.exists(), sorted(path.name for path in platform.state.iterdir())
    before = weekly(platform)
    send_event(platform.url("api"), key=platform.secret("api-key"))
    cut_power(platform)
    shutil.rmtree(place)
    begun = time.monotonic()
    restored = platform.run("restore", "--part", part, **keys(platform))
    print(f"{part}: {time.monotonic() - begun:.0f} s\n{restored.stdout}")
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "totals equal those at the backup" in restored.stdout
    assert weekly(platform) == before
    drift = platform.run("drift")
    assert drift.returncode == 0, drift.stdout + drift.stderr
