"""The one Kubernetes provider of a program: the cluster that the stack `cluster` names, never the ambient default."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.stack import Stack
from infra.stacks.cluster.outputs import ClusterOutputs

NAME = "kubernetes"


def options(
    stack: Stack,
    *,
    parent: pulumi.Resource | None = None,
    needs: list[pulumi.Resource] | None = None,
    protect: bool = False,
) -> pulumi.ResourceOptions:
    """Options of an object in the cluster: its parent, what must exist before it, our provider."""
    provider = stack.provider_of(NAME, lambda: provider_for(ClusterOutputs.of(stack).kubeconfig))
    return pulumi.ResourceOptions(parent=parent, depends_on=needs, provider=provider, protect=protect)


def provider_for(kubeconfig: pulumi.Input[str]) -> kubernetes.Provider:
    """A provider of the cluster that `kubeconfig` names; "" is the one that KUBECONFIG names where it is deployed."""
    return kubernetes.Provider(NAME, kubeconfig=kubeconfig, enable_server_side_apply=True)


def namespace(stack: Stack, owner: str) -> str:
    """The namespace of a service, of the stand-ins or of the system."""
    return naming.namespace(stack.environment, owner)


def metadata(stack: Stack, name: str, *, owner: str, process: str = "") -> dict[str, object]:
    """Name, namespace and labels of an object that belongs to `owner`; `process` is what selectors look for."""
    labels = naming.labels(stack.environment, stack=stack.name, service=owner)
    if process:
        labels["app.kubernetes.io/name"] = process
    return {"name": name, "namespace": namespace(stack, owner), "labels": labels}
