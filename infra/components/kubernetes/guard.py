"""What a process needs before its pods start: an account, its rights outside the cluster, its network, its names."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.kubernetes import network, provider
from infra.components.stack import Stack


def admit(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    owner: str,
    process: str,
    secrets: pulumi.Output[list[str]],
    data: bool = True,
    api: bool = False,
    named: bool = True,
) -> list[pulumi.Resource]:
    """The service account, the identity on AWS, the network policy, and for processes with ports their names.

    `data` says whether it may touch the lake as its service may; `api` whether it talks to Kubernetes itself.
    Not `named`, its ports get no name of their own here.
    """
    environment = stack.environment
    options = provider.options(stack, parent=parent)
    metadata: Any = provider.metadata(stack, process, owner=owner, process=process)
    made: list[pulumi.Resource] = [
        kubernetes.core.v1.ServiceAccount(
            process, metadata=metadata, automount_service_account_token=False, opts=options
        )
    ]
    spec: Any = network.policy(environment, process, owner=owner, network=people(stack), api=api)
    made.append(kubernetes.networking.v1.NetworkPolicy(process, metadata=metadata, spec=spec, opts=options))
    if environment.has("aws"):
        from infra.components.aws import identity

        made += identity.make_identity(parent, stack=stack, owner=owner, account=process, data=data, secrets=secrets)
    for name, port in (naming.ports(environment, process) if named else {}).items():
        made.append(_name(stack, owner=owner, process=process, name=name, port=port, options=options))
        if name in (owner, f"{owner}-api") and stack.page(name).startswith("https://"):
            made += _page(stack, owner=owner, process=name, port=port, options=options)
    return made


def make_budget(stack: Stack, *, owner: str, process: str, options: pulumi.ResourceOptions) -> None:
    """At most one pod of the process is taken away at a time, and a sick one always may be."""
    metadata: Any = provider.metadata(stack, process, owner=owner, process=process)
    spec: Any = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": process}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    kubernetes.policy.v1.PodDisruptionBudget(process, metadata=metadata, spec=spec, opts=options)


def people(stack: Stack) -> str:
    """The range from which the load balancer's requests come; "" where there is none."""
    aws = stack.environment.file.aws
    return aws.cidr if aws is not None else ""


def _name(
    stack: Stack, *, owner: str, process: str, name: str, port: int, options: pulumi.ResourceOptions
) -> pulumi.Resource:
    """A Service: the name under which others reach the port. It is there before the pods, so nobody waits for them."""
    metadata: Any = provider.metadata(stack, name, owner=owner)
    metadata["annotations"] = {"pulumi.com/skipAwait": "true"}
    spec: Any = {
        "ports": [{"name": name[:15].rstrip("-"), "port": port, "protocol": "TCP", "targetPort": port}],
        "selector": {"app.kubernetes.io/name": process},
        "type": "ClusterIP",
    }
    return kubernetes.core.v1.Service(name, metadata=metadata, spec=spec, opts=options)


def _page(
    stack: Stack, *, owner: str, process: str, port: int, options: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """The way in from outside, for the services that are open to people or to programs."""
    manifest = naming.services(stack.environment.root).get(owner)
    if manifest is None or manifest.network.open_to == "nobody":
        return []
    from infra.components.aws import ingress

    metadata: Any = provider.metadata(stack, process, owner=owner, process=process)
    metadata["annotations"] = ingress.annotations(stack, process, manifest.network.open_to)
    host = stack.page(process).removeprefix("https://")
    backend = {"service": {"name": process, "port": {"number": port}}}
    spec: Any = {
        "ingressClassName": "alb",
        "rules": [{"host": host, "http": {"paths": [{"backend": backend, "path": "/", "pathType": "Prefix"}]}}],
        "tls": [{"hosts": [host]}],
    }
    return [kubernetes.networking.v1.Ingress(process, metadata=metadata, spec=spec, opts=options)]
