"""Who may talk to whom: network policies derived from the `[network]` of every service, and nothing else is open."""

from __future__ import annotations

from typing import Any

from infra.components import naming
from infra.environment import Environment

# What the operator of Dask, the set-up jobs and the stand-ins open connections to; services say it in their manifests.
CALLS = {
    naming.SYSTEM: ("dask-scheduler", "lake", "postgres", "warehouse"),
    naming.STANDINS: ("lake", "postgres", "warehouse"),
}
_OUTSIDE = {"lake": 443, "mail": 587, "postgres": 5432, "warehouse": 443}  # where the part is no process of ours
_NAMESPACE = "kubernetes.io/metadata.name"
_PROCESS = "app.kubernetes.io/name"
_EVERYWHERE = "0.0.0.0/0"
_PRIVATE = ("10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_CREDENTIALS = {"cidr": "169.254.170.23/32", "port": 80}  # the Pod Identity agent of every node


def calls(environment: Environment, owner: str) -> list[str]:
    """The processes that pods of `owner` open connections to, sorted."""
    manifest = naming.services(environment.root).get(owner)
    return sorted(manifest.network.calls if manifest is not None else CALLS.get(owner, ()))


def allowed(environment: Environment) -> list[tuple[str, str, int]]:
    """Every pair that may connect inside the cluster, sorted: who calls (an owner), the process, its port."""
    owners = [*naming.services(environment.root), naming.SYSTEM, naming.STANDINS]
    pairs = {
        (owner, process, port)
        for owner in owners
        for process in calls(environment, owner)
        for port in naming.ports(environment, process).values()
        if inside(environment, process)
    }
    return sorted(pairs)


def inside(environment: Environment, process: str) -> bool:
    """Whether `process` runs in the cluster, and is not a managed service outside."""
    part = {"postgres": "database"}.get(process, process)
    return part not in ("database", "lake", "mail", "warehouse") or environment.substrate(part) == "machine"


def policy(
    environment: Environment, process: str, *, owner: str, network: str = "", api: bool = False
) -> dict[str, Any]:
    """The spec of the policy of one process' pods.

    `network` is the range from which people's requests come, through the load balancer; "" is nowhere.
    `api` opens the way to the API server of Kubernetes, for processes that make pods.
    """
    ports = naming.ports(environment, process)
    coming = [
        {"from": [_pods(environment, caller)], "ports": [_tcp(port)]}
        for caller, called, port in allowed(environment)
        if called == process
    ]
    manifest = naming.services(environment.root).get(owner)
    if network and ports and manifest is not None and manifest.network.open_to != "nobody":
        coming.append({"from": [{"ipBlock": {"cidr": network}}], "ports": [_tcp(port) for port in ports.values()]})
    going = [rule for called in calls(environment, owner) for rule in _to(environment, called, network=network)]
    if environment.has("aws"):
        going.append({"ports": [_tcp(_CREDENTIALS["port"])], "to": [{"ipBlock": {"cidr": _CREDENTIALS["cidr"]}}]})
    if api:
        going.append({"ports": [_tcp(443), _tcp(6443)], "to": [{"ipBlock": {"cidr": network or _EVERYWHERE}}]})
    return {
        "egress": going,
        "ingress": coming,
        "podSelector": {"matchLabels": {_PROCESS: process}},
        "policyTypes": ["Egress", "Ingress"],
    }


def closed(environment: Environment) -> dict[str, Any]:
    """The spec of the policy that closes a namespace: nothing comes in, and only names may be asked for.

    On AWS nodes answer for names, not pods, and a policy can only name the address of the service.
    """
    nodes = [{"ipBlock": {"cidr": naming.NAMES_ON_AWS}}] if environment.has("aws") else []
    return {
        "egress": [
            {
                "ports": [{"port": 53, "protocol": "UDP"}, _tcp(53)],
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    },
                    *nodes,
                ],
            }
        ],
        "ingress": [],
        "podSelector": {},
        "policyTypes": ["Egress", "Ingress"],
    }


def _to(environment: Environment, process: str, *, network: str) -> list[dict[str, Any]]:
    if inside(environment, process):
        ports = naming.ports(environment, process)
        target = {
            **_pods(environment, naming.home(process, root=environment.root)),
            "podSelector": {"matchLabels": {_PROCESS: process}},
        }
        return [{"ports": [_tcp(port) for port in ports.values()], "to": [target]}] if ports else []
    if process == "postgres":
        return [{"ports": [_tcp(_OUTSIDE[process])], "to": [{"ipBlock": {"cidr": network or _PRIVATE[0]}}]}]
    block = {"cidr": _EVERYWHERE, "except": list(_PRIVATE)}
    return [{"ports": [_tcp(_OUTSIDE[process])], "to": [{"ipBlock": block}]}]


def _pods(environment: Environment, owner: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE: naming.namespace(environment, owner)}}}


def _tcp(port: Any) -> dict[str, Any]:
    return {"port": int(port), "protocol": "TCP"}
