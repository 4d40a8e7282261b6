"""The executor that Airflow's scheduler has beside its usual one: a task with `executor="DaskExecutor"` runs on Dask.

Airflow's own server lets a task start once: a second start of the same try is refused there, whoever asks. So what is
promised here is only that a task that is lost is told as failed, and that no task is started that may still run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads import ExecuteTask

from leandata.compute import IN_PROCESS
from leandata.errors import ComputeError
from pipelines.executor.cluster import Cluster, DaskCluster
from pipelines.executor.worker import Order

_AGAIN_SECONDS = 20.0
_PREFIX = "airflow-"


class DaskExecutor(BaseExecutor):
    """Runs as many tasks at a time as the cluster's workers offer; without a cluster, tasks wait in Airflow's queue.

    When Airflow's scheduler ends, tasks go on, and the next one takes them over by the name that Airflow gave each
    start (`external_executor_id`).
    """

    pre_assigns_external_executor_id = True

    def __init__(
        self,
        *arguments: Any,
        connect: Callable[[], Cluster] | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._most = self.parallelism
        self._connect = connect or _named_cluster
        self._clock = clock
        self._cluster: Cluster | None = None
        self._next_look = clock()
        self._keys: dict[Any, str] = {}
        self.parallelism = 0

    def heartbeat(self) -> None:
        """Start what waits where there is room, then look at what runs and how much room there is."""
        if self.parallelism:
            super().heartbeat()
        else:
            self.sync()

    @property
    def slots_available(self) -> int:
        """How many more tasks it can take: none while it has no cluster, whatever runs there still."""
        return max(0, super().slots_available)

    def sync(self) -> None:
        """Tell Airflow of every process that ended, and of every task that was lost."""
        try:
            cluster = self._ready()
            if cluster is None:
                return
            for key, name in list(self._keys.items()):
                if (outcome := cluster.outcome(name)) is None:
                    continue
                del self._keys[key]
                if outcome:
                    self.fail(key, info=outcome)
                else:
                    self.success(key)
            self.parallelism = min(self._most, cluster.slots())
        except ComputeError as error:
            self._lost(error)

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        """Start them; those that the cluster does not take stay in the queue."""
        for workload in workload_items:
            if not isinstance(workload, ExecuteTask):
                raise TypeError(f"{type(workload).__name__} is no task: the first executor runs it")
            name = f"{_PREFIX}{workload.ti.external_executor_id}"
            try:
                if (cluster := self._cluster) is None:
                    return
                cluster.submit(
                    Order(key=name, workload=workload.model_dump_json()), priority=workload.ti.priority_weight
                )
            except ComputeError as error:
                self._lost(error)
                return
            self._keys[workload.key] = name
            self.running.add(workload.key)
            del self.queued_tasks[workload.key]

    def try_adopt_task_instances(self, tis: Sequence[Any]) -> Sequence[Any]:
        """Take over what runs on the cluster; those that do not run are given back, and Airflow starts them again.

        When the cluster does not answer, all are taken: what still runs must not be started again.
        """
        left: list[Any] = []
        try:
            cluster = self._ready()
        except ComputeError as error:
            cluster = self._lost(error)
        for ti in tis:
            name = f"{_PREFIX}{ti.external_executor_id}"
            try:
                runs = bool(ti.external_executor_id) and (cluster is None or cluster.attach(name))
            except ComputeError as error:
                cluster, runs = self._lost(error), True
            if runs:
                self._keys[ti.key] = name
                self.running.add(ti.key)
            else:
                left.append(ti)
        return left

    def revoke_task(self, *, ti: Any) -> None:
        """Forget the task and end its processes; Airflow has decided what becomes of it."""
        self.queued_tasks.pop(ti.key, None)
        self.running.discard(ti.key)
        name = self._keys.pop(ti.key, "")
        if name and self._cluster is not None:
            try:
                self._cluster.stop(name)
            except Exception as error:  # noqa: BLE001 - Airflow asks that nothing is raised here
                self.log.warning("the task %s could not be stopped: %s", name, error)

    def end(self) -> None:
        """Leave the cluster; tasks go on there."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def terminate(self) -> None:
        """As `end`: a task is ended by clearing or failing it, not by a scheduler that leaves."""
        self.end()

    def _ready(self) -> Cluster | None:
        """The cluster, or None until it is time to look for it again; what was running is attached to it anew."""
        if self._cluster is None and self._clock() >= self._next_look:
            self._next_look = self._clock() + _AGAIN_SECONDS
            self._cluster = cluster = self._connect()
            for key, name in list(self._keys.items()):
                if not cluster.attach(name):
                    del self._keys[key]
                    self.fail(key, info="the cluster lost it")
        return self._cluster

    def _lost(self, error: ComputeError) -> None:
        self.log.warning("tasks for Dask wait: %s", error)
        self.parallelism = 0
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


def _named_cluster() -> Cluster:
    address = os.environ.get("LEANDATA_DASK", "")
    if address == IN_PROCESS:
        raise ComputeError("whole tasks on Dask need a cluster", where=address, hint="Set LEANDATA_DASK to a scheduler")
    return DaskCluster.connect(address)
