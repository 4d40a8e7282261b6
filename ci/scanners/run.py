"""Run the scanners over files, and say what each found."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ci.scanners.reading import Found, unread
from ci.scanners.tools import TOOLS, Tool, install
from infra.policy.waivers import PLACE, Waiver
from leandata.errors import LeandataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one scanner found in how many files, how much is waived besides, and how long it took in seconds."""

    tool: str
    subject: str
    files: int
    found: tuple[Found, ...]
    seconds: float
    waived: int = 0


def scan(files: Mapping[str, Sequence[Path]], *, subject: str, names: Sequence[str]) -> list[Result]:
    """Every scanner of these names that looks at one of these kinds of files; none that has no file to look at.

    Raises LeandataError for a scanner that cannot be installed or that prints what cannot be read.
    """
    return [
        _scanned(tool, files[tool.looks_at], subject)
        for tool in TOOLS
        if tool.name in names and files.get(tool.looks_at)
    ]


def _scanned(tool: Tool, files: Sequence[Path], subject: str) -> Result:
    started = time.monotonic()
    output = run(install(tool.name), tool, files)
    try:
        found = tuple(sorted(set(tool.read(output))))
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise unread(tool.name, output) from error
    return Result(tool=tool.name, subject=subject, files=len(files), found=found, seconds=time.monotonic() - started)


def run(bin_: Path, tool: Tool, files: Sequence[Path]) -> str:
    """What the scanner prints of these files. Raises LeandataError when it says nothing but an error."""
    targets = sorted({str(path.parent) for path in files}) if tool.of_folder else [str(path) for path in files]
    command = [str(bin_ / tool.command[0]), *tool.command[1:], *targets]
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if result.returncode != 0 and not result.stdout.strip():
        last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LeandataError(f"{tool.name} fails: {last[:300]}")
    return result.stdout


def without_waived(
    results: Sequence[Result], waivers: Sequence[Waiver], *, environment: str, today: date
) -> list[Result]:
    """The results without what is waived in the environment. A waiver that waives nothing is itself found.

    What has ended waives nothing; `policy` tells of it.
    """
    mine = [one for one in waivers if one.scanner and environment in one.environments and one.until >= today]
    left: list[Result] = []
    for result in results:
        valid = [one for one in mine if one.scanner == result.tool] if result.subject == environment else []
        found = tuple(one for one in result.found if not any(_waives(waiver, result, one) for waiver in valid))
        useless = tuple(
            Found(place=f"{PLACE} {waiver.resource}", rule="waiver-unused", said=f"nothing of {waiver.rule}")
            for waiver in valid
            if not any(_waives(waiver, result, one) for one in result.found)
        )
        left.append(replace(result, found=(*found, *useless), waived=len(result.found) - len(found)))
    return left


def _waives(waiver: Waiver, result: Result, found: Found) -> bool:
    return waiver.covers(f"{result.tool}:{found.rule}", found.place)
