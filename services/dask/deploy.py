"""The compute cluster: one scheduler and its workers."""

from __future__ import annotations

from infra.components.compute import ComputeCluster
from infra.components.manifest import ServiceManifest
from infra.components.stack import Stack
from services.dask.outputs import DaskOutputs


def program() -> None:
    """Declare the cluster."""
    cluster = ComputeCluster("dask", stack=Stack.begin("dask"), manifest=ServiceManifest.load("dask"))
    DaskOutputs(scheduler=cluster.scheduler).export()


if __name__ == "__main__":
    program()
