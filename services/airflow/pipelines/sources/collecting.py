"""Collect what a source declares into the lake: planned in a few tasks, published whole, safe to do twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from leandata.contract import Dataset
from leandata.errors import DatabaseError
from leandata.lake import Lake
from leandata.mail import Message, send
from leandata.settings import Settings
from pipelines import collect as days
from pipelines.collect import Chunk
from pipelines.sources import dropping, http, sql
from pipelines.sources.arriving import Collected, judge, noted, table_of
from pipelines.sources.declaration import Files, HttpPath, Part, Source, SqlTable
from pipelines.sources.files import Folder
from pipelines.sources.quarantine import set_apart

_WHOLE = Chunk(days=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one task collects: a part of the source by its number, and its days, none where it is not cut by days."""

    part: int
    chunk: Chunk = _WHOLE

    def plain(self) -> dict[str, Any]:
        """As Airflow hands it on."""
        return {"part": self.part, **self.chunk.plain()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Work:
        """What `plain` made."""
        return cls(part=int(plain["part"]), chunk=Chunk.of(plain))


def plan(settings: Settings, source: Source, *, since: date | None = None, until: date | None = None) -> list[Work]:
    """The work to do now, by what the source holds and what the lake has; `since` and `until` name days instead.

    Raises LeandataError where the source cannot be asked.
    """
    found: list[Work] = []
    for number, part in enumerate(source.parts):
        chosen = _days(settings, source, part, since=since, until=until)
        if chosen is None:
            found.append(Work(part=number))
        else:
            found += [Work(part=number, chunk=chunk) for chunk in days.chunks(chosen)]
    return found


def _days(
    settings: Settings, source: Source, part: Part, *, since: date | None, until: date | None
) -> list[date] | None:
    """The days to collect of a part; None where it is not cut by days."""
    today = settings.today()
    if isinstance(part, SqlTable) and part.day_column:
        with sql.opened(source.address(settings)) as connection:
            first = date.fromisoformat(part.since) if part.since else sql.first_day(connection, part)
        if first is None:
            raise DatabaseError(f"the source has no rows in {part.table}", where=part.dataset)
        # Of a cursor today counts as well: its slice is read again until it is over.
        today = today + timedelta(days=1) if part.cursor else today
    elif isinstance(part, HttpPath) and part.daily:
        first = date.fromisoformat(part.since)
    else:
        return None
    known = [day for day in Lake(settings.lake.raw).latest(source.contract(part)) if day]
    return days.plan(known=known, first=first, today=today, since=since, until=until, window=part.window)


def collect(settings: Settings, source: Source, work: Work, *, run: str, now: datetime) -> Collected:
    """Do a task's work: read, hold against the contract, publish; set apart what cannot be published.

    A changed schema refuses what was read together with it, and is told; the rest goes on. New columns are loaded into
    `_extra`; those that the owner is to be told of (`announce`) are `fresh`. Raises LeandataError where the source
    cannot be read.
    """
    part, lake = source.parts[work.part], Lake(settings.lake.raw)
    contract = source.contract(part)
    known = frozenset(note for found in lake.latest(contract).values() for note in found.notes)
    into = _Into(lake=lake, contract=contract, known=known, today=settings.today(), run=run)
    if isinstance(part, Files):
        folder = Folder(source.address(settings))
        done = dropping.collect(lake, folder, part, contract, known=known, day=into.today, run=run, now=now)
    elif isinstance(part, SqlTable):
        with sql.opened(source.address(settings)) as connection:
            table = sql.read(connection, part, days=work.chunk.days, strays=work.chunk.strays, today=into.today)
        done = _publish(into, part, work.chunk, table)
    else:
        done = _paged(into, source.address(settings), part, work.chunk.days)
    return replace(done, fresh=tuple(name for name in done.new if not noted([name]) & known))


def came(done: Iterable[Mapping[str, Any]], loaded: Mapping[str, int]) -> bool:
    """Whether anything has come that what follows has to see: collected now, or left unloaded by an earlier failure."""
    return any(one["changed"] for one in done) or any(loaded.values())


def announce(settings: Settings, source: Source, fresh: Mapping[int, Collection[str]]) -> list[str]:
    """Mail the owner the columns that are new, by the part's number; what was told, a line for each part.

    It is a task of its own: when the mail is not taken it is tried again, and the collection is not. Raises MailError.
    """
    found = [(source.parts[number], sorted(set(names))) for number, names in sorted(fresh.items()) if names]
    for part, names in found:
        send(settings.mail, _mail_of_columns(settings, source, part, names))
    return [f"{part.dataset}: {', '.join(names)}" for part, names in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Into:
    """Where rows go: the lake, by which contract; what it knows of the schema, the day it is, the run's name."""

    lake: Lake
    contract: Dataset
    known: frozenset[str]
    today: date
    run: str


def _paged(into: _Into, address: str, part: HttpPath, asked: Sequence[date]) -> Collected:
    """Day by day: each is published as soon as its last page is read, so that another try goes on from there."""
    total = Collected(changed=False)
    names = [column.name for column in into.contract.columns]
    with http.opened(address) as api:
        for day in asked or (None,):
            chunk = Chunk(days=(day,) if day else ())
            done = _publish(into, part, chunk, table_of(api.rows(part, day=day), columns=names))
            total = Collected(
                rows=total.rows + done.rows,
                refused=(*total.refused, *done.refused),
                new=tuple(sorted({*total.new, *done.new})),
                changed=total.changed or done.changed,
            )
    return total


def _publish(into: _Into, part: SqlTable | HttpPath, chunk: Chunk, table: pa.Table) -> Collected:
    contract = into.contract
    cut = part.day_column if isinstance(part, SqlTable) else ""
    found = judge(contract, table, latest=into.today if cut else None, timezone=part.timezone)
    if found.refused:
        places = (into.today,) * found.bad.num_rows
        set_apart(into.lake, contract.name, found.bad, found.reasons, days=(), places=places, run=into.run)
        which = f"{contract.name} of {chunk.span}" if chunk.days else contract.name
        return Collected(refused=(f"{which}: {found.refused}",), new=found.new)
    notes = sorted(into.known | noted(found.new))
    whole = chunk.days or (into.today,)
    named = [sql.day_of(one) for one in table[cut].to_pylist()] if cut else [whole[0]] * table.num_rows
    slices = _sliced(chunk, found.good, [named[row] for row in found.kept])
    published = into.lake.publish(contract, slices, run=into.run, notes=notes, keep=True)
    wrong = sorted({*range(table.num_rows)} - {*found.kept})
    places = [day if day and day in whole else into.today for day in (named[row] for row in wrong)]
    whole = (*whole, into.today) if chunk.strays else whole
    set_apart(into.lake, contract.name, found.bad, found.reasons, days=whole, places=places, run=into.run)
    changed = any(one.run == into.run for one in published)
    return Collected(rows=sum(one.rows for one in published), new=found.new, changed=changed)


def _sliced(chunk: Chunk, rows: pa.Table, named: Sequence[date | None]) -> dict[date | None, pa.Table]:
    """The rows by the days of the chunk, a day without any too; all of them for what is not cut by days."""
    if not chunk.days:
        return {None: rows}
    places: dict[date | None, list[int]] = {day: [] for day in chunk.days}
    for number, day in enumerate(named):
        if day in places:
            places[day].append(number)
    return {day: rows.take(pa.array(numbers, pa.int64())) for day, numbers in places.items()}


def _mail_of_columns(settings: Settings, source: Source, part: Part, fresh: Sequence[str]) -> Message:
    names = ", ".join(fresh)
    text = (
        f"The source of {part.dataset} has columns that its contract does not know: {names}.\n\n"
        "They are loaded into _extra, as JSON. Add them to the contract to have them as columns of their own.\n\n"
        f"Owner: {source.owner}\n"
    )
    subject = f"[{settings.environment}] {part.dataset}: new column {names}"
    return Message(subject=subject, to=[settings.owner_mail], text=text)
