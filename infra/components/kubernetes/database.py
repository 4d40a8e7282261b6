"""PostgreSQL in the cluster: one pod with a claim, the stand-in for a managed server."""

from __future__ import annotations

from typing import Any

from infra.components import naming
from infra.components.database import DatabaseServer
from infra.components.kubernetes import logical
from infra.components.machine.database import server_settings
from infra.components.manifest import ProcessManifest
from infra.components.secret import Secret
from infra.components.service import Program, Service
from infra.components.stack import Stack

make_database = logical.make_database
make_reader = logical.make_reader
make_shop = logical.make_shop

_ADMIN = "postgres"
_STORAGE = 4 * 2**30
_MANIFEST = {
    "name": "postgres",
    "health": "tcp",
    "ready": "",
    "start_timeout": "300s",
    "memory": "512MiB",
    "cpu": "1",
    "drain": "30s",
}


def make_server(parent: DatabaseServer, *, name: str, stack: Stack) -> logical.Server:
    """The server's pod; how the Jobs that make databases in it reach it."""
    listen = stack.listen("postgres")
    password = Secret(naming.database_secret("admin"), stack=stack, parent=parent).path
    folder = stack.folder("postgres")
    settings = [part for setting in server_settings(stack.environment) for part in ("-c", setting)]
    program = Program(
        manifest=ProcessManifest.model_validate(_MANIFEST),
        command=[
            *("python", "-m", "infra.standins.postgres", "--host", listen.bind, "--port", str(listen.port)),
            *("--data", f"{folder}/data", "--password-file", password, *settings),
        ],
        storage={folder: _STORAGE},
    )
    service = Service(name, stack=stack, programs=[program], parent=parent)
    made: Any = service.processes["postgres"]
    return logical.Server(
        host=listen.host,
        port=listen.port,
        admin=_ADMIN,
        admin_password=password,
        needs=[made],
        identity=made.metadata.apply(lambda known: known.get("uid") or ""),
    )
