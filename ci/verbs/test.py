"""`test`: one pytest run over what was asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from ci.affected.changes import Changes, changes
from ci.affected.choosing import choose
from ci.cli import Options
from infra.environment import ROOT
from infra.testing.thorough import CHANGED
from leandata.errors import LeandataError

BROWSERS = ("chromium", "google-chrome", "chromium-browser")
AT_ONCE = 4
"""Processes of pytest at most: each may start a PostgreSQL, a warehouse and an engine of its own."""


def test(options: Options) -> int:
    """Run pytest, a file of tests in one process; its exit code."""
    places = folders(options.service)
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if options.changed:
        found = changes(ROOT, options.base)
        places = chosen(found, places)
        if not places or options.dry:
            return 0
        environ[CHANGED] = "\n".join(sorted(found.changed))
    if not options.fast:
        _browser()
    workers = min(AT_ONCE, os.cpu_count() or 1)
    # In the order of infra/testing/order.py: otherwise long files with few tests come last, and one process rests.
    spread = ["--numprocesses", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", *spread, *places]
    command += ["-m", "not integration and not e2e"] if options.fast else []
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


def chosen(found: Changes, places: Sequence[str]) -> list[str]:
    """The test files, under `places` if there are any, that the change can affect; printed with why."""
    choice = choose(found)
    files = {path: why for path, why in choice.files.items() if not places or path.startswith(tuple(places))}
    print(
        f"{len(found.changed)} files differ from {found.commit[:12]}: {len(files)} of {choice.all_} test files can be"
    )
    print(f"affected{f', because {choice.why_all}' if choice.why_all else ''}{'.' if files else ': nothing to test.'}")
    if not choice.why_all:
        print("".join(f"  {path}  ({why})\n" for path, why in files.items()), end="", flush=True)
    return list(files)


def folders(service: str) -> list[str]:
    """Where the tests of a service lie; those of everything for ""."""
    if not service:
        return []
    known = sorted(path.parent.name for path in (ROOT / "services").glob("*/tests"))
    if service not in known:
        raise LeandataError(f"no service {service!r}", hint=f"SERVICE is one of: {', '.join(known)}")
    return [f"services/{service}/tests"]


def _browser() -> None:
    """Browser tests need Chromium: installed from Debian's packages where that is possible, else they are skipped."""
    if any(map(shutil.which, BROWSERS)):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("test: installing chromium from Debian's packages", flush=True)
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(command, check=False, env=environ, capture_output=True)
    if not any(map(shutil.which, BROWSERS)):
        print("test: Chromium is missing, browser tests are skipped. Install it: apt-get install chromium", flush=True)
