"""Run the scanners over files, and say what each found."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.scanners.reading import Found
from ci.scanners.tools import TOOLS, Tool, install
from leandata.errors import LeandataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one scanner found in how many files, and how long it took in seconds."""

    tool: str
    subject: str
    files: int
    found: tuple[Found, ...]
    seconds: float


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
    found = tuple(sorted(set(tool.read(output))))
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
