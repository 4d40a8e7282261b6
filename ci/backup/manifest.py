"""What a backup holds, as its `manifest.json` says it, and how a backup that is not whole is told from one that is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from leandata.errors import LeandataError

FORMAT = "leandata-backup"
VERSION = 1
PARTS = ("database", "warehouse", "lake", "secrets", "state")
"""In the order in which they are taken: what is taken later knows all that the earlier ones refer to."""
_NAME, _CHECKSUM = "manifest.json", "manifest.sha256"
_BLOCK = 2**20
Totals = dict[str, dict[str, Any]]


class BackupError(LeandataError):
    """A backup is damaged, incomplete, of another environment or of a newer form; or it cannot be made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One file of a backup: its path in it (with /), bytes, SHA-256 as hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PartRecord:
    """One part: when its snapshot was taken (UTC, ISO 8601), its files, and its totals.

    A total is of one table or dataset: `rows`, and `sums` of its columns with decimals, as text: nothing is rounded.
    """

    taken: str
    pieces: tuple[Piece, ...]
    totals: Totals = field(default_factory=Totals)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a backup holds. `state` is where the environment's state folder was, `recipient` who can open secrets."""

    environment: str
    commit: str
    started: str
    finished: str
    state: str
    recipient: str
    parts: Mapping[str, PartRecord]
    version: int = VERSION
    format: str = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files, those that lie in an earlier backup too counted again."""
        return sum(part.size for part in self.parts.values())

    def write(self, folder: Path) -> None:
        """Write it down with its own checksum: the last thing that is done to a backup."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"
        (folder / _NAME).write_text(text, encoding="utf-8")
        (folder / _CHECKSUM).write_text(hashlib.sha256(text.encode()).hexdigest() + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, *, environment: str) -> Manifest:
        """The manifest of the backup in `folder`. Raises BackupError for one that `environment` cannot be made of."""
        path = folder / _NAME
        if not folder.is_dir():
            raise BackupError("there is no such backup", where=str(folder), hint="FROM is the folder of one backup")
        try:
            data = path.read_bytes()
            expected = (folder / _CHECKSUM).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            hint = "It was interrupted, or is no backup; take another one"
            raise BackupError("the backup is incomplete: it has no manifest", where=str(folder), hint=hint) from None
        except UnicodeDecodeError:
            raise BackupError("the manifest's checksum is damaged", where=str(folder)) from None
        found = _parsed(data, path)
        if found.get("format") != FORMAT:
            raise BackupError("this is no backup of a leandata environment", where=str(path))
        version = found.get("version")
        if type(version) is not int or version < 1:
            raise BackupError("the manifest is damaged", where=str(path), hint=_ANOTHER)
        if version > VERSION:
            hint = "Restore it with the version of the code that made it, or a newer one"
            raise BackupError(f"the backup has version {version}, newer than {VERSION}", hint=hint)
        if hashlib.sha256(data).hexdigest() != expected:
            raise BackupError("the manifest is damaged: its checksum differs", where=str(path), hint=_ANOTHER)
        if found.get("environment") != environment:
            hint = f"ENV={found.get('environment')}"
            raise BackupError(f"the backup is of {found.get('environment')}, not of {environment}", hint=hint)
        try:
            parts = {name: _part(part) for name, part in found.pop("parts").items()}
            return cls(parts=parts, **found)
        except (AttributeError, KeyError, TypeError) as error:
            raise BackupError("the manifest is damaged", where=str(path), hint=_ANOTHER) from error

    def problems(self, folder: Path, parts: tuple[str, ...]) -> Iterator[str]:
        """A sentence for every file of these parts that is lost or damaged, sorted within its part."""
        for part in parts:
            for piece in self.parts[part].pieces:
                path = folder / piece.path
                if not path.is_file():
                    yield f"{piece.path} is lost"
                elif path.stat().st_size != piece.size:
                    yield f"{piece.path} has {path.stat().st_size} bytes instead of {piece.size}"
                elif digest(path) != piece.sha256:
                    yield f"{piece.path} is damaged: its checksum differs"


_ANOTHER = "Restore another backup"


def demand_whole(manifest: Manifest, folder: Path, parts: tuple[str, ...]) -> None:
    """Raises BackupError naming what is lost or damaged of these parts, or which of them the backup does not have."""
    missing = sorted(set(parts) - set(manifest.parts))
    if missing:
        hint = f"It has: {', '.join(sorted(manifest.parts))}"
        raise BackupError(f"the backup has no part {missing[0]}", where=str(folder), hint=hint)
    found = list(manifest.problems(folder, parts))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise BackupError(f"the backup is damaged: {found[0]}{more}", where=str(folder), hint=_ANOTHER)


def piece(folder: Path, path: Path) -> Piece:
    """The file at `path`, which lies in the backup's `folder`, as the manifest names it."""
    return Piece(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=digest(path))


def digest(path: Path) -> str:
    """The SHA-256 of a file as hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """A sentence for every table whose rows or sums differ from those at the backup, sorted."""
    said: list[str] = []
    for name in sorted({*expected, *found}):
        before, after = expected.get(name), found.get(name)
        if before == after:
            continue
        if before is None or after is None:
            said.append(f"{name} is {'new' if before is None else 'lost'}")
            continue
        if before["rows"] != after["rows"]:
            said.append(f"{name}: {after['rows']} rows instead of {before['rows']}")
        sums = sorted({*before["sums"], *after["sums"]})
        changed = [column for column in sums if before["sums"].get(column) != after["sums"].get(column)]
        said += [
            f"{name}: {column} adds up to {after['sums'].get(column)} instead of {before['sums'].get(column)}"
            for column in changed
        ]
    return said


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BackupError("the manifest is damaged", where=str(path), hint=_ANOTHER) from error
    if not isinstance(found, dict):
        raise BackupError("this is no backup of a leandata environment", where=str(path))
    return found  # pyright: ignore[reportUnknownVariableType]


def _part(found: dict[str, Any]) -> PartRecord:
    pieces = tuple(Piece(**piece) for piece in found["pieces"])
    for one in pieces:
        if Path(one.path).is_absolute() or ".." in Path(one.path).parts:
            raise BackupError(f"the manifest names a file outside of the backup: {one.path}")
    return PartRecord(taken=found["taken"], pieces=pieces, totals=found["totals"])
