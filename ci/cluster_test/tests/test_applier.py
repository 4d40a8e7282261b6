"""The applier against a real cluster, with small programs by hand."""

from __future__ import annotations

import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from ci.cluster_test.apply import apply, clear, recorded, remove
from ci.cluster_test.client import Cluster, RefusedError
from ci.cluster_test.forward import forwarded
from ci.cluster_test.objects import OURS, Item, Key, items
from ci.graph import StackInfo
from ci.tests.graphs import graph, resource
from infra.components.kubernetes import pods
from infra.testing.parts import eventually
from leandata.errors import LeandataError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
SERVER = "import http.server; http.server.ThreadingHTTPServer(('', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()"


@pytest.fixture
def own(cluster: Cluster, namespace: str) -> Generator[str]:
    """An environment of the test's own, named as its namespace; nothing of it is left."""
    yield namespace
    clear(cluster, environment=namespace)


def template(image: str, *command: str, app: str, restart: str = "Always") -> dict[str, Any]:
    container = pods.Container(name="main", image=image, command=command, env={}, cpu="200m", memory=128 * 2**20)
    spec = pods.pod([container], account="default", secrets={}, restart=restart, grace=1)
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def made(kind: str, name: str, namespace: str, *, version: str = "v1", needs: Any = (), **body: Any) -> Any:
    whole = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **body}
    place = version if "/" in version else f"core/{version}"
    return resource(f"kubernetes:{place}:{kind}", name, whole, needs=tuple(one.urn for one in needs))


def server(image: str, namespace: str, *, replicas: int = 1, program: str = SERVER) -> list[Any]:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template(image, "python", "-c", program, app="web"),
    }
    port = {"port": 80, "targetPort": 8000}
    service = {"selector": {"app": "web"}, "ports": [port]}
    return [
        made("Deployment", "web", namespace, version="apps/v1", spec=spec),
        made("Service", "web", namespace, spec=service),
    ]


def job(image: str, namespace: str, program: str, **options: Any) -> Any:
    inner = template(image, "python", "-c", program, app="job", restart="Never")
    spec = {"backoffLimit": 0, "activeDeadlineSeconds": 100, "template": inner}
    return made("Job", "job", namespace, version="batch/v1", spec=spec, **options)


def wanted(*resources: Any, environment: str) -> dict[str, Item]:
    stacks = {"s": StackInfo(name="s", module="m", folder=Path(), needs=())}
    return items(graph(*resources), stacks, environment=environment)


def test_a_server_and_a_job_that_needs_it_are_applied_in_order_and_a_second_time_nothing_changes(
    cluster: Cluster, own: str, image: str
) -> None:
    web = server(image, own)
    asks = f"import urllib.request; urllib.request.urlopen('http://web.{own}.svc', timeout=20).read()"
    found = wanted(job(image, own, asks, needs=web), *web, environment=own)
    said: list[str] = []
    first = apply(found, cluster, environment=own, say=said.append)
    assert first.created == [f"Deployment {own}/web", f"Service {own}/web", f"Job {own}/job"]
    second = apply(found, cluster, environment=own, say=said.append)
    assert (second.created, second.changed) == ([], [])
    assert said[-1] == "0 created, 0 changed, 3 as they were"
    with forwarded(cluster, namespace=own, service="web") as port, urllib.request.urlopen(port.url) as answer:
        assert answer.status == 200


def test_a_secret_is_made_once_and_is_the_same_in_every_namespace(cluster: Cluster, own: str) -> None:
    inputs = {"secret": "key", "namespaces": [own, "default"], "kind": "hex", "labels": {}}
    found = wanted(
        resource("machine:index:ClusterSecret", f"key-{own}", inputs | {"secret": f"key-{own}"}), environment=own
    )
    apply(found, cluster, environment=own)
    first = {home: cluster.get("v1", "Secret", home, f"key-{own}") for home in (own, "default")}
    values = {one["data"]["value"] for one in first.values() if one}
    assert len(values) == 1
    assert len(values.pop()) > 20
    again = apply(found, cluster, environment=own)
    assert again.unchanged == [f"ClusterSecret key-{own}"]
    apply({}, cluster, environment=own)
    assert cluster.get("v1", "Secret", "default", f"key-{own}") is None


def test_what_is_deleted_from_the_program_is_removed_and_what_others_made_is_not(
    cluster: Cluster, own: str, image: str
) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "another", "namespace": own}})
    keep, gone = (made("ConfigMap", name, own, data={"a": "b"}) for name in ("keep", "gone"))
    apply(wanted(keep, gone, *server(image, own), environment=own), cluster, environment=own)
    said: list[str] = []
    apply(wanted(keep, environment=own), cluster, environment=own, say=said.append)
    assert [line.strip() for line in said[:-1]] == [
        f"Service {own}/web removed", f"Deployment {own}/web removed", f"ConfigMap {own}/gone removed"
    ]  # fmt: skip
    left = [one["metadata"]["name"] for one in cluster.all("v1", "ConfigMap", own)]
    assert {"another", "keep"} <= set(left)
    assert "gone" not in left
    eventually(lambda: not cluster.pods(own), seconds=60)
    assert [key.name for key in recorded(cluster, environment=own)] == ["keep"]


def test_an_object_whose_controller_is_gone_does_not_hold_its_namespace(cluster: Cluster, own: str) -> None:
    group = f"{own}.example.org"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [version],
    }
    definition = made("CustomResourceDefinition", f"things.{group}", "", version="apiextensions.k8s.io/v1", spec=spec)
    apply(wanted(definition, environment=own), cluster, environment=own)
    thing = Key(api_version=f"{group}/v1", kind="Thing", namespace=own, name="thing")
    metadata = {"name": thing.name, "namespace": own, "labels": {OURS: own}, "finalizers": ["example.org/nobody"]}
    cluster.apply({"apiVersion": thing.api_version, "kind": thing.kind, "metadata": metadata})
    assert remove(cluster, thing, environment=own, patience=1.0)
    eventually(lambda: cluster.get(thing.api_version, thing.kind, own, thing.name) is None, seconds=20)


def test_clearing_does_not_wait_for_the_work_of_a_pod_that_may_take_half_an_hour_to_end(
    cluster: Cluster, own: str, image: str
) -> None:
    home = f"{own}-patient"
    labels = {"metadata": {"name": home, "labels": {OURS: own}}}
    place = resource("kubernetes:core/v1:Namespace", home, {"apiVersion": "v1", "kind": "Namespace", **labels})
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1800)"
    pod = template(image, "python", "-c", deaf, app="deaf", restart="Never")
    pod["spec"]["terminationGracePeriodSeconds"] = 1800
    apply(wanted(place, environment=own), cluster, environment=own)
    cluster.apply({"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "deaf", "namespace": home}})
    eventually(lambda: cluster.pods(home)[0]["status"]["phase"] == "Running", seconds=60)
    clear(cluster, environment=own)
    assert cluster.get("v1", "Namespace", "", home) is None


def test_a_field_that_the_cluster_does_not_know_is_refused(cluster: Cluster, own: str) -> None:
    strange = made("ConfigMap", "strange", own, date={"a": "b"})
    with pytest.raises(RefusedError, match=r"field not declared in schema.*\(ConfigMap .*/strange\)"):
        apply(wanted(strange, environment=own), cluster, environment=own)


def test_pods_that_break_pod_security_are_refused_before_they_are_made(cluster: Cluster, own: str, image: str) -> None:
    deployment, _ = server(image, own)
    del deployment.properties["spec"]["template"]["spec"]["securityContext"]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": own,
                "labels": {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")},
            },
        }
    )
    with pytest.raises(RefusedError, match=r"the cluster warns: .*would violate PodSecurity"):
        apply(wanted(deployment, environment=own), cluster, environment=own)


def test_a_job_that_fails_is_told_with_the_end_of_its_log_and_made_anew_the_next_time(
    cluster: Cluster, own: str, image: str
) -> None:
    said: list[str] = []
    fails = job(image, own, "import sys; print('no such table'); sys.exit(3)")
    for _ in range(2):
        with pytest.raises(LeandataError, match=r"^Job .*/job has failed: Job has reached the specified backoff limit"):
            apply(wanted(fails, environment=own), cluster, environment=own, say=said.append)
    assert any("/main | no such table" in line for line in said), said
    assert any("BackoffLimitExceeded" in line for line in said)


def test_a_deployment_whose_image_is_nowhere_is_told_at_once(cluster: Cluster, own: str) -> None:
    deployment, _ = server("leandata-nothing:1", own)
    deployment.properties["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    with pytest.raises(LeandataError, match="ErrImageNeverPull: leandata-nothing:1"):
        apply(wanted(deployment, environment=own), cluster, environment=own)


def test_another_s_field_is_not_taken(cluster: Cluster, own: str) -> None:
    cluster.core.create_namespaced_config_map(own, {"metadata": {"name": "theirs"}, "data": {"a": "theirs"}})
    with pytest.raises(RefusedError, match="conflict"):
        apply(wanted(made("ConfigMap", "theirs", own, data={"a": "ours"}), environment=own), cluster, environment=own)
