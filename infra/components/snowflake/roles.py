"""The plan of roles carried out: account roles, the privileges of access roles, and who has which role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_snowflake as snowflake

from infra.components.functions import DATABASE, SCHEMA
from infra.components.snowflake import provider
from infra.components.snowflake.plan import ADMIN, STAGES, Access, Place, Plan
from infra.components.stack import Stack

Roles = Mapping[str, snowflake.AccountRole]
Kind = Literal["DATABASE", "FILE FORMATS", "FUNCTIONS", "SCHEMA", "STAGES", "TABLES", "VIEWS"]
USAGE_VIEWER = '"SNOWFLAKE"."USAGE_VIEWER"'
"""It reads the history of use in SNOWFLAKE.ACCOUNT_USAGE (docs.snowflake.com, "SNOWFLAKE database roles")."""
_OnObject = snowflake.GrantPrivilegesToAccountRoleOnAccountObjectArgs
_OnSchema = snowflake.GrantPrivilegesToAccountRoleOnSchemaArgs
_Future = snowflake.GrantPrivilegesToAccountRoleOnSchemaObjectFutureArgs
_OnThings = snowflake.GrantPrivilegesToAccountRoleOnSchemaObjectArgs


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Privileges:
    """What an access role may do with a kind of thing: with its database or schema, or with all that will lie in it."""

    kind: Kind
    names: tuple[str, ...]


def privileges(access: Access) -> Iterator[Privileges]:
    """The privileges of an access role. Tables come and go with what is loaded, so they are granted on future ones."""
    yield Privileges(kind="DATABASE", names=("USAGE",))
    if access.level == "WRITE":
        yield Privileges(kind="SCHEMA", names=("CREATE TABLE", "CREATE VIEW", "USAGE"))
        yield Privileges(kind="TABLES", names=("DELETE", "INSERT", "TRUNCATE", "UPDATE"))
        return
    yield Privileges(kind="SCHEMA", names=("USAGE",))
    if access.place.schema == STAGES:
        yield Privileges(kind="FILE FORMATS", names=("USAGE",))
        yield Privileges(kind="STAGES", names=("USAGE",))
        return
    if access.place == Place(database=DATABASE, schema=SCHEMA):
        yield Privileges(kind="FUNCTIONS", names=("USAGE",))
    yield Privileges(kind="TABLES", names=("SELECT",))
    yield Privileges(kind="VIEWS", names=("SELECT",))


def make_roles(parent: pulumi.Resource, *, stack: Stack, plan: Plan) -> dict[str, snowflake.AccountRole]:
    """Every role of the plan, by its name."""
    words = {"READ": "Reads what lies in", "WRITE": "Makes and changes what lies in"}
    comments = {one.role: f"{words[one.level]} {one.place.name}" for one in plan.access}
    comments |= {one.role: one.comment for one in plan.functional}
    options = provider.options(stack, admin="SECURITYADMIN", parent=parent)
    return {
        name: snowflake.AccountRole(name, name=name, comment=comment, opts=options)
        for name, comment in sorted(comments.items())
    }


def make_grants(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    plan: Plan,
    roles: Roles,
    databases: Mapping[str, snowflake.Database],
    schemas: Mapping[Place, snowflake.Schema],
) -> list[pulumi.Resource]:
    """What every access role may do, one grant a kind of thing."""
    options = provider.options(stack, admin="SECURITYADMIN", parent=parent, replaced=True)
    return [
        _grant(
            access, found, role=roles[access.role], database=databases[access.place.database],
            schema=schemas[access.place], options=options,
        )
        for access in plan.access
        for found in privileges(access)
    ]  # fmt: skip


def make_memberships(parent: pulumi.Resource, *, stack: Stack, plan: Plan, roles: Roles) -> list[pulumi.Resource]:
    """Which role has which."""
    options = provider.options(stack, admin="SECURITYADMIN", parent=parent, replaced=True)
    return [
        snowflake.GrantAccountRole(
            f"{role}-to-{holder}",
            role_name=roles[role].name,
            parent_role_name=ADMIN if holder == ADMIN else roles[holder].name,
            opts=options,
        )
        for role, holder in plan.memberships()
    ]


def make_metering(parent: pulumi.Resource, *, stack: Stack, plan: Plan, roles: Roles) -> list[pulumi.Resource]:
    """Who may read what warehouses used: Snowflake's own role for it, which only ACCOUNTADMIN grants."""
    options = provider.options(stack, admin="ACCOUNTADMIN", parent=parent, replaced=True)
    return [
        snowflake.GrantDatabaseRole(
            f"{one.role}-metering",
            database_role_name=USAGE_VIEWER,
            parent_role_name=roles[one.role].name,
            opts=options,
        )
        for one in plan.services
        if one.metering
    ]


def _grant(
    access: Access,
    found: Privileges,
    *,
    role: snowflake.AccountRole,
    database: snowflake.Database,
    schema: snowflake.Schema,
    options: pulumi.ResourceOptions,
) -> snowflake.GrantPrivilegesToAccountRole:
    name = f"{access.role}-{found.kind.replace(' ', '-')}"
    names = list(found.names)
    if found.kind == "DATABASE":
        target = _OnObject(object_type="DATABASE", object_name=database.name)
        return snowflake.GrantPrivilegesToAccountRole(
            name, account_role_name=role.name, privileges=names, on_account_object=target, opts=options
        )
    if found.kind == "SCHEMA":
        target = _OnSchema(schema_name=schema.fully_qualified_name)
        return snowflake.GrantPrivilegesToAccountRole(
            name, account_role_name=role.name, privileges=names, on_schema=target, opts=options
        )
    target = _OnThings(future=_Future(object_type_plural=found.kind, in_schema=schema.fully_qualified_name))
    return snowflake.GrantPrivilegesToAccountRole(
        name, account_role_name=role.name, privileges=names, on_schema_object=target, opts=options
    )
