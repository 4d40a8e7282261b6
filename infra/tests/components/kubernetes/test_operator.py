"""The operator of Dask clusters: its types as the wheel has them, its rights no wider than its work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import declared_by, manifests
from infra.components.kubernetes import operator
from infra.components.stack import Stack

OUTPUTS = {"cluster": {"kubeconfig": "", "security_group": ""}}
TYPES = ["daskautoscalers", "daskclusters", "daskjobs", "daskworkergroups"]


@pytest.fixture(scope="module")
def program() -> Program:
    def declare(stack: Stack) -> None:
        import pulumi

        parent = pulumi.ComponentResource("leandata:index:Spaces", "spaces")
        operator.make_operator(parent, stack=stack, needs=[])

    return declared_by("cluster", declare, stack="cluster", outputs=OUTPUTS)


@pytest.fixture(scope="module")
def pod(program: Program) -> dict[str, Any]:
    return manifests(program, "Deployment")["compute-operator"]["spec"]["template"]["spec"]


def allowed(program: Program, kind: str, name: str) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in manifests(program, kind)[name]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


# -- the types ---------------------------------------------------------------------------------------------------------


def test_the_types_are_those_of_the_pinned_wheel(program: Program) -> None:
    made = manifests(program, "CustomResourceDefinition")
    assert sorted(made) == [f"{name}.kubernetes.dask.org" for name in TYPES]
    for found in operator.definitions():
        assert made[found["metadata"]["name"]]["spec"] == json.loads(json.dumps(found["spec"]))


def formats(schema: object) -> set[str]:
    """The formats that a schema names, however deep."""
    if isinstance(schema, dict):
        own = {found for key, found in schema.items() if key == "format" and isinstance(found, str)}
        return own.union(*map(formats, schema.values()))
    return set().union(*map(formats, schema)) if isinstance(schema, list) else set()


def test_the_types_name_no_format_at_which_kubernetes_warns(program: Program) -> None:
    known = {"int32", "int64", "date-time"}
    for name, found in manifests(program, "CustomResourceDefinition").items():
        assert formats(found["spec"]) <= known, name
    assert formats(operator.definitions()) >= {"int32"}


def test_every_type_belongs_to_a_namespace_and_is_served(program: Program) -> None:
    for found in manifests(program, "CustomResourceDefinition").values():
        assert found["spec"]["scope"] == "Namespaced"
        assert [version["served"] for version in found["spec"]["versions"]] == [True]


def test_reading_the_types_does_not_import_the_package_which_would_write_files() -> None:
    text = (
        "import sys; from infra.components.kubernetes import operator;"
        " print(len(operator.definitions()), 'dask_kubernetes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "False"]


def test_the_types_fit_into_what_an_object_may_carry() -> None:
    assert all(len(json.dumps(found)) < 262_144 for found in operator.definitions())


# -- its rights --------------------------------------------------------------------------------------------------------


def test_outside_the_clusters_namespace_it_may_only_see_names(program: Program) -> None:
    assert allowed(program, "ClusterRole", "leandata-compute-operator") == {
        ("apiextensions.k8s.io", "customresourcedefinitions", "list"),
        ("apiextensions.k8s.io", "customresourcedefinitions", "watch"),
        ("", "namespaces", "list"),
        ("", "namespaces", "watch"),
    }


def test_its_role_lies_in_the_namespace_of_the_clusters(program: Program) -> None:
    for kind in ("Role", "RoleBinding"):
        assert manifests(program, kind)["compute-operator"]["metadata"]["namespace"] == "leandata-dask"


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_the_rights_are_its_own_account_s_and_nobody_else_s(program: Program, kind: str) -> None:
    (found,) = manifests(program, kind).values()
    assert found["subjects"] == [{"kind": "ServiceAccount", "name": "compute-operator", "namespace": "leandata-system"}]
    role = {"RoleBinding": "Role", "ClusterRoleBinding": "ClusterRole"}[kind]
    assert found["roleRef"]["kind"] == role
    assert found["roleRef"]["name"] in manifests(program, role)


def test_no_right_is_a_wildcard(program: Program) -> None:
    for kind in ("Role", "ClusterRole"):
        for found in manifests(program, kind).values():
            assert "*" not in json.dumps(found["rules"])


@pytest.mark.parametrize(
    ("resource", "verb"),
    [("secrets", "get"), ("pods", "create"), ("pods/exec", "create"), ("configmaps", "get"), ("roles", "create")],
)
def test_it_may_not_do_what_it_has_no_business_with(program: Program, resource: str, verb: str) -> None:
    everything = allowed(program, "Role", "compute-operator") | allowed(
        program, "ClusterRole", "leandata-compute-operator"
    )
    assert not [right for right in everything if right[1:] == (resource, verb)]


def test_it_may_do_all_that_its_handlers_need(program: Program) -> None:
    spec = find_spec("dask_kubernetes")
    assert spec is not None
    assert spec.submodule_search_locations
    place = Path(next(iter(spec.submodule_search_locations)), "operator", "controller", "controller.py")
    watched = set(re.findall(r'@kopf\.(?:on\.\w+|timer)\(\s*"(\w+)', place.read_text(encoding="utf-8")))
    rights = {right[1:] for right in allowed(program, "Role", "compute-operator")}
    assert watched == {"daskautoscaler", "daskcluster", "daskjob", "daskworkergroup", "pod", "service"}
    for name in watched:
        assert {(f"{name}s", verb) for verb in ("list", "watch", "patch")} <= rights, name
    for verb in ("create", "delete", "get", "list", "patch"):
        assert ("deployments", verb) in rights


# -- its pod -----------------------------------------------------------------------------------------------------------


def test_it_watches_the_clusters_namespace_alone(pod: dict[str, Any]) -> None:
    command = pod["containers"][0]["command"]
    assert command[:4] == ["kopf", "run", "-m", "dask_kubernetes.operator.controller"]
    assert "--namespace=leandata-dask" in command
    assert "--standalone" in command
    assert not [part for part in command if "all-namespaces" in part]


def test_it_runs_from_our_own_image_beside_the_clusters(program: Program, pod: dict[str, Any]) -> None:
    assert "leandata-platform" in pod["containers"][0]["image"]
    found = manifests(program, "Deployment")["compute-operator"]
    assert found["metadata"]["namespace"] == "leandata-system"
    assert found["spec"]["replicas"] == 1


def test_two_of_them_never_run_at_a_time(program: Program) -> None:
    rolling = manifests(program, "Deployment")["compute-operator"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": 1}


def test_its_token_is_mounted_because_it_asks_the_api_server(program: Program, pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is True
    assert pod["serviceAccountName"] == "compute-operator"
    ports = {
        port["port"]
        for rule in manifests(program, "NetworkPolicy")["compute-operator"]["spec"]["egress"]
        for port in rule["ports"]
    }
    assert 443 in ports


def test_it_reaches_the_schedulers_it_scales(program: Program) -> None:
    rules = manifests(program, "NetworkPolicy")["compute-operator"]["spec"]["egress"]
    places = [
        one["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in rules
        for one in rule["to"]
        if "podSelector" in one
    ]
    assert "dask-scheduler" in places


def test_nobody_calls_it(program: Program) -> None:
    assert manifests(program, "NetworkPolicy")["compute-operator"]["spec"]["ingress"] == []
    assert manifests(program, "Service") == {}


def test_it_is_asked_whether_it_lives_in_three_ways(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    probes = [container[name] for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    assert all(probe["httpGet"] == {"path": "/healthz", "port": 8080} for probe in probes)
    assert len({json.dumps(probe) for probe in probes}) == 3
    assert "--liveness=http://0.0.0.0:8080/healthz" in container["command"]


def test_it_writes_nowhere_but_in_its_own_folder(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {one["name"]: one["value"] for one in container["env"]}["DASK_CONFIG"].startswith("/tmp/")


def test_types_and_rights_are_there_before_it_starts(program: Program) -> None:
    deployment = program.of("kubernetes:apps/v1:Deployment")["compute-operator"]
    kinds = {program.resources[urn].properties.get("kind") for urn in deployment.needs}
    assert {"ClusterRoleBinding", "CustomResourceDefinition", "RoleBinding", "ServiceAccount"} <= kinds
