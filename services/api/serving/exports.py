"""A dataset as a file: the one that was made when it was published, or its rows; memory flat whatever its size.

A publication keeps its Parquet file, of which an Arrow stream is made; CSV is what PostgreSQL makes of the rows, by
COPY in one statement. A publication without a file, of a release before there were any, is read by COPY in batches.

The file is finished before the first byte is sent: a slow client holds no table that the next publication drops. It has
no name in the file system, is kept for the next who asks for the same publication, and is gone when it is closed.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import anyio
import psycopg

from leandata.contract import Dataset
from leandata.database import Connection, connect
from leandata.errors import DatabaseError
from leandata.serving import ROW_GROUP, parquet_writer, read_file
from leandata.settings import DatabaseAddress
from serving.problems import ProblemError

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_WAITING = 4
_KEPT_BYTES = 128 * 2**20
_CHUNK = 256 * 1024
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A kind of file."""

    name: Literal["csv", "parquet", "arrow"]
    media_type: str
    ending: str


FORMATS = {
    one.name: one
    for one in (
        Format(name="csv", media_type="text/csv; charset=utf-8", ending="csv"),
        Format(name="parquet", media_type="application/vnd.apache.parquet", ending="parquet"),
        Format(name="arrow", media_type="application/vnd.apache.arrow.stream", ending="arrows"),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A finished export: whoever has it reads it at any place; it is closed when nobody has it any more."""

    content: BinaryIO
    size: int

    def read(self, start: int) -> bytes:
        """The next 256 KiB from `start` on, b"" at the end."""
        return os.pread(self.content.fileno(), _CHUNK, start)


class Exports:
    """Writes one file at a time, each once for a publication; the newest few are kept while they are small enough."""

    def __init__(self, address: DatabaseAddress, *, kept_bytes: int = _KEPT_BYTES) -> None:
        self._address = address
        self._kept_bytes = kept_bytes
        self._writing = asyncio.Lock()
        self._waiting = 0
        self._files: OrderedDict[str, File] = OrderedDict()

    async def file(self, tag: str, dataset: Dataset, kind: Format, *, version: str) -> File:
        """The whole dataset as a file, of the published `version` that `tag` stands for. Raises ProblemError."""
        if tag in self._files:
            self._files.move_to_end(tag)
            return self._files[tag]
        if self._waiting >= _MOST_WAITING:
            raise ProblemError(503, "Several exports are being written; try again.", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._writing:
                if tag not in self._files:
                    self._keep(tag, await anyio.to_thread.run_sync(self._write, dataset, kind, version))
                return self._files[tag]
        finally:
            self._waiting -= 1

    def _keep(self, tag: str, file: File) -> None:
        self._files[tag] = file
        while len(self._files) > 1 and sum(one.size for one in self._files.values()) > self._kept_bytes:
            self._files.popitem(last=False)

    def _write(self, dataset: Dataset, kind: Format, version: str) -> File:
        content: BinaryIO = tempfile.TemporaryFile(prefix="leandata-export-")  # type: ignore[assignment]  # noqa: SIM115
        try:
            write(self._address, dataset, kind, content, version=version)
            content.flush()
            return File(content=content, size=content.seek(0, os.SEEK_END))
        except DatabaseError:
            content.close()
            raise ProblemError(503, "The database does not answer; try again.", headers={"Retry-After": "2"}) from None
        except BaseException:
            content.close()
            raise


def write(address: DatabaseAddress, dataset: Dataset, kind: Format, file: BinaryIO, *, version: str) -> None:
    """Write what is served of `dataset`: for Parquet and Arrow the file of `version`, where one was kept.

    Raises DatabaseError, psycopg.Error.
    """
    with connect(address, prompt=True) as connection, connection.cursor() as cursor:
        if kind.name == "csv":
            with cursor.copy(query(dataset, header=True, exact=True)) as copy:
                file.writelines(copy)
            return
        if _write_kept(connection, dataset, kind, file, version=version):
            return
        with cursor.copy(query(dataset, header=False, exact=False)) as copy:
            _write_batches(dataset, kind, _Blocks(copy), file)


def _write_kept(connection: Connection, dataset: Dataset, kind: Format, file: BinaryIO, *, version: str) -> bool:
    try:
        if kind.name == "parquet":
            return read_file(connection, dataset, version=version, file=file)
        with tempfile.TemporaryFile(prefix="leandata-export-") as kept:
            if found := read_file(connection, dataset, version=version, file=kept):
                _write_stream(dataset, kept, file)
            return found
    except psycopg.errors.UndefinedTable:  # a release before kept none
        connection.rollback()
        return False


def _write_stream(dataset: Dataset, kept: BinaryIO, file: BinaryIO) -> None:
    """Write a Parquet file as an Arrow stream."""
    import pyarrow as pa
    from pyarrow import parquet

    from leandata.tables import schema

    pa.set_memory_pool(pa.system_memory_pool())  # as below
    source = parquet.ParquetFile(kept)
    with pa.ipc.new_stream(file, schema(dataset)) as writer:
        for number in range(source.num_row_groups):
            writer.write_table(source.read_row_group(number, use_threads=False))


def query(dataset: Dataset, *, header: bool, exact: bool) -> bytes:
    """The COPY statement; `exact` writes moments as PostgreSQL does, else as Arrow reads them."""
    columns = ", ".join(
        f"to_char({one.name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS {one.name}"
        if one.type == "timestamp" and not exact
        else one.name
        for one in dataset.columns
    )
    options = "FORMAT csv, HEADER" if header else "FORMAT csv"
    return f"COPY (SELECT {columns} FROM serving.{dataset.table}) TO STDOUT ({options})".encode()


def _write_batches(dataset: Dataset, kind: Format, source: _Blocks, file: BinaryIO) -> None:
    import pyarrow as pa

    from leandata.tables import schema

    pa.set_memory_pool(pa.system_memory_pool())  # others keep what was once used, which is most of a small process
    found = schema(dataset)
    if kind.name == "arrow":
        with pa.ipc.new_stream(file, found) as writer:
            for batch in _batches(found, source):
                writer.write_batch(batch)
        return
    with parquet_writer(file, found) as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in _batches(found, source):
            waiting.append(batch)
            if sum(one.num_rows for one in waiting) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        writer.write_table(pa.Table.from_batches(waiting, schema=found))


def _batches(found: pa.Schema, source: _Blocks) -> Iterator[pa.RecordBatch]:
    """What comes in, typed by the contract; nothing where there is no row."""
    import pyarrow as pa
    from pyarrow import csv

    texts = any(pa.types.is_string(field.type) for field in found)
    try:
        reader = csv.open_csv(
            pa.PythonFile(source, mode="r"),
            read_options=csv.ReadOptions(column_names=found.names, block_size=_BLOCK, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=texts),
            convert_options=csv.ConvertOptions(
                column_types=found, null_values=[""], true_values=["t"], false_values=["f"],
                strings_can_be_null=True, quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return
        raise
    for batch in reader:
        yield pa.RecordBatch.from_arrays(batch.columns, schema=found)


class _Blocks:
    """What COPY sends, as a file that is read."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._blocks = iter(copy)
        self._rest = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end."""
        parts, length = [self._rest], len(self._rest)
        while length < size or size < 0:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(bytes(block))
            length += len(parts[-1])
        found = b"".join(parts)
        if size < 0:
            size = length
        self._rest = found[size:]
        return found[:size]

    def close(self) -> None:
        """Nothing is kept open."""
        self.closed = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False
