"""The foundation's program: what it gives to other stacks, whose it is, and that no policy objects."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ci.graph import discover
from ci.programs import Program
from ci.testing import environment, stack_of
from infra.environment import ROOT
from infra.policy import judge
from infra.policy.protection import tagged
from infra.stacks.foundation.outputs import FoundationOutputs

ON_AWS = ("dev", "prod", "staging")


@pytest.fixture(scope="module", params=ON_AWS)
def named(request: pytest.FixtureRequest) -> tuple[str, Program]:
    return request.param, stack_of(request.param, "foundation", {})


def test_other_stacks_are_told_all_that_they_were_promised(named: tuple[str, Program]) -> None:
    _, program = named
    assert sorted(program.outputs) == sorted(field.name for field in fields(FoundationOutputs))
    assert all(program.outputs.values())
    assert len(program.outputs["private_subnets"]) == len(program.outputs["public_subnets"]) == 3


def test_each_class_of_data_has_a_key_of_its_own(named: tuple[str, Program]) -> None:
    outputs = named[1].outputs
    assert len({outputs[f"key_{data}"] for data in ("database", "lake", "logs", "secrets")}) == 4


def test_everything_that_can_bear_tags_says_whose_it_is(named: tuple[str, Program]) -> None:
    name, program = named
    for one in program.resources.values():
        if tagged(one.type):
            tags = one.properties["tags"]
            assert tags["environment"] == name, one.name
            assert {"cost-centre", "owner", "service", "stack"} <= set(tags), one.name


def test_everything_is_made_by_the_provider_of_the_environments_account(named: tuple[str, Program]) -> None:
    name, program = named
    [provider] = program.of("pulumi:providers:aws").values()
    with environment(name) as found:
        assert found.file.aws is not None
        account = found.file.aws.account
    assert account in str(provider.properties["allowedAccountIds"])
    assert provider.properties["region"] == "eu-central-1"
    assert all(one.name == "aws" for one in program.of("pulumi:providers:aws").values())


def test_no_policy_objects_but_that_the_bootstrap_has_the_budget(named: tuple[str, Program]) -> None:
    name, program = named
    with environment(name) as found:
        findings = judge({"foundation": program}, environment=found, waivers=[])
    assert [one.rule for one in findings if one.rule != "budget-there"] == []


def test_environments_without_an_account_have_no_foundation() -> None:
    for name in ("cluster", "local"):
        assert "foundation" not in discover(ROOT, name)
    for name in ON_AWS:
        assert "foundation" in discover(ROOT, name)


def test_production_keeps_what_a_small_environment_may_lose() -> None:
    kept = {one.type for one in stack_of("prod", "foundation", {}).resources.values() if one.protect}
    assert kept == {"aws:ec2/vpc:Vpc", "aws:ecr/repository:Repository", "aws:kms/key:Key"}
    assert not any(one.protect for one in stack_of("dev", "foundation", {}).resources.values())
