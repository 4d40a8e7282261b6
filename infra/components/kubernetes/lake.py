"""The lake in the cluster: a stand-in for S3 that keeps its objects on a claim."""

from __future__ import annotations

import pulumi

from infra.components.manifest import ProcessManifest
from infra.components.service import Program, Service
from infra.components.stack import Stack

_STORAGE = 8 * 2**30
_MANIFEST = {
    "name": "lake",
    "health": "/healthz",
    "ready": "",
    "start_timeout": "60s",
    "memory": "512MiB",
    "cpu": "1",
    "drain": "10s",
}


def make_zone(parent: pulumi.Resource, *, zone: str, stack: Stack) -> pulumi.Output[str]:
    """The bucket `zone` of the stand-in, which is made with the first zone; its s3:// address."""
    listen = stack.listen("lake")
    server = stack.once("lake", lambda: _Server(parent, stack))
    address = f"s3://{zone}?endpoint=http://{listen.address}"
    return server.processes["lake"].urn.apply(lambda _: address)


class _Server(Service):
    """The one server of all zones."""

    def __init__(self, parent: pulumi.Resource, stack: Stack) -> None:
        listen, folder = stack.listen("lake"), stack.folder("lake")
        program = Program(
            manifest=ProcessManifest.model_validate(_MANIFEST),
            command=[
                *("python", "-m", "infra.standins.lake", "--host", listen.bind, "--port", str(listen.port)),
                *("--data", folder),
            ],
            storage={folder: _STORAGE},
        )
        super().__init__("lake-standin", stack=stack, programs=[program], parent=parent)
