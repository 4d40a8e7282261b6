"""`doctor`: what this machine has, and what to do about what is missing; and `setup`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ci import preflight
from ci.bootstrap import PULUMI, cache, pulumi_path
from ci.cli import Options, emit
from infra.environment import Environment
from infra.provider.postgres_binaries import find_pg_bin, unprivileged
from infra.provider.supervisor import Supervisor
from infra.units import format_size
from leandata.errors import LeandataError

_MEMORY = 4 * 2**30
_DISK = 2 * 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do when it is not ok."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def setup(options: Options) -> int:
    """Set-up has run when this is reached."""
    if options.json:
        emit({"ok": True, "pulumi": str(pulumi_path()), "cache": str(cache())})
    else:
        print(f"Everything is set up: Pulumi {PULUMI} at {pulumi_path()}, cache at {cache()}.")
    return 0


def doctor(options: Options) -> int:
    """Show every finding; 1 when the platform cannot be deployed as it is."""
    findings = list(_findings(Environment.current()))
    good = all(finding.ok for finding in findings)
    if options.json:
        emit({"ok": good, "findings": [asdict(finding) for finding in findings]})
        return 0 if good else 1
    for finding in findings:
        advice = f"  -> {finding.advice}" if not finding.ok else ""
        print(f"{'ok  ' if finding.ok else 'NO  '} {finding.name:<12} {finding.found}{advice}")
    return 0 if good else 1


def _findings(environment: Environment) -> Iterator[Finding]:
    import psutil

    yield Finding(name="python", ok=True, found=f"{platform.python_version()} at {sys.executable}")
    yield Finding(name="pulumi", ok=True, found=f"{PULUMI} at {pulumi_path()}")
    for tool, needed_for in (
        ("git", "the commit in reports"),
        ("make", "the verbs"),
        ("uv", "set-up"),
        ("go", "Pulumi"),
    ):
        place = shutil.which(tool)
        yield Finding(name=tool, ok=True, found=place or f"not on PATH (only for {needed_for})")
    memory = psutil.virtual_memory().total
    advice = f"the platform needs about 2 GiB, and {format_size(_MEMORY)} to be at ease"
    yield Finding(name="memory", ok=memory >= _MEMORY, found=format_size(memory), advice=advice)
    place = environment.state if environment.state.exists() else environment.root
    free = shutil.disk_usage(place).free
    yield Finding(name="disk", ok=free >= _DISK, found=f"{format_size(free)} free", advice="free 2 GiB")
    yield _postgres(environment)
    ours = [process.pid for process in Supervisor(environment.state).marked()]
    problems = preflight.taken({name: environment.port(name) for name in environment.file.ports.offsets}, ours=ours)
    advice = "end it, or set PORT_BASE"
    yield Finding(name="ports", ok=not problems, found="; ".join(problems) or "free, or ours", advice=advice)
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    yield Finding(
        name="chromium", ok=True, found=browser or "missing (only for browser tests: apt-get install chromium)"
    )
    yield Finding(name="user", ok=True, found="root" if os.geteuid() == 0 else str(os.geteuid()))


def _postgres(environment: Environment) -> Finding:
    try:
        place = find_pg_bin()
        unprivileged(environment.state, place)
    except LeandataError as error:
        return Finding(name="postgres", ok=False, found=error.what, advice=error.hint)
    return Finding(name="postgres", ok=True, found=str(place))
