"""The way back to an older release: what cannot be undone, said first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ci.preview.model import Change, StackChanges
from ci.preview.replacing import stateful
from ci.release.manifest import Published, Release
from leandata.errors import LeandataError

_MIGRATED = ("airflow", "database")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Something that a rollback does not take back: what, and why or what to do about it."""

    what: str
    why: str


def demand_possible(target: Release, *, current: Release, environment: str) -> None:
    """Raises LeandataError for a release that cannot be brought back."""
    if target.environment != environment:
        raise LeandataError(f"{target.id} is a release of {target.environment}, not of {environment}")
    if target.uncommitted:
        hint = "Choose one that was deployed from a commit: make releases"
        raise LeandataError(f"{target.id} was deployed with uncommitted work, which is nowhere written down", hint=hint)
    if not target.commit:
        raise LeandataError(f"{target.id} was deployed without git: nobody knows its commit")
    if target.id == current.id:
        raise LeandataError(f"{target.id} is what runs now: there is nothing to bring back")


def not_undone(target: Release, *, current: Release, changes: Sequence[StackChanges]) -> list[Kept]:
    """What stays as it is, or is lost, when `target` replaces `current`: the worst first."""
    return [
        *_lost(changes),
        *_written(target.lake, current.lake),
        *_rebuilt(target, current),
        *_migrated(target, current),
        Kept(what="mails that were sent", why="they are with their readers; a wrong figure needs a second mail"),
    ]


def _lost(changes: Iterable[StackChanges]) -> list[Kept]:
    found = [change for stack in changes for change in stack.changes if _holds_data(change)]
    return [
        Kept(what=f"{change.stack}: {change.type.rpartition(':')[2]} {change.name}", why=f"{change.op}d with its data")
        for change in sorted(found, key=lambda one: (one.stack, one.name))
    ]


def _holds_data(change: Change) -> bool:
    return change.op in ("delete", "replace") and stateful(change.type)


def _written(before: Mapping[str, Published], after: Mapping[str, Published]) -> list[Kept]:
    """Data that was written since: the lake only grows, and what was published stays published."""
    found: list[Kept] = []
    for name, now in sorted(after.items()):
        was = before.get(name)
        if was is None or (now.rows, now.newest) != (was.rows, was.newest):
            rows = now.rows - (was.rows if was is not None else 0)
            what = f"{name}: written since, {rows:+d} rows, newest run {now.newest}"
            found.append(Kept(what=what, why="it stays; the lake keeps every earlier run beside it"))
    return found


def _rebuilt(target: Release, current: Release) -> list[Kept]:
    if target.dbt == current.dbt:
        return []
    why = f"the next run of transform makes them as they were; look back with AT (TIMESTAMP => '{current.warehouse}')"
    return [Kept(what="tables of dbt: columns that were added or dropped since", why=why)]


def _migrated(target: Release, current: Release) -> list[Kept]:
    names = [name for name in _MIGRATED if target.serials.get(name) != current.serials.get(name)]
    if not names:
        return []
    return [Kept(what=f"migrations of {', '.join(names)}", why="a schema that was migrated forward is not taken back")]
