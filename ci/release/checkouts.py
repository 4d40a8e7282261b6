"""Checkouts of releases, kept in the state folder: services run from them for as long as they are deployed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from ci.release import git
from infra.environment import Environment
from leandata.errors import LeandataError


def place(environment: Environment, commit: str) -> Path:
    """Where the checkout of a commit lies: beside the data, because what runs from it must outlive the command."""
    return environment.state / "checkouts" / commit[:12]


def prepared(environment: Environment, commit: str) -> Path:
    """The checkout of `commit`, with an environment of its own. Raises LeandataError."""
    found = place(environment, commit)
    git.worktree(environment.root, commit, found)
    result = subprocess.run(
        [sys.executable, "-m", "ci", "setup"], cwd=found, env=environ(environment, found), check=False,
        stdin=subprocess.DEVNULL, stdout=sys.stderr,
    )  # fmt: skip
    if result.returncode != 0:
        raise LeandataError(f"the release's checkout cannot be set up (exit {result.returncode})", where=str(found))
    return found


def deploy(environment: Environment, checkout: Path, *, back_to: str, as_json: bool) -> int:
    """Deploy `checkout` into the state folder of `environment`; the command's exit code."""
    command = [sys.executable, "-m", "ci", "deploy", "--env", environment.name, "--yes", "--back-to", back_to]
    command += ["--json"] if as_json else []
    result = subprocess.run(
        command, cwd=checkout, env=environ(environment, checkout), check=False, stdin=subprocess.DEVNULL
    )
    return result.returncode


def environ(environment: Environment, checkout: Path) -> Mapping[str, str]:
    """What a command in `checkout` is told: the state folder and the ports that are deployed now, its own code."""
    own = {name: text for name, text in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return {
        **own,
        "LEANDATA_ENV": environment.name,
        "LEANDATA_PORT_BASE": str(environment.port_base),
        "LEANDATA_STATE": str(environment.state),
        "PYTHONPATH": str(checkout),
    }


def sweep(environment: Environment, *, keep: Collection[str]) -> list[str]:
    """Remove the checkouts that no deployed release runs from; the names of those that are gone, sorted."""
    folder = environment.state / "checkouts"
    kept = {place(environment, commit).name for commit in keep}
    gone = sorted(path for path in folder.glob("*") if path.name not in kept)
    for path in gone:
        git.remove_worktree(environment.root, path)
    return [path.name for path in gone]
