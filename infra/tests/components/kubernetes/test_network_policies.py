"""Who may talk to whom is what the services' manifests say, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from infra.components import naming
from infra.components.kubernetes import network
from infra.components.kubernetes.spaces import memory, owners
from infra.environment import ROOT, Environment


@pytest.fixture(scope="module", params=["cluster", "prod"])
def environment(request: pytest.FixtureRequest) -> Environment:
    return Environment.load(request.param, environ={})


@pytest.fixture(scope="module")
def cluster() -> Environment:
    return Environment.load("cluster", environ={})


@pytest.fixture(scope="module")
def prod() -> Environment:
    return Environment.load("prod", environ={})


def namespaces(rules: list[dict[str, Any]], side: str) -> set[str]:
    found = [
        peer["namespaceSelector"]["matchLabels"] for rule in rules for peer in rule[side] if "namespaceSelector" in peer
    ]
    return {labels["kubernetes.io/metadata.name"] for labels in found}


def blocks(rules: list[dict[str, Any]], side: str) -> dict[str, list[int]]:
    return {
        peer["ipBlock"]["cidr"]: [port["port"] for port in rule["ports"]]
        for rule in rules
        for peer in rule[side]
        if "ipBlock" in peer
    }


def test_only_services_that_call_it_reach_a_process(environment: Environment) -> None:
    for owner, process, _ in network.allowed(environment):
        assert process in network.calls(environment, owner)


def test_every_call_of_a_manifest_has_its_pair(environment: Environment) -> None:
    pairs = {(owner, process) for owner, process, _ in network.allowed(environment)}
    for owner, manifest in naming.services(ROOT).items():
        for process in manifest.network.calls:
            if network.inside(environment, process) and naming.ports(environment, process):
                assert (owner, process) in pairs


def test_what_one_end_sends_the_other_end_takes(environment: Environment) -> None:
    for owner, process, port in network.allowed(environment):
        going = network.policy(environment, "some-process", owner=owner)["egress"]
        coming = network.policy(environment, process, owner=naming.home(process))["ingress"]
        there, here = naming.namespace(environment, naming.home(process)), naming.namespace(environment, owner)
        assert any(
            there in namespaces([rule], "to") and port in [one["port"] for one in rule["ports"]] for rule in going
        )
        assert any(
            here in namespaces([rule], "from") and port in [one["port"] for one in rule["ports"]] for rule in coming
        )


def test_dashboards_and_the_api_reach_serving_and_nothing_of_the_warehouse(cluster: Environment) -> None:
    for service in ("api", "dash"):
        rules = network.policy(cluster, service, owner=service)["egress"]
        assert namespaces(rules, "to") == {"leandata-standins"}
        assert [one["port"] for rule in rules for one in rule["ports"]] == [cluster.port("postgres")]


def test_nobody_reaches_a_process_that_nobody_calls(cluster: Environment) -> None:
    assert network.policy(cluster, "airflow-scheduler", owner="airflow")["ingress"] == []


def test_a_closed_namespace_lets_names_be_asked_for_and_nothing_else(environment: Environment) -> None:
    closed = network.closed(environment)
    assert closed["ingress"] == []
    assert closed["podSelector"] == {}, "it holds for every pod"
    assert {port["port"] for rule in closed["egress"] for port in rule["ports"]} == {53}
    assert namespaces(closed["egress"], "to") == {"kube-system"}


def test_managed_services_are_reached_outside_but_never_by_private_ranges(prod: Environment) -> None:
    rules = network.policy(prod, "airflow-scheduler", owner="airflow")["egress"]
    outside = [
        peer["ipBlock"] for rule in rules for peer in rule["to"] if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
    ]
    assert outside
    assert all("169.254.0.0/16" in block["except"] and "10.0.0.0/8" in block["except"] for block in outside)


def test_the_database_is_reached_in_our_own_network_only(prod: Environment) -> None:
    rules = network.policy(prod, "api", owner="api", network="10.20.0.0/16")["egress"]
    assert blocks(rules, "to")["10.20.0.0/16"] == [5432]


def test_people_come_through_the_load_balancer_to_what_is_open_to_them(prod: Environment) -> None:
    dash = network.policy(prod, "dash", owner="dash", network="10.20.0.0/16")
    assert blocks(dash["ingress"], "from") == {"10.20.0.0/16": [prod.port("dash")]}
    scheduler = network.policy(prod, "dask-scheduler", owner="dask", network="10.20.0.0/16")
    assert blocks(scheduler["ingress"], "from") == {}, "open to nobody"


def test_only_those_who_make_pods_reach_the_api_server_of_kubernetes(cluster: Environment) -> None:
    ports = [one["port"] for rule in network.policy(cluster, "api", owner="api")["egress"] for one in rule["ports"]]
    assert 6443 not in ports
    with_it = network.policy(cluster, "airflow-scheduler", owner="airflow", api=True)["egress"]
    assert 6443 in [one["port"] for rule in with_it for one in rule["ports"]]


# -- namespaces --------------------------------------------------------------------------------------------------------


def test_every_service_has_a_namespace_and_standins_only_where_there_are_any(
    cluster: Environment, prod: Environment
) -> None:
    services = set(naming.services(ROOT))
    assert set(owners(cluster)) == services | {"standins", "system"}
    assert set(owners(prod)) == services | {"system"}


def test_the_share_of_a_namespace_holds_twice_what_its_service_needs_at_most(cluster: Environment) -> None:
    manifest, table = naming.services(ROOT)["api"], cluster.file.kubernetes
    assert table is not None
    most = min(manifest.scaling.maximum, table.replicas_at_most)
    assert memory(cluster, "api") >= 2 * most * int(manifest.process[0].memory)


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "homes"),
    [
        ("api-key", ["api"]),
        ("airflow-fernet-key", ["airflow"]),
        ("dash-session-key", ["dash"]),
        ("database-serving-reader", ["api", "dash", "standins", "system"]),
        ("database-serving-writer", ["airflow", "standins", "system"]),
        ("warehouse-airflow", ["airflow"]),
    ],
)
def test_a_secret_lies_only_where_it_is_used(cluster: Environment, secret: str, homes: list[str]) -> None:
    assert naming.secret_homes(cluster, secret) == homes


def test_where_the_database_is_managed_no_standin_holds_its_passwords(prod: Environment) -> None:
    assert naming.secret_homes(prod, "database-serving-reader") == ["api", "dash", "system"]


def test_a_process_may_listen_on_several_ports(cluster: Environment) -> None:
    assert set(naming.ports(cluster, "mail")) == {"mail", "mail-web"}
    assert set(naming.ports(cluster, "dask-scheduler")) == {"dask-scheduler", "dask-dashboard"}
    assert naming.ports(cluster, "airflow-dag-processor") == {}
