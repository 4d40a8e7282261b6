"""An environment of a test's own: its state folder, its ports, and the commands that a user would type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.environment import ROOT, Environment
from infra.provider.supervisor import Supervisor
from infra.testing.parts import free_port, kill_tree


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """Commands against the state folder `state`, its ports from `base` on."""

    state: Path
    base: int
    today: str = "2026-11-24"
    root: Path = ROOT

    @property
    def environ(self) -> dict[str, str]:
        own = {
            "CI": "true",
            "LEANDATA_STATE": str(self.state),
            "LEANDATA_PORT_BASE": str(self.base),
            "LEANDATA_TODAY": self.today,
        }
        return {**os.environ, **own}

    @property
    def environment(self) -> Environment:
        return Environment.load("local", environ=self.environ, root=self.root)

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.state)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`python -m ci ...` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "ci", *arguments],
            cwd=self.root,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`python -m ci ...` in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "ci", *arguments],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        """The answer of a command for machines."""
        result = self.run(*arguments, "--json")
        assert result.stdout, result.stderr
        return json.loads(result.stdout)

    def url(self, name: str) -> str:
        """Where the service that the environment's ports know as `name` is asked."""
        return f"http://127.0.0.1:{self.environment.port(name)}"

    def secret(self, name: str) -> str:
        """A secret of the environment."""
        return (self.state / "secrets" / name).read_text()


def cut_power(on: Checkout) -> None:
    """Every process of the environment ends at once, its keeper too."""
    kill_tree(int((on.state / "run" / "supervisord.pid").read_text()))


def free_base() -> int:
    """The first of twenty ports in a row that are free now."""
    return free_port(count=20)
