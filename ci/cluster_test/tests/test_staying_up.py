"""Pods come and go: killed, drained, replaced under load; no request, no acknowledged event and no task is lost."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from kubernetes.client import ApiException

from ci.cluster_test.apply import Live
from ci.cluster_test.bring import bring
from ci.cluster_test.client import Cluster
from ci.cluster_test.platform import Platform
from ci.cluster_test.watching import Watcher
from ci.verbs.pipelines import Airflow
from infra.components import naming
from infra.components.kubernetes import pods as shapes
from infra.testing.parts import eventually
from leandata.database import connect
from leandata.settings import DatabaseAddress

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
LOAD = """
import http.client, json, os, sys, threading, time, uuid
host, port, key, tries, run = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
acknowledged, failed, sent = [], [], [0]
def once(number):
    id_ = str(uuid.uuid4())
    event = {"event_id": id_, "type": "page_view", "occurred_at": "2026-11-24T10:00:00Z", "customer_id": number}
    reason = ""
    for attempt in range(tries):
        try:
            connection = http.client.HTTPConnection(host, port, timeout=10)
            headers = {"Content-Type": "application/json", "X-API-Key": key}
            connection.request("POST", "/v1/events", json.dumps(event), headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status == 202:
                acknowledged.append(id_)
                return
            reason = str(answer.status)
        except OSError as error:
            reason = repr(error)
        except http.client.HTTPException as error:
            reason = repr(error)
        time.sleep(1 if attempt + 1 < tries else 0)
    failed.append(reason)
def work(number):
    while not os.path.exists("/tmp/stop-" + run):
        sent[0] += 1
        once(number)
        if sent[0] >= 20:
            open("/tmp/started-" + run, "w").close()
        time.sleep(0.05)
threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps({"acknowledged": acknowledged, "failed": failed, "sent": sent[0]}))
"""


@pytest.fixture(scope="module")
def client(platform: Platform, image: str) -> Generator[dict[str, Any]]:
    """A pod that may send requests to the API, as the load balancer of a real environment does."""
    cluster, space = platform.cluster, f"leandata-test-{os.urandom(3).hex()}"
    home = platform.namespace("api")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space, "labels": labels}})
    rule = {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}}],
        "ports": [{"port": platform.environment.port("api"), "protocol": "TCP"}],
    }
    policy = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]}
    metadata = {"name": "people", "namespace": home}
    cluster.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": policy})
    container = shapes.Container(
        name="main", image=image, command=["sleep", "3600"], env={}, cpu="500m", memory=128 * 2**20
    )
    spec = shapes.pod([container], account="default", secrets={}, grace=0)
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client", "namespace": space}, "spec": spec})
    try:
        yield eventually(lambda: running(cluster, space), seconds=60)
    finally:
        cluster.delete("networking.k8s.io/v1", "NetworkPolicy", home, "people")
        cluster.delete("v1", "Namespace", "", space)


def running(cluster: Cluster, namespace: str) -> Any:
    pod = cluster.get("v1", "Pod", namespace, "client")
    return pod if pod and pod["status"].get("phase") == "Running" else None


def under_load(
    platform: Platform, client: dict[str, Any], happens: Callable[[], None], *, tries: int
) -> dict[str, Any]:
    """What the API answered while something happened to it; a request is tried so often."""
    cluster, where = platform.cluster, (client["metadata"]["namespace"], client["metadata"]["name"])
    environment = platform.environment
    address = [naming.host(environment, "api"), str(environment.port("api"))]
    run = os.urandom(4).hex()
    command = ["python", "-c", LOAD, *address, platform.secret("api-key"), str(tries), run]
    answers: list[dict[str, Any]] = []

    def load() -> None:
        ran = cluster.run(*where, command, seconds=400)
        answers.append(json.loads(ran.out) if ran.code == 0 else {"error": ran.err})

    thread = Thread(target=load)
    thread.start()
    try:
        eventually(lambda: cluster.run(*where, ["test", "-e", f"/tmp/started-{run}"]).code == 0, seconds=120)
        happens()
    finally:
        cluster.run(*where, ["touch", f"/tmp/stop-{run}"])
        thread.join()
    assert "error" not in answers[0], answers[0]
    assert answers[0]["sent"] >= 20
    return answers[0]


def ready(platform: Platform) -> bool:
    found = platform.cluster.get("apps/v1", "Deployment", platform.namespace("api"), "api")
    assert found is not None
    status = found["status"]
    return status.get("readyReplicas", 0) >= 2 and not status.get("unavailableReplicas", 0)


def kept(platform: Platform, folder: Path, port: int, ids: list[str]) -> int:
    """How many of the events lie in the database."""
    address = DatabaseAddress.parse(platform.programs["database"].outputs["events_writer"])
    assert address.password_file is not None
    secret = folder / "password"
    secret.write_text(platform.secret(address.password_file.name))
    address = dataclasses.replace(address, host="127.0.0.1", port=port, password_file=secret)
    with connect(address) as connection:
        query = "SELECT count(*) FROM events.inbox WHERE event_id = ANY(%s::uuid[])"
        row = connection.execute(query, [ids]).fetchone()
    assert row is not None
    return int(row[0])


def test_a_rolling_update_under_load_loses_no_request(platform: Platform, client: dict[str, Any]) -> None:
    (item,) = [
        one for one in platform.items().values() if one.key.kind == "Deployment" and one.key.name == "api"
    ]  # fmt: skip
    body = copy.deepcopy(dict(item.body))
    body["spec"]["template"]["metadata"].setdefault("annotations", {})["leandata.io/again"] = os.urandom(3).hex()
    changed = dataclasses.replace(item, body=body, needs=frozenset())
    before = {pod["metadata"]["name"] for pod in platform.pods("api")}

    def roll() -> None:
        bring({item.urn: changed}, Live(platform.cluster), say=print)
        eventually(lambda: not before & {pod["metadata"]["name"] for pod in platform.pods("api")}, seconds=120)

    answer = under_load(platform, client, roll, tries=1)
    assert answer["failed"] == []


def test_a_drained_service_loses_no_request(platform: Platform, client: dict[str, Any]) -> None:
    space = platform.namespace("api")

    def evict(name: str) -> bool:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": space}}
        try:
            platform.cluster.core.create_namespaced_pod_eviction(name, space, body)
        except ApiException as error:
            if error.status == 404:
                return True
            if error.status != 429:  # the budget says: not yet
                raise
            return False
        return True

    def drain() -> None:
        for pod in platform.pods("api"):
            eventually(lambda: evict(pod["metadata"]["name"]), seconds=120)  # noqa: B023
        eventually(lambda: ready(platform), seconds=120)

    answer = under_load(platform, client, drain, tries=1)
    assert answer["failed"] == []


def test_a_killed_pod_loses_no_acknowledged_event_and_no_request_that_is_tried_again(
    platform: Platform, client: dict[str, Any], tmp_path: Path, port: Callable[[str], int]
) -> None:
    eventually(lambda: ready(platform), seconds=120)

    def kill() -> None:
        name = platform.pods("api")[0]["metadata"]["name"]
        platform.cluster.delete("v1", "Pod", platform.namespace("api"), name, grace=0)
        eventually(lambda: ready(platform), seconds=120)

    answer = under_load(platform, client, kill, tries=5)
    assert answer["failed"] == []
    ids = answer["acknowledged"]
    assert kept(platform, tmp_path, port("postgres"), ids) == len(ids)


def test_a_task_whose_pod_is_killed_is_done_by_another(
    platform: Platform, seen: Watcher, port: Callable[[str], int]
) -> None:
    airflow = Airflow(f"http://127.0.0.1:{port('airflow-api')}", password=platform.secret("airflow-password"))
    started = airflow.call("POST", "/api/v2/dags/customer_features/dagRuns", {"logical_date": None, "conf": {}})
    run, space = started["dag_run_id"], platform.namespace("airflow")

    def of_the_run() -> list[dict[str, Any]]:
        found = platform.cluster.pods(space, "dag_id=customer_features,task_id=compute")
        return [pod for pod in found if pod["metadata"].get("annotations", {}).get("run_id") == run]

    def first() -> list[dict[str, Any]]:
        return [pod for pod in of_the_run() if pod["status"].get("phase") == "Running"]

    victim = eventually(first, seconds=300)[0]["metadata"]["name"]
    platform.cluster.delete("v1", "Pod", space, victim, grace=0)
    state = eventually(
        lambda: (
            (found := airflow.call("GET", f"/api/v2/dags/customer_features/dagRuns/{run}")["state"])
            in ("success", "failed")
            and found
        ),
        seconds=900,
    )
    assert state == "success"
    names = {
        pod["metadata"]["name"]
        for pod in seen.pods(space)
        if pod["metadata"].get("annotations", {}).get("run_id") == run
    }
    assert len(names | {victim}) >= 2
