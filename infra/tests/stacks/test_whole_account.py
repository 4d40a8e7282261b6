"""All of production together: what one stack declares fits what the others and the roles of CI assume."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ci.programs import Program, Resource
from ci.testing import environment, graph
from infra.components import naming
from infra.components.aws import alarms, logs, provider, registry, rights
from infra.testing.rights import MAKES


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    return graph("prod")


def of(programs: dict[str, Program], type_: str) -> list[Resource]:
    return [one for program in programs.values() for one in program.of(type_).values()]


def test_deploy_may_make_every_type_that_production_declares(programs: dict[str, Program]) -> None:
    types = {
        one.type
        for stack, program in programs.items()
        for one in program.resources.values()
        if stack != "bootstrap" and one.type.startswith("aws:")
    }
    assert sorted(types - set(MAKES)) == [], "give deploy the right, and say in MAKES which one it is"


def test_every_role_is_bounded_and_named_so_that_deploy_may_make_it(programs: dict[str, Program]) -> None:
    with environment("prod") as prod:
        bound, start = provider.boundary(prod), f"{naming.account_wide(prod)}-"
    for role in of(programs, "aws:iam/role:Role"):
        assert role.properties["permissionsBoundary"] == bound, role.name
        assert role.properties["name"].startswith(start), role.name


def test_roles_are_passed_only_to_services_that_deploy_may_pass_them_to(programs: dict[str, Program]) -> None:
    with environment("prod") as prod:
        [passing] = [one for one in rights.deploy(prod)["roles"]["Statement"] if one["Sid"] == "Pass"]
    allowed = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    services: set[str] = set()
    for role in of(programs, "aws:iam/role:Role"):
        for one in json.loads(role.properties["assumeRolePolicy"])["Statement"]:
            services |= {one["Principal"]["Service"]} if "Service" in one["Principal"] else set()
    assert services <= set(allowed)


def test_no_other_stack_makes_a_role_of_ci(programs: dict[str, Program]) -> None:
    with environment("prod") as prod:
        own = {naming.account_wide(prod, role) for role in rights.ROLES}
    made = [role.properties["name"] for role in of(programs, "aws:iam/role:Role") if role.properties["name"] in own]
    assert sorted(made) == sorted(own)


@pytest.mark.parametrize("type_", ["aws:rds/instance:Instance", "aws:eks/cluster:Cluster"])
def test_every_log_that_a_managed_service_writes_has_a_group_that_ends(
    programs: dict[str, Program], type_: str
) -> None:
    groups = {one.properties["name"] for one in of(programs, "aws:cloudwatch/logGroup:LogGroup")}
    found = of(programs, type_)
    assert found
    for one in found:
        if "identifier" in one.properties:
            for kind in one.properties["enabledCloudwatchLogsExports"]:
                assert f"/aws/rds/instance/{one.properties['identifier']}/{kind}" in groups
        else:
            assert f"/aws/eks/{one.properties['name']}/cluster" in groups


def test_every_group_may_be_encrypted_because_the_key_names_it(programs: dict[str, Program]) -> None:
    with environment("prod") as prod:
        known = set(logs.groups(prod).values())
    assert {one.properties["name"] for one in of(programs, "aws:cloudwatch/logGroup:LogGroup")} == known


def test_every_alarm_rings_at_the_topic(programs: dict[str, Program]) -> None:
    topic = programs["foundation"].outputs["alarms"]
    rung = of(programs, "aws:cloudwatch/metricAlarm:MetricAlarm")
    assert rung
    assert all(one.properties["alarmActions"] == [topic] for one in rung)
    with environment("prod") as prod:
        assert alarms.topic_arn(prod).endswith("leandata-prod-alarms")


def test_every_image_that_pods_run_lies_in_a_repository_of_the_account(programs: dict[str, Program]) -> None:
    with environment("prod") as prod:
        known = {f"{registry.address(prod)}/{name}" for name in registry.repositories(prod).values()}
    used = {text.partition("@")[0] for program in programs.values() for text in _images(program)}
    assert used
    assert used <= known


def _images(program: Program) -> set[str]:
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("image"), str):
                found.add(value["image"])
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    for one in program.resources.values():
        if one.type.startswith("kubernetes:"):
            look(one.properties)
    return found
