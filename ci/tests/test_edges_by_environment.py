"""Which stacks an environment has and which needs which: derived, so that no list can be forgotten or grow old."""

from __future__ import annotations

import pytest

from ci.graph import dependents, discover, order
from infra.components import naming
from infra.environment import ROOT, names

CLOUD = ("dev", "prod", "staging")
ON_ONE_MACHINE = {"database", "lake", "mail", "warehouse", *naming.services(ROOT)}


def test_one_machine_has_neither_an_account_nor_a_cluster() -> None:
    assert set(discover(ROOT, "local")) == ON_ONE_MACHINE


def test_stand_ins_need_a_cluster_and_no_account() -> None:
    assert set(discover(ROOT, "cluster")) == ON_ONE_MACHINE | {"cluster"}


@pytest.mark.parametrize("name", CLOUD)
def test_the_cloud_has_both(name: str) -> None:
    assert set(discover(ROOT, name)) == ON_ONE_MACHINE | {"cluster", "foundation"}


@pytest.mark.parametrize("name", names())
def test_what_a_person_deploys_by_hand_is_part_of_no_deployment(name: str) -> None:
    assert "bootstrap" not in discover(ROOT, name)
    assert set(discover(ROOT, name, by_hand=True)) == ({"bootstrap"} if name in CLOUD else set())


@pytest.mark.parametrize("name", ["cluster", *CLOUD])
@pytest.mark.parametrize("service", sorted(naming.services(ROOT)))
def test_every_service_in_pods_needs_the_cluster(name: str, service: str) -> None:
    assert "cluster" in discover(ROOT, name)[service].needs


@pytest.mark.parametrize("service", sorted(naming.services(ROOT)))
def test_no_service_on_one_machine_needs_what_is_not_there(service: str) -> None:
    assert not {"cluster", "foundation"} & set(discover(ROOT, "local")[service].needs)


@pytest.mark.parametrize("name", CLOUD)
def test_everything_in_an_account_stands_on_its_foundation(name: str) -> None:
    stacks = discover(ROOT, name)
    assert order(stacks)[0] == "foundation"
    assert dependents(stacks, "foundation") >= {"cluster", "database", "lake"}


@pytest.mark.parametrize("name", names())
def test_every_stack_comes_after_what_it_needs(name: str) -> None:
    stacks = discover(ROOT, name)
    ordered = order(stacks)
    assert sorted(ordered) == sorted(stacks)
    for place, stack in enumerate(ordered):
        assert set(stacks[stack].needs) <= set(ordered[:place])


@pytest.mark.parametrize("name", names())
def test_references_go_one_way(name: str) -> None:
    stacks = discover(ROOT, name)
    for stack in stacks:
        assert stack not in dependents(stacks, stack)


@pytest.mark.parametrize("name", names())
def test_pipelines_come_after_all_they_are_told_of(name: str) -> None:
    needs = set(discover(ROOT, name)["airflow"].needs)
    assert {"dask", "database", "lake", "mail", "warehouse"} <= needs


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("reader", ["api", "dash"])
def test_what_serves_does_not_wait_for_the_warehouse(name: str, reader: str) -> None:
    stacks = discover(ROOT, name)
    assert "warehouse" not in stacks[reader].needs
    assert "airflow" not in stacks[reader].needs


def test_an_environment_without_a_file_is_as_one_machine() -> None:
    assert set(discover(ROOT, "nowhere")) == ON_ONE_MACHINE
