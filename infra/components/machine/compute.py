"""Dask on one machine: a scheduler and workers of one process each, without nannies: supervisord restarts them."""

from __future__ import annotations

import pulumi

from infra.components.manifest import ServiceManifest
from infra.components.service import Program, Service
from infra.components.settings import service_settings
from infra.components.stack import Stack

_SCHEDULER_SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "inf",
    "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "120s",
}


def make(parent: pulumi.Resource, *, stack: Stack, manifest: ServiceManifest) -> pulumi.Output[str]:
    """The scheduler and `[compute] workers` workers; the scheduler's address."""
    listen, page = stack.listen("dask-scheduler"), stack.listen("dask-dashboard")
    address = f"tcp://{listen.address}"
    size = stack.environment.file.compute
    settings = service_settings(stack, "dask", {})
    folder = stack.folder("dask")
    scheduler = Program(
        manifest=manifest.one("dask-scheduler"),
        command=[
            *(stack.python, "-m", "distributed.cli.dask_scheduler", "--host", listen.host, "--port", str(listen.port)),
            *("--dashboard-address", page.address),
        ],
        settings={**settings, **_SCHEDULER_SETTINGS, "DASK_TEMPORARY_DIRECTORY": folder},
        health=f"{page.url}/health",
    )
    workers = [
        Program(
            manifest=manifest.one("dask-worker").model_copy(update={"name": f"dask-worker-{number}"}),
            command=[
                *(stack.python, "-m", "distributed.cli.dask_worker", address, "--name", f"worker-{number}"),
                *("--host", listen.host, "--nthreads", str(size.threads), "--memory-limit", str(size.memory)),
                *("--no-nanny", "--no-dashboard", "--local-directory", folder),
            ],
            settings={**settings, "DASK_TEMPORARY_DIRECTORY": folder},
            start_after=["dask-scheduler"],
            triggers=stack.code("services/dask/tasks", "shared/leandata"),
        )
        for number in range(1, size.workers + 1)
    ]
    Service("dask", stack=stack, programs=[scheduler, *workers], parent=parent)
    return pulumi.Output.from_input(address)
