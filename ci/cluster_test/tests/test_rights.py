"""What each account may do in Kubernetes, by the cluster's own answer: what its role says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ci.cluster_test.platform import Platform
from infra.components.kubernetes.spaces import owners

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
OBJECTS = (
    ("", "configmaps", ""), ("", "events", ""), ("", "namespaces", ""), ("", "nodes", ""),
    ("", "persistentvolumeclaims", ""), ("", "pods", ""), ("", "pods", "exec"), ("", "pods", "log"),
    ("", "pods", "portforward"), ("", "secrets", ""), ("", "serviceaccounts", ""), ("", "serviceaccounts", "token"),
    ("", "services", ""), ("apiextensions.k8s.io", "customresourcedefinitions", ""), ("apps", "deployments", ""),
    ("apps", "statefulsets", ""), ("batch", "jobs", ""), ("kubernetes.dask.org", "daskclusters", ""),
    ("kubernetes.dask.org", "daskworkergroups", ""), ("networking.k8s.io", "networkpolicies", ""),
    ("rbac.authorization.k8s.io", "rolebindings", ""), ("rbac.authorization.k8s.io", "roles", ""),
)  # fmt: skip
Question = tuple[str, str, str, str, str, str]  # account, namespace, group, resource, sub-resource, verb


def granted(platform: Platform) -> set[Question]:
    """Every right that the programs declare, one by one."""
    spaces = [platform.namespace(owner) for owner in owners(platform.environment)]
    found: set[Question] = set()
    resources = [one for program in platform.programs.values() for one in program.resources.values()]
    roles = {
        (one.properties["kind"], one.properties["metadata"].get("namespace", ""), one.properties["metadata"]["name"]): (
            one.properties["rules"]
        )
        for one in resources
        if one.type.rpartition(":")[2] in ("Role", "ClusterRole")
    }
    for one in resources:
        kind = one.type.rpartition(":")[2]
        if kind not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        home = one.properties["metadata"].get("namespace", "") if kind == "RoleBinding" else ""
        reference = one.properties["roleRef"]
        rules = roles[reference["kind"], home if reference["kind"] == "Role" else "", reference["name"]]
        accounts = [f"{subject['namespace']}:{subject['name']}" for subject in one.properties["subjects"]]
        for rule in rules:
            for group in rule["apiGroups"]:
                for resource, _, sub in (name.partition("/") for name in rule["resources"]):
                    found |= {
                        (account, space, group, resource, sub, verb)
                        for account in accounts
                        for space in ([home] if home else [*spaces, "kube-system"])
                        for verb in rule["verbs"]
                    }
    return found


def questions(platform: Platform, known: set[Question]) -> Iterator[Question]:
    """For each account everything in its own namespace and in that of the system; for those with rights everywhere."""
    spaces = [platform.namespace(owner) for owner in owners(platform.environment)]
    powerful = {question[0] for question in known}
    for program in platform.programs.values():
        for resource in program.resources.values():
            if not resource.type.endswith(":ServiceAccount"):
                continue
            metadata = resource.properties["metadata"]
            account = f"{metadata['namespace']}:{metadata['name']}"
            places = [*spaces, "kube-system"] if account in powerful else [metadata["namespace"], "kube-system"]
            for place in places:
                for group, name, sub in OBJECTS:
                    yield from ((account, place, group, name, sub, verb) for verb in VERBS)


def test_every_account_may_do_what_its_role_says_and_nothing_else(platform: Platform) -> None:
    known = granted(platform)
    asked = list(questions(platform, known))

    def answer(question: Question) -> bool:
        account, namespace, group, resource, sub, verb = question
        return platform.cluster.may(account, verb, resource=resource, namespace=namespace, group=group, sub=sub)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(answer, asked))
    wrong = [
        f"{' '.join(question)}: {'may' if allowed else 'may not'}"
        for question, allowed in zip(asked, answers, strict=True)
        if allowed is not (question in known)
    ]
    assert wrong == []
    assert len(asked) > 2_000
    assert sum(answers) >= 20


def test_nobody_may_read_a_secret(platform: Platform) -> None:
    assert [question for question in granted(platform) if question[3] == "secrets"] == []
