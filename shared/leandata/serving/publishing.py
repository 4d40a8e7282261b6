"""Publishing: a dataset is put in place of what is served of it, whole or not at all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

from leandata.contract import Dataset
from leandata.database import Connection
from leandata.errors import DatabaseError
from leandata.serving.contents import CONTENTS_SQL, described, digest, keep_content, known
from leandata.serving.files import FILES_SQL, keep_file
from leandata.serving.locks import Lock

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "serving"
_VERSION = re.compile(r"[a-z0-9_]{1,40}")
_TABLES = """
CREATE SCHEMA IF NOT EXISTS serving;
CREATE TABLE IF NOT EXISTS serving.freshness (
    dataset text PRIMARY KEY, version text NOT NULL, rows bigint NOT NULL, data_until date NOT NULL,
    published_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS serving.reports (
    week date PRIMARY KEY, status text NOT NULL, claimed_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz,
    message_id text);
ALTER TABLE serving.reports ADD COLUMN IF NOT EXISTS digest text NOT NULL DEFAULT '';
"""


def ensure_schema(connection: Connection) -> None:
    """Make the schema and its own tables unless they are there."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.SCHEMA])
        connection.execute(_TABLES)
        connection.execute(FILES_SQL)
        connection.execute(CONTENTS_SQL)


@contextlib.contextmanager
def writing(connection: Connection, table: LiteralString, *, lock: Lock) -> Generator[None]:
    """A transaction for one writer at a time, who holds `lock`; `table` makes what is written where it lacks."""
    ensure_schema(connection)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
        connection.execute(table)
        yield


def publish(
    connection: Connection, dataset: Dataset, table: pa.Table, *, version: str, data_until: date, mark: str = ""
) -> int:
    """Put `table` in place of what is served of `dataset`; readers see the old version or the new, never half.

    The rows go into a table of their own by COPY, then the view `serving.<table>` is turned to it and older tables are
    dropped, all in one transaction, which also keeps the rows as a file for exports. `mark` says where they are from
    (`renew`). Returns the rows. Raises DatabaseError for a version that cannot name a table, ContractError for a value
    that is not of the contract's type.
    """
    _demand(version)
    ensure_schema(connection)
    with _publishing(connection, dataset):
        _publish(connection, dataset, table, version=version, data_until=data_until)
        _note(connection, dataset, version=version, digest=digest(dataset, table), mark=mark)
    return table.num_rows


def publish_changed(
    connection: Connection, dataset: Dataset, table: pa.Table, *, version: str, data_until: date, mark: str = ""
) -> bool:
    """The same unless just these rows are served: then they stay as they are, of their version, and are only known to
    be right until `data_until`. Whether they were published. Raises what `publish` raises.
    """
    _demand(version)
    ensure_schema(connection)
    found = digest(dataset, table)
    with _publishing(connection, dataset):
        if known(connection, dataset)[0] == found:
            _still(connection, dataset, data_until=data_until)
            connection.execute(
                "UPDATE serving.contents SET mark = %s WHERE dataset = %s", [_marked(dataset, mark), dataset.name]
            )
            return False
        _publish(connection, dataset, table, version=version, data_until=data_until)
        _note(connection, dataset, version=version, digest=found, mark=mark)
    return True


def renew(connection: Connection, dataset: Dataset, *, mark: str, data_until: date) -> bool:
    """Say that what is served is right until `data_until` where it was published with this `mark` and by the contract
    as it is; whether that is so. With "" it never is.
    """
    ensure_schema(connection)
    with _publishing(connection, dataset):
        if not mark or known(connection, dataset)[1] != _marked(dataset, mark):
            return False
        _still(connection, dataset, data_until=data_until)
    return True


def _demand(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise DatabaseError(f"{version!r} cannot name a version", hint="Use lower-case letters, digits, underscore")


@contextlib.contextmanager
def _publishing(connection: Connection, dataset: Dataset) -> Generator[None]:
    """A transaction for one publisher of the dataset at a time."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [dataset.name])
        yield


def _publish(connection: Connection, dataset: Dataset, table: pa.Table, *, version: str, data_until: date) -> None:
    view, new = sql.Identifier(SCHEMA, dataset.table), sql.Identifier(SCHEMA, f"{dataset.table}__{version}")
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in dataset.columns)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(new))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(new, sql.SQL(dataset.postgres_columns())))  # pyright: ignore[reportArgumentType]
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(new, names)) as copy:
        for row in _rows(table, [column.name for column in dataset.columns]):
            copy.write_row(row)
    key = sql.SQL(", ").join(map(sql.Identifier, dataset.key))
    connection.execute(sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(new, key))
    connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
    connection.execute(sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(view, new))
    for old in _older(connection, dataset, version):
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(SCHEMA, old)))
    keep_file(connection, dataset, table, version=version)
    connection.execute(
        "INSERT INTO serving.freshness VALUES (%s, %s, %s, %s, now()) ON CONFLICT (dataset) DO UPDATE SET"
        " (version, rows, data_until, published_at) ="
        " (excluded.version, excluded.rows, excluded.data_until, excluded.published_at)",
        [dataset.name, version, table.num_rows, data_until],
    )


def _note(connection: Connection, dataset: Dataset, *, version: str, digest: str, mark: str) -> None:
    keep_content(connection, dataset, version=version, digest=digest, mark=_marked(dataset, mark))


def _still(connection: Connection, dataset: Dataset, *, data_until: date) -> None:
    connection.execute(
        "UPDATE serving.freshness SET data_until = %s WHERE dataset = %s AND data_until <> %s",
        [data_until, dataset.name, data_until],
    )


def _marked(dataset: Dataset, mark: str) -> str:
    """The mark for the contract as it is, "" without any."""
    return f"{mark} {described(dataset)}" if mark else ""


def _older(connection: Connection, dataset: Dataset, version: str) -> list[str]:
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'serving' AND starts_with(tablename, %s)"
        " AND tablename <> %s ORDER BY tablename",
        [f"{dataset.table}__", f"{dataset.table}__{version}"],
    ).fetchall()
    return [name for (name,) in rows]


def _rows(table: pa.Table, names: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in table.select(names).to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
