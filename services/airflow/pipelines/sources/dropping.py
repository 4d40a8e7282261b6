"""Dropped files into the lake: each once, by the day it was first seen on, and again where its content is another."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from leandata.contract import Dataset
from leandata.lake import Lake, Manifest
from leandata.tables import schema
from pipelines.sources.arriving import Collected, judge, noted
from pipelines.sources.declaration import Files
from pipelines.sources.files import Dropped, Folder, UnreadableError, digest, parse, whole
from pipelines.sources.quarantine import set_apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A file that was taken: its path, the mark of its state, the digest of its content, and how many rows it gave."""

    path: str
    mark: str
    digest: str
    rows: int

    def plain(self) -> str:
        """As a manifest keeps it."""
        return json.dumps([self.path, self.mark, self.digest, self.rows])


@dataclass(slots=True)
class _Slice:
    """A day's files in their order, and their rows in the same, which are read when the day is written anew."""

    files: list[Taken]
    rows: list[pa.Table] | None = None
    manifest: Manifest | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> _Slice:
        """A day as it was published."""
        files = [Taken(path=one[0], mark=one[1], digest=one[2], rows=one[3]) for one in map(json.loads, manifest.taken)]
        return cls(files=files, manifest=manifest)

    def put(self, file: Taken, rows: pa.Table, *, lake: Lake, contract: Dataset) -> None:
        """In place of an earlier state of the same file, else behind the others."""
        known = self.rows if self.rows is not None else self._read(lake, contract)
        self.rows = known
        for place, one in enumerate(self.files):
            if one.path == file.path:
                self.files[place], known[place] = file, rows
                return
        self.files.append(file)
        known.append(rows)

    def _read(self, lake: Lake, contract: Dataset) -> list[pa.Table]:
        if self.manifest is None:
            return []
        table = lake.read(self.manifest, contract)
        table = table.select([name for name in table.column_names if name not in ("_dt", "_run", "_row")])
        starts = [sum(one.rows for one in self.files[:place]) for place in range(len(self.files))]
        return [table.slice(at, one.rows) for at, one in zip(starts, self.files, strict=True)]


def collect(
    lake: Lake,
    folder: Folder,
    part: Files,
    contract: Dataset,
    *,
    known: Collection[str],
    day: date,
    run: str,
    now: datetime,
) -> Collected:
    """Take the files that are new or another than before, and publish the days they are of.

    A file that comes again with the same content is left, also under another name; one whose content changed takes the
    place of its earlier rows. One that cannot be read, or whose schema changed, gives no row, is set apart and named.
    `known` are notes of the schema to carry on. Raises LakeError where the folder cannot be listed.
    """
    slices = {one: _Slice.of(found) for one, found in lake.latest(contract).items() if one}
    before = [file for one in slices.values() for file in one.files]
    marks, digests = {one.mark for one in before}, {one.digest for one in before}
    homes = {file.path: one for one, found in slices.items() for file in found.files}
    touched: set[date] = set()
    refused: list[str] = []
    notes: list[str] = []
    new: set[str] = set()
    for file in whole(folder.list(part.paths), now=now, settle_seconds=part.settle_seconds):
        if file.mark in marks:
            continue
        data = folder.get(file)
        content = digest(data)
        home = homes.get(file.path, day)
        if content in digests:
            notes.append(f"{file.path} has the content of a file that was taken before")
            rows, why = _nothing(contract), ""
            if file.path in homes:
                continue  # it was touched, no more
        else:
            rows, why, more = _rows(lake, part, contract, file, data, day=home, run=run)
            new |= set(more)
        digests.add(content)
        refused += [f"{file.path}: {why}"] if why else []
        taken = Taken(path=file.path, mark=file.mark, digest=content, rows=rows.num_rows)
        slices.setdefault(home, _Slice(files=[])).put(taken, rows, lake=lake, contract=contract)
        touched.add(home)
    total = 0
    columns = sorted({*known, *noted(new)})
    for one in sorted(touched):
        found = slices[one]
        table = pa.concat_tables([_nothing(contract), *(found.rows or [])], promote_options="default")
        names = [file.plain() for file in found.files]
        total += lake.publish(contract, {one: table}, run=run, taken=names, notes=columns)[0].rows
    changed = bool(touched)
    return Collected(rows=total, refused=tuple(refused), new=tuple(sorted(new)), notes=tuple(notes), changed=changed)


def _rows(
    lake: Lake, part: Files, contract: Dataset, file: Dropped, data: bytes, *, day: date, run: str
) -> tuple[pa.Table, str, Sequence[str]]:
    """The rows of a file that can be published, why none can, and the columns that are new; bad rows are set apart."""
    name = f"{part.dataset} {file.path}"
    try:
        table = parse(data, part)
    except UnreadableError as error:
        whole_ = pa.table({"file": [file.path], "bytes": [len(data)]})
        set_apart(lake, name, whole_, [str(error)], days=(day,), places=(day,), run=_named(run, file))
        return _nothing(contract), str(error), ()
    found = judge(contract, table, timezone=part.timezone)
    places = (day,) * found.bad.num_rows
    set_apart(lake, name, found.bad, found.reasons, days=(day,), places=places, run=_named(run, file))
    return found.good, found.refused, found.new


def _named(run: str, file: Dropped) -> str:
    return f"{run[:90]}.{digest(file.path.encode())[7:19]}"


def _nothing(contract: Dataset) -> pa.Table:
    table = schema(contract).empty_table()
    extra = [column for column in contract.loaded if column.name == "_extra"]
    return table.append_column("_extra", pa.array([], pa.string())) if extra else table
