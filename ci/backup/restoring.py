"""Restore an environment on one machine from a backup, whole or one part of it.

Everything is put in place while nothing of the environment runs; databases and warehouse by servers of our own on free
ports, so that no pipeline starts before the totals were compared. A deployment afterwards brings the rest.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ci.backup import databases, lake, sealing, servers
from ci.backup import warehouse as warehouses
from ci.backup.databases import Inbox
from ci.backup.manifest import PARTS, BackupError, Manifest, differences
from ci.backup.taking import ROLES, SECRETS, STATE, Places
from leandata.errors import LeandataError
from leandata.lake import Lake

_FOLDERS = {"database": "postgres", "lake": "lake", "secrets": "secrets", "state": "engine", "warehouse": "warehouse"}
_IN_FLIGHT = timedelta(minutes=5)
_ASIDE = ".before-restore"
Said = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a restore did: `differences` to the totals at the backup, what is worth knowing, events kept and lost."""

    differences: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    events: str = ""
    kept: int = 0


def chosen(text: str) -> tuple[str, ...]:
    """The parts that PART names, all without it, in the order of a backup. Raises BackupError."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    strange = sorted(names - set(PARTS))
    if strange:
        raise BackupError(f"unknown part {strange[0]!r}", hint=f"PART is one of: {', '.join(sorted(PARTS))}")
    return tuple(part for part in PARTS if not names or part in names)


def in_the_way(state: Path, parts: tuple[str, ...]) -> list[str]:
    """The parts of these that hold something already: restoring them needs a confirmation."""
    return [part for part in parts if any((state / _FOLDERS[part]).rglob("*"))]


def planned(manifest: Manifest, parts: tuple[str, ...], *, state: Path) -> list[str]:
    """What a restore would do, a sentence a part."""
    sentences = {
        "database": f"{state}/postgres is put aside and made again from the dumps, with its roles",
        "lake": f"files that are lost or damaged are put back under {state}/lake; newer ones stay",
        "secrets": f"{state}/secrets gets the files of the backup",
        "state": f"{state}/engine gets the engine's state of the backup",
        "warehouse": f"{state}/warehouse is put aside and made again: objects, rows, loads from the lake",
    }
    if not same_place(manifest, state):
        sentences["state"] = f"the engine's state stays out: it speaks of {manifest.state}, and is made anew"
    return [f"{part}: {sentences[part]}" for part in parts]


def same_place(manifest: Manifest, state: Path) -> bool:
    """Whether the environment lies where it lay at the backup: the engine's state holds absolute paths."""
    return Path(manifest.state) == state


@dataclass(frozen=True, kw_only=True, slots=True)
class Restore:
    """One restore: the backup, which parts of it, into which places; `root` is the checkout, `key_file` opens seals."""

    folder: Path
    manifest: Manifest
    parts: tuple[str, ...]
    places: Places
    root: Path
    key_file: Path

    def unsealed(self) -> dict[str, bytes]:
        """What is sealed of the wanted parts. Raises BackupError before anything was touched."""
        wanted = {"database": ROLES, "secrets": SECRETS, "state": STATE}
        names = [wanted[part] for part in self.parts if part in wanted]
        return {name: sealing.unseal((self.folder / name).read_bytes(), key_file=self.key_file) for name in names}

    def run(self, opened: dict[str, bytes], *, said: Said) -> Outcome:
        """Put the parts back, with nothing of the environment running. Raises LeandataError."""
        outcome = Outcome()
        state = self.places.state
        state.mkdir(parents=True, exist_ok=True)
        if "secrets" in self.parts:
            said(f"  secrets    {len(sealing.unpack(opened[SECRETS], state / 'secrets'))} files")
        if "lake" in self.parts:
            self._lake(outcome, said)
        if "database" in self.parts:
            self._databases(opened[ROLES].decode(), outcome, said)
        if "warehouse" in self.parts:
            self._warehouse(outcome, said)
        if "state" in self.parts:
            self._state(opened[STATE], outcome, said)
        return outcome

    def done(self) -> None:
        """Remove what was put aside: called when the environment runs again."""
        for part in self.parts:
            shutil.rmtree(_aside(self.places.state, part), ignore_errors=True)

    def _lake(self, outcome: Outcome, said: Said) -> None:
        record = self.manifest.parts["lake"]
        back = lake.put_back(self.folder, self.places.lake, pieces=record.pieces)
        said(f"  lake       {back.restored} files put back, {len(record.pieces) - back.restored} were whole")
        if back.kept:
            outcome.notes.append(f"{back.kept} files of the lake are newer than the backup and are kept")
        found = lake.totals(self.places.lake, only=lake.manifests_in(record.pieces))
        outcome.differences += [f"lake {one}" for one in differences(record.totals, found)]

    def _databases(self, roles: str, outcome: Outcome, said: Said) -> None:
        state, record = self.places.state, self.manifest.parts["database"]
        _put_aside(state, "database")
        inbox = self._rescued(_aside(state, "database"))
        dumps = {path.stem: path for path in sorted((self.folder / "database").glob("*.dump"))}
        log = _log(state, "restore-postgres")
        data, password = state / _FOLDERS["database"], self.places.server.password_file
        with servers.postgres(data, password_file=password, log=log) as server:
            databases.restore(server, dumps, role_statements=roles, passwords=_passwords(state))
            found = databases.totals(server, sorted(dumps))
            outcome.differences += [f"database {one}" for one in differences(record.totals, found)]
            newest = databases.newest_event(server) if databases.INBOX in dumps else ""
            if inbox is not None:
                outcome.kept = databases.put_back_events(server, inbox)
        said(f"  database   {', '.join(sorted(dumps))}")
        outcome.events = told(record.taken, newest=newest, kept=None if inbox is None else outcome.kept)

    def _rescued(self, data: Path) -> Inbox | None:
        """The events of the old server's inbox that the backup may lack; None when that server is lost.

        It is asked when nothing of the environment runs any more, so that no event is accepted after it.
        """
        if not servers.startable(data):
            return None
        since = datetime.fromisoformat(self.manifest.parts["database"].taken) - _IN_FLIGHT
        password, log = self.places.server.password_file, _log(self.places.state, "restore-postgres")
        try:
            with servers.postgres(data, password_file=password, log=log) as server:
                return databases.rescue(server, since=since.isoformat())
        except LeandataError:
            return None

    def _warehouse(self, outcome: Outcome, said: Said) -> None:
        state, record = self.places.state, self.manifest.parts["warehouse"]
        _put_aside(state, "warehouse")
        raw = Lake(f"file://{self.places.lake / 'raw'}")
        moved = lambda url: url.replace(self.manifest.state, str(state))  # noqa: E731
        log = _log(state, "restore-warehouse")
        with servers.warehouse(self.root, state / "warehouse", log=log) as client:
            outcome.notes += warehouses.restore(client, raw, self.folder / "warehouse", moved=moved)
            found = warehouses.totals(client)
        outcome.differences += [f"warehouse {one}" for one in differences(record.totals, found)]
        said(f"  warehouse  {len(found)} tables")

    def _state(self, data: bytes, outcome: Outcome, said: Said) -> None:
        state = self.places.state
        if not same_place(self.manifest, state):
            outcome.notes.append(f"the engine's state speaks of {self.manifest.state}: it is made anew for {state}")
            return
        said(f"  state      {len(sealing.unpack(data, state / 'engine'))} files")
        broken = [path for path in (state / "engine" / "backend").rglob("*.json") if not _whole(path)]
        outcome.differences += [f"state {path.name} is not whole" for path in sorted(broken)]


def told(taken: str, *, newest: str, kept: int | None) -> str:
    """What became of the events that were accepted after the databases' snapshot."""
    until = f"the newest event of the backup is of {newest}" if newest else "the backup holds no event"
    if kept is None:
        return f"Events accepted after {taken} are lost: no inbox that held them is left; {until}."
    return f"Events accepted after {taken}: {kept} were in the inbox and are kept, none is lost; {until}."


def _passwords(state: Path) -> dict[str, str]:
    """The passwords of roles as the environment's secrets have them now."""
    found = sorted((state / "secrets").glob("database-*"))
    return {
        path.name.removeprefix("database-").replace("-", "_"): path.read_text(encoding="utf-8").strip()
        for path in found
        if path.is_file()
    }


def _put_aside(state: Path, part: str) -> None:
    """Keep what is there until the restore has worked: an older rest of an interrupted restore is the one to keep."""
    there, aside = state / _FOLDERS[part], _aside(state, part)
    if there.exists() and aside.exists():
        shutil.rmtree(there)
    elif there.exists():
        there.rename(aside)


def _aside(state: Path, part: str) -> Path:
    return state / f"{_FOLDERS[part]}{_ASIDE}"


def _log(state: Path, name: str) -> Path:
    (state / "logs").mkdir(parents=True, exist_ok=True)
    return state / "logs" / f"{name}.log"


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
