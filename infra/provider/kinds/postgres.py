"""PostgreSQL: the data folder of a server, roles, databases and what roles may read."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from infra.provider.kinds import shapes
from infra.provider.kinds.base import Kind, Made, Properties, ProviderError, World
from infra.provider.kinds.files import mark, read_secret
from infra.provider.kinds.shapes import Shape
from infra.provider.postgres_binaries import find_pg_bin, unprivileged

if TYPE_CHECKING:
    import psycopg

IDENTITY = "leandata-identity"
_CONNECT_SECONDS = 20.0
_OPTIONS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_GROUPS = """SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s ORDER BY 1"""


class PostgresCluster(Kind):
    """A data folder made by initdb, owned by the user that runs the server. Kept on delete: it holds the data."""

    shapes: ClassVar[dict[str, Shape]] = {"path": shapes.path, "password_file": shapes.path}
    replaced_by: ClassVar[dict[str, str]] = {"path": "a data folder is not moved"}

    def create(self, world: World, inputs: Properties) -> Made:
        path = Path(inputs["path"])
        if not (path / "PG_VERSION").exists() or not (path / IDENTITY).exists():
            self._initialise(world, path, password=Path(inputs["password_file"]))
        return Made(id=str(path), properties={**inputs, "identity": (path / IDENTITY).read_text(encoding="utf-8")})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        with contextlib.suppress(OSError):
            return {**properties, "path": id_, "identity": Path(id_, IDENTITY).read_text(encoding="utf-8")}
        return None

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_, properties

    @staticmethod
    def _initialise(world: World, path: Path, *, password: Path) -> None:
        """Make the folder under another name and put it in place when it is whole."""
        binaries = find_pg_bin()
        scratch = path.with_name(f"{path.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)
        scratch.mkdir(parents=True)
        secret = scratch.with_name(f"{scratch.name}.password")
        secret.write_text(read_secret(password), encoding="utf-8")
        secret.chmod(0o600)
        user = unprivileged(scratch, binaries)
        try:
            for owned in (scratch, secret):
                os.chown(owned, user.uid, user.gid)
            command = [
                *(*user.prefix, str(binaries / "initdb"), "-D", str(scratch), "-U", "postgres", "-E", "UTF8"),
                *("--auth=scram-sha-256", f"--pwfile={secret}", "--locale=C.UTF-8", "--no-sync"),
            ]
            result = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        finally:
            secret.unlink()
        if result.returncode != 0:
            said = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ProviderError(f"initdb failed: {said}", where=str(path))
        (scratch / IDENTITY).write_text(uuid.uuid4().hex, encoding="utf-8")
        scratch.replace(path)
        del world


class PostgresRole(Kind):
    """A role that logs in with the password in a file. Kept on delete: it may own databases that are kept.

    Drift is seen in what it may do (`options`), in whose member it is, in its settings, and in a login that is refused.
    """

    shapes: ClassVar[dict[str, Shape]] = {
        "name": shapes.identifier,
        "server": shapes.server,
        "role_password_file": shapes.path,
        "settings": shapes.texts,
    }
    replaced_by: ClassVar[dict[str, str]] = {"name": "a role is known by its name"}
    healthy: ClassVar[dict[str, Any]] = {"login": "accepted", "member_of": [], "options": _OPTIONS}

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        from psycopg import sql

        name = sql.Identifier(inputs["name"])
        password = read_secret(Path(inputs["role_password_file"]))
        with connect(inputs["server"]) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [inputs["name"]]).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            words = sql.SQL(_OPTIONS)
            connection.execute(sql.SQL("{} ROLE {} {} PASSWORD {}").format(verb, name, words, sql.Literal(password)))
            for (group,) in connection.execute(_GROUPS, [inputs["name"]]).fetchall():
                connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(group), name))
            connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(name))
            for setting, value in sorted(inputs["settings"].items()):
                change = sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
                connection.execute(change)
        return Made(id=inputs["name"], properties={**inputs, "fingerprint": mark(password.encode())})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        query = """SELECT rolconfig, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
            FROM pg_roles WHERE rolname = %s"""
        with _reachable(properties["server"]) as connection:
            if connection is None:
                return properties
            row = connection.execute(query, [id_]).fetchone()
            groups = [name for (name,) in connection.execute(_GROUPS, [id_]).fetchall()]
        if row is None:
            return None
        words = [word.removeprefix("NO") for word in _OPTIONS.split()]
        found = {
            "options": " ".join(word if given else f"NO{word}" for word, given in zip(words, row[1:], strict=True)),
            "member_of": groups,
            "login": _login(properties, id_) if row[1] else "accepted",
        }
        wrong = {name: value for name, value in found.items() if value != self.healthy[name]}
        settings = dict(setting.split("=", 1) for setting in row[0] or [])
        return {**properties, "name": id_, "settings": settings, **wrong}

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_, properties


class PostgresDatabase(Kind):
    """A logical database with its owner; nobody else may connect unless granted. Kept on delete."""

    shapes: ClassVar[dict[str, Shape]] = {
        "name": shapes.identifier,
        "server": shapes.server,
        "owner": shapes.identifier,
    }
    replaced_by: ClassVar[dict[str, str]] = {"name": "a database is known by its name"}
    healthy: ClassVar[dict[str, Any]] = {"public": [], "settings": {}}

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        from psycopg import sql

        name, owner = sql.Identifier(inputs["name"]), sql.Identifier(inputs["owner"])
        with connect(inputs["server"]) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [inputs["name"]]).fetchone()
            verb = "ALTER DATABASE {} OWNER TO {}" if known else "CREATE DATABASE {} OWNER {}"
            connection.execute(sql.SQL(verb).format(name, owner))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
            connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
            identity = self._identity(connection, inputs["name"])
        return Made(id=inputs["name"], properties={**inputs, "identity": identity})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
        with _reachable(properties["server"]) as connection:
            if connection is None:
                return properties
            row = connection.execute(query, [id_]).fetchone()
            if row is None:
                return None
            seen = {"name": id_, "owner": row[0], "identity": self._identity(connection, id_)}
            return {**properties, **seen, **self._loosened(connection, id_)}

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_, properties

    @staticmethod
    def _loosened(connection: psycopg.Connection[Any], name: str) -> Properties:
        """Settings of the database, and what everybody may do with it, where there are any: we give none."""
        query = """SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            WHERE d.datname = %s AND s.setrole = 0"""
        settings = dict(row[0].split("=", 1) for row in connection.execute(query, [name]).fetchall())
        asked = """SELECT p FROM unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p
            WHERE has_database_privilege('public', %s, p)"""
        public = [row[0] for row in connection.execute(asked, [name]).fetchall()]
        return {**({"settings": settings} if settings else {}), **({"public": public} if public else {})}

    @staticmethod
    def _identity(connection: psycopg.Connection[Any], name: str) -> str:
        query = "SELECT system_identifier || '-' || oid FROM pg_control_system(), pg_database WHERE datname = %s"
        row = connection.execute(query, [name]).fetchone()
        return str(row[0]) if row else ""


class PostgresGrants(Kind):
    """A role may connect to a database and read all tables, present and future, that an owner has in a schema."""

    shapes: ClassVar[dict[str, Shape]] = {
        "server": shapes.server,
        "database": shapes.identifier,
        "schema": shapes.identifier,
        "role": shapes.identifier,
        "owner": shapes.identifier,
    }
    replaced_by: ClassVar[dict[str, str]] = {
        "database": "grants lie in their database",
        "schema": "the old grants would stay",
        "role": "the old grants would stay",
        "owner": "the old grants would stay",
    }
    healthy: ClassVar[dict[str, Any]] = {"excess": [], "granted": True, "missing": []}

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        self._apply(
            inputs,
            "CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}",
            "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
            "REVOKE ALL ON SCHEMA {schema} FROM {role}",
            "REVOKE ALL ON DATABASE {database} FROM {role}",
            "GRANT CONNECT ON DATABASE {database} TO {role}",
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
        )
        id_ = "/".join(inputs[part] for part in ("database", "schema", "role"))
        return Made(id=id_, properties={**inputs, "granted": True})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world, id_
        names = {part: properties[part] for part in ("database", "schema", "role", "owner")}
        try:
            with connect(properties["server"], database=properties["database"], seconds=1.0) as connection:
                missing = [row[0] for row in connection.execute(_MISSING_GRANTS, names).fetchall()]
                excess = [row[0] for row in connection.execute(_EXCESS_GRANTS, names).fetchall()]
        except ProviderError:
            return {**properties, "granted": False}
        told = {name: rights for name, rights in (("missing", missing), ("excess", excess)) if rights}
        return {**properties, "granted": not missing, **told}

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_
        with contextlib.suppress(ProviderError):
            self._apply(
                properties,
                "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} REVOKE SELECT ON TABLES FROM {role}",
                "REVOKE SELECT ON ALL TABLES IN SCHEMA {schema} FROM {role}",
                "REVOKE USAGE ON SCHEMA {schema} FROM {role}",
                "REVOKE CONNECT ON DATABASE {database} FROM {role}",
                seconds=0.0,
            )

    @staticmethod
    def _apply(inputs: Properties, *statements: str, seconds: float = _CONNECT_SECONDS) -> None:
        from psycopg import sql

        names = {part: sql.Identifier(inputs[part]) for part in ("database", "schema", "role", "owner")}
        reached = connect(inputs["server"], database=inputs["database"], seconds=seconds)
        with reached as connection, connection.transaction():
            for statement in statements:
                connection.execute(sql.SQL(statement).format(**names))  # pyright: ignore[reportArgumentType]


_MISSING_GRANTS = """
SELECT 'CONNECT' WHERE NOT has_database_privilege(%(role)s, %(database)s, 'CONNECT')
UNION ALL SELECT 'the schema ' || %(schema)s WHERE to_regnamespace(quote_ident(%(schema)s)) IS NULL
UNION ALL SELECT 'USAGE' FROM pg_namespace
    WHERE nspname = %(schema)s AND NOT has_schema_privilege(%(role)s, oid, 'USAGE')
UNION ALL SELECT 'SELECT on ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND pg_get_userbyid(c.relowner) = %(owner)s
    AND NOT has_table_privilege(%(role)s, c.oid, 'SELECT')
UNION ALL SELECT 'SELECT on future tables' WHERE NOT EXISTS (
    SELECT 1 FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
    WHERE n.nspname = %(schema)s AND pg_get_userbyid(d.defaclrole) = %(owner)s AND d.defaclobjtype = 'r'
    AND pg_get_userbyid(a.grantee) = %(role)s AND a.privilege_type = 'SELECT')
ORDER BY 1"""
_EXCESS_GRANTS = """
SELECT a.privilege_type || ' on ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(c.relacl) a WHERE n.nspname = %(schema)s AND pg_get_userbyid(a.grantee) = %(role)s
    AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.privilege_type <> 'SELECT'
UNION ALL SELECT a.privilege_type || ' on the schema' FROM pg_namespace n, aclexplode(n.nspacl) a
    WHERE n.nspname = %(schema)s AND pg_get_userbyid(a.grantee) = %(role)s AND a.privilege_type <> 'USAGE'
UNION ALL SELECT a.privilege_type || ' on the database' FROM pg_database d, aclexplode(d.datacl) a
    WHERE d.datname = %(database)s AND pg_get_userbyid(a.grantee) = %(role)s AND a.privilege_type <> 'CONNECT'
ORDER BY 1"""


def _login(role: Properties, name: str) -> str:
    """Whether the role logs in with the password in its file; a file that is gone is the drift of its own resource."""
    server = {**role["server"], "user": name, "password_file": role["role_password_file"]}
    try:
        with connect(server, seconds=0.0):
            return "accepted"
    except ProviderError as error:
        return "refused" if "authentication failed" in error.what else "accepted"


@contextlib.contextmanager
def connect(
    server: Properties, *, database: str = "postgres", seconds: float = _CONNECT_SECONDS
) -> Generator[psycopg.Connection[Any]]:
    """A connection as the superuser; a server that is just starting is waited for up to `seconds`.

    Every PostgreSQL error becomes a ProviderError of one line.
    """
    import psycopg

    deadline = time.monotonic() + seconds
    password = read_secret(Path(server["password_file"]))
    while True:
        try:
            connection = psycopg.connect(
                host=server["host"], port=int(server["port"]), user=server["user"], password=password,
                dbname=database, connect_timeout=5, autocommit=True, application_name="leandata-provider",
            )  # fmt: skip
            break
        except psycopg.Error as error:
            if time.monotonic() > deadline:
                place = f"{server['host']}:{int(server['port'])}/{database}"
                raise ProviderError(f"PostgreSQL cannot be reached: {_line(error)}", where=place) from None
            time.sleep(0.1)
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise ProviderError(f"PostgreSQL refused: {_line(error)}", where=database) from None


@contextlib.contextmanager
def _reachable(server: Properties) -> Generator[psycopg.Connection[Any] | None]:
    """A connection, or None when the server does not run: its process is the drift then, not what lies in it."""
    try:
        manager = connect(server, seconds=0.0)
        connection = manager.__enter__()
    except ProviderError:
        yield None
        return
    with contextlib.closing(connection):
        yield connection


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
