"""What pods ask for, from the graph, and the nodes that hold them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.prices import Node
from ci.programs import Program, Resource

_QUANTITY = re.compile(r"(?P<number>[0-9]*\.?[0-9]+(?:[eE][0-9]+)?)(?P<unit>m|[kMGTP]i?|)")
_UNITS = {
    "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip
_CONTROLLERS = ("Deployment", "StatefulSet", "ReplicaSet")
_GIB = 2.0**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod that always runs: who declares it, and what it asks for in vCPUs and GiB."""

    owner: str
    cpu: float
    memory_gib: float


def quantity(text: object) -> float:
    """A Kubernetes quantity ("500m", "1", "512Mi", 2) as a number. Raises ValueError for what is none."""
    match = _QUANTITY.fullmatch(str(text).replace("Ki", "ki"))
    if match is None:
        raise ValueError(f"{text!r} is not a quantity: write it like '500m' or '512Mi'")
    return float(match["number"]) * _UNITS[match["unit"]]


def pods(programs: Mapping[str, Program], *, largest: bool = False) -> list[Pod]:
    """Every pod that runs while nothing happens: what scales at its smallest (with `largest`: at its largest)."""
    return [pod for program in programs.values() for _, pod in pods_of(program, largest=largest)]


def pods_of(program: Program, *, largest: bool = False) -> list[tuple[Resource, Pod]]:
    """The same of one stack, each with the resource that declares it."""
    found: list[tuple[Resource, Pod]] = []
    scaled = scaled_replicas(program, largest=largest)
    for _, resource in sorted(program.resources.items()):
        kind = resource.type.rpartition(":")[2]
        if kind in _CONTROLLERS and resource.type.startswith("kubernetes:apps/"):
            spec = resource.properties.get("spec") or {}
            count = scaled.get(key(resource), int(spec.get("replicas", 1)))
            found += [(resource, _pod(resource, spec.get("template", {}).get("spec", {})))] * count
        elif kind == "DaskCluster":
            found += [(resource, pod) for pod in _dask(resource, scaled.get(key(resource)))]
    return found


def scaled_replicas(program: Program, *, largest: bool = False) -> dict[tuple[str, str], int]:
    """The fewest (most) replicas that an autoscaler of the stack leaves, by namespace and name of its target."""
    found: dict[tuple[str, str], int] = {}
    for resource in program.resources.values():
        kind = resource.type.rpartition(":")[2]
        spec, namespace = resource.properties.get("spec") or {}, key(resource)[0]
        if kind == "HorizontalPodAutoscaler":
            bound = spec.get("maxReplicas", 1) if largest else spec.get("minReplicas", 1)
            found[namespace, spec.get("scaleTargetRef", {}).get("name", "")] = int(bound)
        elif kind == "DaskAutoscaler":
            found[namespace, spec.get("cluster", "")] = int(spec.get("maximum" if largest else "minimum", 0))
    return found


def key(resource: Resource) -> tuple[str, str]:
    """Namespace and name of a Kubernetes object."""
    metadata = resource.properties.get("metadata") or {}
    return str(metadata.get("namespace", "default")), str(metadata.get("name", resource.name))


def _dask(resource: Resource, smallest: int | None) -> Iterator[Pod]:
    spec = resource.properties.get("spec") or {}
    yield _pod(resource, spec.get("scheduler", {}).get("spec", {}))
    worker = spec.get("worker", {})
    count = worker.get("replicas", 0) if smallest is None else smallest
    yield from [_pod(resource, worker.get("spec", {}))] * int(count)


def _pod(resource: Resource, spec: Mapping[str, Any]) -> Pod:
    """A pod asks for the sum of its containers, or for its largest init container if that is more."""

    def asked(containers: Iterable[Mapping[str, Any]], what: str) -> list[float]:
        return [quantity(one.get("resources", {}).get("requests", {}).get(what, 0)) for one in containers]

    totals = {
        what: max(sum(asked(spec.get("containers") or [], what)), *asked(spec.get("initContainers") or [], what), 0.0)
        for what in ("cpu", "memory")
    }
    return Pod(owner="/".join(key(resource)), cpu=totals["cpu"], memory_gib=totals["memory"] / _GIB)


def cheapest(asked: Sequence[Pod], nodes: Sequence[Node]) -> tuple[Node, int] | None:
    """The instance type and how many of it hold all pods at the lowest price; None when one pod fits on none.

    One type for all, packed by first fit of the largest first: an estimate of what Auto Mode chooses, not its choice.
    """
    if not asked:
        return nodes[0], 0
    fitting = [(node, count) for node in nodes if (count := _packed(asked, node)) is not None]
    return min(fitting, key=lambda found: (found[0].usd * found[1], found[0].type), default=None)


def _packed(asked: Sequence[Pod], node: Node) -> int | None:
    free: list[tuple[float, float]] = []
    for pod in sorted(asked, key=lambda pod: (-pod.memory_gib, -pod.cpu, pod.owner)):
        if pod.cpu > node.cpu or pod.memory_gib > node.memory_gib:
            return None
        for place, (cpu, memory) in enumerate(free):
            if pod.cpu <= cpu + 1e-9 and pod.memory_gib <= memory + 1e-9:
                free[place] = (cpu - pod.cpu, memory - pod.memory_gib)
                break
        else:
            free.append((node.cpu - pod.cpu, node.memory_gib - pod.memory_gib))
    return len(free)


def vcpus(asked: Sequence[Pod]) -> int:
    """The vCPUs that the pods ask for, rounded up."""
    return math.ceil(sum(pod.cpu for pod in asked) - 1e-9)
