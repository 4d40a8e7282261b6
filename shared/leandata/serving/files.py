"""Each publication as a Parquet file beside its table, made once by who publishes: an export only passes it on.

Reading rows out of PostgreSQL is what takes an export its time: COPY makes text, or a value at a time in binary, of
each. The publisher has the rows in Arrow anyway, and the file is a tenth of the table's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, LiteralString

from leandata.contract import Dataset
from leandata.database import Connection

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from pyarrow import parquet

ROW_GROUP = 128 * 1024
"""Rows that are written, and read, at once."""
# EXTERNAL: Parquet is compressed already.
FILES_SQL: Final[LiteralString] = (
    "CREATE TABLE IF NOT EXISTS serving.files (dataset text, part integer, version text NOT NULL,"
    " content bytea STORAGE EXTERNAL NOT NULL, PRIMARY KEY (dataset, part))"
)
_PART = 2**20


def parquet_writer(file: BinaryIO | _Parts, found: pa.Schema) -> parquet.ParquetWriter:
    """What writes a dataset of this schema as Parquet, the same for whoever does it."""
    from pyarrow import parquet

    return parquet.ParquetWriter(file, found, compression="snappy")


def keep_file(connection: Connection, dataset: Dataset, table: pa.Table, *, version: str) -> None:
    """Keep the rows as the file of that version, in place of the dataset's file before; in the caller's transaction.

    Raises ContractError where a value is of no type of the contract.
    """
    from leandata.tables import fitted

    rows = fitted(dataset, table)
    connection.execute("DELETE FROM serving.files WHERE dataset = %s", [dataset.name])
    with connection.cursor().copy(
        "COPY serving.files (dataset, part, version, content) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.set_types(["text", "int4", "text", "bytea"])
        parts = _Parts(copy, dataset=dataset.name, version=version)
        with parquet_writer(parts, rows.schema) as writer:
            writer.write_table(rows, row_group_size=ROW_GROUP)
        parts.end()


def read_file(connection: Connection, dataset: Dataset, *, version: str, file: BinaryIO) -> bool:
    """Write the Parquet file of that version into `file`, part by part; whether there is one. Raises psycopg.Error."""
    query = "SELECT content FROM serving.files WHERE dataset = %s AND version = %s ORDER BY part"
    found = False
    with connection.cursor() as cursor:
        for (content,) in cursor.stream(query, [dataset.name, version], binary=True):
            file.write(content)
            found = True
    return found


class _Parts:
    """A file that is written, cut into rows of a mebibyte."""

    def __init__(self, copy: psycopg.Copy, *, dataset: str, version: str) -> None:
        self._copy, self._dataset, self._version = copy, dataset, version
        self._waiting = bytearray()
        self._number = 0
        self.closed = False

    def write(self, content: bytes) -> int:
        """Take the next bytes."""
        self._waiting += content
        while len(self._waiting) >= _PART:
            self._send(_PART)
        return len(content)

    def end(self) -> None:
        """Send what is left."""
        if self._waiting:
            self._send(len(self._waiting))

    def flush(self) -> None:
        """A part is sent when it is whole."""

    def close(self) -> None:
        """Nothing is kept open."""
        self.closed = True

    def _send(self, size: int) -> None:
        self._copy.write_row((self._dataset, self._number, self._version, bytes(self._waiting[:size])))
        del self._waiting[:size]
        self._number += 1
