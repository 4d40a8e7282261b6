"""The compute cluster: a Dask scheduler and its workers."""

from __future__ import annotations

import pulumi

from infra.components.manifest import ServiceManifest
from infra.components.stack import Stack


class ComputeCluster(pulumi.ComponentResource):
    """`scheduler` is the address that clients connect to (tcp://...)."""

    scheduler: pulumi.Output[str]

    def __init__(self, name: str, *, stack: Stack, manifest: ServiceManifest) -> None:
        super().__init__("leandata:index:ComputeCluster", name)
        self.scheduler = stack.implementation("compute").make(self, stack=stack, manifest=manifest)
        self.register_outputs({"scheduler": self.scheduler})
