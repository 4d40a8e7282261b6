"""What the executor tells Airflow, with a cluster whose every answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.executors.workloads import ExecuteCallback, ExecuteTask
from airflow.executors.workloads.base import BundleInfo
from airflow.executors.workloads.task import TaskInstanceDTO

from leandata.errors import ComputeError
from pipelines.dag_defaults import on_dask
from pipelines.executor.scheduling import DaskExecutor
from pipelines.executor.worker import Order


@dataclass
class FakeCluster:
    """A cluster that runs what it is given until it is told how that ended."""

    room: int = 2
    down: bool = False
    orders: dict[str, Order] = field(default_factory=dict)
    priorities: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    closed: int = 0
    breaks: bool = False

    def slots(self) -> int:
        self._answer()
        return self.room

    def submit(self, order: Order, *, priority: int) -> None:
        self._answer()
        assert order.key not in self.orders, "started twice"
        self.orders[order.key] = order
        self.priorities[order.key] = priority

    def attach(self, key: str) -> bool:
        self._answer()
        return key in self.orders and key not in self.ended

    def outcome(self, key: str) -> str | None:
        self._answer()
        return self.ended.get(key)

    def stop(self, key: str) -> None:
        if self.breaks:
            raise RuntimeError("no connection")
        self.stopped.append(key)

    def close(self) -> None:
        self.closed += 1

    def _answer(self) -> None:
        if self.down:
            raise ComputeError("the Dask scheduler does not answer")


@dataclass
class World:
    """An executor, its cluster, and what the clock says."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    now: float = 0.0
    connections: int = 0

    def __post_init__(self) -> None:
        self.executor = DaskExecutor(parallelism=4, connect=self.connect, clock=lambda: self.now)

    def connect(self) -> FakeCluster:
        self.connections += 1
        self.cluster.slots()
        return self.cluster

    def queue(self, *names: str, priority: int = 1) -> list[ExecuteTask]:
        """Tasks that Airflow's scheduler has queued."""
        made = [workload(name, priority=priority) for name in names]
        for one in made:
            self.executor.queue_workload(one, session=None)  # type: ignore[arg-type]
        return made

    def beat(self, *, times: int = 1) -> dict[str, tuple[str, Any]]:
        """Some heartbeats; what Airflow's scheduler reads after them, by the task's name."""
        for _ in range(times):
            self.executor.heartbeat()
        found = self.executor.get_event_buffer()
        return {key.task_id: (str(state), info) for key, (state, info) in found.items()}  # type: ignore[union-attr]


def workload(name: str, *, priority: int = 1) -> ExecuteTask:
    ti = TaskInstanceDTO(
        id=uuid4(), dag_version_id=uuid4(), task_id=name, dag_id="sales", run_id="today", try_number=1, map_index=-1,
        pool_slots=1, queue="default", priority_weight=priority, external_executor_id=f"start-of-{name}",
    )  # fmt: skip
    bundle = BundleInfo(name="dags-folder", version=None)
    return ExecuteTask(ti=ti, dag_rel_path=Path("sales.py"), token="a-token", log_path="log", bundle_info=bundle)


def key(name: str) -> str:
    return f"airflow-start-of-{name}"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "0123456789abcdef" * 4)
    return World()


def test_a_task_is_started_once_by_the_name_that_airflow_gave_this_start(world: World) -> None:
    (task,) = world.queue("load", priority=7)
    assert world.beat(times=3) == {}
    assert list(world.cluster.orders) == [key("load")]
    assert world.cluster.priorities == {key("load"): 7}
    sent = ExecuteTask.model_validate_json(world.cluster.orders[key("load")].workload)
    assert (sent.ti.id, sent.token) == (task.ti.id, "a-token")


def test_an_order_that_is_shown_somewhere_does_not_show_its_token(world: World) -> None:
    world.queue("load")
    world.beat(times=2)
    assert "a-token" not in repr(world.cluster.orders)


def test_how_a_task_s_process_ended_is_told_once(world: World) -> None:
    world.queue("load", "publish")
    world.beat(times=2)
    world.cluster.ended = {key("load"): "", key("publish"): "killed"}
    assert world.beat() == {"load": ("success", None), "publish": ("failed", "killed")}
    assert world.beat() == {}
    assert world.executor.running == set()


def test_no_more_tasks_run_than_the_workers_offer_and_the_most_urgent_are_first(world: World) -> None:
    world.queue("late", "later", priority=1)
    world.queue("first", priority=9)
    world.beat(times=3)
    assert list(world.cluster.orders) == [key("first"), key("late")]
    assert world.executor.slots_available == 0
    world.cluster.ended[key("first")] = ""
    world.beat(times=2)
    assert list(world.cluster.orders)[-1] == key("later")


def test_however_many_workers_there_are_airflow_s_own_bound_holds(world: World) -> None:
    world.cluster.room = 100
    world.queue(*(f"task-{number}" for number in range(9)))
    world.beat(times=3)
    assert len(world.cluster.orders) == 4


def test_without_a_cluster_tasks_wait_and_it_is_looked_for_every_twenty_seconds(world: World) -> None:
    world.cluster.down = True
    world.queue("load")
    assert world.beat(times=5) == {}
    assert world.connections == 1
    assert world.executor.slots_available == 0
    world.cluster.down, world.now = False, 20.0
    world.beat(times=2)
    assert list(world.cluster.orders) == [key("load")]


def test_a_cluster_that_is_lost_is_asked_again_and_what_it_still_runs_goes_on(world: World) -> None:
    world.queue("kept", "lost")
    world.beat(times=2)
    world.cluster.down, world.now = True, 30.0
    assert world.beat(times=3) == {}
    assert world.cluster.closed == 1
    del world.cluster.orders[key("lost")]
    world.cluster.down, world.now = False, 60.0
    assert world.beat(times=2) == {"lost": ("failed", "the cluster lost it")}
    world.cluster.ended[key("kept")] = ""
    assert world.beat() == {"kept": ("success", None)}


def test_a_cluster_that_is_lost_while_a_task_is_given_to_it_leaves_the_task_in_the_queue(world: World) -> None:
    world.beat()
    (task,) = world.queue("load")
    world.cluster.down = True
    assert world.beat() == {}
    assert task.key in world.executor.queued_tasks
    assert world.executor.running == set()


def test_a_scheduler_that_starts_takes_over_what_runs_and_gives_back_what_does_not(world: World) -> None:
    world.cluster.orders[key("running")] = Order(key=key("running"), workload="")
    running, gone, never = (workload(name).ti for name in ("running", "gone", "never"))
    never.external_executor_id = None
    assert list(world.executor.try_adopt_task_instances([running, gone, never])) == [gone, never]
    world.cluster.ended[key("running")] = ""
    assert world.beat() == {"running": ("success", None)}
    assert len(world.cluster.orders) == 1


def test_a_scheduler_that_starts_without_a_cluster_takes_all_over_for_what_may_run_must_not_run_twice(
    world: World,
) -> None:
    world.cluster.down = True
    tasks = [workload(name).ti for name in ("running", "gone")]
    world.cluster.orders[key("running")] = Order(key=key("running"), workload="")
    assert list(world.executor.try_adopt_task_instances(tasks)) == []
    world.cluster.down, world.now = False, 20.0
    assert world.beat() == {"gone": ("failed", "the cluster lost it")}


def test_a_task_that_is_revoked_is_stopped_and_nothing_is_told_of_it(world: World) -> None:
    (task,) = world.queue("load")
    world.beat(times=2)
    world.executor.revoke_task(ti=SimpleNamespace(key=task.key))  # type: ignore[arg-type]
    assert world.cluster.stopped == [key("load")]
    world.cluster.ended[key("load")] = "killed"
    assert world.beat() == {}
    assert world.executor.running == set()


def test_a_task_that_waits_is_revoked_without_asking_the_cluster_and_a_failure_to_stop_is_no_error(
    world: World,
) -> None:
    (waiting,) = world.queue("waiting")
    world.executor.revoke_task(ti=SimpleNamespace(key=waiting.key))  # type: ignore[arg-type]
    assert not world.executor.queued_tasks
    (task,) = world.queue("load")
    world.beat(times=2)
    world.cluster.breaks = True
    world.executor.revoke_task(ti=SimpleNamespace(key=task.key))  # type: ignore[arg-type]
    assert world.executor.running == set()
    assert world.cluster.stopped == []


@pytest.mark.parametrize("how", ["end", "terminate"])
def test_a_scheduler_that_leaves_stops_no_task(world: World, how: str) -> None:
    world.queue("load")
    world.beat(times=2)
    getattr(world.executor, how)()
    assert world.cluster.closed == 1
    assert world.cluster.stopped == []


def test_what_is_no_task_is_refused(world: World) -> None:
    with pytest.raises(TypeError, match="the first executor runs it"):
        world.executor._process_workloads([ExecuteCallback.model_construct()])


@pytest.mark.parametrize(
    ("executors", "chosen"),
    [
        ("", None),
        ("LocalExecutor", None),
        ("LocalExecutor,DaskExecutor:pipelines.executor.scheduling.DaskExecutor", "DaskExecutor"),
    ],
)
def test_a_task_asks_for_dask_only_where_airflow_has_workers_there(
    monkeypatch: pytest.MonkeyPatch, executors: str, chosen: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executors)
    assert on_dask() == chosen


@pytest.mark.parametrize(("address", "said"), [("", "no Dask scheduler"), ("in-process", "need a cluster")])
def test_without_an_address_of_a_cluster_no_other_one_is_made(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "0123456789abcdef" * 4)
    monkeypatch.setenv("LEANDATA_DASK", address)
    executor = DaskExecutor(parallelism=4)
    with pytest.raises(ComputeError, match=said):
        executor._connect()
