"""Sleep and wake: the plan from the graph, its edges against fakes, and a real supervisor on one machine."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from ci.programs import Program, Resource
from ci.sleep import Step, asleep, awake, carry_out
from ci.sleep_edges import Cloud, start, starting_order, stop
from ci.tests.graphs import deployment, graph, resource
from ci.verbs import sleep as verb
from infra.environment import Environment
from infra.provider.supervisor import Supervisor
from infra.testing import parts
from leandata.errors import LeandataError

WORKER = {"containers": [{"name": "x", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}


def kubernetes(type_: str, name: str, spec: dict[str, Any]) -> Resource:
    return resource(f"kubernetes:{type_}", name, {"metadata": {"name": name, "namespace": "ns"}, "spec": spec})


def environment() -> dict[str, Program]:
    """One of everything that sleeps, and some that does not."""
    scaler = {"minReplicas": 2, "maxReplicas": 6, "scaleTargetRef": {"name": "api"}}
    return graph(
        deployment("api", replicas=1),
        kubernetes("autoscaling/v2:HorizontalPodAutoscaler", "api-scaler", scaler),
        deployment("dash", replicas=3),
        deployment("off", replicas=0),
        kubernetes("apps/v1:StatefulSet", "triggerer", {"replicas": 1}),
        kubernetes("kubernetes.dask.org/v1:DaskCluster", "dask", {"worker": {"replicas": 4, "spec": WORKER}}),
        kubernetes("batch/v1:CronJob", "cleanup", {"schedule": "@daily"}),
        kubernetes("batch/v1:CronJob", "paused", {"schedule": "@daily", "suspend": True}),
        resource("aws:rds/instance:Instance", "db", {"identifier": "leandata-dev"}),
        resource("snowflake:index/warehouse:Warehouse", "load", {"name": "LOAD"}),
        resource("aws:kms/key:Key", "key"),
        resource("aws:eks/cluster:Cluster", "eks"),
    )


def test_what_uses_the_database_is_stopped_before_it() -> None:
    assert [str(step) for step in asleep(environment())] == [
        "CronJob ns/cleanup: suspend the schedule",
        "DaskCluster ns/dask: set workers to 0",
        "Deployment ns/api: scale to 0",
        "Deployment ns/dash: scale to 0",
        "StatefulSet ns/triggerer: scale to 0",
        "Warehouse LOAD: suspend",
        "RDS instance leandata-dev: stop",
    ]


def test_it_wakes_the_other_way_round_to_what_is_declared() -> None:
    assert [str(step) for step in awake(environment())] == [
        "RDS instance leandata-dev: start",
        "Warehouse LOAD: resume by the next query",
        "Deployment ns/api: scale to 2",
        "Deployment ns/dash: scale to 3",
        "StatefulSet ns/triggerer: scale to 1",
        "DaskCluster ns/dask: set workers to 4",
        "CronJob ns/cleanup: resume the schedule",
    ]


def test_what_is_put_to_sleep_is_what_wakes() -> None:
    names = [{(step.kind, step.namespace, step.name) for step in steps(environment())} for steps in (asleep, awake)]
    assert names[0] == names[1]
    assert all(step.count == 0 for step in asleep(environment()))
    assert all(step.count > 0 for step in awake(environment()))


def test_one_machine_has_nothing_of_it() -> None:
    assert asleep(graph(resource("machine:index:Process", "api", {"name": "api"}))) == []


class Recorder:
    """An edge that writes down what it is asked, and refuses what it is told to."""

    def __init__(self, *refused: str) -> None:
        self.calls: list[str] = []
        self._refused = refused

    def _call(self, name: str, said: str) -> None:
        if name in self._refused:
            raise LeandataError("Kubernetes refuses: Forbidden")
        self.calls.append(said)

    def scale(self, kind: str, namespace: str, name: str, *, count: int) -> None:
        self._call(name, f"scale {kind} {namespace}/{name} {count}")

    def workers(self, namespace: str, name: str, *, count: int) -> None:
        self._call(name, f"workers {namespace}/{name} {count}")

    def suspend(self, namespace: str, name: str, *, suspended: bool) -> None:
        self._call(name, f"suspend {namespace}/{name} {suspended}")

    def database(self, name: str, *, running: bool) -> None:
        self._call(name, f"database {name} {running}")

    def warehouse(self, name: str, *, running: bool) -> None:
        self._call(name, f"warehouse {name} {running}")


def test_every_step_is_carried_out_in_its_order() -> None:
    edge, said = Recorder(), []
    assert carry_out(asleep(environment()), edge, said=said.append) == []
    assert edge.calls == [
        "suspend ns/cleanup True",
        "workers ns/dask 0",
        "scale Deployment ns/api 0",
        "scale Deployment ns/dash 0",
        "scale StatefulSet ns/triggerer 0",
        "warehouse LOAD False",
        "database leandata-dev False",
    ]
    assert said == [str(step) for step in asleep(environment())]


def test_one_refusal_does_not_keep_the_rest_awake() -> None:
    edge = Recorder("api")
    problems = carry_out(asleep(environment()), edge, said=lambda _: None)
    assert problems == ["Deployment api: Kubernetes refuses: Forbidden"]
    assert len(edge.calls) == 6


# -- the clients -------------------------------------------------------------------------------------------------------


class Client:
    """Any client: every method is written down; `answers` are given, or raised when they are errors."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, *sorted(named.items())))
            answer = self._answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return method


class AwsError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}}


class SnowflakeError(Exception):
    def __init__(self, errno: int) -> None:
        super().__init__("000000: no such\nwarehouse")
        self.errno = errno


class ApiError(Exception):
    reason = "Forbidden"


def never() -> Any:
    raise AssertionError("this client is not needed")


def cloud(**clients: Any) -> Cloud:
    made = {name: (lambda client=client: client) for name, client in clients.items()}
    return Cloud(**{name: made.get(name, never) for name in ("kubernetes", "custom", "batch", "rds", "snowflake")})


@pytest.mark.parametrize(
    ("kind", "call"),
    [("Deployment", "patch_namespaced_deployment_scale"), ("StatefulSet", "patch_namespaced_stateful_set_scale")],
)
def test_replicas_are_set_by_the_scale_of_each_kind(kind: str, call: str) -> None:
    client = Client()
    cloud(kubernetes=client).scale(kind, "ns", "api", count=0)
    assert client.calls == [(call, "api", "ns", {"spec": {"replicas": 0}})]


def test_a_refusal_of_kubernetes_is_one_line() -> None:
    with pytest.raises(LeandataError, match=r"^Kubernetes refuses: Forbidden$"):
        cloud(kubernetes=Client(patch_namespaced_deployment_scale=ApiError())).scale("Deployment", "ns", "a", count=0)


def scaler(minimum: int, maximum: int, kept: str = "", cluster: str = "dask") -> dict[str, Any]:
    annotations = {"leandata.io/awake": kept} if kept else {}
    return {
        "metadata": {"name": f"{cluster}-scaler", "annotations": annotations},
        "spec": {"cluster": cluster, "minimum": minimum, "maximum": maximum},
    }


def patched(item: dict[str, Any], *, count: int) -> list[dict[str, Any]]:
    client = Client(list_namespaced_custom_object={"items": [item, scaler(1, 2, cluster="another")]})
    cloud(custom=client).workers("ns", "dask", count=count)
    assert client.calls[0][-2:] == ("dask", {"spec": {"worker": {"replicas": count}}})
    return [call[-1] for call in client.calls[2:]]


def test_the_autoscaler_of_workers_sleeps_too_and_remembers_its_bounds() -> None:
    assert patched(scaler(2, 8), count=0) == [
        {"metadata": {"annotations": {"leandata.io/awake": "2-8"}}, "spec": {"minimum": 0, "maximum": 0}}
    ]
    assert patched(scaler(0, 0, kept="2-8"), count=0) == [{"spec": {"minimum": 0, "maximum": 0}}], "twice is once"
    assert patched(scaler(0, 0, kept="2-8"), count=2) == [
        {"metadata": {"annotations": {"leandata.io/awake": None}}, "spec": {"minimum": 2, "maximum": 8}}
    ]
    assert patched(scaler(2, 8), count=2) == [{"spec": {"minimum": 2, "maximum": 8}}]


def test_a_schedule_is_suspended() -> None:
    client = Client()
    cloud(batch=client).suspend("ns", "cleanup", suspended=True)
    assert client.calls == [("patch_namespaced_cron_job", "cleanup", "ns", {"spec": {"suspend": True}})]


def test_a_database_server_is_stopped_and_started() -> None:
    client = Client()
    edge = cloud(rds=client)
    edge.database("d", running=False)
    edge.database("d", running=True)
    assert client.calls == [
        ("stop_db_instance", ("DBInstanceIdentifier", "d")),
        ("start_db_instance", ("DBInstanceIdentifier", "d")),
    ]


def test_a_database_server_that_is_stopped_already_is_no_problem_and_another_error_is() -> None:
    cloud(rds=Client(stop_db_instance=AwsError("InvalidDBInstanceState"))).database("d", running=False)
    with pytest.raises(LeandataError, match=r"AWS refuses: An error occurred \(AccessDenied\)"):
        cloud(rds=Client(stop_db_instance=AwsError("AccessDenied"))).database("d", running=False)


def test_a_warehouse_is_suspended_by_its_quoted_name_and_wakes_by_itself() -> None:
    cursor = Client()
    edge = cloud(snowflake=Client(cursor=cursor))
    edge.warehouse('LO"AD', running=False)
    edge.warehouse("LOAD", running=True)
    assert cursor.calls == [("execute", 'ALTER WAREHOUSE "LO""AD" SUSPEND')]


def test_a_warehouse_that_is_suspended_already_is_no_problem_and_another_error_is() -> None:
    cloud(snowflake=Client(cursor=Client(execute=SnowflakeError(90064)))).warehouse("W", running=False)
    with pytest.raises(LeandataError, match="Snowflake refuses: 000000: no such warehouse"):
        cloud(snowflake=Client(cursor=Client(execute=SnowflakeError(2003)))).warehouse("W", running=False)


def test_making_the_edge_touches_nothing() -> None:
    Cloud.of(Environment.load("dev", environ={}))


def test_a_step_says_what_it_does() -> None:
    assert str(Step(action="database", kind="RDS instance", namespace="", name="d", count=0)) == "RDS instance d: stop"


# -- the verb ----------------------------------------------------------------------------------------------------------


def options(**changed: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"dry": False, "json": False, **changed})


def test_what_is_saved_is_said_with_where_the_prices_are_from() -> None:
    whole = graph(
        resource("aws:eks/cluster:Cluster", "c"),
        deployment("a", memory="1Gi"),
        resource("aws:rds/instance:Instance", "d", {"instanceClass": "db.t4g.medium", "allocatedStorage": 20}),
        resource("aws:redshift/cluster:Cluster", "r"),
    )
    said = verb.savings("dev", whole)
    assert said.startswith(
        "Asleep it costs 76 instead of 217 US dollars a month: 142 saved (USD list prices of eu-central-1"
    )
    assert said.endswith("Not priced: 1.")


def test_production_never_sleeps() -> None:
    here = Environment.load("prod", environ={})
    with pytest.raises(LeandataError, match="prod does not sleep"):
        verb.to_sleep(here, options(dry=True))


# -- one machine -------------------------------------------------------------------------------------------------------


@pytest.fixture
def supervisor(tmp_path: Path) -> Generator[Supervisor]:
    found = Supervisor(tmp_path / "state")
    yield found
    found.shutdown()
    assert found.marked() == [], "a test has left a process"


def specification(name: str, *, priority: int) -> dict[str, Any]:
    return {
        "name": name, "command": ["sleep", "1000"], "env": {}, "secret_files": {}, "directory": "/tmp",
        "health": {"kind": "running", "url": "", "port": 0}, "start_timeout": 20.0, "memory_limit": 0,
        "log_max_bytes": 100_000, "log_backups": 1, "restart": "always", "stop_signal": "TERM", "stop_group": True,
        "stop_timeout": 5.0, "priority": priority, "triggers": {},
    }  # fmt: skip


@pytest.mark.integration
def test_processes_really_stop_stay_stopped_and_come_back_in_their_order(supervisor: Supervisor) -> None:
    for name, priority in (("worker", 500), ("database", 100)):
        supervisor.put(specification(name, priority=priority))
    assert parts.eventually(lambda: all(status.state == "RUNNING" for status in supervisor.status()))
    assert starting_order(supervisor) == ["database", "worker"]
    assert stop(supervisor) == ["database", "worker"]
    assert [status.pid for status in supervisor.status()] == [0, 0]
    assert stop(supervisor) == [], "twice is once"
    said: list[str] = []
    assert start(supervisor, said=said.append) == []
    assert [sentence.split()[0] for sentence in said] == ["database", "worker"]
    assert parts.eventually(lambda: all(status.pid for status in supervisor.status()))
    assert start(supervisor, said=said.append) == []
    assert len(said) == 2, "what runs is left alone"


@pytest.mark.integration
def test_the_verbs_sleep_and_wake_one_machine(supervisor: Supervisor, tmp_path: Path, capsys: Any) -> None:
    here = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")})
    with pytest.raises(LeandataError, match="nothing is deployed here"):
        verb.awaken(here, options())
    supervisor.put(specification("worker", priority=500))
    assert parts.eventually(lambda: supervisor.status()[0].state == "RUNNING")
    assert verb.to_sleep(here, options(dry=True)) == 0
    assert "worker would be stopped" in capsys.readouterr().out
    assert supervisor.status()[0].pid, "a dry run stops nothing"
    assert verb.to_sleep(here, options()) == 0
    assert capsys.readouterr().out == "worker is stopped\n`make wake` brings it back; data stays.\n"
    assert verb.to_sleep(here, options()) == 0
    assert capsys.readouterr().out == "nothing runs\n"
    assert verb.awaken(here, options(dry=True)) == 0
    assert capsys.readouterr().out == "worker would be started\nNothing was changed.\n"
    assert verb.awaken(here, options(json=True)) == 0
    assert '"ok": true' in capsys.readouterr().out
    assert parts.eventually(lambda: supervisor.status()[0].pid)
