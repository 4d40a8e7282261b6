"""What lies around the pods: namespaces, networks, roles, and the ways in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.policy.cases import LABELS, deployment, manifest
from infra.policy.graph import Graph, Object, Resource, at, called, items, mapping, metadata, namespace, objects, texts
from infra.policy.pods import pods
from infra.policy.restricted import VERSION
from infra.policy.rule import Hit, Rule
from infra.policy.workloads import EKS, selects

_WORLD = ("0.0.0.0/0", "::/0")
_LEVEL = "pod-security.kubernetes.io/"
_CLUSTER_WIDE = frozenset(
    {
        "APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass",
        "IngressClassParams",
        "Namespace", "Node", "NodeClass", "NodePool", "PersistentVolume", "PriorityClass", "StorageClass",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    }
)  # fmt: skip
# What EKS reads from just there: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
_ASKED_FOR = frozenset({("ConfigMap", "kube-system", "amazon-vpc-cni")})
# Verbs, and resources, by which an account comes to more than it was given.
_STRONG_VERBS = frozenset({"bind", "escalate", "impersonate"})
_STRONG_RESOURCES = frozenset({"nodes/proxy", "pods/attach", "pods/ephemeralcontainers", "serviceaccounts/token"})
_STRANGERS = frozenset({"system:anonymous", "system:authenticated", "system:unauthenticated", "system:masters"})


def _restricted(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("Namespace"):
        labels = mapping(metadata(one), "labels")
        for mode in ("audit", "enforce", "warn"):
            if labels.get(_LEVEL + mode) != "restricted":
                yield Hit(resource=one, property=f"metadata.labels[{_LEVEL}{mode}]", said="not restricted")
        if not labels.get(_LEVEL + "enforce-version"):
            yield Hit(resource=one, property=f"metadata.labels[{_LEVEL}enforce-version]", said="missing")


def _in(graph: Graph, kind: str) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for one in graph.kinds(kind):
        found.setdefault(namespace(one), []).append(one)
    return found


def _whole(spec: Object) -> bool:
    """Whether a network policy takes all pods of its namespace, lets nothing in, and nothing out but names."""
    ports = {str(port.get("port")) for rule in objects(spec, "egress") for port in objects(rule, "ports") or [{}]}
    both = {"Egress", "Ingress"} <= set(texts(spec, "policyTypes"))
    return both and not at(spec, "podSelector") and not objects(spec, "ingress") and ports <= {"53"}


def _closed(graph: Graph) -> Iterator[Hit]:
    policies = _in(graph, "NetworkPolicy")
    for one in graph.kinds("Namespace"):
        if not any(_whole(mapping(policy.properties, "spec")) for policy in policies.get(called(one), [])):
            yield Hit(resource=one, property="metadata.name", said="no policy closes it")


def _bounded(graph: Graph) -> Iterator[Hit]:
    for kind in ("LimitRange", "ResourceQuota"):
        there = _in(graph, kind)
        for one in graph.kinds("Namespace"):
            if called(one) not in there:
                yield Hit(resource=one, property="metadata.name", said=f"no {kind}")


def _covered(graph: Graph) -> Iterator[Hit]:
    """Every pod is taken by a policy of its own for what comes in, and by one for what goes out."""
    policies = _in(graph, "NetworkPolicy")
    for pod in pods(graph):
        labels = mapping(pod.metadata, "labels")
        taken: set[Any] = set()
        for policy in policies.get(namespace(pod.resource), []):
            selector = mapping(policy.properties, "spec.podSelector")
            if selector and selects(selector, labels):
                taken |= set(texts(policy.properties, "spec.policyTypes"))
        for missing in sorted({"Egress", "Ingress"} - taken):
            yield Hit(resource=pod.resource, property=f"{pod.place}: metadata.labels", said=f"no policy for {missing}")


def _open_networks(graph: Graph) -> Iterator[Hit]:
    """Nothing comes in from anywhere; what may go anywhere may do so through named ports only."""
    for one in graph.kinds("NetworkPolicy"):
        for rule in objects(one.properties, "spec.ingress"):
            peers = objects(rule, "from")
            if not peers or any(at(peer, "ipBlock.cidr") in _WORLD or peer == {} for peer in peers):
                yield Hit(resource=one, property="spec.ingress.from", said="from anywhere")
        for rule in objects(one.properties, "spec.egress"):
            peers = objects(rule, "to")
            world = not peers or any(at(peer, "ipBlock.cidr") in _WORLD for peer in peers)
            if world and not objects(rule, "ports"):
                yield Hit(resource=one, property="spec.egress.ports", said="anywhere, on any port")


def _homeless(graph: Graph) -> Iterator[Hit]:
    for one in graph.of_package("kubernetes"):
        kind = one.type.rpartition(":")[2]
        if (kind, namespace(one), called(one)) in _ASKED_FOR:
            continue
        if kind not in _CLUSTER_WIDE and namespace(one) in ("", "default", "kube-system", "kube-public"):
            yield Hit(resource=one, property="metadata.namespace", said=namespace(one) or "missing")


def _roles(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("ClusterRole", "Role"):
        for rule in objects(one.properties, "rules"):
            for key in ("apiGroups", "resources", "verbs"):
                if "*" in items(rule, key):
                    yield Hit(resource=one, property=f"rules.{key}", said="*")


def _strong(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("ClusterRole", "Role"):
        wide = one.type.endswith(":ClusterRole")
        for rule in objects(one.properties, "rules"):
            verbs, resources = set(texts(rule, "verbs")), set(texts(rule, "resources"))
            if verbs & _STRONG_VERBS:
                yield Hit(resource=one, property="rules.verbs", said=", ".join(sorted(verbs & _STRONG_VERBS)))
            strong = resources & _STRONG_RESOURCES
            strong |= resources & ({"secrets", "pods/exec"} if wide else {"secrets"})
            if any(name.endswith(("roles", "rolebindings")) for name in resources) and verbs - {"get", "list", "watch"}:
                strong |= {"roles"}
            if strong and not items(rule, "resourceNames"):
                yield Hit(resource=one, property="rules.resources", said=", ".join(sorted(strong)))


def _bindings(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("ClusterRoleBinding", "RoleBinding"):
        role = at(one.properties, "roleRef.name")
        if role in ("admin", "cluster-admin", "edit"):
            yield Hit(resource=one, property="roleRef.name", said=str(role))
        for subject in objects(one.properties, "subjects"):
            name = str(subject.get("name"))
            if name in _STRANGERS or name == "default":
                yield Hit(resource=one, property="subjects", said=name)


def _ways_in(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("Service"):
        kind = at(one.properties, "spec.type", "ClusterIP")
        if kind not in ("ClusterIP", "ExternalName"):
            yield Hit(resource=one, property="spec.type", said=str(kind))
        if items(one.properties, "spec.externalIPs"):
            yield Hit(resource=one, property="spec.externalIPs")


def _encrypted(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("Ingress"):
        listens = str(mapping(metadata(one), "annotations").get("alb.ingress.kubernetes.io/listen-ports", ""))
        if not items(one.properties, "spec.tls"):
            yield Hit(resource=one, property="spec.tls", said="missing")
        redirected = "alb.ingress.kubernetes.io/ssl-redirect" in mapping(metadata(one), "annotations")
        if '"HTTP"' in listens and not redirected:
            yield Hit(resource=one, property="metadata.annotations", said="listens to plain HTTP")


def _secrets(graph: Graph) -> Iterator[Hit]:
    for one in graph.kinds("Secret"):
        for key in ("data", "stringData"):
            if one.properties.get(key):
                yield Hit(resource=one, property=key, said="the value would lie in the state")


def _network(name: str, spec: Object, **meta: Any) -> Any:
    return manifest(
        "NetworkPolicy", {"spec": {"podSelector": {}, "policyTypes": ["Egress", "Ingress"], **spec}}, name=name, **meta
    )


_OWN = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "it"}}}
_MODES = {_LEVEL + mode: "restricted" for mode in ("audit", "enforce", "warn")} | {_LEVEL + "enforce-version": VERSION}
_HOME = manifest("Namespace", namespace="", labels={**LABELS, **_MODES})


def _role(verbs: list[str], resources: list[str]) -> Any:
    return manifest("Role", {"rules": [{"apiGroups": [""], "resources": resources, "verbs": verbs}]})


def _binding(role: str) -> Any:
    subjects = [{"kind": "ServiceAccount", "name": "it", "namespace": "it"}]
    return manifest("RoleBinding", {"roleRef": {"kind": "Role", "name": role}, "subjects": subjects})


RULES: tuple[Rule, ...] = (
    Rule(
        id="namespaces-restricted", title="Namespaces enforce Pod Security restricted", check=_restricted,
        source="Pod Security Standards, admission labels", severity="high",
        reason="A pod that somebody makes by hand is not looked at",
        remedy="Label it enforce, audit and warn = restricted, and enforce-version",
        good=(_HOME,), bad=(manifest("Namespace", namespace=""),),
    ),
    Rule(
        id="namespaces-closed", title="Namespaces are closed to the network", check=_closed, severity="high",
        source=f"{EKS}, default deny", reason="Any pod of the cluster talks to any other",
        remedy="Add a NetworkPolicy of all pods, both types, with no rule but for names",
        good=(_HOME, _network("closed", {})), bad=(_HOME, _network("it", _OWN)),
    ),
    Rule(
        id="namespaces-bounded", title="Namespaces have a quota and limits", check=_bounded, severity="medium",
        source=f"{EKS}, quotas per namespace", reason="One service takes the whole cluster, and the bill with it",
        remedy="Add a ResourceQuota and a LimitRange",
        good=(_HOME, manifest("ResourceQuota"), manifest("LimitRange")), bad=(_HOME, manifest("LimitRange")),
    ),
    Rule(
        id="network-covered", title="Every pod has a network policy in and out", check=_covered, severity="high",
        source="NSA/CISA hardening, network isolation", reason="Nobody has said whom it may talk to",
        remedy="Make it by guard.admit, which derives the policy from service.toml",
        good=(deployment(), _network("it", _OWN)), bad=(deployment(), _network("closed", {})),
    ),
    Rule(
        id="network-open", title="No network policy is open to the world", check=_open_networks, severity="high",
        source=f"{EKS}, network security", reason="The policy is there and forbids nothing",
        remedy="Name who may come in; name the ports of what goes out",
        good=(_network("it", {"egress": [{"ports": [{"port": 443}], "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),),
        bad=(_network("it", {"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),),
    ),
    Rule(
        id="objects-namespace", title="Everything lies in a namespace of ours", check=_homeless, severity="medium",
        source="CIS Kubernetes 5.7.4", reason="No quota, no policy and no Pod Security holds there",
        remedy="Use provider.metadata(...)",
        good=(manifest("ConfigMap"), _HOME), bad=(manifest("ConfigMap", namespace="default"),),
    ),
    Rule(
        id="rbac-wildcard", title="Roles name what they allow", check=_roles, severity="high",
        source="CIS Kubernetes 5.1.3", reason="What is added to Kubernetes later is allowed as well",
        remedy="List the API groups, resources and verbs",
        good=(_role(["get"], ["pods"]),), bad=(_role(["*"], ["pods"]),),
    ),
    Rule(
        id="rbac-escalation", title="No role leads to a stronger one", check=_strong, severity="high",
        source="CIS Kubernetes 5.1.2, 5.1.4, 5.1.8 to 5.1.13", reason="Whoever holds it makes himself administrator",
        remedy="Remove the verb or the resource, or name the objects",
        good=(_role(["create", "get"], ["pods", "pods/log"]),), bad=(_role(["create"], ["serviceaccounts/token"]),),
    ),
    Rule(
        id="rbac-binding", title="Nobody is bound to more than his own role", check=_bindings, severity="high",
        source="CIS Kubernetes 5.1.1, 5.1.5", reason="Everything is allowed, or to everybody",
        remedy="Bind the process' own account to a role of its own",
        good=(_binding("it"),), bad=(_binding("cluster-admin"),),
    ),
    Rule(
        id="services-inside", title="Services are reached inside the cluster only", check=_ways_in, severity="high",
        source=f"{EKS}, network security", reason="The port is open on every node, past the ingress and its login",
        remedy="Use ClusterIP, and an Ingress for people",
        good=(manifest("Service"),), bad=(manifest("Service", {"spec": {"type": "NodePort"}}),),
    ),
    Rule(
        id="ingress-encrypted", title="People come in by HTTPS only", check=_encrypted, severity="high",
        source=f"{EKS}, encryption in transit", reason="Passwords and numbers are read on the way",
        remedy="Give the Ingress tls, and let it listen to HTTPS",
        good=(manifest("Ingress", {"spec": {"tls": [{"hosts": ["it.example"]}]}}),),
        bad=(manifest("Ingress", {"spec": {}}),),
    ),
    Rule(
        id="secrets-referred", title="Programs hold references to secrets, no values", check=_secrets, severity="high",
        source="pulumi/pulumi-kubernetes#915", reason="The value lies in the state and in annotations",
        remedy="Declare Secret(name, kind=...), which makes the value where it is used",
        good=(manifest("Secret"),), bad=(manifest("Secret", {"data": {"value": "[secret]"}}),),
    ),
)  # fmt: skip
