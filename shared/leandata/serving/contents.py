"""What rows a publication has, so that the same ones are not published again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, LiteralString

from leandata.contract import Dataset
from leandata.database import Connection

if TYPE_CHECKING:
    import pyarrow as pa

# The version stands here, too: what a release that knows nothing of this table publishes counts as unknown.
CONTENTS_SQL: Final[LiteralString] = (
    "CREATE TABLE IF NOT EXISTS serving.contents (dataset text PRIMARY KEY, version text NOT NULL,"
    " digest text NOT NULL, mark text NOT NULL);"
)
_FIND: Final[LiteralString] = """
SELECT digest, mark FROM serving.contents JOIN serving.freshness USING (dataset, version)
WHERE dataset = %(dataset)s AND to_regclass(%(view)s) IS NOT NULL AND EXISTS (
    SELECT 1 FROM serving.files WHERE files.dataset = %(dataset)s AND files.version = contents.version)
"""


def digest(dataset: Dataset, table: pa.Table) -> str:
    """A checksum of rows, their order, and what the contract says of them. Raises ContractError as `fitted` does."""
    import pyarrow as pa

    from leandata.tables import fitted

    sink = _Sink()
    sink.write(described(dataset).encode())
    rows = fitted(dataset, table).combine_chunks()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), rows.schema) as stream:
        stream.write_table(rows)
    return sink.sum.hexdigest()


def described(dataset: Dataset) -> str:
    """What of a contract shows in what is published."""
    return json.dumps([dataset.name, dataset.key, [asdict(column) for column in dataset.columns]])


def known(connection: Connection, dataset: Dataset) -> tuple[str, str]:
    """Digest and mark of what is served of a dataset; "" and "" where that is not known, or not whole."""
    asked = {"dataset": dataset.name, "view": f"serving.{dataset.table}"}
    row = connection.execute(_FIND, asked).fetchone()
    return (row[0], row[1]) if row else ("", "")


def keep_content(connection: Connection, dataset: Dataset, *, version: str, digest: str, mark: str) -> None:
    """Note what was published under that version; in the caller's transaction."""
    connection.execute(
        "INSERT INTO serving.contents VALUES (%s, %s, %s, %s) ON CONFLICT (dataset) DO UPDATE SET"
        " (version, digest, mark) = (excluded.version, excluded.digest, excluded.mark)",
        [dataset.name, version, digest, mark],
    )


class _Sink:
    """A file whose bytes only count."""

    closed = False

    def __init__(self) -> None:
        self.sum = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Count the next bytes."""
        self.sum.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""
