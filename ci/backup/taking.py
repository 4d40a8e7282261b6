"""Take a backup of an environment on one machine while it runs.

Databases first, then the warehouse, then the lake: each knows all that those before it refer to, because files of the
lake are never changed or removed. What a pipeline does in between is in the later parts only, and done again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ci.backup import databases, folders, lake, sealing
from ci.backup import warehouse as warehouses
from ci.backup.databases import Server
from ci.backup.manifest import PARTS, BackupError, Manifest, PartRecord, Piece, Totals, piece
from infra.environment import Environment
from infra.units import format_size
from leandata.lake import Lake
from leandata.settings import WarehouseAddress
from leandata.warehouse import Warehouse

ROLES, SECRETS, STATE = "database/roles.sealed", "secrets.sealed", "state.sealed"
_OF_THE_ENGINE = ("backend/", "passphrase", "work/")
_LOCKS = "backend/.pulumi/locks/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where an environment's parts are: its state folder, its database server, its warehouse, its lake."""

    state: Path
    server: Server
    warehouse: WarehouseAddress

    @classmethod
    def of(cls, environment: Environment) -> Places:
        """Those of an environment on one machine."""
        address = f"snowflake://leandata@fakesnow?host=127.0.0.1&port={environment.port('warehouse')}&protocol=http"
        password = environment.state / "secrets" / "postgres-password"
        return cls(
            state=environment.state,
            server=Server(host="127.0.0.1", port=environment.port("postgres"), password_file=password),
            warehouse=WarehouseAddress.parse(address),
        )

    @property
    def lake(self) -> Path:
        return self.state / "lake"


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A backup that is whole: its folder and manifest, files that are links to the earlier one's, what was removed."""

    folder: Path
    manifest: Manifest
    linked: int
    removed: tuple[str, ...]


def take(
    places: Places,
    *,
    environment: str,
    to: Path,
    keep: int,
    recipient: str,
    commit: str,
    said: Callable[[str], None],
) -> Taken:
    """Take a backup into a new folder of `to` and remove all but the `keep` newest. Raises LeandataError.

    Until its last byte is written the folder is called .partial, and nobody restores from it.
    """
    started = datetime.now(UTC)
    earlier = folders.backups(to)
    folder = folders.begin(to, now=started)
    linked = 0
    parts: dict[str, PartRecord] = {}
    for part in PARTS:
        begun, moment = time.monotonic(), _now()
        if part == "lake":
            copied = lake.take(places.lake, folder, earlier=earlier[-1] if earlier else None)
            linked, pieces = copied.linked, copied.pieces
            totals = lake.totals(folder / "lake")
        else:
            pieces, totals = _TAKERS[part](places, folder, recipient)
        parts[part] = PartRecord(taken=moment, pieces=pieces, totals=totals)
        size, seconds = format_size(parts[part].size), time.monotonic() - begun
        said(f"  {part:<10} {len(pieces):>6} files  {size:>10}  {seconds:5.1f}s")
    manifest = Manifest(
        environment=environment,
        commit=commit,
        started=started.isoformat(timespec="microseconds"),
        finished=_now(),
        state=str(places.state),
        recipient=recipient,
        parts=parts,
    )
    manifest.write(folder)
    folder = folders.finish(folder)
    return Taken(folder=folder, manifest=manifest, linked=linked, removed=tuple(folders.prune(to, keep=keep)))


def _databases(places: Places, folder: Path, recipient: str) -> tuple[tuple[Piece, ...], Totals]:
    target = folder / "database"
    target.mkdir(mode=0o700)
    totals: Totals = {}
    for name in places.server.databases():
        totals |= databases.dump(places.server, name, target / f"{name}.dump")
    roles = databases.roles(places.server)
    (folder / ROLES).write_bytes(sealing.seal(roles.encode(), recipient=recipient))
    return _pieces(folder, target), totals


def _warehouse(places: Places, folder: Path, recipient: str) -> tuple[tuple[Piece, ...], Totals]:
    del recipient
    target = folder / "warehouse"
    target.mkdir(mode=0o700)
    with Warehouse.connect(places.warehouse) as client:
        totals = warehouses.take(client, Lake(f"file://{places.lake / 'raw'}"), target)
    return _pieces(folder, target), totals


def _secrets(places: Places, folder: Path, recipient: str) -> tuple[tuple[Piece, ...], Totals]:
    return _sealed(places.state / "secrets", folder, SECRETS, recipient, wanted=lambda _: True)


def _state(places: Places, folder: Path, recipient: str) -> tuple[tuple[Piece, ...], Totals]:
    return _sealed(places.state / "engine", folder, STATE, recipient, wanted=of_the_engine)


def of_the_engine(name: str) -> bool:
    """Whether a file of the engine's folder is its state: not its caches, not a lock."""
    return name.startswith(_OF_THE_ENGINE) and not name.startswith(_LOCKS)


_TAKERS: Mapping[str, Callable[[Places, Path, str], tuple[tuple[Piece, ...], Totals]]] = {
    "database": _databases,
    "secrets": _secrets,
    "state": _state,
    "warehouse": _warehouse,
}


def _sealed(
    source: Path, folder: Path, name: str, recipient: str, *, wanted: Callable[[str], bool]
) -> tuple[tuple[Piece, ...], Totals]:
    if not source.is_dir():
        raise BackupError("there is nothing to back up", where=str(source), hint="Run `make deploy` first")
    target = folder / name
    handle = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(sealing.seal(sealing.pack(source, wanted=wanted), recipient=recipient))
    return (piece(folder, target),), {}


def _pieces(folder: Path, part: Path) -> tuple[Piece, ...]:
    return tuple(piece(folder, path) for path in sorted(part.rglob("*")) if path.is_file())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
