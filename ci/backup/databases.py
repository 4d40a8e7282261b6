"""PostgreSQL in a backup: each database by pg_dump in one snapshot with its totals, and the roles; and back again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from ci.backup.manifest import BackupError, Totals
from infra.provider.postgres_binaries import find_pg_bin
from leandata.settings import read_secret

Connection = psycopg.Connection[Any]
INBOX = "events"
_INBOX_TABLE = "events.inbox"
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg_toast%' ORDER BY 1, 2
"""
_DECIMALS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s AND data_type = 'numeric' ORDER BY 1
"""
_EVENT = ("event_id", "received_at", "type", "occurred_at", "customer_id", "payload")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """How a server is reached as its superuser; the password lies in a file."""

    host: str
    port: int
    password_file: Path
    user: str = "postgres"

    @contextmanager
    def connect(self, database: str = "postgres", *, autocommit: bool = True) -> Generator[Connection]:
        """A connection that is closed at the end. Raises BackupError."""
        place = f"{self.host}:{self.port}/{database}"
        try:
            connection = psycopg.connect(
                host=self.host, port=self.port, user=self.user, password=read_secret(self.password_file),
                dbname=database, connect_timeout=5, autocommit=autocommit, application_name="leandata-backup",
            )  # fmt: skip
        except psycopg.Error as error:
            raise BackupError(f"PostgreSQL cannot be reached: {_line(error)}", where=place) from None
        try:
            with connection:
                yield connection
        except psycopg.Error as error:
            raise BackupError(f"PostgreSQL refused: {_line(error)}", where=place) from None

    def run(self, program: str, *arguments: str) -> str:
        """One of PostgreSQL's own programs against the server; what it printed. Raises BackupError."""
        given = ["--host", self.host, "--port", str(self.port), "--username", self.user, "--no-password"]
        environ = {"PGPASSWORD": read_secret(self.password_file), "PATH": os.defpath, "LANG": "C.UTF-8"}
        command = [str(find_pg_bin() / program), *given, *arguments]
        result = subprocess.run(command, cwd="/", env=environ, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            said = (result.stderr.strip().splitlines() or ["no reason given"])[0]
            raise BackupError(f"{program} failed: {said}", where=f"{self.host}:{self.port}")
        return result.stdout

    def databases(self) -> list[str]:
        """The databases that people made, sorted."""
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
        with self.connect() as connection:
            return [name for (name,) in connection.execute(query)]


def dump(server: Server, database: str, target: Path) -> Totals:
    """Write the database to `target` (pg_dump's custom form); the totals are of the very same snapshot."""
    with server.connect(database, autocommit=False) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        server.run("pg_dump", "--format=custom", f"--snapshot={row[0]}", f"--file={target}", f"--dbname={database}")
        return _totals(connection, database)


def totals(server: Server, databases: Sequence[str]) -> Totals:
    """Rows and sums of every table of these databases as they are now."""
    found: Totals = {}
    for database in databases:
        with server.connect(database, autocommit=False) as connection:
            found |= _totals(connection, database)
    return found


def roles(server: Server) -> str:
    """The statements that make the roles again, with their hashed passwords; not the superuser's."""
    text = server.run("pg_dumpall", "--roles-only")
    ours = (f"CREATE ROLE {server.user};", f"ALTER ROLE {server.user} ")
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(ours))


def restore(server: Server, dumps: Mapping[str, Path], *, role_statements: str, passwords: Mapping[str, str]) -> None:
    """Make the roles and the databases on a server that has none of them.

    A role whose password is in `passwords` gets that one: secrets may be newer than the backup. Raises BackupError.
    """
    strange = sorted(set(server.databases()) & set(dumps))
    if strange:
        raise BackupError(f"the database {strange[0]} is there already", where=f"{server.host}:{server.port}")
    plain = "\n".join(line for line in role_statements.splitlines() if not line.startswith("\\"))
    with server.connect() as connection:
        connection.execute(plain)  # pyright: ignore[reportArgumentType,reportCallIssue]
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role, password in sorted(passwords.items()):
            if role in known:
                change = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(change.format(sql.Identifier(role), sql.Literal(password)))
    for _, path in sorted(dumps.items()):
        server.run("pg_restore", "--create", "--exit-on-error", "--dbname=postgres", str(path))


@dataclass(frozen=True, kw_only=True, slots=True)
class Inbox:
    """The events of an inbox, each a row of `events.inbox`."""

    rows: tuple[tuple[Any, ...], ...]


def rescue(server: Server, *, since: str) -> Inbox | None:
    """The events that were received from `since` on (ISO 8601); None when there is no inbox to be read."""
    names = ", ".join(_EVENT)
    query = f"SELECT {names} FROM {_INBOX_TABLE} WHERE received_at >= %s ORDER BY received_at, event_id"
    try:
        with server.connect(INBOX) as connection:
            return Inbox(rows=tuple(connection.execute(query, [since]).fetchall()))  # pyright: ignore
    except BackupError:
        return None


def put_back_events(server: Server, inbox: Inbox) -> int:
    """Add the events that the restored inbox does not hold, with the moment they were received; how many it were."""
    names = ", ".join(_EVENT)
    query = f"INSERT INTO {_INBOX_TABLE} ({names}) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (event_id) DO NOTHING"
    added = 0
    if not inbox.rows:
        return added
    with server.connect(INBOX) as connection:
        for *values, payload in inbox.rows:
            added += connection.execute(query, [*values, Jsonb(payload)]).rowcount  # pyright: ignore
    return added


def newest_event(server: Server) -> str:
    """When the newest event was received (ISO 8601); "" when there is none."""
    with server.connect(INBOX) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [_INBOX_TABLE]).fetchone()
        if not row or not row[0]:
            return ""
        newest = connection.execute(f"SELECT max(received_at) FROM {_INBOX_TABLE}").fetchone()  # pyright: ignore
        return newest[0].isoformat() if newest and newest[0] else ""


def _totals(connection: Connection, database: str) -> Totals:
    found: Totals = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        columns = [name for (name,) in connection.execute(_DECIMALS, [schema, table]).fetchall()]
        wanted = [sql.SQL("count(*)"), *(sql.SQL("sum({})").format(sql.Identifier(name)) for name in columns)]
        query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(wanted), sql.Identifier(schema, table))
        row = connection.execute(query).fetchone()
        assert row is not None
        sums = {name: str(value or 0) for name, value in zip(columns, row[1:], strict=True)}
        found[f"{database}.{schema}.{table}"] = {"rows": row[0], "sums": sums}
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
