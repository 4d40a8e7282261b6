"""The warehouse in the cluster: the stand-in for Snowflake in a pod, beside the lake whose files it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pulumi

from infra.components.functions import Function
from infra.components.machine.warehouse import MANIFEST
from infra.components.manifest import ProcessManifest
from infra.components.service import Program, Service
from infra.components.stack import Stack
from infra.components.warehouse import DatabaseLayout

_STORAGE = 8 * 2**30


def make(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    layout: Sequence[DatabaseLayout],
    zones: Mapping[str, pulumi.Input[str]],
    functions: Sequence[Function],
) -> pulumi.Output[str]:
    """The pod, which makes databases, schemas and stages as it starts; the address, known when it is ready."""
    listen, folder, lake = stack.listen("warehouse"), stack.folder("warehouse"), stack.folder("lake")
    first = pulumi.Output.all(*zones.values()).apply(lambda _: json.dumps(list(statements(layout, lake=lake))))
    program = Program(
        manifest=ProcessManifest.model_validate(MANIFEST),
        command=[
            *("/app/snowflake/.venv/bin/python", "infra/standins/snowflake/launcher.py"),
            *("--host", listen.bind, "--port", str(listen.port), "--data", folder, "--first", first),
            *("--functions", json.dumps([one.plain() for one in functions])),
        ],
        storage={folder: _STORAGE},
        shared={lake: "lake"},
    )
    service = Service("warehouse-standin", stack=stack, programs=[program], parent=parent)
    address = f"snowflake://leandata@fakesnow?host={listen.host}&port={listen.port}&protocol=http"
    return service.processes["warehouse"].urn.apply(lambda _: address)


def statements(layout: Sequence[DatabaseLayout], *, lake: str) -> Iterator[str]:
    """What makes the layout, and does no harm when it is there; stages read the lake's files at the folder `lake`."""
    for database in layout:
        yield f"CREATE DATABASE IF NOT EXISTS {database.name}"
        for schema in database.schemas:
            yield f"CREATE SCHEMA IF NOT EXISTS {database.name}.{schema}"
        if database.stage_zone:
            place = f"{database.name}.LAKE"
            yield f"CREATE OR REPLACE FILE FORMAT {place}.PARQUET TYPE = PARQUET"
            yield f"CREATE OR REPLACE STAGE {place}.FILES URL = 'file://{lake}/{database.stage_zone}/'"
