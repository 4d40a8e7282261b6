"""Pods that survive and that stay small."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from infra.policy.cases import DIGEST, LABELS, Node, changed, deployment, manifest, pod_spec
from infra.policy.workloads import selects
from infra.tests.policy.verdicts import CLUSTER, DEV, hits, passes, places

C = "spec.template.spec.containers[it]"


@pytest.mark.parametrize("kind", ["limits", "requests"])
@pytest.mark.parametrize("what", ["cpu", "ephemeral-storage", "memory"])
def test_a_container_says_what_it_needs_and_what_it_gets_at_most(kind: str, what: str):
    whole = pod_spec()["containers"][0]["resources"]
    less = {key: value for key, value in whole[kind].items() if key != what}
    assert places("pods-resources", deployment(None, {f"resources.{kind}": less})) == [f"{C}.resources.{kind}.{what}"]


def test_an_init_container_needs_something_too():
    made = deployment({"initContainers": [{"name": "first", "image": DIGEST}]})
    assert len(places("pods-resources", made)) == 6


def test_a_container_without_resources_lacks_all_of_them():
    assert len(places("pods-resources", deployment(None, {"resources": None}))) == 6


@pytest.mark.parametrize("kind", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_what_runs_on_has_three_probes(kind: str):
    assert hits("pods-probes", deployment(None, {kind: None})) == [("it-it-deployment", f"{C}.{kind}", "missing")]


def test_being_alive_is_not_being_ready():
    same = {"httpGet": {"path": "/healthz", "port": 8080}}
    made = deployment(None, {"livenessProbe": same, "readinessProbe": same})
    assert hits("pods-probes", made) == [("it-it-deployment", f"{C}.readinessProbe", "the same as livenessProbe")]


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_what_ends_needs_no_probes(kind: str):
    spec = pod_spec(None, {"livenessProbe": None, "readinessProbe": None, "startupProbe": None})
    body = {"spec": spec} if kind == "Pod" else {"spec": {"template": {"spec": spec}}}
    assert passes("pods-probes", manifest(kind, body))


def test_an_init_container_needs_no_probes():
    assert passes("pods-probes", deployment({"initContainers": [{"name": "first"}]}))


@pytest.mark.parametrize(
    ("image", "with_registry", "without"),
    [
        (DIGEST, True, True),
        ("it@sha256:" + "0" * 64, True, True),
        ("it@sha256:" + "0" * 63, False, False),
        ("it@sha256:" + "G" * 64, False, False),
        ("it:1.0", False, True),
        ("registry.example:5000/it:1.0", False, True),
        ("registry.example:5000/it", False, False),
        ("it:latest", False, False),
        ("it", False, False),
        ("", False, False),
    ],
)
def test_images_are_named_by_digest_and_by_tag_only_where_there_is_no_registry(
    image: str, with_registry: bool, without: bool
):
    made = deployment(None, {"image": image})
    assert passes("pods-digest", made) is with_registry
    assert passes("pods-digest", made, setting=CLUSTER) is without


def test_images_in_the_pod_template_of_airflow_are_named_by_digest_too():
    text = yaml.safe_dump({"kind": "Pod", "spec": pod_spec(None, {"image": "it:1.0"})})
    found = places("pods-digest", manifest("ConfigMap", {"data": {"pod.yaml": text}}))
    assert found == ["data[pod.yaml].spec.containers[it].image"]


def binding(kind: str = "RoleBinding", *, account: str = "it", namespace: str | None = "it") -> Node:
    subject = {"kind": "ServiceAccount", "name": account, **({"namespace": namespace} if namespace else {})}
    return manifest(kind, {"roleRef": {"kind": "Role", "name": "it"}, "subjects": [subject]})


@pytest.mark.parametrize("value", [None, True])
def test_a_pod_without_a_role_holds_no_token(value: bool | None):
    assert places("pods-token", deployment({"automountServiceAccountToken": value})) == [
        "spec.template.spec.automountServiceAccountToken"
    ]


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_a_pod_whose_account_has_a_role_may_hold_a_token(kind: str):
    assert passes("pods-token", deployment({"automountServiceAccountToken": True}), binding(kind))


def test_a_subject_without_a_namespace_is_of_its_binding_s():
    assert passes("pods-token", deployment({"automountServiceAccountToken": True}), binding(namespace=None))


@pytest.mark.parametrize("other", [binding(account="other"), binding(namespace="other")])
def test_the_role_of_another_account_is_none(other: Node):
    assert not passes("pods-token", deployment({"automountServiceAccountToken": True}), other)


def test_an_account_gives_no_token_by_itself():
    assert places("pods-token", manifest("ServiceAccount")) == ["automountServiceAccountToken"]
    assert passes("pods-token", manifest("ServiceAccount", {"automountServiceAccountToken": False}))


@pytest.mark.parametrize("name", [None, "", "default"])
def test_no_pod_uses_the_account_that_is_everybody_s(name: str | None):
    assert places("pods-account", deployment({"serviceAccountName": name})) == ["spec.template.spec.serviceAccountName"]


@pytest.mark.parametrize("value", [None, False])
def test_the_root_file_system_cannot_be_written(value: bool | None):
    path = "securityContext.readOnlyRootFilesystem"
    assert places("pods-read-only", deployment(None, {path: value})) == [f"{C}.{path}"]


def test_secrets_do_not_come_through_the_environment():
    one = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "it", "key": "value"}}}
    assert places("pods-secret-files", deployment(None, {"env": [one]})) == [
        f"{C}.env[PASSWORD].valueFrom.secretKeyRef"
    ]
    assert places("pods-secret-files", deployment(None, {"envFrom": [{"secretRef": {"name": "it"}}]})) == [
        f"{C}.envFrom.secretRef"
    ]


def test_what_is_no_secret_may_come_through_the_environment():
    plain = {"name": "LEVEL", "value": "info"}
    field = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert passes("pods-secret-files", deployment(None, {"env": [plain, field], "envFrom": [{"configMapRef": {}}]}))


@pytest.mark.parametrize(
    ("pod", "container", "allowed"),
    [(10_000, None, True), (9_999, None, False), (None, 10_001, True), (10_001, 1, False), (None, None, False)],
)
def test_the_user_is_one_that_no_node_has(pod: int | None, container: int | None, allowed: bool):
    made = deployment({"securityContext.runAsUser": pod}, {"securityContext.runAsUser": container})
    assert passes("pods-user", made) is allowed


def test_scratch_space_is_bounded_in_memory_too():
    volumes = [{"name": "a", "emptyDir": {"medium": "Memory"}}, {"name": "b", "emptyDir": {"sizeLimit": "1Mi"}}]
    assert places("pods-scratch", deployment({"volumes": volumes})) == [
        "spec.template.spec.volumes[a].emptyDir.sizeLimit"
    ]


def test_a_pod_has_time_to_end():
    assert places("pods-grace", deployment({"terminationGracePeriodSeconds": None})) == [
        "spec.template.spec.terminationGracePeriodSeconds"
    ]


@pytest.mark.parametrize(
    ("grace", "sleep", "allowed"), [(30, 5, True), (30, 30, False), (30, 31, False), (60, 30, True)]
)
def test_a_pod_is_not_killed_while_it_waits_to_be_told_to_end(grace: int, sleep: int, allowed: bool):
    stop = {"lifecycle.preStop": {"sleep": {"seconds": sleep}}}
    assert passes("pods-grace", deployment({"terminationGracePeriodSeconds": grace}, stop)) is allowed


SPREAD = {"topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}]}


def scaler(least: int) -> Node:
    target = {"kind": "Deployment", "name": "it"}
    return manifest(
        "HorizontalPodAutoscaler", {"spec": {"minReplicas": least, "maxReplicas": 9, "scaleTargetRef": target}}
    )


@pytest.mark.parametrize("rule", ["workloads-spread", "workloads-budget"])
def test_one_pod_need_not_be_spread_nor_kept(rule: str):
    assert passes(rule, deployment(replicas=1))


@pytest.mark.parametrize("rule", ["workloads-spread", "workloads-budget"])
def test_the_autoscaler_says_how_many_pods_there_are(rule: str):
    assert not passes(rule, deployment(replicas=1), scaler(2))
    assert passes(rule, deployment(replicas=5), scaler(1))


def test_several_pods_are_spread():
    assert passes("workloads-spread", deployment(SPREAD, replicas=3))
    assert places("workloads-spread", deployment(replicas=3)) == ["spec.template.spec.topologySpreadConstraints"]


def budget(spec: dict[str, Any], *, namespace: str = "it") -> Node:
    selector = {"matchLabels": {"app.kubernetes.io/name": "it"}}
    return manifest("PodDisruptionBudget", {"spec": {"selector": selector, **spec}}, namespace=namespace)


def test_several_pods_are_kept_while_nodes_are_drained():
    assert passes("workloads-budget", deployment(replicas=2), budget({"maxUnavailable": 1}))
    assert passes("workloads-budget", deployment(replicas=2), budget({"minAvailable": 1}))


def test_the_budget_of_another_namespace_keeps_nothing():
    assert not passes("workloads-budget", deployment(replicas=2), budget({"maxUnavailable": 1}, namespace="other"))


@pytest.mark.parametrize("spec", [{"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"minAvailable": "100%"}])
def test_a_budget_that_lets_nothing_go_is_found(spec: dict[str, Any]):
    assert places("workloads-budget", deployment(replicas=2), budget(spec)) == [f"spec.{next(iter(spec))}"]


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchLabels": {"a": "1", "b": "1"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["2"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_take_what_kubernetes_says_they_take(selector: dict[str, Any], taken: bool):
    assert selects(selector, {"a": "1"}) is taken


def test_jobs_have_a_deadline():
    assert places("jobs-end", manifest("Job", {"spec": {}})) == ["spec.activeDeadlineSeconds"]
    assert passes("jobs-end", manifest("Job", {"spec": {"activeDeadlineSeconds": 60}}))


@pytest.mark.parametrize(("policy", "allowed"), [("Forbid", True), ("Replace", True), ("Allow", False), (None, False)])
def test_a_job_does_not_run_beside_its_last_run(policy: str | None, allowed: bool):
    spec = {"concurrencyPolicy": policy, "jobTemplate": {"spec": {"activeDeadlineSeconds": 60}}}
    assert passes("jobs-end", manifest("CronJob", {"spec": changed(spec, {})})) is allowed


@pytest.mark.parametrize("key", [key for key in LABELS if key.startswith("leandata.io/")])
def test_every_object_carries_each_label(key: str):
    labels = {name: value for name, value in LABELS.items() if name != key}
    assert hits("objects-labels", manifest("Service", labels=labels)) == [("it-it-service", "metadata.labels", key)]


def test_rules_of_pods_hold_in_every_environment():
    for rule in ("pods-read-only", "pods-token", "pods-resources", "pods-user"):
        for setting in (DEV, CLUSTER):
            bad = deployment(
                {"automountServiceAccountToken": None, "securityContext.runAsUser": 5},
                {"resources": None, "securityContext": {}},
            )
            assert not passes(rule, bad, setting=setting)
