"""`scan`: other people's scanners over manifests, policies, Dockerfiles, workflows, shell and YAML."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ci.cli import Options, emit
from ci.programs import declared
from ci.scanners.inputs import files, render
from ci.scanners.run import Result, scan, without_waived
from ci.scanners.tools import NAMES
from infra.environment import ROOT
from infra.policy.waivers import load
from leandata.errors import SettingsError


def scanned(options: Options) -> int:
    """Scan the checkout and what the environment declares; 1 when anything is found."""
    wanted = [name for name in options.only.split(",") if name] or list(NAMES)
    if strange := sorted(set(wanted) - set(NAMES)):
        raise SettingsError(f"there is no scanner {strange[0]!r}", hint=f"ONLY is one of: {', '.join(NAMES)}")
    results = scan(files(ROOT), subject="checkout", names=wanted)
    with tempfile.TemporaryDirectory(prefix="leandata-scan-") as folder:
        made = render(declared(options.env, root=ROOT), Path(folder))
        results += scan(made, subject=options.env, names=wanted)
    today = datetime.now(UTC).date()
    results = without_waived(results, load(ROOT), environment=options.env, today=today)
    if options.json:
        emit({"ok": not any(one.found for one in results), "results": [asdict(one) for one in results]})
    else:
        print(table(results))
    return 1 if any(one.found for one in results) else 0


def table(results: Sequence[Result]) -> str:
    """A line a scanner, and below it a line for each thing it found."""
    lines: list[str] = []
    for one in results:
        said = f"{len(one.found)} findings" if one.found else "nothing found"
        said += f", {one.waived} waived" if one.waived else ""
        lines.append(f"{one.tool:<20} {one.subject:<9} {one.files:>4} files {one.seconds:>6.1f}s  {said}")
        lines += [f"    {found.place}: {found.rule} {found.said}" for found in one.found]
    return "\n".join(lines) or "nothing to scan"
