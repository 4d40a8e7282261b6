"""`backup`: a consistent copy of what nothing else can make again; in the cloud the commands that keep it there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ci import git
from ci.backup import folders, runbook
from ci.backup.manifest import BackupError
from ci.backup.taking import Places, take
from ci.cli import Options, emit
from ci.programs import declared
from infra.environment import Environment
from infra.units import format_size


def backup(options: Options) -> int:
    """Take a backup. Raises LeandataError when the environment does not run, or when anything could not be read."""
    environment = Environment.current()
    if environment.has("kubernetes"):
        return _runbook(environment, options)
    started = time.monotonic()
    keep = _keep(options.keep, environment)
    to = Path(options.to).absolute() if options.to else folders.default_folder(environment)
    recipient, note = folders.recipient(environment, os.environ)

    def said(sentence: str) -> None:
        if sentence and not options.json:
            print(sentence, flush=True)

    said(note)
    taken = take(
        Places.of(environment),
        environment=environment.name,
        to=to,
        keep=keep,
        recipient=recipient,
        commit=git.head(environment.root),
        said=said,
    )
    seconds = time.monotonic() - started
    if options.json:
        parts = {name: {"bytes": part.size, "totals": part.totals} for name, part in taken.manifest.parts.items()}
        emit(
            {
                "folder": str(taken.folder),
                "seconds": round(seconds, 2),
                "bytes": taken.manifest.size,
                "linked": taken.linked,
                "removed": list(taken.removed),
                "parts": parts,
                "note": note,
            }
        )
        return 0
    print(f"Backed up {environment.name} to {taken.folder} in {seconds:.1f}s: {format_size(taken.manifest.size)},")
    print(f"  {taken.linked} unchanged files of the lake shared with the backup before; {keep} backups are kept.")
    if taken.removed:
        print(f"  Removed: {', '.join(taken.removed)}")
    return 0


def _runbook(environment: Environment, options: Options) -> int:
    programs = declared(environment.name, root=environment.root)
    said = runbook.text(environment.name, programs)
    folder = Path(options.to).absolute() if options.to else folders.default_folder(environment)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "RUNBOOK.md"
    path.write_text(said, encoding="utf-8")
    count = len(runbook.entries(programs))
    if options.json:
        emit({"runbook": str(path), "covered": count})
    else:
        print(f"{path}: how {count} things of {environment.name} that hold data are kept and brought back.")
        print("Nothing was copied: AWS and Snowflake keep what the environment's file asks for.")
    return 0


def _keep(text: str, environment: Environment) -> int:
    if not text:
        return environment.file.backup.keep
    if not text.isdecimal() or int(text) < 1:
        raise BackupError(f"KEEP is {text!r}", hint="It is a number from 1")
    return int(text)
