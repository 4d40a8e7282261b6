"""Keys: one a class of data, turned every year, and used by nobody outside the account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment
from infra.components.aws import keys
from infra.components.aws.keys import Keys
from infra.components.aws.logs import groups

KEY = "aws:kms/key:Key"


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    return run(lambda stack: Keys("keys", stack=stack), stack="foundation")


def statements(program: Program, data: str) -> list[dict[str, Any]]:
    return json.loads(program.of(KEY)[f"key-{data}"].properties["policy"])["Statement"]


def test_there_is_a_key_for_every_class_of_data(program: Program) -> None:
    assert sorted(program.of(KEY)) == [f"key-{data}" for data in ("database", "images", "lake", "logs", "secrets")]
    for name, key in program.of(KEY).items():
        assert key.properties["tags"]["data"] == name.removeprefix("key-")


def test_keys_are_turned_every_year_and_cannot_go_at_once(program: Program) -> None:
    for key in program.of(KEY).values():
        assert key.properties["enableKeyRotation"] is True
        assert key.properties["rotationPeriodInDays"] == 365
        assert key.properties["deletionWindowInDays"] == 30
        assert key.protect


def test_keys_are_found_by_their_name(program: Program) -> None:
    names = {alias.properties["name"] for alias in program.of("aws:kms/alias:Alias").values()}
    assert names == {f"alias/leandata-prod-{data}" for data in keys.CLASSES}


@pytest.mark.parametrize("data", keys.CLASSES)
def test_nobody_outside_the_account_is_named_but_services(program: Program, data: str) -> None:
    for one in statements(program, data):
        principal = one["Principal"]
        if "AWS" in principal:
            assert principal == {"AWS": "arn:aws:iam::333333333333:root"}
        else:
            services = principal["Service"] if isinstance(principal["Service"], list) else [principal["Service"]]
            assert all(service.endswith(".amazonaws.com") for service in services)
            assert one["Condition"]


@pytest.mark.parametrize("data", keys.CLASSES)
def test_the_only_wildcard_is_that_of_the_account_itself(program: Program, data: str) -> None:
    wild = [one["Sid"] for one in statements(program, data) if any("*" in action for action in one["Action"])]
    assert wild == ["Account"]


@pytest.mark.parametrize("data", sorted(set(keys.CLASSES) - {"logs"}))
def test_a_key_of_data_is_used_by_whom_the_account_lets_and_by_no_service(program: Program, data: str) -> None:
    assert [one["Sid"] for one in statements(program, data)] == ["Account"]


def test_logs_are_encrypted_for_our_own_groups_each_by_its_name(program: Program) -> None:
    [logs] = [one for one in statements(program, "logs") if one["Sid"] == "LogGroups"]
    assert logs["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    arns = logs["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    with environment("prod") as prod:
        wanted = {f"arn:aws:logs:eu-central-1:333333333333:log-group:{name}" for name in groups(prod).values()}
    assert set(arns) == wanted
    assert not any("*" in arn for arn in arns)


def test_alarms_reach_the_encrypted_topic_from_our_account_alone(program: Program) -> None:
    [alarms] = [one for one in statements(program, "logs") if one["Sid"] == "Alarms"]
    assert alarms["Principal"]["Service"] == ["cloudwatch.amazonaws.com", "ses.amazonaws.com"]
    assert alarms["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "333333333333"}}


def test_a_key_can_be_made_alone_under_a_name_of_its_own(run: Any) -> None:
    def declare(stack: Any) -> None:
        parent = Keys("keys", stack=stack, classes=())
        keys.make_key(parent, "state", stack=stack, alias="alias/x", data="state", says="what is deployed")

    program = run(declare, stack="bootstrap")
    assert list(program.of(KEY)) == ["state"]
    assert program.of("aws:kms/alias:Alias")["state"].properties["name"] == "alias/x"
