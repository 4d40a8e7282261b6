"""What lies in databases and nobody has declared: roles, rights, databases, tables; and schemas of the warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.drift.model import Found
from infra.provider.kinds.base import ProviderError
from infra.provider.kinds.postgres import connect
from infra.provider.kinds.warehouse import opened

Resources = Mapping[str, Sequence[Mapping[str, Any]]]
_SYSTEM_SCHEMAS = frozenset({"INFORMATION_SCHEMA", "PUBLIC"})
_SYSTEM_DATABASES = frozenset({"SNOWFLAKE", "SNOWFLAKE_SAMPLE_DATA", "SYSTEM", "TEMP", "MEMORY"})
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND rolname <> 'postgres' ORDER BY 1"
_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
_CONNECTS = """SELECT d.datname, g.rolname, a.privilege_type FROM pg_database d, aclexplode(d.datacl) a
    JOIN pg_roles g ON g.oid = a.grantee WHERE g.oid <> d.datdba ORDER BY 1, 2, 3"""
_STRANGE = """SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END,
    n.nspname, c.relname, pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
    AND pg_get_userbyid(c.relowner) <> %s ORDER BY 2, 3"""
_READS = """SELECT n.nspname, c.relname, g.rolname, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
    JOIN pg_roles g ON g.oid = a.grantee WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND g.oid <> c.relowner GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


def in_databases(resources: Resources) -> Iterator[Found]:
    """Roles, databases, rights and relations of the PostgreSQL server that no stack declares.

    A relation is declared when the owner of its database owns it: services make theirs themselves. A right is when its
    role is granted that database by a stack.
    """
    databases = {one["id"]: (stack, one["outputs"]) for stack, one in of(resources, "PostgresDatabase")}
    if not databases:
        return
    stack, server = min((stack, str(name)) for name, (stack, _) in databases.items())[0], _server(databases)
    roles = {str(one["id"]) for _, one in of(resources, "PostgresRole")}
    granted = {(one["outputs"]["database"], one["outputs"]["role"]) for _, one in of(resources, "PostgresGrants")}
    try:
        with connect(server, seconds=0.0) as connection:
            for (name,) in connection.execute(_ROLES).fetchall():
                if name not in roles:
                    yield _found(stack, "role", name, "may log in or be granted", f'DROP ROLE "{name}"')
            for (name,) in connection.execute(_DATABASES).fetchall():
                if name not in databases:
                    yield _found(stack, "database", name, "not declared", f'DROP DATABASE "{name}"')
            for database, role, right in connection.execute(_CONNECTS).fetchall():
                if database in databases and (database, role) not in granted:
                    undo = f'REVOKE {right} ON DATABASE "{database}" FROM "{role}"'
                    yield _found(databases[database][0], "grant", database, f"{role}: {right}", undo)
    except ProviderError:
        return
    for name, (home, outputs) in sorted(databases.items()):
        yield from _inside(name, home, outputs, granted)


def _inside(database: str, stack: str, outputs: Mapping[str, Any], granted: set[tuple[str, str]]) -> Iterator[Found]:
    try:
        with connect(dict(outputs["server"]), database=database, seconds=0.0) as connection:
            for noun, schema, name, owner in connection.execute(_STRANGE, [outputs["owner"]]).fetchall():
                undo = f'in {database}: DROP {noun.upper()} "{schema}"."{name}"'
                yield _found(stack, noun, f"{database}.{schema}.{name}", f"of {owner}", undo)
            for schema, name, role, rights in connection.execute(_READS).fetchall():
                if (database, role) not in granted:
                    undo = f'in {database}: REVOKE {rights} ON "{schema}"."{name}" FROM "{role}"'
                    yield _found(stack, "grant", f"{database}.{schema}.{name}", f"{role}: {rights}", undo)
    except ProviderError:
        return


def in_warehouse(resources: Resources) -> Iterator[Found]:
    """Databases of the warehouse, and schemas in ours, that no stack declares."""
    databases = {str(one["id"]).upper(): stack for stack, one in of(resources, "WarehouseDatabase")}
    schemas = {str(one["id"]).upper() for _, one in of(resources, "WarehouseSchema")}
    addresses = [one["outputs"]["address"] for _, one in of(resources, "WarehouseDatabase")]
    if not addresses:
        return
    try:
        with opened(addresses[0], seconds=3) as warehouse:
            names = sorted(str(row["name"]).upper() for row in warehouse.query("SHOW DATABASES"))
            for name in names:
                if name not in databases and name not in _SYSTEM_DATABASES and not name.startswith("_"):
                    yield _found(min(databases.values()), "database", name, "not declared", f"DROP DATABASE {name}")
            for database, stack in sorted(databases.items()):
                rows = warehouse.query(f"SHOW SCHEMAS IN DATABASE {database}") if database in names else []
                for name in sorted(str(row["name"]).upper() for row in rows):
                    if f"{database}.{name}" not in schemas and name not in _SYSTEM_SCHEMAS and not name.startswith("_"):
                        whole = f"{database}.{name}"
                        yield _found(stack, "schema", whole, "not declared", f"DROP SCHEMA {whole}")
    except ProviderError:
        return


def _found(stack: str, type_: str, name: str, after: str, undo: str) -> Found:
    return Found(stack=stack, urn="", type=type_, name=name, kind="beside", after=after, by_hand=undo)


def _server(databases: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return dict(databases[min(databases)][1]["server"])


def of(resources: Resources, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources of our own provider of this kind, each with its stack, by stack."""
    for stack, many in sorted(resources.items()):
        yield from ((stack, one) for one in many if one["type"] == f"machine:index:{kind}" and one.get("id"))
