"""Namespaces, networks, roles, and the ways in."""

from __future__ import annotations

from typing import Any

import pytest

from infra.policy.cases import LABELS, Node, deployment, manifest
from infra.tests.policy.verdicts import hits, passes, places

LEVEL = "pod-security.kubernetes.io/"
WHOLE = {f"{LEVEL}{mode}": "restricted" for mode in ("audit", "enforce", "warn")} | {f"{LEVEL}enforce-version": "v1.35"}


def home(name: str = "it", levels: dict[str, str] | None = None) -> Node:
    return manifest("Namespace", name=name, namespace="", labels=LABELS | (WHOLE if levels is None else levels))


def policy(spec: dict[str, Any], *, namespace: str = "it") -> Node:
    return manifest("NetworkPolicy", {"spec": spec}, namespace=namespace)


BOTH = ["Egress", "Ingress"]
CLOSED = {"podSelector": {}, "policyTypes": BOTH}
NAMES = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}], "to": [{"namespaceSelector": {}}]}
OWN = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "it"}}, "policyTypes": BOTH}


@pytest.mark.parametrize("mode", ["audit", "enforce", "warn"])
@pytest.mark.parametrize("level", ["privileged", "baseline", ""])
def test_a_namespace_is_restricted_in_every_mode(mode: str, level: str):
    key = f"{LEVEL}{mode}"
    assert places("namespaces-restricted", home(levels={**WHOLE, key: level})) == [f"metadata.labels[{key}]"]


def test_a_namespace_names_the_version_of_the_standard():
    levels = {key: value for key, value in WHOLE.items() if not key.endswith("version")}
    assert places("namespaces-restricted", home(levels=levels)) == [f"metadata.labels[{LEVEL}enforce-version]"]


def test_a_restricted_namespace_passes():
    assert passes("namespaces-restricted", home())


@pytest.mark.parametrize(
    "spec",
    [
        {**CLOSED, "policyTypes": ["Ingress"]},
        {**CLOSED, "policyTypes": ["Egress"]},
        {**CLOSED, "ingress": [{"from": [{"podSelector": {}}]}]},
        {**CLOSED, "egress": [{}]},
        {**CLOSED, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
        {**CLOSED, "egress": [{"ports": [{"port": 443}]}]},
        OWN,
    ],
)
def test_a_policy_that_lets_something_through_closes_no_namespace(spec: dict[str, Any]):
    assert not passes("namespaces-closed", home(), policy(spec))


@pytest.mark.parametrize("spec", [CLOSED, {**CLOSED, "ingress": [], "egress": []}, {**CLOSED, "egress": [NAMES]}])
def test_a_closed_namespace_may_ask_for_names(spec: dict[str, Any]):
    assert passes("namespaces-closed", home(), policy(spec))


def test_each_namespace_is_closed_by_a_policy_of_its_own():
    found = hits("namespaces-closed", home("one"), home("two"), policy(CLOSED, namespace="one"))
    assert [name for name, _, _ in found] == ["-two-namespace"]


@pytest.mark.parametrize("there", [[], ["LimitRange"], ["ResourceQuota"]])
def test_a_namespace_has_a_quota_and_limits(there: list[str]):
    missing = {"LimitRange", "ResourceQuota"} - set(there)
    found = hits("namespaces-bounded", home(), *(manifest(kind) for kind in there))
    assert {said for _, _, said in found} == {f"no {kind}" for kind in missing}


def test_the_quota_of_another_namespace_bounds_nothing():
    other = [manifest(kind, namespace="other") for kind in ("LimitRange", "ResourceQuota")]
    assert len(hits("namespaces-bounded", home(), *other)) == 2


@pytest.mark.parametrize("types", [["Egress"], ["Ingress"], []])
def test_a_pod_has_a_policy_for_both_directions(types: list[str]):
    found = hits("network-covered", deployment(), policy({**OWN, "policyTypes": types}))
    assert {said.removeprefix("no policy for ") for _, _, said in found} == set(BOTH) - set(types)


def test_two_policies_may_share_the_directions():
    one = manifest("NetworkPolicy", {"spec": {**OWN, "policyTypes": ["Egress"]}}, name="out")
    two = manifest("NetworkPolicy", {"spec": {**OWN, "policyTypes": ["Ingress"]}}, name="in")
    assert passes("network-covered", deployment(), one, two)


def test_the_policy_that_closes_the_namespace_is_nobody_s_own():
    assert len(hits("network-covered", deployment(), policy(CLOSED))) == 2


def test_a_policy_of_another_namespace_or_of_other_pods_covers_nothing():
    other = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "other"}}, "policyTypes": BOTH}
    assert not passes("network-covered", deployment(), policy(OWN, namespace="other"))
    assert not passes("network-covered", deployment(), policy(other))


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"ports": [{"port": 443}]},
        {"from": [{}]},
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
        {"from": [{"ipBlock": {"cidr": "::/0"}}]},
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]},
        {"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]},
    ],
)
def test_nothing_comes_in_from_anywhere(rule: dict[str, Any]):
    assert places("network-open", policy({**OWN, "ingress": [rule]})) == ["spec.ingress.from"]


@pytest.mark.parametrize(
    "rule",
    [
        {"from": [{"podSelector": {}}]},
        {"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]},
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"port": 443}]},
    ],
)
def test_who_is_named_comes_in(rule: dict[str, Any]):
    assert passes("network-open", policy({**OWN, "ingress": [rule]}))


def test_what_goes_anywhere_names_its_ports():
    world = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
    assert places("network-open", policy({**OWN, "egress": [{"to": world}]})) == ["spec.egress.ports"]
    assert places("network-open", policy({**OWN, "egress": [{}]})) == ["spec.egress.ports"]
    assert passes("network-open", policy({**OWN, "egress": [{"to": world, "ports": [{"port": 443}]}]}))
    assert passes("network-open", policy({**OWN, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]}]}))


@pytest.mark.parametrize("namespace", ["", "default", "kube-system", "kube-public"])
def test_nothing_lies_in_a_namespace_that_is_not_ours(namespace: str):
    assert places("objects-namespace", manifest("ConfigMap", namespace=namespace)) == ["metadata.namespace"]


@pytest.mark.parametrize(
    "kind", ["Namespace", "ClusterRole", "CustomResourceDefinition", "StorageClass", "IngressClass"]
)
def test_what_is_of_the_whole_cluster_lies_nowhere(kind: str):
    assert passes("objects-namespace", manifest(kind, namespace=""))


def role(kind: str = "Role", **rule: list[str]) -> Node:
    whole = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule}
    return manifest(kind, {"rules": [whole]}, namespace="" if kind == "ClusterRole" else "it")


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
@pytest.mark.parametrize("key", ["apiGroups", "resources", "verbs"])
def test_roles_hold_no_wildcard(kind: str, key: str):
    assert places("rbac-wildcard", role(kind, **{key: ["*"]})) == [f"rules.{key}"]


@pytest.mark.parametrize("verb", ["bind", "escalate", "impersonate"])
def test_roles_hold_no_verb_that_gives_more(verb: str):
    assert "rules.verbs" in places("rbac-escalation", role(verbs=["get", verb]))


@pytest.mark.parametrize(
    "resource", ["serviceaccounts/token", "pods/attach", "pods/ephemeralcontainers", "nodes/proxy", "secrets"]
)
def test_roles_hold_no_resource_that_gives_more(resource: str):
    assert places("rbac-escalation", role(resources=[resource])) == ["rules.resources"]


def test_named_secrets_may_be_read():
    assert passes("rbac-escalation", role(resources=["secrets"], resourceNames=["it"]))


@pytest.mark.parametrize("resource", ["roles", "rolebindings", "clusterroles", "clusterrolebindings"])
def test_nobody_writes_roles(resource: str):
    assert not passes("rbac-escalation", role(resources=[resource], verbs=["create"]))
    assert not passes("rbac-escalation", role(resources=[resource], verbs=["get", "patch"]))
    assert passes("rbac-escalation", role(resources=[resource], verbs=["get", "list", "watch"]))


def test_only_in_its_own_namespace_may_a_role_run_commands_in_pods():
    assert passes("rbac-escalation", role(resources=["pods/exec"], verbs=["create"]))
    assert not passes("rbac-escalation", role("ClusterRole", resources=["pods/exec"], verbs=["create"]))


def bound(to: str = "it", subject: str = "it") -> Node:
    return manifest("RoleBinding", {"roleRef": {"name": to}, "subjects": [{"name": subject, "kind": "ServiceAccount"}]})


@pytest.mark.parametrize("name", ["cluster-admin", "admin", "edit"])
def test_nobody_is_bound_to_the_roles_that_may_everything(name: str):
    assert places("rbac-binding", bound(name)) == ["roleRef.name"]


@pytest.mark.parametrize(
    "name", ["default", "system:anonymous", "system:authenticated", "system:unauthenticated", "system:masters"]
)
def test_nobody_is_bound_who_is_everybody(name: str):
    assert places("rbac-binding", bound(subject=name)) == ["subjects"]


@pytest.mark.parametrize(
    ("type_", "allowed"), [("ClusterIP", True), (None, True), ("NodePort", False), ("LoadBalancer", False)]
)
def test_services_are_reached_inside_only(type_: str | None, allowed: bool):
    assert passes("services-inside", manifest("Service", {"spec": {"type": type_}})) is allowed


def test_services_have_no_addresses_outside():
    assert places("services-inside", manifest("Service", {"spec": {"externalIPs": ["1.2.3.4"]}})) == [
        "spec.externalIPs"
    ]


def ingress(annotations: dict[str, str], *, tls: bool = True) -> Node:
    spec = {"tls": [{"hosts": ["it.example"]}]} if tls else {}
    return manifest("Ingress", {"spec": spec}, annotations=annotations)


LISTEN, REDIRECT = "alb.ingress.kubernetes.io/listen-ports", "alb.ingress.kubernetes.io/ssl-redirect"


@pytest.mark.parametrize(
    ("annotations", "tls", "allowed"),
    [
        ({}, True, True),
        ({}, False, False),
        ({LISTEN: '[{"HTTPS": 443}]'}, True, True),
        ({LISTEN: '[{"HTTP": 80}]'}, True, False),
        ({LISTEN: '[{"HTTP": 80}, {"HTTPS": 443}]'}, True, False),
        ({LISTEN: '[{"HTTP": 80}, {"HTTPS": 443}]', REDIRECT: "443"}, True, True),
    ],
)
def test_people_come_in_by_https(annotations: dict[str, str], tls: bool, allowed: bool):
    assert passes("ingress-encrypted", ingress(annotations, tls=tls)) is allowed


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_no_value_of_a_secret_lies_in_a_program(key: str):
    assert places("secrets-referred", manifest("Secret", {key: {"value": "[secret]"}})) == [key]
