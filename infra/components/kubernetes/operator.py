"""The operator of Dask clusters: its resource types from the pinned wheel, its controller from our own image.

It runs beside the clusters, not in their namespace, and may do there only what it has to; elsewhere it may do nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from infra.components import naming
from infra.components.kubernetes import pods, provider, service
from infra.components.kubernetes.compute import OWNER as CLUSTERS
from infra.components.manifest import ProcessManifest
from infra.components.service import Program
from infra.components.stack import Stack
from leandata.errors import SettingsError

NAME = "compute-operator"
_CHART = "operator/deployment/helm/dask-kubernetes-operator/crds"
# The definitions are long: libyaml reads them ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PORT = 8080  # where it says that it lives; its node alone asks
_MANIFEST = ProcessManifest.model_validate(
    {
        "name": NAME, "health": "", "ready": "", "start_timeout": "120s", "memory": "384MiB", "cpu": "250m",
        "drain": "30s",
    }
)  # fmt: skip
_EVERY = ["create", "delete", "get", "list", "patch", "watch"]
RULES: list[dict[str, Any]] = [
    {
        "apiGroups": ["kubernetes.dask.org"],
        "resources": ["daskautoscalers", "daskclusters", "daskjobs", "daskjobs/status", "daskworkergroups"],
        "verbs": _EVERY,
    },
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _EVERY},
    {"apiGroups": [""], "resources": ["services"], "verbs": _EVERY},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "patch", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]
"""What it does in the clusters' namespace. Pods are made by Deployments; it makes none itself, as we run no DaskJob."""
WIDE_RULES: list[dict[str, Any]] = [
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
]
"""What it may do in the whole cluster: see which types and namespaces there are."""


def make_operator(parent: pulumi.Resource, *, stack: Stack, needs: Sequence[pulumi.Resource]) -> pulumi.Resource:
    """The types, the rights and the controller; ready before anything that needs the controller."""
    types = [
        kubernetes.apiextensions.v1.CustomResourceDefinition(
            found["metadata"]["name"],
            metadata=_unscoped(stack, found["metadata"]["name"]),
            spec=found["spec"],
            opts=provider.options(stack, parent=parent),
        )
        for found in definitions()
    ]
    rights = _rights(parent, stack=stack, needs=needs)
    program = Program(
        manifest=_MANIFEST,
        command=[
            *("kopf", "run", "-m", "dask_kubernetes.operator.controller", "--standalone"),
            *(f"--namespace={provider.namespace(stack, CLUSTERS)}", f"--liveness=http://0.0.0.0:{_PORT}/healthz"),
        ],
        settings={"DASK_CONFIG": "/tmp/dask"},  # noqa: S108 - the pod's own
    )
    probes = pods.probes(port=_PORT, health="/healthz", ready="/healthz", start=_MANIFEST.start_timeout)
    # Two controllers at a time would both answer the same event.
    extra = service.Extra(api=True, data=False, alone=True, probes=probes)
    return service.make_process(parent, stack=stack, program=program, needs=[*needs, *types, *rights], extra=extra)


def definitions() -> list[dict[str, Any]]:
    """The resource types in the installed wheel, sorted by name. The package itself is not imported: that writes files.

    A format that Kubernetes does not know, at which it warns and which it then ignores, is left out.
    Raises SettingsError when the package is not installed.
    """
    found: ModuleSpec | None = find_spec("dask_kubernetes")
    if found is None or found.submodule_search_locations is None:
        raise SettingsError("dask-kubernetes is not installed", hint="uv sync --group cloud")
    return list(_read(Path(next(iter(found.submodule_search_locations)), _CHART)))


@functools.cache
def _read(folder: Path) -> tuple[dict[str, Any], ...]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    return tuple(_known(yaml.load(text, Loader=_LOADER)) for text in texts)  # noqa: S506 - both loaders are safe ones


def _known(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _known(found) for key, found in schema.items() if (key, found) != ("format", "int-or-string")}
    return [_known(found) for found in schema] if isinstance(schema, list) else schema


def _rights(parent: pulumi.Resource, *, stack: Stack, needs: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
    options = provider.options(stack, parent=parent, needs=list(needs))
    subjects = [{"kind": "ServiceAccount", "name": NAME, "namespace": provider.namespace(stack, naming.SYSTEM)}]
    group = "rbac.authorization.k8s.io"
    inside: Any = provider.metadata(stack, NAME, owner=CLUSTERS)
    wide: Any = _unscoped(stack, provider.namespace(stack, NAME))
    rules: Any = RULES
    wide_rules: Any = WIDE_RULES
    bound: Any = {"subjects": subjects, "role_ref": {"apiGroup": group, "kind": "Role", "name": NAME}}
    widely: Any = {"subjects": subjects, "role_ref": {"apiGroup": group, "kind": "ClusterRole", "name": wide["name"]}}
    rbac = kubernetes.rbac.v1
    return [
        rbac.Role(NAME, metadata=inside, rules=rules, opts=options),
        rbac.RoleBinding(NAME, metadata=inside, **bound, opts=options),
        rbac.ClusterRole(NAME, metadata=wide, rules=wide_rules, opts=options),
        rbac.ClusterRoleBinding(NAME, metadata=wide, **widely, opts=options),
    ]


def _unscoped(stack: Stack, name: str) -> Any:
    return {"name": name, "labels": naming.labels(stack.environment, stack=stack.name, service=naming.SYSTEM)}
