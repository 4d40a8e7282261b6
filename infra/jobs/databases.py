"""Logical databases, roles and grants: `python -m infra.jobs.databases owner|reader --server ADDRESS ...`.

Everything may be repeated: what is there is kept, and passwords become what their files say. The administrator need
not be a superuser (on RDS it is not): it makes roles and databases, and acts as the owner where an owner is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from leandata.database import Connection, connect
from leandata.errors import DatabaseError, LeandataError
from leandata.settings import DatabaseAddress, read_secret

_LOCK = 19970102  # one such job at a time: concurrent grants fail with "tuple concurrently updated"
_PATIENCE = 120.0
_PAUSE = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A role that logs in with the password in a file; `settings` hold in each of its sessions."""

    name: str
    password_file: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


def reading(name: str, password_file: Path, *, statement_timeout: int) -> Role:
    """A role whose transactions are read-only, and whose queries may take `statement_timeout` milliseconds (0: any)."""
    settings = {"default_transaction_read_only": "on"}
    if statement_timeout:
        settings["statement_timeout"] = f"{statement_timeout}ms"
    return Role(name=name, password_file=password_file, settings=settings)


def make_owner(server: DatabaseAddress, *, database: str, owner: Role) -> None:
    """The role `owner` and the database that it owns; nobody else may connect unless granted. Raises DatabaseError."""
    with alone(server) as connection:
        _ensure_role(connection, owner)
        _ensure_database(connection, database, owner=owner.name)


def make_reader(server: DatabaseAddress, *, database: str, owner: str, schema: str, reader: Role) -> None:
    """The role `reader`, which sees every table, present and future, that `owner` has in `schema` of `database`.

    Raises DatabaseError.
    """
    with alone(server) as connection:
        _ensure_role(connection, reader)
        with contextlib.closing(reach(dataclasses.replace(server, database=database))) as inside:
            _ensure_grants(inside, database=database, schema=schema, owner=owner, reader=reader.name)


@contextlib.contextmanager
def alone(server: DatabaseAddress) -> Generator[Connection]:
    """A connection while no other job has one."""
    with contextlib.closing(reach(server)) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield connection


def reach(
    server: DatabaseAddress,
    *,
    patience: float = _PATIENCE,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Connection:
    """A connection that commits each statement; a server that is just starting is waited for.

    Raises DatabaseError when it is not reached within `patience` seconds.
    """
    deadline = now() + patience
    while True:
        try:
            return connect(server, autocommit=True)
        except DatabaseError:
            if now() >= deadline:
                raise
            pause(_PAUSE)


def _ensure_role(connection: Connection, role: Role) -> None:
    """Make the role, or give it this password and these settings and no others. No password is sent: only its hash."""
    name = sql.Identifier(role.name)
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role.name]).fetchone()
    if row is not None and row[0]:
        raise DatabaseError(f"the role {role.name} is a superuser", hint="Give the service a role of its own")
    if row is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    password = read_secret(role.password_file).encode()
    verifier = connection.pgconn.encrypt_password(password, role.name.encode(), b"scram-sha-256").decode()
    options = sql.SQL("ALTER ROLE {} LOGIN NOCREATEDB NOCREATEROLE PASSWORD {}")
    connection.execute(options.format(name, sql.Literal(verifier)))
    connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(name))
    for setting, value in sorted(role.settings.items()):
        change = sql.SQL("ALTER ROLE {} SET {} = {}")
        connection.execute(change.format(name, sql.Identifier(setting), sql.Literal(value)))


def _ensure_database(connection: Connection, database: str, *, owner: str) -> None:
    _join(connection, owner)
    name, whose = sql.Identifier(database), sql.Identifier(owner)
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
    verb = "ALTER DATABASE {} OWNER TO {}" if known else "CREATE DATABASE {} OWNER {}"
    connection.execute(sql.SQL(verb).format(name, whose))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def _ensure_grants(connection: Connection, *, database: str, schema: str, owner: str, reader: str) -> None:
    """All by the owner itself, so that the administrator needs no rights of its own in the database."""
    names = {"database": database, "schema": schema, "owner": owner, "reader": reader}
    with connection.transaction():
        for statement in (
            "SET LOCAL ROLE {owner}",
            "GRANT CONNECT ON DATABASE {database} TO {reader}",
            "CREATE SCHEMA IF NOT EXISTS {schema}",
            "GRANT USAGE ON SCHEMA {schema} TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
        ):
            filled = {name: sql.Identifier(value) for name, value in names.items()}
            connection.execute(sql.SQL(statement).format(**filled))  # pyright: ignore[reportArgumentType]


def _join(connection: Connection, owner: str) -> None:
    """Let an administrator that is no superuser act as `owner`: since PostgreSQL 16 making a role is not enough."""
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row is not None and not row[0]:
        grant = sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
        connection.execute(grant.format(sql.Identifier(owner)))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m infra.jobs.databases", description="Set up PostgreSQL.")
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
            sub.add_argument("--statement-timeout", type=int, default=0, help="milliseconds for one query (0: any)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what the command line says; one line for what was made, or for what is wrong."""
    options = parser().parse_args(arguments)
    try:
        server = DatabaseAddress.parse(options.server)
        if options.kind == "owner":
            owner = Role(name=options.owner, password_file=options.password_file)
            make_owner(server, database=options.database, owner=owner)
            print(f"{options.database} is there, owned by {options.owner}")
        else:
            reader = reading(options.role, options.password_file, statement_timeout=options.statement_timeout)
            make_reader(server, database=options.database, owner=options.owner, schema=options.schema, reader=reader)
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
