"""`check`: everything that can be said of the code without running it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ci import budgets
from ci.bootstrap import cache
from ci.cli import Options, emit
from infra.environment import ROOT

_BIN = Path(sys.executable).parent
_TOOLS: dict[str, tuple[str, ...]] = {
    "arrows (import-linter)": (str(_BIN / "lint-imports"), "--no-cache"),
    "catalogue": (sys.executable, "-m", "ci", "catalogue", "--check"),
    "format (ruff)": (str(_BIN / "ruff"), "format", "--check", "--no-cache", "."),
    "notebooks": (sys.executable, "-m", "ci", "notebook", "--check"),
    "owners": (sys.executable, "-m", "ci", "owners", "--check"),
    "policies": (sys.executable, "-m", "ci", "policy", "--all"),
    "style (ruff)": (str(_BIN / "ruff"), "check", "--no-cache", "."),
    "types (basedpyright)": (str(_BIN / "basedpyright"),),
    "unused code (vulture)": (sys.executable, "-m", "vulture"),
    "workflows": (sys.executable, "-m", "ci", "workflows", "--check"),
}


def check(options: Options) -> int:
    """Run every tool, two at a time; 1 when one finds something."""
    tools = {**_TOOLS, "lock file (uv)": (_uv(), "lock", "--check", "--offline")}
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = dict(zip(sorted(tools), pool.map(lambda name: _run(tools[name]), sorted(tools)), strict=True))
    modules = budgets.everything(ROOT)
    over = budgets.over(modules)
    good = not over and all(code == 0 for code, _, _ in found.values())
    if options.json:
        emit({"ok": good, "tools": {name: code == 0 for name, (code, _, _) in found.items()}, "over": over})
        return 0 if good else 1
    for name, (code, seconds, output) in found.items():
        print(f"{'ok  ' if code == 0 else 'FAIL'} {name:<26} {seconds:5.1f}s")
        if code != 0:
            print("\n".join(f"     {line}" for line in output.strip().splitlines()[-60:]))
    print(f"{'ok  ' if not over else 'FAIL'} budgets")
    print(budgets.table(modules))
    print("\n".join(f"     {sentence}" for sentence in over))
    return 0 if good else 1


def _run(command: tuple[str, ...]) -> tuple[int, float, str]:
    started = time.monotonic()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.returncode, time.monotonic() - started, result.stdout + result.stderr


def _uv() -> str:
    return shutil.which("uv") or str(cache() / "uv" / "uv")
