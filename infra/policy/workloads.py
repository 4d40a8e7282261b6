"""Pods that survive and that stay small: resources, probes, images, identities, and what many replicas need."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.policy.cases import LABELS, deployment, manifest
from infra.policy.graph import (
    Graph,
    Object,
    Resource,
    Setting,
    at,
    called,
    items,
    mapping,
    metadata,
    namespace,
    number,
    objects,
)
from infra.policy.pods import Pod, every_container, every_pod, pods
from infra.policy.rule import Case, Check, Hit, Rule, Severity

EKS = "EKS best practices guide"
_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_FIRST_USER = 10_000
_Broken = Iterator[tuple[str, str]]


def _resources(container: Object) -> _Broken:
    for kind in ("limits", "requests"):
        for what in ("cpu", "ephemeral-storage", "memory"):
            if mapping(container, f"resources.{kind}").get(what) is None:
                yield f"resources.{kind}.{what}", "missing"


def _probes(pod: Pod) -> _Broken:
    """What runs on has all three; what tells it is alive is not what tells it can take requests, nor as patient."""
    if pod.runs != "always":
        return
    for place, container in pod.containers("containers"):
        for kind in _PROBES:
            if not container.get(kind):
                yield f"{place}.{kind}", "missing"
        live, ready = container.get("livenessProbe"), container.get("readinessProbe")
        if live and live == ready:
            yield f"{place}.readinessProbe", "the same as livenessProbe"


def _digests(graph: Graph) -> Iterator[Hit]:
    """Without a registry a tag is allowed: the image lies on the node. "latest" never is."""
    for pod in pods(graph):
        for place, container in pod.containers():
            image = str(container.get("image", ""))
            tag = image.rpartition("/")[2].partition(":")[2]
            tagged = not graph.setting.registry and "@" not in image and tag not in ("", "latest")
            if not _DIGEST.fullmatch(image) and not tagged:
                yield pod.hit(f"{place}.image", image)


def _tokens(graph: Graph) -> Iterator[Hit]:
    """A pod holds its account's token only where a role is bound to the account."""
    bound = {
        (str(subject.get("namespace") or namespace(binding)), str(subject.get("name")))
        for binding in graph.kinds("ClusterRoleBinding", "RoleBinding")
        for subject in objects(binding.properties, "subjects")
    }
    for pod in pods(graph):
        account = (namespace(pod.resource), str(pod.spec.get("serviceAccountName")))
        if pod.spec.get("automountServiceAccountToken") is not False and account not in bound:
            yield pod.hit("automountServiceAccountToken", "not false, and its account has no role")
    for account in graph.kinds("ServiceAccount"):
        if account.properties.get("automountServiceAccountToken") is not False:
            yield Hit(resource=account, property="automountServiceAccountToken", said="not false")


def _accounts(pod: Pod) -> _Broken:
    if pod.spec.get("serviceAccountName") in (None, "", "default"):
        yield "serviceAccountName", "none of its own"


def _read_only(container: Object) -> _Broken:
    if at(container, "securityContext.readOnlyRootFilesystem") is not True:
        yield "securityContext.readOnlyRootFilesystem", "not true"


def _plain_secrets(container: Object) -> _Broken:
    for one in objects(container, "env"):
        if at(one, "valueFrom.secretKeyRef"):
            yield f"env[{one.get('name')}].valueFrom.secretKeyRef", ""
    for one in objects(container, "envFrom"):
        if at(one, "secretRef"):
            yield "envFrom.secretRef", ""


def _users(pod: Pod) -> _Broken:
    of_pod = at(pod.spec, "securityContext.runAsUser")
    for place, container in pod.containers():
        user = at(container, "securityContext.runAsUser", of_pod)
        if not isinstance(user, int) or user < _FIRST_USER:
            yield f"{place}.securityContext.runAsUser", str(user)


def _scratch(pod: Pod) -> _Broken:
    for volume in objects(pod.spec, "volumes"):
        if "emptyDir" in volume and not at(volume, "emptyDir.sizeLimit"):
            yield f"volumes[{volume.get('name')}].emptyDir.sizeLimit", "missing"


def _grace(pod: Pod) -> _Broken:
    """The time to end is said, and it is longer than what the pod waits before it is told to."""
    grace = pod.spec.get("terminationGracePeriodSeconds")
    if pod.runs == "always" and grace is None:
        yield "terminationGracePeriodSeconds", "missing"
    for place, container in pod.containers("containers"):
        waits = number(at(container, "lifecycle.preStop.sleep.seconds"))
        if waits and waits >= number(grace, 30):
            yield f"{place}.lifecycle.preStop", f"waits {waits} s of {number(grace, 30)} s"


def replicas(graph: Graph) -> dict[tuple[str, str], int]:
    """The fewest pods that each Deployment runs, by namespace and name: an autoscaler says more than its own number."""
    found = {
        (namespace(one), called(one)): number(at(one.properties, "spec.replicas"), 1)
        for one in graph.kinds("Deployment")
    }
    for scaler in graph.kinds("HorizontalPodAutoscaler"):
        target = (namespace(scaler), str(at(scaler.properties, "spec.scaleTargetRef.name", "")))
        found[target] = number(at(scaler.properties, "spec.minReplicas"), 1)
    return found


def _several(graph: Graph) -> Iterator[Resource]:
    counts = replicas(graph)
    yield from (one for one in graph.kinds("Deployment") if counts[namespace(one), called(one)] > 1)


def _spread(graph: Graph) -> Iterator[Hit]:
    for one in _several(graph):
        if not items(one.properties, "spec.template.spec.topologySpreadConstraints"):
            yield Hit(resource=one, property="spec.template.spec.topologySpreadConstraints", said="missing")


def selects(selector: Object, labels: Mapping[str, Any]) -> bool:
    """Whether a label selector (of equalities and of sets) takes these labels; an empty one takes all."""
    if any(labels.get(key) != value for key, value in mapping(selector, "matchLabels").items()):
        return False
    for one in objects(selector, "matchExpressions"):
        there, value = one.get("key") in labels, labels.get(str(one.get("key")))
        verdict = {
            "DoesNotExist": not there,
            "Exists": there,
            "In": value in items(one, "values"),
            "NotIn": value not in items(one, "values"),
        }
        if not verdict.get(str(one.get("operator")), False):
            return False
    return True


def _budgets(graph: Graph) -> Iterator[Hit]:
    """What runs as several pods keeps all but some of them, and a budget never forbids to take even one away."""
    budgets = list(graph.kinds("PodDisruptionBudget"))
    for one in _several(graph):
        labels = mapping(one.properties, "spec.template.metadata.labels")
        mine = [budget for budget in budgets if namespace(budget) == namespace(one)]
        if not any(selects(mapping(budget.properties, "spec.selector"), labels) for budget in mine):
            yield Hit(resource=one, property="spec.replicas", said="no PodDisruptionBudget")
    for budget in budgets:
        for key, never in (("maxUnavailable", (0, "0", "0%")), ("minAvailable", ("100%",))):
            if at(budget.properties, f"spec.{key}") in never:
                yield Hit(resource=budget, property=f"spec.{key}", said="never lets a pod go")


def _jobs(graph: Graph) -> Iterator[Hit]:
    for kind, place in (("Job", "spec"), ("CronJob", "spec.jobTemplate.spec")):
        for one in graph.kinds(kind):
            if at(one.properties, f"{place}.activeDeadlineSeconds") is None:
                yield Hit(resource=one, property=f"{place}.activeDeadlineSeconds", said="missing")
    for one in graph.kinds("CronJob"):
        if at(one.properties, "spec.concurrencyPolicy") not in ("Forbid", "Replace"):
            yield Hit(resource=one, property="spec.concurrencyPolicy", said="several at a time")


def _labels(graph: Graph) -> Iterator[Hit]:
    """Every object says whose it is; what pods carry is what their template says."""
    wanted = [key for key in LABELS if key.startswith("leandata.io/")]
    for one in graph.of_package("kubernetes"):
        missing = [key for key in wanted if not mapping(metadata(one), "labels").get(key)]
        if missing:
            yield Hit(resource=one, property="metadata.labels", said=", ".join(missing))


_GOOD = (deployment(),)


def _rule(
    id_: str, title: str, check: Check, remedy: str, *, reason: str, bad: Case, source: str = EKS,
    good: Case = _GOOD, severity: Severity = "medium", setting: Setting | None = None,
) -> Rule:  # fmt: skip
    more: dict[str, Any] = {"setting": setting} if setting else {}
    return Rule(
        id=id_, title=title, source=source, reason=reason, remedy=remedy, severity=severity, check=check, good=good,
        bad=bad, **more,
    )  # fmt: skip


_SEVERAL = deployment({"topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}]}, replicas=2)
_BUDGET = manifest("PodDisruptionBudget", {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}})
_JOB = manifest(
    "CronJob", {"spec": {"concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {"activeDeadlineSeconds": 60}}}}
)
_HANGS = manifest("CronJob", {"spec": {"jobTemplate": {"spec": {}}}})

RULES: tuple[Rule, ...] = (
    _rule(
        "pods-resources", "Every container is promised and capped in CPU, memory and scratch space",
        every_container(_resources), "Give limits and requests of cpu, memory and ephemeral-storage",
        reason="One container starves the others of its node, or is the first to be evicted",
        bad=(deployment(None, {"resources.limits": {"memory": "1Gi"}}),),
    ),
    _rule(
        "pods-probes", "What runs on has three probes that differ", every_pod(_probes),
        "Give startupProbe, livenessProbe and a readinessProbe that asks something else",
        reason="A hung pod is kept, or a pod that only waits for another is killed",
        bad=(deployment(None, {"startupProbe": None}),),
    ),
    _rule(
        "pods-digest", "Images are named by digest", _digests, "Build it: python -m ci images --env ENV",
        reason="A tag names another image tomorrow than the one that was reviewed", severity="high",
        bad=(deployment(None, {"image": "registry.example/it:1.0"}),),
    ),
    _rule(
        "pods-tag", "On the node, too, images have a tag that says which they are", _digests,
        "Build it: python -m ci images --env ENV",
        reason="latest is whatever was built last", setting=Setting(name="cluster", registry=False),
        good=(deployment(None, {"image": "leandata/it:0123456789ab"}),),
        bad=(deployment(None, {"image": "leandata/it:latest"}),),
    ),
    _rule(
        "pods-token", "Only who talks to Kubernetes holds a token for it", _tokens,
        "Set automountServiceAccountToken to false, of the account and of the pod",
        reason="Whoever breaks into the pod asks the API server in its name", severity="high",
        bad=(deployment({"automountServiceAccountToken": None}),),
    ),
    _rule(
        "pods-account", "Every pod has a service account of its own", every_pod(_accounts), "Name a serviceAccountName",
        reason="Rights that are given to one are given to all", bad=(deployment({"serviceAccountName": "default"}),),
    ),
    _rule(
        "pods-read-only", "The root file system is read-only", every_container(_read_only),
        "Set readOnlyRootFilesystem to true, and mount an emptyDir where it writes",
        reason="What breaks in can leave something behind", source="NSA/CISA hardening, immutable containers",
        severity="high",
        bad=(deployment(None, {"securityContext.readOnlyRootFilesystem": None}),),
    ),
    _rule(
        "pods-secret-files", "Secrets come as files", every_container(_plain_secrets), "Mount it, and name its path",
        reason="The environment is inherited, printed and dumped", source="CIS Kubernetes 5.4.1",
        bad=(deployment(None, {"env": [{"name": "IT", "valueFrom": {"secretKeyRef": {"name": "it"}}}]}),),
    ),
    _rule(
        "pods-user", "Processes run as a user that no node has", every_pod(_users), "Set runAsUser to 10000 or more",
        reason="Outside its container the user would be somebody", source="checkov CKV_K8S_40",
        bad=(deployment({"securityContext.runAsUser": 1000}),),
    ),
    _rule(
        "pods-scratch", "Scratch volumes are bounded", every_pod(_scratch), "Give emptyDir a sizeLimit",
        reason="One pod fills the disk of its node", source="kube-score, ephemeral storage", severity="low",
        bad=(deployment({"volumes": [{"name": "tmp", "emptyDir": {}}]}),),
    ),
    _rule(
        "pods-grace", "The time to end is long enough", every_pod(_grace),
        "Set terminationGracePeriodSeconds above the drain",
        reason="What was begun is cut off", bad=(deployment({"terminationGracePeriodSeconds": None}),),
    ),
    _rule(
        "workloads-spread", "Replicas lie on several nodes and in several zones", _spread,
        "Add topologySpreadConstraints",
        reason="One node takes all of them away",
        good=(_SEVERAL,), bad=(deployment(replicas=2),),
    ),
    _rule(
        "workloads-budget", "Nodes are drained without taking all replicas", _budgets,
        "Add a PodDisruptionBudget of maxUnavailable 1",
        reason="An upgrade of the nodes stops the service, or never ends",
        good=(_SEVERAL, _BUDGET), bad=(_SEVERAL,),
    ),
    _rule(
        "jobs-end", "Jobs have a deadline, and one at a time", _jobs,
        "Set activeDeadlineSeconds, and concurrencyPolicy Forbid", reason="A hung job runs and costs for ever",
        good=(_JOB,), bad=(_HANGS,),
    ),
    _rule(
        "objects-labels", "Every object says whose it is", _labels, "Use naming.labels(...)",
        reason="Nobody knows whom to ask, and nobody pays", source="this project", severity="low",
        bad=(manifest("Service", labels={"app.kubernetes.io/name": "it"}),),
    ),
)  # fmt: skip
