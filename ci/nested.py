"""A verb within a verb: the same command line in a process of its own, on another state folder and other ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def settings(state: Path, port_base: int) -> dict[str, str]:
    """What the process is told besides: where it works, and that nobody is there to be asked."""
    return {"CI": "true", "LEANDATA_STATE": str(state), "LEANDATA_PORT_BASE": str(port_base)}


def run(root: Path, own: Mapping[str, str], *arguments: str, quiet: bool = False) -> int:
    """Run a verb of the checkout at `root`; its exit code. With `quiet` nothing of it is shown."""
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        _command(arguments), cwd=root, env={**os.environ, **own}, stdout=output, stderr=output, check=False
    ).returncode


def answer(
    root: Path, own: Mapping[str, str], *arguments: str
) -> tuple[dict[str, Any] | None, subprocess.CompletedProcess[str]]:
    """Run a verb for its JSON: the object that it printed, None where it printed none; and how it ended."""
    result = subprocess.run(
        _command([*arguments, "--json"]), cwd=root, env={**os.environ, **own}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    try:
        found: Any = json.loads(result.stdout)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else None, result


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "ci", *arguments]
