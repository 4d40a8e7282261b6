"""The warehouse on one machine: the stand-in for Snowflake, a supervised process with the same layout."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

import pulumi

from infra.components.functions import Function
from infra.components.manifest import ProcessManifest
from infra.components.service import Program, Service
from infra.components.stack import Stack
from infra.components.warehouse import DatabaseLayout
from infra.provider import resources as machine

MANIFEST = {
    "name": "warehouse",
    "health": "/healthz",
    "ready": "",
    "start_timeout": "90s",
    "memory": "4GiB",
    "cpu": "2",
    "drain": "10s",
}


def make(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    layout: Sequence[DatabaseLayout],
    zones: Mapping[str, pulumi.Input[str]],
    functions: Sequence[Function],
) -> pulumi.Output[str]:
    """The process, then databases, schemas, file formats and stages; the address, known when all of it is there."""
    listen = stack.listen("warehouse")
    standin = stack.environment.root / "infra" / "standins" / "snowflake"
    manifest = ProcessManifest.model_validate(MANIFEST)
    program = Program(
        manifest=manifest,
        command=[
            *(os.fspath(standin / ".venv" / "bin" / "python"), os.fspath(standin / "launcher.py")),
            *("--port", str(listen.port), "--data", stack.folder("warehouse")),
            *("--functions", json.dumps([one.plain() for one in functions])),
        ],
        triggers=stack.code("infra/standins/snowflake/launcher.py"),
    )
    service = Service("warehouse-standin", stack=stack, programs=[program], parent=parent)
    address = f"snowflake://leandata@fakesnow?host={listen.host}&port={listen.port}&protocol=http"
    made: list[pulumi.Resource] = []
    for database in layout:
        made += _database(parent, stack=stack, database=database, address=address, zones=zones, needs=service)
    return pulumi.Output.all(*(resource.urn for resource in made)).apply(lambda _: address)


def _database(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    database: DatabaseLayout,
    address: str,
    zones: Mapping[str, pulumi.Input[str]],
    needs: Service,
) -> list[pulumi.Resource]:
    name = database.name
    process = needs.processes["warehouse"]
    made = machine.WarehouseDatabase(name, address=address, opts=stack.options(parent=parent, needs=[process]))
    schemas = [
        machine.WarehouseSchema(
            f"{name}.{schema}",
            address=address,
            database=name,
            schema=schema,
            opts=stack.options(parent=parent, needs=[made]),
        )
        for schema in database.schemas
    ]
    if not database.stage_zone:
        return [made, *schemas]
    options = stack.options(parent=parent, needs=list(schemas))
    schema = f"{name}.LAKE"
    file_format = machine.WarehouseFileFormat(
        f"{schema}.PARQUET",
        address=address,
        schema=schema,
        format_name="PARQUET",
        options="TYPE = PARQUET",
        opts=options,
    )
    url = pulumi.Output.from_input(zones[database.stage_zone]).apply(lambda zone: f"{zone.rstrip('/')}/")
    stage = machine.WarehouseStage(
        f"{schema}.FILES", address=address, schema=schema, stage_name="FILES", url=url, opts=options
    )
    return [made, *schemas, file_format, stage]
