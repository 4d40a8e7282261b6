"""Every pod that the programs describe, wherever it stands: workloads, Dask clusters, the pod template of Airflow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from infra.policy.graph import UNKNOWN, Graph, Object, Resource, at, items, mapping
from infra.policy.rule import Check, Hit

Runs = Literal["always", "once"]
# Where the template of a pod lies in each kind, and how long it is meant to run.
_PLACES: dict[str, tuple[tuple[str, Runs], ...]] = {
    "CronJob": (("spec.jobTemplate.spec.template", "once"),),
    "DaemonSet": (("spec.template", "always"),),
    "DaskCluster": (("spec.scheduler", "always"), ("spec.worker", "always")),
    "DaskJob": (
        ("spec.job", "once"),
        ("spec.cluster.spec.scheduler", "always"),
        ("spec.cluster.spec.worker", "always"),
    ),
    "DaskWorkerGroup": (("spec.worker", "always"),),
    "Deployment": (("spec.template", "always"),),
    "Job": (("spec.template", "once"),),
    "Pod": (("", "once"),),
    "PodTemplate": (("template", "once"),),
    "ReplicaSet": (("spec.template", "always"),),
    "ReplicationController": (("spec.template", "always"),),
    "StatefulSet": (("spec.template", "always"),),
}
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod: the resource that describes it, where in it, its metadata and its spec, and whether it runs on and on."""

    resource: Resource
    place: str
    metadata: Object
    spec: Object
    runs: Runs

    def containers(self, *lists: str) -> Iterator[tuple[str, Object]]:
        """Its containers with their paths in the spec, `containers[api]`; only those of these lists, if any."""
        for key in lists or _CONTAINERS:
            for found in items(self.spec, key):
                one: Object = found if isinstance(found, dict) else {}
                yield f"{key}[{one.get('name', '?')}]", one

    def hit(self, path: str, said: str = "") -> Hit:
        """A hit at this path of the pod's spec."""
        return Hit(resource=self.resource, property=f"{self.place}.{path}", said=said)


def pods(graph: Graph) -> Iterator[Pod]:
    """Every pod of the graph, by URN of what describes it."""
    for kind, places in _PLACES.items():
        for resource in graph.kinds(kind):
            for path, runs in places:
                yield from _pod(resource, resource.properties, path, runs)
    for resource in graph.kinds("ConfigMap"):
        for name, text in sorted(mapping(resource.properties, "data").items()):
            for found in _documents(name, str(text)):
                for path, runs in _PLACES.get(str(found.get("kind")), ()):
                    yield from _pod(resource, found, path, runs, within=f"data[{name}]")


def _pod(resource: Resource, body: Object, path: str, runs: Runs, *, within: str = "") -> Iterator[Pod]:
    template = at(body, path) if path else body
    if template is None:
        return
    place = ".".join(part for part in (within, path, "spec") if part)
    spec, metadata = at(template, "spec"), mapping(template, "metadata")
    known = isinstance(spec, dict)
    yield Pod(resource=resource, place=place, metadata=metadata, spec=spec if known else {}, runs=runs)


@functools.cache
def _documents(name: str, text: str) -> tuple[dict[str, Any], ...]:
    """The mappings in a YAML text, none in a text of another format or one that does not parse."""
    if not name.endswith((".yaml", ".yml")):
        return ()
    try:
        return tuple(found for found in yaml.safe_load_all(text) if isinstance(found, dict))
    except yaml.YAMLError:
        return ()


def unreadable(graph: Graph) -> Iterator[Hit]:
    """Pods that cannot be judged: their spec is not known, or the YAML that holds it does not parse."""
    for pod in pods(graph):
        if not pod.spec or UNKNOWN in pod.spec.values():
            yield pod.hit("", "not known")
    for resource in graph.kinds("ConfigMap"):
        for name, text in sorted(mapping(resource.properties, "data").items()):
            if name.endswith((".yaml", ".yml")) and not _documents(name, str(text)):
                yield Hit(resource=resource, property=f"data[{name}]", said="no YAML")


def every_pod(judge: Callable[[Pod], Iterator[tuple[str, str]]]) -> Check:
    """A check of each pod: `judge` names the paths in its spec that break the rule, and what is there."""

    def check(graph: Graph) -> Iterator[Hit]:
        for pod in pods(graph):
            for path, said in judge(pod):
                yield pod.hit(path, said)

    return check


def every_container(judge: Callable[[Object], Iterator[tuple[str, str]]], *lists: str) -> Check:
    """A check of each container of each pod, of whatever kind or only of these lists."""

    def of_pod(pod: Pod) -> Iterator[tuple[str, str]]:
        for place, container in pod.containers(*lists):
            for path, said in judge(container):
                yield f"{place}.{path}", said

    return every_pod(of_pod)
