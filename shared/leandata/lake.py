"""The lake: write-once files, each set of them made known by a manifest that is written last.

    shop/orders/dt=2026-11-16/<run>.parquet
    _manifest/shop/orders/dt=2026-11-16/<run>.json

A reader looks at manifests only: what has none was never published. Nothing is changed or overwritten, so a slice that
is collected again with other rows gets a new manifest, and the newest counts.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from leandata.contract import Dataset
from leandata.errors import LakeError, SettingsError
from leandata.settings import LakeAddress
from leandata.tables import schema

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
_WHOLE = "all"
_WRITERS = 8
_MAY_LACK = ("taken", "notes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What one run published of one slice: its files (paths in the lake), rows, bytes, and when (UTC, ISO 8601).

    `taken` names the files of a source whose rows are in the slice; `notes` is what was seen of the source's schema.
    """

    dataset: str
    dt: str
    run: str
    files: tuple[str, ...]
    rows: int
    bytes: int
    schema: str
    created: str
    taken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def day(self) -> date | None:
        """The slice's day; None for a dataset without days."""
        return None if self.dt == _WHOLE else date.fromisoformat(self.dt)


class Lake:
    """One zone of the lake, at an address such as `leandata.settings.LakeAddress` reads; `url` is without options."""

    def __init__(self, url: str) -> None:
        try:
            address = LakeAddress.parse(url)
            self.url = address.place
            self._store: Any = store(address)
        except SettingsError as error:
            raise LakeError(f"the lake cannot be opened: {error.what}", where=error.where) from error
        except (BaseError, OSError, ValueError) as error:
            raise LakeError(f"the lake cannot be opened: {_line(error)}", where=self.url) from error

    def publish(
        self,
        dataset: Dataset,
        slices: Mapping[date | None, pa.Table],
        *,
        run: str,
        taken: Sequence[str] = (),
        notes: Sequence[str] = (),
        keep: bool = False,
    ) -> list[Manifest]:
        """Write each slice's rows (typed by the contract) and then its manifest; sorted by day.

        The loaded columns `_dt`, `_run` and `_row` are added, and `_extra` is empty where the rows have none. An empty
        slice gets a manifest without files. Repeated under the same run, it finds its own work and changes nothing.
        `taken` and `notes` go into each manifest. With `keep`, a slice whose newest manifest holds just this already
        stays as it is, and that manifest is returned. Raises LakeError.
        """
        if not _RUN.fullmatch(run):
            raise LakeError(f"{run!r} cannot name a run", hint="Use letters, digits, dot, dash and underscore")
        days = sorted(slices, key=lambda day: day or date.min)
        publish = functools.partial(self._publish, dataset, run=run, taken=tuple(taken), notes=tuple(notes))
        known = self.latest(dataset) if keep and days else {}

        def put(day: date | None) -> Manifest:
            found = known.get(day)
            said = (tuple(taken), tuple(notes))
            if found and (found.taken, found.notes) == said and self._holds(found, dataset, slices[day]):
                return found
            return publish(day, slices[day])

        with ThreadPoolExecutor(max_workers=_WRITERS) as pool:
            return list(pool.map(put, days))

    def manifests(self, dataset: Dataset) -> list[Manifest]:
        """Every manifest of a dataset, oldest first."""
        folder = f"_manifest/{_folder(dataset)}"
        try:
            names = [entry["path"] for batch in self._store.list(prefix=folder) for entry in batch]
            with ThreadPoolExecutor(max_workers=_WRITERS) as pool:
                found = list(pool.map(self._manifest, names))
        except BaseError as error:
            raise LakeError(f"the lake cannot be listed: {_line(error)}", where=f"{self.url}/{folder}") from error
        return sorted(found, key=lambda manifest: (manifest.created, manifest.run))

    def latest(self, dataset: Dataset) -> dict[date | None, Manifest]:
        """The newest manifest of each slice, by day."""
        newest = {manifest.day: manifest for manifest in self.manifests(dataset)}
        return dict(sorted(newest.items(), key=lambda item: item[0] or date.min))

    def read(self, manifest: Manifest, dataset: Dataset) -> pa.Table:
        """The rows of a slice, in the order they were written. Raises LakeError when a file is lost."""
        tables = [self._table(path) for path in manifest.files]
        return pa.concat_tables(tables) if tables else schema(dataset, stored=True).empty_table()

    def put(self, path: str, data: bytes) -> bool:
        """Write a file of another kind, once; False when it is there. Raises LakeError."""
        return self._create(path, data)

    def get(self, path: str) -> bytes:
        """A file of another kind. Raises LakeError when it is lost."""
        try:
            return bytes(self._store.get(path).bytes())
        except (BaseError, FileNotFoundError) as error:
            raise LakeError(f"a file is lost: {_line(error)}", where=f"{self.url}/{path}") from error

    def _holds(self, manifest: Manifest, dataset: Dataset, table: pa.Table) -> bool:
        """Whether the slice is whole and has just these rows, in this order and typed as the contract has it now."""
        wanted = _with_loaded(dataset, table, day=manifest.day, run=manifest.run)
        if (manifest.rows, manifest.schema) != (wanted.num_rows, _mark(wanted)):
            return False
        try:
            return self.read(manifest, dataset).cast(wanted.schema).equals(wanted)
        except (LakeError, OSError, pa.ArrowException):
            return False  # it is lost or damaged: published again, it is there again

    def _table(self, path: str) -> pa.Table:
        try:
            data = self._store.get(path).bytes()
        except (BaseError, FileNotFoundError) as error:
            raise LakeError(f"a published file is lost: {_line(error)}", where=f"{self.url}/{path}") from error
        return pq.read_table(io.BytesIO(bytes(data)))

    def _publish(
        self,
        dataset: Dataset,
        day: date | None,
        table: pa.Table,
        *,
        run: str,
        taken: tuple[str, ...],
        notes: tuple[str, ...],
    ) -> Manifest:
        slice_ = f"{_folder(dataset)}/{'dt=' + day.isoformat() if day else _WHOLE}"
        path, size = f"{slice_}/{run}.parquet", 0
        stored = _with_loaded(dataset, table, day=day, run=run)
        if stored.num_rows:
            buffer = io.BytesIO()
            pq.write_table(stored, buffer, compression="zstd", store_schema=False)
            data = buffer.getvalue()
            size = len(data)
            self._create(path, data)
        manifest = Manifest(
            dataset=dataset.name,
            dt=day.isoformat() if day else _WHOLE,
            run=run,
            files=(path,) if stored.num_rows else (),
            rows=stored.num_rows,
            bytes=size,
            schema=_mark(stored),
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            taken=taken,
            notes=notes,
        )
        name = f"_manifest/{slice_}/{run}.json"
        # What is empty is left out: a release before this one reads manifests too.
        said = {key: value for key, value in asdict(manifest).items() if value or key not in _MAY_LACK}
        text = json.dumps(said, sort_keys=True)
        return manifest if self._create(name, text.encode()) else self._manifest(name)

    def _create(self, path: str, data: bytes) -> bool:
        """Put a new object whole or not at all; False when the name is taken, by an earlier try of the same run."""
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise LakeError(f"the lake refused a file: {_line(error)}", where=f"{self.url}/{path}") from error
        return True

    def _manifest(self, path: str) -> Manifest:
        try:
            found: dict[str, Any] = json.loads(bytes(self._store.get(path).bytes()))
            files = tuple(found.pop("files"))
            taken, notes = (tuple(found.pop(key, ())) for key in _MAY_LACK)
            return Manifest(**found, files=files, taken=taken, notes=notes)
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            hint = "Remove it, and collect the slice again"
            raise LakeError("a manifest is damaged", where=f"{self.url}/{path}", hint=hint) from error


def store(address: LakeAddress) -> Any:
    """The folder or bucket at an address, as obstore opens it."""
    if address.place.startswith("file://"):
        return LocalStore(Path(address.place.removeprefix("file://")), mkdir=True)
    options: Any = address.options
    return S3Store.from_url(address.place, config=options, client_options={"allow_http": address.plain_http})


def _with_loaded(dataset: Dataset, table: pa.Table, *, day: date | None, run: str) -> pa.Table:
    count = table.num_rows
    values: dict[str, Any] = {
        "_dt": pa.array([day] * count, pa.date32()),
        "_run": pa.array([run] * count, pa.string()),
        "_row": pa.array(range(count), pa.int64()),
        "_extra": pa.nulls(count, pa.string()),
    }
    for column in dataset.loaded:
        if column.name != "_extra" or "_extra" not in table.column_names:
            table = table.append_column(column.name, values[column.name])
    stored = schema(dataset, stored=True)
    return table.select(stored.names).cast(stored)


def _mark(table: pa.Table) -> str:
    return hashlib.sha256(str(table.schema).encode()).hexdigest()[:16]


def _folder(dataset: Dataset) -> str:
    return dataset.name.replace(".", "/")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
