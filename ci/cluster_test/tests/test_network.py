"""Who reaches whom in the cluster, tried from every process to every port: exactly what the services' manifests say."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ci.cluster_test.client import Cluster
from ci.cluster_test.platform import Platform
from infra.components import naming
from infra.components.kubernetes import pods as shapes
from infra.components.kubernetes.spaces import owners
from infra.environment import ROOT
from infra.testing.parts import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
TRY = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reaches(target):
    try:
        socket.create_connection(tuple(target), timeout=4).close()
        return True
    except OSError:
        return False
targets = json.loads(sys.argv[1])
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(list(pool.map(reaches, targets))))
"""
# What no manifest says: set-up jobs and stand-ins use the stores; the operator asks Dask how much there is to do.
BESIDES = {"standins": {"lake", "postgres", "warehouse"}, "system": {"dask-scheduler", "lake", "postgres", "warehouse"}}
KUBERNETES = ("kubernetes.default.svc", 443)


def calls(owner: str) -> set[str]:
    """The processes that an owner's pods may open connections to, by its file alone."""
    path = ROOT / "services" / owner / "service.toml"
    return set(tomllib.loads(path.read_text())["network"]["calls"]) if path.exists() else BESIDES[owner]


def targets(platform: Platform) -> dict[str, tuple[str, int]]:
    """Every port of the platform that has a name in the cluster."""
    environment = platform.environment
    ports = {name: naming.process_of(name) for name in environment.file.ports.offsets}
    known = {
        name
        for name, process in ports.items()
        if platform.cluster.get("v1", "Service", platform.home(process), name) is not None
    }
    return {name: (naming.host(environment, name), environment.port(name)) for name in sorted(known)}


def processes(platform: Platform) -> Iterator[tuple[str, dict[str, Any]]]:
    """One running pod of each process that goes on, with its owner: a task's pod may end while it is asked."""
    for owner in owners(platform.environment):
        found: dict[str, dict[str, Any]] = {}
        for pod in platform.cluster.pods(platform.namespace(owner)):
            stays = pod["spec"]["restartPolicy"] == "Always" and "deletionTimestamp" not in pod["metadata"]
            if stays and pod["status"]["phase"] == "Running":
                found.setdefault(pod["metadata"]["labels"].get("app.kubernetes.io/name", ""), pod)
        yield from ((owner, pod) for _, pod in sorted(found.items()))


def tried(cluster: Cluster, pod: dict[str, Any], wanted: Sequence[tuple[str, int]]) -> list[bool]:
    metadata, container = pod["metadata"], pod["spec"]["containers"][0]["name"]
    command = ["python", "-c", TRY, json.dumps(wanted)]
    ran = cluster.run(metadata["namespace"], metadata["name"], command, container=container)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_each_pair_that_a_manifest_allows_connects_and_every_other_is_refused(platform: Platform) -> None:
    wanted = targets(platform)
    assert {"api", "dash", "airflow-api", "dask-scheduler", "postgres", "warehouse", "lake", "mail"} <= set(wanted)
    wrong: list[str] = []
    pairs = 0
    for owner, pod in processes(platform):
        caller = pod["metadata"]["labels"].get("app.kubernetes.io/name", "")
        answers = tried(platform.cluster, pod, list(wanted.values()))
        for name, reached in zip(wanted, answers, strict=True):
            if naming.process_of(name) == caller:
                continue  # no policy keeps a pod from itself
            allowed = naming.process_of(name) in calls(owner)
            pairs += 1
            if reached != allowed:
                wrong.append(f"{caller} {'reaches' if reached else 'does not reach'} {name}")
    assert wrong == []
    assert pairs >= 100


def test_only_those_that_have_rights_in_kubernetes_reach_it(platform: Platform) -> None:
    bound = {
        (subject["namespace"], subject["name"])
        for program in platform.programs.values()
        for resource in program.resources.values()
        if resource.type.rpartition(":")[2] in ("RoleBinding", "ClusterRoleBinding")
        for subject in resource.properties["subjects"]
    }
    wrong = [
        f"{pod['metadata']['name']} {'reaches' if reached else 'does not reach'} Kubernetes"
        for _, pod in processes(platform)
        for reached in tried(platform.cluster, pod, [KUBERNETES])
        if reached is not ((pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]) in bound)
    ]
    assert wrong == []


def test_a_stranger_reaches_nothing(platform: Platform, cluster: Cluster, namespace: str, image: str) -> None:
    container = shapes.Container(
        name="main", image=image, command=["sleep", "600"], env={}, cpu="100m", memory=64 * 2**20
    )
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": namespace},
        "spec": shapes.pod([container], account="default", secrets={}, grace=0),
    }
    cluster.apply(body)

    def running() -> Any:
        pod = cluster.get("v1", "Pod", namespace, "stranger")
        return pod if pod and pod["status"].get("phase") == "Running" else None

    wanted = targets(platform)
    answers = tried(cluster, eventually(running, seconds=60), list(wanted.values()))
    assert [name for name, reached in zip(wanted, answers, strict=True) if reached] == []
