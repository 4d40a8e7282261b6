"""Make a logical database with its owner, or a read-only role: `python -m infra.jobs.databases owner|reader ...`.

It works with an administrator that is no superuser, as on RDS, and changes nothing when everything is as it should be
but passwords, which become what their files say.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql

from leandata.database import Connection, connect
from leandata.errors import DatabaseError, LeandataError
from leandata.settings import DatabaseAddress, read_secret

_PATIENCE = 120.0
_PAUSE = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """A role that reads all tables, present and future, of `owner` in `schema`; the timeout is in milliseconds."""

    role: str
    owner: str
    schema: str
    statement_timeout: int = 0


def make_owner(server: DatabaseAddress, *, database: str, owner: str, password: str) -> None:
    """The role `owner` and the database that it owns; nobody else may connect unless granted. Raises DatabaseError."""
    with opened(server) as connection:
        _role(connection, owner, password)
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        verb = "ALTER DATABASE {} OWNER TO {}" if known else "CREATE DATABASE {} OWNER {}"
        name, whose = sql.Identifier(database), sql.Identifier(owner)
        connection.execute(sql.SQL(verb).format(name, whose))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def make_reader(server: DatabaseAddress, *, database: str, reader: Reader, password: str) -> None:
    """The role, whose every transaction is read-only, and its grants in `database`. Raises DatabaseError."""
    settings = {"default_transaction_read_only": "on"}
    if reader.statement_timeout:
        settings["statement_timeout"] = f"{reader.statement_timeout}ms"
    parts = {"database": database, "owner": reader.owner, "role": reader.role, "schema": reader.schema}
    names = {name: sql.Identifier(value) for name, value in parts.items()}
    with opened(server) as connection:
        _role(connection, reader.role, password)
        connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(names["role"]))
        for setting, value in sorted(settings.items()):
            change = sql.SQL("ALTER ROLE {} SET {} = {}")
            connection.execute(change.format(names["role"], sql.Identifier(setting), sql.Literal(value)))
    with opened(replace(server, database=database)) as connection:
        for statement in (
            "GRANT {owner} TO CURRENT_USER",
            "GRANT CONNECT ON DATABASE {database} TO {role}",
            "CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}",
            "SET ROLE {owner}",
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
        ):
            connection.execute(sql.SQL(statement).format(**names))  # pyright: ignore[reportArgumentType]


def opened(server: DatabaseAddress, *, patience: float = _PATIENCE) -> Connection:
    """A connection; a server that is just starting is waited for up to `patience` seconds. Raises DatabaseError."""
    until = time.monotonic() + patience
    while True:
        try:
            return connect(server, autocommit=True)
        except DatabaseError:
            if time.monotonic() >= until:
                raise
            time.sleep(_PAUSE)


def _role(connection: Connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m infra.jobs.databases", description=__doc__)
    kinds = top.add_subparsers(dest="kind", required=True)
    for kind in ("owner", "reader"):
        sub = kinds.add_parser(kind)
        sub.add_argument("--server", required=True, help="postgresql://ADMIN@HOST:PORT/postgres?password_file=PATH")
        sub.add_argument("--database", required=True, help="the logical database")
        sub.add_argument("--owner", required=True, help="the role that owns it")
        sub.add_argument("--password-file", type=Path, required=True, help="the role's password")
        if kind == "reader":
            sub.add_argument("--role", required=True, help="the role that reads")
            sub.add_argument("--schema", required=True, help="where it reads")
            sub.add_argument("--statement-timeout", type=int, default=0, help="milliseconds for one query (0 = none)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what the command line says; one line for what was made, or for what is wrong."""
    options = parser().parse_args(arguments)
    try:
        server = DatabaseAddress.parse(options.server)
        password = read_secret(options.password_file)
        if options.kind == "owner":
            make_owner(server, database=options.database, owner=options.owner, password=password)
            print(f"{options.database} is there, owned by {options.owner}")
        else:
            reader = Reader(
                role=options.role,
                owner=options.owner,
                schema=options.schema,
                statement_timeout=options.statement_timeout,
            )
            make_reader(server, database=options.database, reader=reader, password=password)
            print(f"{options.role} may read {options.database}.{options.schema}")
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except psycopg.Error as error:
        print(f"error: PostgreSQL refuses: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
