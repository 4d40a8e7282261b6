"""A namespace for every service, the stand-ins and the system: restricted, closed, and with a share of the cluster."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.kubernetes import network, provider
from infra.components.stack import Stack
from infra.environment import Environment

_LEVEL = "restricted"
_VERSION = "v1.35"  # of the standard, whatever version the cluster is of
_MIB = 2**20
_JOB_ROOM = 4096 * _MIB  # set-up jobs, migrations, clean-ups
_STANDIN_ROOM = 8192 * _MIB
_TASK_MEMORY = 2048 * _MIB
_LARGEST = 32
_PODS_EACH = 4
_SPARE_PODS = 20


class Spaces(pulumi.ComponentResource):
    """The namespaces of an environment; `made` are all of them."""

    made: list[pulumi.Resource]

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:Spaces", name)
        self.made = [_space(self, stack, owner) for owner in owners(stack.environment)]
        self.register_outputs({})


def owners(environment: Environment) -> list[str]:
    """Whose namespaces the environment has, sorted: every service, the system, the stand-ins where there are any."""
    standins = any(environment.substrate(part) == "machine" for part in ("database", "lake", "mail", "warehouse"))
    return sorted({*naming.services(environment.root), naming.SYSTEM, *([naming.STANDINS] if standins else [])})


def memory(environment: Environment, owner: str) -> int:
    """How much memory (bytes) the pods of `owner` may have: twice what they need at most, for rolling updates."""
    if owner == naming.STANDINS:
        return _STANDIN_ROOM
    manifest, table = naming.services(environment.root).get(owner), environment.file.kubernetes
    if manifest is None or table is None:
        return _JOB_ROOM
    most = min(manifest.scaling.maximum, table.replicas_at_most)
    need = sum(int(process.memory) for process in manifest.process) * most
    if owner == "airflow":
        need += environment.file.orchestrator.parallelism * _TASK_MEMORY
    if owner == "dask":
        need += max(most, environment.file.compute.workers) * int(environment.file.compute.memory)
    return 2 * need + _JOB_ROOM


def _space(parent: pulumi.Resource, stack: Stack, owner: str) -> pulumi.Resource:
    environment = stack.environment
    name = naming.namespace(environment, owner)
    labels = naming.labels(environment, stack=stack.name, service=owner)
    levels = {f"pod-security.kubernetes.io/{mode}": _LEVEL for mode in ("audit", "enforce", "warn")}
    levels["pod-security.kubernetes.io/enforce-version"] = _VERSION
    metadata: Any = {"labels": labels | levels, "name": name}
    space = kubernetes.core.v1.Namespace(name, metadata=metadata, opts=provider.options(stack, parent=parent))
    inner = provider.options(stack, parent=space)
    policy: Any = {"metadata": _inside(name, labels, "closed"), "spec": network.closed(environment)}
    kubernetes.networking.v1.NetworkPolicy(f"{name}-closed", **policy, opts=inner)
    room = memory(environment, owner)
    hard = {
        "count/persistentvolumeclaims": "10",
        "count/services.loadbalancers": "0",
        "count/services.nodeports": "0",
        "limits.memory": str(room),
        "pods": str(_SPARE_PODS + _PODS_EACH * _pods(environment, owner)),
    }
    quota: Any = {"metadata": _inside(name, labels, "share"), "spec": {"hard": hard}}
    kubernetes.core.v1.ResourceQuota(f"{name}-share", **quota, opts=inner)
    limits = {
        "default": {"cpu": "500m", "ephemeral-storage": str(256 * _MIB), "memory": str(256 * _MIB)},
        "defaultRequest": {"cpu": "50m", "ephemeral-storage": str(_MIB), "memory": str(128 * _MIB)},
        "max": {"memory": str(min(room, _LARGEST * 1024 * _MIB))},
        "type": "Container",
    }
    ranges: Any = {"metadata": _inside(name, labels, "limits"), "spec": {"limits": [limits]}}
    kubernetes.core.v1.LimitRange(f"{name}-limits", **ranges, opts=inner)
    return space


def _pods(environment: Environment, owner: str) -> int:
    manifest = naming.services(environment.root).get(owner)
    if owner == "airflow":
        return environment.file.orchestrator.parallelism
    return manifest.scaling.maximum if manifest is not None else 1


def _inside(namespace: str, labels: dict[str, str], name: str) -> dict[str, Any]:
    return {"labels": labels, "name": name, "namespace": namespace}
