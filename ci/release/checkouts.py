"""Checkouts of releases, kept in the state folder: services run from them for as long as they are deployed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from ci import git
from infra.environment import Environment
from leandata.errors import LeandataError


def place(environment: Environment, commit: str) -> Path:
    """Where the checkout of a commit lies: beside the data, because what runs from it must outlive the command."""
    return environment.state / "checkouts" / commit[:12]


def prepared(environment: Environment, commit: str) -> Path:
    """The checkout of `commit`, with an environment of its own. Raises LeandataError."""
    found = place(environment, commit)
    git.worktree(environment.root, commit, found)
    code = command(environment, found, "setup", quiet=True)
    if code != 0:
        raise LeandataError(f"the release's checkout cannot be set up (exit {code})", where=str(found))
    return found


def command(environment: Environment, checkout: Path, *arguments: str, quiet: bool = False) -> int:
    """Run a verb of `checkout` on the state folder of `environment`; its exit code. With `quiet` to stderr."""
    result = subprocess.run(
        [sys.executable, "-m", "ci", *arguments],
        cwd=checkout,
        env=environ(environment, checkout),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if quiet else None,
    )
    return result.returncode


def write_images(environment: Environment, checkout: Path, images: Mapping[str, str]) -> None:
    """Have `checkout` deploy these images, whatever its commit says of them."""
    if images:
        said = {name: {"digest" if found.startswith("sha256:") else "tag": found} for name, found in images.items()}
        path = checkout / "infra" / "releases" / f"{environment.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": said}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


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
