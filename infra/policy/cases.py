"""Small graphs for the good and the bad case of rules: each says only what its rule looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.policy.graph import Object

LABELS = {
    "app.kubernetes.io/name": "it",
    "app.kubernetes.io/part-of": "it",
    "leandata.io/cost-centre": "data",
    "leandata.io/environment": "prod",
    "leandata.io/owner": "data-team",
    "leandata.io/stack": "it",
}
DIGEST = f"registry.example/it@sha256:{'0' * 64}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A resource made by hand."""

    type: str
    name: str = "it"
    properties: Object = field(default_factory=dict[str, Any])
    needs: Sequence[str] = ()
    protect: bool = False
    retain: bool = False

    @property
    def urn(self) -> str:
        return f"urn:pulumi:prod::it::{self.type}::{self.name}"


def aws(type_: str, properties: Object | None = None, *, name: str = "it", protect: bool = False) -> Node:
    """An AWS resource, its type without the package: `s3/bucket:Bucket`."""
    return Node(type=f"aws:{type_}", name=name, properties=properties or {}, protect=protect)


def snowflake(type_: str, properties: Object | None = None, *, name: str = "it", protect: bool = False) -> Node:
    """A Snowflake resource, its type as its class is called: `Warehouse`."""
    token = f"snowflake:index/{type_[0].lower()}{type_[1:]}:{type_}"
    return Node(type=token, name=name, properties={"name": "IT", **(properties or {})}, protect=protect)


def manifest(kind: str, body: Object | None = None, *, name: str = "it", namespace: str = "it", **meta: Any) -> Node:
    """A Kubernetes object with all labels; `body` is what stands beside its metadata."""
    metadata = {"name": name, "labels": LABELS, **({"namespace": namespace} if namespace else {}), **meta}
    return Node(
        type=f"kubernetes:{_API.get(kind, 'core/v1')}:{kind}",
        name=f"{namespace}-{name}-{kind}".lower(),
        properties={"kind": kind, "metadata": metadata, **(body or {})},
    )


_API = {
    "DaskCluster": "kubernetes.dask.org/v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "StatefulSet": "apps/v1",
}


def pod_spec(changes: Object | None = None, container: Object | None = None) -> dict[str, Any]:
    """A pod that every rule lets pass, with changes: by dotted path, of the pod and of its one container."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    one = {
        "command": ["serve"],
        "image": DIGEST,
        "livenessProbe": probe,
        "name": "it",
        "readinessProbe": {**probe, "httpGet": {"path": "/readyz", "port": 8080}},
        "resources": {
            "limits": {"cpu": "1", "ephemeral-storage": "1Gi", "memory": "512Mi"},
            "requests": {"cpu": "500m", "ephemeral-storage": "1Mi", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": {**probe, "failureThreshold": 30},
    }
    spec = {
        "automountServiceAccountToken": False,
        "containers": [changed(one, container or {})],
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}
        },
        "serviceAccountName": "it",
        "terminationGracePeriodSeconds": 60,
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
    }  # fmt: skip
    return changed(spec, changes or {})


def deployment(changes: Object | None = None, container: Object | None = None, *, replicas: int = 1) -> Node:
    """A Deployment of such pods."""
    template = {"metadata": {"labels": LABELS}, "spec": pod_spec(changes, container)}
    selector = {"matchLabels": {"app.kubernetes.io/name": "it"}}
    return manifest("Deployment", {"spec": {"replicas": replicas, "selector": selector, "template": template}})


def changed(value: Object, changes: Object) -> dict[str, Any]:
    """The value with what lies at each dotted path replaced; None takes it away."""
    made = dict(value)
    for path, new in changes.items():
        key, _, rest = path.partition(".")
        if rest:
            inner = made.get(key)
            made[key] = changed(inner if isinstance(inner, Mapping) else {}, {rest: new})
        elif new is None:
            made.pop(key, None)
        else:
            made[key] = new
    return made
