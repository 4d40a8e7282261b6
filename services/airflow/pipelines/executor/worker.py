"""What a Dask worker does for Airflow: `dask worker --preload pipelines.executor.worker --resources airflow=1`."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from leandata.errors import ComputeError
from pipelines.executor.guard import guard

RESOURCE = "airflow"
"""What a worker offers as many of as tasks it may run at a time."""
_PRELOAD = (
    "distributed.cli.dask_worker",
    "airflow.executors.base_executor",
    "airflow.executors.workloads",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "pipelines.executor.guard",
)
_LEFT_BEHIND = ("AIRFLOW__WORKERS__SOCKET_CLEANUP_TIMEOUT", "5")  # seconds a task that is over waits for its children
_lifelines: dict[str, Connection] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A task to run: its key on the cluster, and Airflow's workload as JSON; a token is in it, so it is not shown."""

    key: str
    workload: str = field(repr=False)


async def dask_setup(_worker: Any) -> None:
    """Before the worker takes tasks: a process that has imported Airflow, from which each task's own is forked."""
    os.environ.setdefault(*_LEFT_BEHIND)
    context = _context()
    first = context.Process(target=_nothing, daemon=True)
    first.start()
    first.join()


def run(order: Order) -> None:
    """Run the task in a process of its own, while this worker's thread is free for other work.

    Returns when the process ended; how the task fared, it told Airflow itself. Raises ComputeError when the process
    did not come to its end: Airflow refused to start it, it was killed, or `stop` was called.
    """
    from distributed import secede

    secede()
    perform(order, supervise)


def perform(order: Order, task: Callable[[str], None]) -> None:
    """Call `task` with the order's workload in a process of its own, under a guard; raises as `run` does."""
    context = _context()
    theirs, ours = context.Pipe(duplex=False)
    process = context.Process(target=guard, args=(task, order.workload, theirs), daemon=True)
    process.start()
    theirs.close()
    _lifelines[order.key] = ours
    try:
        process.join()
    finally:
        _lifelines.pop(order.key, None)
        ours.close()
    if process.exitcode != 0:
        raise ComputeError("the task's process did not come to its end", where=order.key)


def stop(key: str) -> bool:
    """End the task of that key with all its processes; whether it ran on this worker."""
    if (lifeline := _lifelines.pop(key, None)) is None:
        return False
    lifeline.close()
    return True


def supervise(workload: str) -> None:
    """Airflow's supervisor of one task, until the task is over. Raises what Airflow's does where it may not start."""
    from airflow.executors.base_executor import BaseExecutor
    from airflow.executors.workloads import ExecuteTask

    BaseExecutor.run_workload(ExecuteTask.model_validate_json(workload), subprocess_logs_to_stdout=False)


def _nothing() -> None:
    """What the first process does: by then the one it was forked from is warm."""


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")  # a worker has threads, so it must never be forked itself
    context.set_forkserver_preload(list(_PRELOAD))
    return context
