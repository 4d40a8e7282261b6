"""The warehouse on Snowflake: databases, schemas and stages of the layout, and those who may use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_snowflake as snowflake

from infra.components import naming
from infra.components.functions import DATABASE, SCHEMA, Function
from infra.components.secret import Secret
from infra.components.snowflake import integration, keys, provider
from infra.components.snowflake.account import make_account
from infra.components.snowflake.compute import make_warehouses
from infra.components.snowflake.plan import STAGES, Access, Place, Plan, plan, user
from infra.components.snowflake.roles import Roles, make_grants, make_memberships, make_metering, make_roles
from infra.components.stack import Stack
from infra.components.warehouse import DatabaseLayout
from leandata.datasets import CATALOG

_PYTHON = "3.11"


def make(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    layout: Sequence[DatabaseLayout],
    zones: Mapping[str, pulumi.Input[str]],
    functions: Sequence[Function],
) -> pulumi.Output[str]:
    """All of it; the account's address, known when all of it is there: `components.connections.address_of` adds who."""
    said = provider.table(stack.environment)
    planned = plan(layout, manifests=naming.services(stack.environment.root), catalog=CATALOG)
    account = make_account(parent, stack=stack)
    roles = make_roles(parent, stack=stack, plan=planned)
    databases, schemas = _make_databases(parent, stack=stack, layout=layout)
    grants = make_grants(parent, stack=stack, plan=planned, roles=roles, databases=databases, schemas=schemas)
    make_memberships(parent, stack=stack, plan=planned, roles=roles)
    make_metering(parent, stack=stack, plan=planned, roles=roles)
    make_warehouses(parent, stack=stack, plan=planned, roles=roles)
    integrated = integration.make_integration(parent, stack=stack, layout=layout, zones=zones)
    read = {zone: [*made, *grants] for zone, made in integrated.items()}  # rights on what will be come before it
    for database in layout:
        if database.stage_zone:
            place = Place(database=database.name, schema=STAGES)
            reader = roles[Access(place=place, level="READ").role]
            grants += integration.make_stage(
                parent, stack=stack, database=database, schemas=schemas, zones=zones, reader=reader, needs=read
            )
    ready = [*grants, *_make_functions(parent, stack=stack, functions=functions, schemas=schemas, needs=list(grants))]
    users = _make_users(parent, stack=stack, plan=planned, roles=roles, policy=account.programs)
    # Hyphens for underscores: the account's name becomes the name of a host.
    account = f"{said.organization}-{said.account}".lower().replace("_", "-")
    address = f"snowflake://{account}"
    return pulumi.Output.all(*(made.urn for made in [*ready, *users])).apply(lambda _: address)


def _make_databases(
    parent: pulumi.Resource, *, stack: Stack, layout: Sequence[DatabaseLayout]
) -> tuple[dict[str, snowflake.Database], dict[Place, snowflake.Schema]]:
    """Databases and schemas, owned by SYSADMIN; in a schema nobody but its owner gives rights."""
    days = provider.table(stack.environment).retention_days
    owned = provider.options(stack, admin="SYSADMIN", parent=parent, protect=True)
    databases: dict[str, snowflake.Database] = {}
    schemas: dict[Place, snowflake.Schema] = {}
    for one in layout:
        databases[one.name] = snowflake.Database(
            one.name,
            name=one.name,
            comment=f"{', '.join(one.schemas)}",
            data_retention_time_in_days=days,
            drop_public_schema_on_creation=True,
            opts=owned,
        )
        for schema in one.schemas:
            schemas[Place(database=one.name, schema=schema)] = snowflake.Schema(
                f"{one.name}.{schema}",
                name=schema,
                database=databases[one.name].name,
                comment="Rights are given to the roles READ and WRITE of this schema",
                data_retention_time_in_days=days,
                with_managed_access="true",
                opts=owned,
            )
    return databases, schemas


def _make_functions(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    functions: Sequence[Function],
    schemas: Mapping[Place, snowflake.Schema],
    needs: list[pulumi.Resource],
) -> list[pulumi.Resource]:
    """Functions in Python, owned by SYSADMIN; `needs` grants their use, as rights on what will be come before it."""
    schema = schemas[Place(database=DATABASE, schema=SCHEMA)]
    options = provider.options(stack, admin="SYSADMIN", parent=parent, needs=needs)
    return [
        snowflake.FunctionPython(
            one.full_name,
            name=one.name,
            database=schema.database,
            schema=schema.name,
            arguments=[
                snowflake.FunctionPythonArgumentArgs(arg_name=argument.name, arg_data_type=argument.type)
                for argument in one.arguments
            ],
            return_type=one.returns,
            runtime_version=_PYTHON,
            handler=one.handler,
            function_definition=one.source,
            null_input_behavior="RETURNS NULL ON NULL INPUT",
            return_results_behavior="IMMUTABLE",
            comment=one.comment,
            opts=options,
        )
        for one in functions
    ]


def _make_users(
    parent: pulumi.Resource, *, stack: Stack, plan: Plan, roles: Roles, policy: snowflake.NetworkPolicy
) -> list[pulumi.Resource]:
    """A user of type SERVICE for each service, with two slots for keys; the private half is its secret."""
    said = provider.table(stack.environment)
    known = keys.load(keys.place(stack.environment))
    made: list[pulumi.Resource] = []
    for one in plan.services:
        name, own = user(one.service), known.get(one.service, keys.NONE)
        secret = Secret(f"warehouse-{one.service}", stack=stack, kind="rsa", parent=parent)
        service = snowflake.ServiceUser(
            name,
            name=name,
            login_name=name,
            comment=one.comment,
            default_role=roles[one.role].name,
            default_secondary_roles_option="NONE",
            default_warehouse=said.serving("services"),
            network_policy=policy.name,
            rsa_public_key=own.slot(1) or None,
            rsa_public_key2=own.slot(2) or None,
            opts=provider.options(stack, admin="USERADMIN", parent=parent),
        )
        granted = snowflake.GrantAccountRole(
            f"{one.role}-to-user-{name}",
            role_name=roles[one.role].name,
            user_name=service.name,
            opts=provider.options(stack, admin="SECURITYADMIN", parent=parent, replaced=True),
        )
        made += [secret, service, granted]
    return made
