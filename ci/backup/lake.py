"""The lake in a backup: every file, unchanged ones as hard links to the backup before; and back again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ci.backup.manifest import BackupError, Piece, Totals, digest, piece
from leandata.contract import Dataset
from leandata.datasets import CATALOG
from leandata.lake import Lake

_BEING_WRITTEN = re.compile(r"#\d+$")  # obstore writes there before it renames
_MANIFESTS = "_manifest"
ZONES = ("curated", "models", "raw")


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What was copied: the files, how many of them are links to the earlier backup's, and bytes written anew."""

    pieces: tuple[Piece, ...]
    linked: int
    written: int


def take(lake: Path, folder: Path, *, earlier: Path | None) -> Copied:
    """Copy the lake's files to `folder`/lake.

    Manifests are listed before data, so every manifest that is copied has its files beside it: a run writes its
    manifest last. Files are never changed, so one that the earlier backup holds, byte for byte, is linked.
    """
    found: list[Piece] = []
    linked = written = 0
    for source in _in_order(lake):
        target = folder / "lake" / source.relative_to(lake)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = earlier / "lake" / source.relative_to(lake) if earlier else None
        if before is not None and _same(before, source) and _linked(before, target):
            linked += 1
        else:
            shutil.copyfile(source, target)
            written += target.stat().st_size
        found.append(piece(folder, target))
    return Copied(pieces=tuple(sorted(found, key=lambda one: one.path)), linked=linked, written=written)


@dataclass(frozen=True, kw_only=True, slots=True)
class PutBack:
    """What a restore did to the lake: files put back, and files that were published since and are kept."""

    restored: int
    kept: int


def put_back(folder: Path, lake: Path, *, pieces: tuple[Piece, ...]) -> PutBack:
    """Put back what is lost or damaged of the backup's files; data before the manifests that make it known."""
    restored, known = 0, set[Path]()
    for one in sorted(pieces, key=lambda found: (_MANIFESTS in found.path.split("/"), found.path)):
        target = lake / Path(one.path).relative_to("lake")
        known.add(target)
        if target.is_file() and target.stat().st_size == one.size and digest(target) == one.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        scratch = target.with_name(f"{target.name}#0")
        shutil.copyfile(folder / one.path, scratch)
        scratch.replace(target)
        restored += 1
    return PutBack(restored=restored, kept=sum(path not in known for path in _in_order(lake)))


def totals(lake: Path, *, only: frozenset[str] | None = None) -> Totals:
    """Rows and sums of the newest slices of each dataset, from the files themselves.

    `only` names the manifests to look at, as paths in the lake: what was published later is left out.
    """
    found: Totals = {}
    for zone in ZONES:
        if not (lake / zone / _MANIFESTS).is_dir():
            continue
        for contract in CATALOG.values():
            total = _total(lake, zone, contract, only=only)
            if total is not None:
                found[f"{zone}/{contract.name}"] = total
    return found


def manifests_in(pieces: tuple[Piece, ...]) -> frozenset[str]:
    """The manifests among a backup's files, as paths in the lake."""
    names = (one.path.removeprefix("lake/") for one in pieces)
    return frozenset(name for name in names if _MANIFESTS in name.split("/"))


def _total(lake: Path, zone: str, contract: Dataset, *, only: frozenset[str] | None) -> dict[str, object] | None:
    import pyarrow.compute as pc

    opened = Lake(f"file://{lake / zone}")
    newest = {
        manifest.dt: manifest
        for manifest in opened.manifests(contract)
        if only is None or _path(zone, contract, manifest.dt, manifest.run) in only
    }
    if not newest:
        return None
    decimals = [column.name for column in contract.columns if column.type.startswith("decimal")]
    sums = dict.fromkeys(decimals, Decimal(0))
    rows = 0
    for manifest in newest.values():
        table = opened.read(manifest, contract)
        rows += table.num_rows
        if table.num_rows != manifest.rows:
            raise BackupError(f"{table.num_rows} rows lie where {manifest.rows} were published", where=contract.name)
        for name in decimals:
            sums[name] += pc.sum(table[name]).as_py() or Decimal(0)  # pyright: ignore
    return {"rows": rows, "sums": {name: str(value) for name, value in sorted(sums.items())}}


def _path(zone: str, contract: Dataset, dt: str, run: str) -> str:
    place = dt if dt == "all" else f"dt={dt}"
    return f"{zone}/{_MANIFESTS}/{contract.name.replace('.', '/')}/{place}/{run}.json"


def _in_order(lake: Path) -> Iterator[Path]:
    """The lake's files, manifests first; what is just being written is left out."""
    if not lake.is_dir():
        return
    manifests = [path for zone in sorted(lake.glob(f"*/{_MANIFESTS}")) for path in sorted(zone.rglob("*"))]
    everything = sorted(lake.rglob("*"))
    others = [path for path in everything if _MANIFESTS not in path.relative_to(lake).parts]
    for path in [*manifests, *others]:
        if not _BEING_WRITTEN.search(path.name) and path.is_file():
            yield path


def _same(before: Path, now: Path) -> bool:
    with contextlib.suppress(OSError):
        return before.stat().st_size == now.stat().st_size and digest(before) == digest(now)
    return False


def _linked(before: Path, target: Path) -> bool:
    """Whether a hard link could be made: not across file systems."""
    with contextlib.suppress(OSError):
        os.link(before, target)
        return True
    return False
