"""The stack cluster: a closed, restricted namespace with a share of the cluster for every owner, and the operator."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment, manifests, stack_of
from infra.components import naming
from infra.components.kubernetes.spaces import memory, owners
from infra.environment import ROOT

OWNERS = sorted([*naming.services(ROOT), "standins", "system"])


@pytest.fixture(scope="module")
def cluster() -> Program:
    return stack_of("cluster", "cluster", {})


def of(cluster: Program, kind: str, owner: str) -> dict[str, dict[str, Any]]:
    """The objects of this kind in the owner's namespace, by name."""
    found = [one.properties for one in cluster.resources.values() if one.properties.get("kind") == kind]
    wanted = [one for one in found if one["metadata"].get("namespace") == f"leandata-{owner}"]
    return {one["metadata"]["name"]: one for one in wanted}


@pytest.mark.parametrize("owner", OWNERS)
def test_a_namespace_enforces_restricted_of_a_named_version(cluster: Program, owner: str) -> None:
    labels = manifests(cluster, "Namespace")[f"leandata-{owner}"]["metadata"]["labels"]
    for mode in ("audit", "enforce", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
    assert re.fullmatch(r"v1\.[0-9]+|latest", labels["pod-security.kubernetes.io/enforce-version"])


@pytest.mark.parametrize("owner", OWNERS)
def test_a_namespace_is_closed_before_anything_is_opened(cluster: Program, owner: str) -> None:
    closed = of(cluster, "NetworkPolicy", owner)["closed"]["spec"]
    assert closed["podSelector"] == {}
    assert closed["ingress"] == []
    assert sorted(closed["policyTypes"]) == ["Egress", "Ingress"]


@pytest.mark.parametrize("owner", OWNERS)
def test_a_namespace_has_a_share_of_the_cluster_and_no_door_of_its_own(cluster: Program, owner: str) -> None:
    hard = of(cluster, "ResourceQuota", owner)["share"]["spec"]["hard"]
    with environment("cluster") as here:
        assert int(hard["limits.memory"]) == memory(here, owner)
    assert hard["count/services.loadbalancers"] == "0"
    assert hard["count/services.nodeports"] == "0"
    assert int(hard["pods"]) > 0


@pytest.mark.parametrize("owner", OWNERS)
def test_a_container_that_says_nothing_is_limited_all_the_same(cluster: Program, owner: str) -> None:
    (limits,) = of(cluster, "LimitRange", owner)["limits"]["spec"]["limits"]
    assert limits["type"] == "Container"
    assert set(limits["default"]) == {"cpu", "ephemeral-storage", "memory"}
    assert int(limits["defaultRequest"]["memory"]) <= int(limits["default"]["memory"]) <= int(limits["max"]["memory"])


@pytest.mark.parametrize("owner", OWNERS)
def test_no_object_of_a_namespace_is_made_before_the_namespace(cluster: Program, owner: str) -> None:
    for one in cluster.resources.values():
        if one.properties.get("kind") in ("LimitRange", "NetworkPolicy", "ResourceQuota") and one.name.endswith(
            ("-closed", "-limits", "-share")
        ):
            assert "Namespace" in one.parent or one.parent.endswith(one.name.rpartition("-")[0])
    assert f"leandata-{owner}" in manifests(cluster, "Namespace")


def test_there_is_a_namespace_for_every_owner_and_no_other(cluster: Program) -> None:
    with environment("cluster") as here:
        assert sorted(manifests(cluster, "Namespace")) == [f"leandata-{owner}" for owner in owners(here)]
        assert owners(here) == OWNERS


def test_the_cluster_itself_is_whose_kubeconfig_is_named(cluster: Program) -> None:
    assert cluster.outputs == {"kubeconfig": "", "security_group": ""}
    assert not [one for one in cluster.resources.values() if one.type.startswith("aws:")]


def test_the_types_of_dask_are_there_before_the_operator(cluster: Program) -> None:
    types = {name for name in manifests(cluster, "CustomResourceDefinition") if name.endswith(".kubernetes.dask.org")}
    assert {"daskautoscalers.kubernetes.dask.org", "daskclusters.kubernetes.dask.org"} <= types
    (operator,) = [one for one in cluster.resources.values() if one.properties.get("kind") == "Deployment"]
    needed = " ".join(operator.needs)
    assert "daskclusters" in needed


def test_every_object_says_whose_it_is(cluster: Program) -> None:
    for one in cluster.resources.values():
        if one.type.startswith("kubernetes:"):
            labels = one.properties["metadata"]["labels"]
            assert labels["app.kubernetes.io/managed-by"] == "leandata"
            assert labels["leandata.io/environment"] == "cluster"
