"""Previews: every environment, a change in one service, and against the real engine's own previews."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ci.graph import discover
from ci.programs import module_path
from infra.environment import ROOT
from leandata.errors import LeandataError

TARGETS = {
    "preview_all_seconds": "at most 20",
    "preview_one_service_seconds": "at most 8",
    "preview_local_to_engine": "at most 0.5",
}
_CHANGED = Path("services", "api", "service.toml")


def measure(folder: Path) -> dict[str, float]:
    """Seconds of whole previews in a clone that changes one service, with a cold cache and with a known base."""
    clone = folder / "clone"
    _git(folder, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone))
    path = clone / _CHANGED
    path.write_text(
        path.read_text(encoding="utf-8").replace('memory = "384MiB"', 'memory = "320MiB"'), encoding="utf-8"
    )
    found = {
        "preview_all_seconds": _preview(clone, folder, "all"),
        "preview_one_service_seconds": _preview(clone, folder, "all"),
        "preview_local_seconds": _preview(clone, folder / "other", "local"),
    }
    found["engine_local_seconds"] = _engine(folder)
    found["preview_local_to_engine"] = found["preview_local_seconds"] / found["engine_local_seconds"]
    return found


def _preview(clone: Path, folder: Path, environment: str) -> float:
    """Seconds of one preview in the clone, with this environment's packages. Raises LeandataError when it fails."""
    own = {"PYTHONPATH": module_path(clone), "LEANDATA_CACHE": str(folder / "cache")}
    code = "import sys; from ci.cli import run; sys.exit(run(sys.argv[1:]))"
    options = ["--env", environment, "--live", "no", "--soft", "--out", str(folder / "out")]
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", code, "preview", *options],
        cwd=clone,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if result.returncode != 0:
        raise LeandataError(f"the preview of {environment} failed: {(result.stderr or result.stdout).strip()[-400:]}")
    return seconds


def _engine(folder: Path) -> float:
    """Seconds of the engine's own previews of the stacks of ENV=local, one after the other."""
    own = {"LEANDATA_STATE": str(folder / "state"), "CI": "true"}
    took = 0.0
    for name in sorted(discover(ROOT, "local")):
        started = time.monotonic()
        result = subprocess.run(
            [sys.executable, "-m", "ci", "deploy", "--env", "local", "--stack", name, "--dry", "--json"],
            cwd=ROOT,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        took += time.monotonic() - started
        if result.returncode != 0 or not json.loads(result.stdout)["ok"]:
            raise LeandataError(f"the engine's preview of {name} failed: {result.stderr.strip()[-300:]}")
    return took


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
