"""Where backups lie, which is the newest, and which are too old to keep."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ci.backup.manifest import BackupError
from ci.backup.sealing import KEY_FILE, make_key, recipient_of
from infra.environment import Environment

_STAMP = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_PARTIAL = ".partial"


def default_folder(environment: Environment) -> Path:
    """Beside the state folder, not in it: `make destroy DATA=yes` does not take the backups too."""
    return environment.state.with_name(f"{environment.state.name}-backups")


def begin(place: Path, *, now: datetime) -> Path:
    """A new folder for a backup; it is called .partial until it is whole."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    there = [_order(path.name.removesuffix(_PARTIAL))[1] for path in place.glob(f"{stamp}*") if _ours(path)]
    number = max(there, default=0) + 1  # after the last one: the number of a removed one would make it an old backup
    folder = place / f"{stamp}{f'-{number}' if number > 1 else ''}{_PARTIAL}"
    folder.mkdir(mode=0o700)
    return folder


def finish(folder: Path) -> Path:
    """Give a backup that is whole its name."""
    return folder.rename(folder.with_name(folder.name.removesuffix(_PARTIAL)))


def backups(place: Path) -> list[Path]:
    """The whole backups in `place`, oldest first."""
    found = place.iterdir() if place.is_dir() else ()
    whole = [path for path in found if _STAMP.fullmatch(path.name) and path.is_dir()]
    return sorted(whole, key=lambda path: _order(path.name))


def newest(place: Path) -> Path:
    """The newest whole backup. Raises BackupError when there is none."""
    found = backups(place)
    if not found:
        raise BackupError("there is no backup", where=str(place), hint="Take one: make backup")
    return found[-1]


def asked_for(given: str, environment: Environment) -> Path:
    """The backup in the folder `given`, or the newest of those in it; with "" the environment's own newest one.

    Raises BackupError when there is none.
    """
    place = Path(given).absolute() if given else default_folder(environment)
    return newest(place) if not given or backups(place) else place


def prune(place: Path, *, keep: int) -> list[str]:
    """Remove all but the `keep` newest backups, and what interrupted ones left; the names of what was removed."""
    old = backups(place)[:-keep]
    left = [path for path in sorted(place.glob(f"*{_PARTIAL}")) if _ours(path)]
    for path in [*old, *left]:
        shutil.rmtree(path)
    return [path.name for path in [*old, *left]]


def key_path(environment: str, environ: Mapping[str, str]) -> Path:
    """The file with the private key of an environment's backups: LEANDATA_BACKUP_KEY, or in the user's settings."""
    if environ.get(KEY_FILE):
        return Path(environ[KEY_FILE])
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or os.path.expanduser("~"), ".config"))  # noqa: PTH111
    return home / "leandata" / f"backup-{environment}.key"


def recipient(environment: Environment, environ: Mapping[str, str]) -> tuple[str, str]:
    """For whom secrets are sealed, and what the user must know of it ("" when nothing is new)."""
    if environment.file.backup.recipient:
        return environment.file.backup.recipient, ""
    path = key_path(environment.name, environ)
    if path.exists():
        return recipient_of(path), ""
    made = make_key(path)
    return (
        made,
        f"A pair of keys was made. Without {path} nobody can open the secrets in backups: keep a copy elsewhere.",
    )


def _ours(path: Path) -> bool:
    return bool(_STAMP.fullmatch(path.name.removesuffix(_PARTIAL)))


def _order(name: str) -> tuple[str, int]:
    """The moment, and which backup of that second it is, from 1."""
    stamp, _, number = name.partition("-")
    return stamp, int(number or 1)
