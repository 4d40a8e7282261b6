"""`check`: everything that can be said of the code without running it, or what of it a change can affect."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ci import budgets
from ci.affected.changes import changes
from ci.affected.checked import CATALOGUE, POLICIES, Checked, checked
from ci.bootstrap import cache
from ci.cli import Options, emit
from infra.environment import ROOT

_BIN = Path(sys.executable).parent
_TYPES = "types (basedpyright)"
_TOOLS: dict[str, tuple[str, ...]] = {
    "arrows (import-linter)": (str(_BIN / "lint-imports"), "--no-cache"),
    CATALOGUE: (sys.executable, "-m", "ci", "catalogue", "--check"),
    "format (ruff)": (str(_BIN / "ruff"), "format", "--check", "--no-cache", "."),
    "notebooks": (sys.executable, "-m", "ci", "notebook", "--check"),
    "owners": (sys.executable, "-m", "ci", "owners", "--check"),
    POLICIES: (sys.executable, "-m", "ci", "policy", "--all"),
    "style (ruff)": (str(_BIN / "ruff"), "check", "--no-cache", "."),
    _TYPES: (str(_BIN / "basedpyright"),),
    "unused code (vulture)": (sys.executable, "-m", "vulture"),
    "workflows": (sys.executable, "-m", "ci", "workflows", "--check"),
}


def check(options: Options) -> int:
    """Run every tool, two at a time; 1 when one finds something.

    With --changed the types of what the change against --base can affect are checked, and tools are left out that
    read nothing of it: what they find is what they found before.
    """
    what = checked(changes(ROOT, options.base)) if options.changed else Checked(why_all="all was asked for")
    tools = commands(what)
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = dict(zip(sorted(tools), pool.map(lambda name: _run(tools[name]), sorted(tools)), strict=True))
    modules = budgets.everything(ROOT)
    over = budgets.over(modules)
    good = not over and all(code == 0 for code, _, _ in found.values())
    if options.json:
        ran = {name: code == 0 for name, (code, _, _) in found.items()}
        emit({"left_out": sorted({*_TOOLS} - {*found}), "ok": good, "over": over, "tools": ran})
        return 0 if good else 1
    if options.changed:
        print(said(what))
    for name, (code, seconds, output) in found.items():
        print(f"{'ok  ' if code == 0 else 'FAIL'} {name:<26} {seconds:5.1f}s")
        if code != 0:
            print("\n".join(f"     {line}" for line in output.strip().splitlines()[-60:]))
    print(f"{'ok  ' if not over else 'FAIL'} budgets")
    print(budgets.table(modules))
    print("\n".join(f"     {sentence}" for sentence in over))
    return 0 if good else 1


def commands(what: Checked) -> dict[str, tuple[str, ...]]:
    """The command of each tool that has something to check; the list of files goes to that of the types."""
    tools = {**_TOOLS, "lock file (uv)": (_uv(), "lock", "--check", "--offline")}
    if what.types is not None:
        tools[_TYPES] = (*tools[_TYPES], *what.types)
    nothing = {_TYPES} if what.types == () else set[str]()
    return {name: command for name, command in tools.items() if name not in what.left_out | nothing}


def said(what: Checked) -> str:
    """One line: the files whose types are checked, and what is left out."""
    types = f"all files, because {what.why_all}" if what.types is None else f"{len(what.types)} files"
    left_out = f"; left out, for the change is not read there: {', '.join(sorted(what.left_out))}"
    return f"types of {types}{left_out if what.left_out else ''}"


def _run(command: tuple[str, ...]) -> tuple[int, float, str]:
    started = time.monotonic()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.returncode, time.monotonic() - started, result.stdout + result.stderr


def _uv() -> str:
    return shutil.which("uv") or str(cache() / "uv" / "uv")
