"""What the pods of an environment say of each other is there, may be reached, and is understood by who reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest

from ci.testing import graph
from infra.components import naming
from infra.environment import ROOT, Environment
from infra.policy.graph import Graph, Setting
from infra.policy.pods import Pod, pods
from leandata.settings import DatabaseAddress, LakeAddress, MailAddress, WarehouseAddress

pytestmark = pytest.mark.integration
ENVIRONMENTS = ("cluster", "dev", "prod")
INSIDE = re.compile(r"\b([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?:([0-9]+)")
SECRET = re.compile(r"/run/secrets/leandata/([a-z0-9-]+)")
FOR_PEOPLE = {"LEANDATA_AIRFLOW_URL", "LEANDATA_API_URL", "LEANDATA_DASH_URL", "LEANDATA_MAIL_URL", "AIRFLOW__API__BASE_URL"}  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """A pod with what names it: the namespace of what describes it and its labels."""

    pod: Pod
    namespace: str
    labels: dict[str, str]

    @property
    def called(self) -> str:
        return f"{self.namespace}/{self.pod.resource.name}"

    def texts(self) -> Iterator[tuple[str, str]]:
        """Its commands and variables: where the text stands, and the text."""
        for path, container in self.pod.containers():
            for part in [*container.get("command", []), *container.get("args", [])]:
                yield path, str(part)
            for variable in container.get("env", []):
                yield str(variable["name"]), str(variable.get("value", ""))


def whole(name: str) -> Graph:
    return Graph.of(graph(name), setting=Setting(name=name))


def placed(name: str) -> list[Placed]:
    found = []
    for pod in pods(whole(name)):
        metadata = pod.resource.properties["metadata"]
        labels = {**pod.metadata.get("labels", {})}
        found.append(Placed(pod, str(metadata.get("namespace")), labels))
    return found


def objects(name: str, kind: str) -> list[dict[str, Any]]:
    return [one.properties for one in whole(name).kinds(kind)]


def secrets_of(name: str) -> set[tuple[str, str]]:
    """Namespace and name of every secret that pods of that namespace may mount."""
    there = whole(name)
    found = {
        (namespace, one.properties["secret"])
        for one in there.every("machine:index:ClusterSecret")
        for namespace in one.properties["namespaces"]
    }
    for one in objects(name, "SecretProviderClass"):
        for entry in re.findall(r'objectAlias"?: *"?([a-z0-9-]+)', json.dumps(one).replace('\\"', '"')):
            found.add((one["metadata"]["namespace"], entry))
    return found


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_there_are_pods_of_every_service(name: str) -> None:
    with_pods = {one.namespace.removeprefix("leandata-") for one in placed(name)}
    assert set(naming.services(ROOT)) <= with_pods


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_secret_that_a_pod_reads_lies_in_its_namespace(name: str) -> None:
    there = secrets_of(name)
    for one in placed(name):
        for where, text in one.texts():
            for secret in SECRET.findall(unquote(text)):
                assert (one.namespace, secret) in there, f"{one.called} reads {secret} ({where})"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_secret_that_a_pod_reads_is_mounted(name: str) -> None:
    for one in placed(name):
        named = {secret for _, text in one.texts() for secret in SECRET.findall(unquote(text))}
        volumes = {volume["name"]: volume for volume in one.pod.spec.get("volumes", [])}
        assert bool(named) <= ("secrets" in volumes), one.called
        sources = volumes.get("secrets", {}).get("projected", {}).get("sources", [])
        if sources:
            mounted = {item["path"] for source in sources for item in source["secret"]["items"]}
            assert named <= mounted, one.called


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_pod_has_an_account_that_is_declared(name: str) -> None:
    accounts = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in objects(name, "ServiceAccount")}
    for one in placed(name):
        assert (one.namespace, one.pod.spec["serviceAccountName"]) in accounts, one.called


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_name_inside_the_cluster_is_a_service_with_pods_behind_it(name: str) -> None:
    services = {
        (one["metadata"]["name"], one["metadata"]["namespace"]): one["spec"] for one in objects(name, "Service")
    }
    clusters = {one["metadata"]["name"] for one in objects(name, "DaskCluster")}
    everything = placed(name)
    seen = 0
    for one in everything:
        for where, text in one.texts():
            for host, namespace, port in INSIDE.findall(text):
                if host.removesuffix("-scheduler") in clusters:
                    continue  # the operator makes that Service
                spec = services.get((host, namespace))
                assert spec is not None, f"{one.called} names {host}.{namespace} ({where})"
                assert int(port) in [entry["port"] for entry in spec["ports"]], f"{one.called}: {host}:{port}"
                seen += 1
                if "dask" in host:
                    continue  # the operator gives these pods labels of its own
                behind = [other for other in everything if other.namespace == namespace]
                selector = spec["selector"].items()
                assert any(selector <= other.labels.items() for other in behind), f"nothing behind {host}"
    assert seen > len(ENVIRONMENTS), "the check looks at something"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_a_pod_connects_to_is_open_on_both_sides(name: str) -> None:
    policies = objects(name, "NetworkPolicy")

    def rules(namespace: str, labels: dict[str, str], side: str) -> list[dict[str, Any]]:
        return [
            rule
            for one in policies
            if one["metadata"]["namespace"] == namespace
            and one["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items()
            for rule in one["spec"].get(side) or []
        ]

    def opens(found: list[dict[str, Any]], peer: str, namespace: str, port: int) -> bool:
        return any(
            port in [entry["port"] for entry in rule.get("ports", [])]
            and any(
                other.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
                == namespace
                for other in rule.get(peer, [])
            )
            for rule in found
        )

    for one in placed(name):
        process = one.labels.get("app.kubernetes.io/name", "")
        for where, text in one.texts():
            for host, namespace, port in INSIDE.findall(text):
                own = host == process or naming.process_of(host) == process
                if where in FOR_PEOPLE or own or "dask" in one.namespace:
                    continue
                target = {"app.kubernetes.io/name": naming.process_of(host)}
                out = opens(rules(one.namespace, one.labels, "egress"), "to", namespace, int(port))
                assert out, f"{one.called} may not call {host}:{port} ({where})"
                into = opens(rules(namespace, target, "ingress"), "from", one.namespace, int(port))
                assert into, f"{host}:{port} does not take {one.called} ({where})"


READERS = {
    "LEANDATA_EVENTS": DatabaseAddress.parse,
    "LEANDATA_LAKE_CURATED": LakeAddress.parse,
    "LEANDATA_LAKE_MODELS": LakeAddress.parse,
    "LEANDATA_LAKE_RAW": LakeAddress.parse,
    "LEANDATA_MAIL": MailAddress.parse,
    "LEANDATA_SERVING": DatabaseAddress.parse,
    "LEANDATA_SHOP": DatabaseAddress.parse,
    "LEANDATA_WAREHOUSE": WarehouseAddress.parse,
}


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "local"])
def test_every_address_is_understood_by_the_library_that_reads_it(name: str) -> None:
    seen: set[str] = set()
    if name == "local":
        processes = [one for program in graph(name).values() for one in program.of("machine:index:Process").values()]
        texts = [pair for one in processes for pair in one.properties["env"].items()]
    else:
        texts = [pair for one in placed(name) for pair in one.texts()]
    for variable, text in texts:
        if variable in READERS:
            READERS[variable](str(text))
            seen.add(variable)
    assert seen == set(READERS)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_process_listens_on_loopback_where_others_must_reach_it(name: str) -> None:
    for one in placed(name):
        for path, container in one.pod.containers("containers"):
            if container.get("ports"):
                texts = [*map(str, container.get("command", []))]
                assert "127.0.0.1" not in " ".join(texts), f"{one.called} {path}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_port_that_a_service_leads_to_is_named_by_a_container(name: str) -> None:
    everything = placed(name)
    for service in objects(name, "Service"):
        selector, namespace = service["spec"].get("selector", {}), service["metadata"]["namespace"]
        if "dask" in namespace:
            continue
        behind = [one for one in everything if one.namespace == namespace and selector.items() <= one.labels.items()]
        ports = {
            entry["containerPort"]
            for one in behind
            for _, container in one.pod.containers("containers")
            for entry in container.get("ports", [])
        }
        for entry in service["spec"]["ports"]:
            assert entry["targetPort"] in ports, f"{namespace}/{service['metadata']['name']}"


def test_environments_differ_in_data_only() -> None:
    """The same stacks, kinds of objects and names in dev and prod; what differs is how large and how protected."""
    dev, prod = whole("dev"), whole("prod")

    def kinds(found: Graph) -> set[str]:
        return {type_ for type_ in found.types if type_.startswith("kubernetes:")}

    assert kinds(prod) - kinds(dev) <= {"kubernetes:policy/v1:PodDisruptionBudget"} | {
        type_ for type_ in kinds(prod) if "Autoscaler" in type_
    }
    assert kinds(dev) <= kinds(prod)
    assert {one.namespace for one in placed("dev")} - {one.namespace for one in placed("prod")} <= {"leandata-system"}


def test_prod_is_larger_than_dev_wherever_they_differ() -> None:
    dev, prod = (Environment.load(name, environ={}).file for name in ("dev", "prod"))
    assert dev.kubernetes is not None
    assert prod.kubernetes is not None
    assert prod.kubernetes.replicas >= dev.kubernetes.replicas
    assert prod.kubernetes.replicas_at_most >= dev.kubernetes.replicas_at_most
    assert prod.compute.workers >= dev.compute.workers
    assert int(prod.compute.memory) >= int(dev.compute.memory)
    assert prod.orchestrator.parallelism >= dev.orchestrator.parallelism
