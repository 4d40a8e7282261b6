"""Log groups end and are encrypted; alarms reach people by one topic that only AWS' own services write to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment
from infra.components import naming
from infra.components.aws import alarms, logs
from infra.components.aws.alarms import Alarms
from infra.components.aws.logs import Logs

GROUP = "aws:cloudwatch/logGroup:LogGroup"


@pytest.fixture(scope="module")
def groups(run: Any) -> Program:
    return run(lambda stack: Logs("logs", stack=stack, key="key-logs"), stack="foundation")


@pytest.fixture(scope="module")
def topic(run: Any) -> Program:
    return run(lambda stack: Alarms("alarms", stack=stack, key="key-logs"), stack="foundation")


def test_groups_are_there_before_the_services_that_would_make_them_without_an_end(groups: Program) -> None:
    names = {one.properties["name"] for one in groups.of(GROUP).values()}
    assert {"/aws/eks/leandata-prod/cluster", "/aws/rds/instance/leandata-prod-postgres/postgresql"} <= names
    assert {f"/aws/containerinsights/leandata-prod/{kind}" for kind in ("application", "performance")} <= names


def test_the_databases_groups_bear_the_name_of_the_server_that_is_declared() -> None:
    with environment("prod") as prod:
        text = (prod.root / "infra" / "stacks" / "database" / "__main__.py").read_text()
        assert f'DatabaseServer("{logs.DATABASE}"' in text
        assert naming.account_wide(prod, logs.DATABASE) in logs.groups(prod)["database-postgresql"]


def test_every_group_is_encrypted_and_ends(groups: Program) -> None:
    for name, one in groups.of(GROUP).items():
        assert one.properties["kmsKeyId"] == "key-logs"
        assert one.properties["retentionInDays"] == (90 if name == "logs-flow" else 365)


def test_a_small_environment_keeps_logs_for_a_shorter_time(run: Any) -> None:
    dev = run(lambda stack: Logs("logs", stack=stack, key="key"), stack="foundation", environment="dev")
    assert {one.properties["retentionInDays"] for one in dev.of(GROUP).values()} == {14}


def test_groups_of_two_environments_never_meet() -> None:
    found: list[set[str]] = []
    for name in ("dev", "prod", "staging"):
        with environment(name) as one:
            found.append(set(logs.groups(one).values()))
    assert not found[0] & found[1]
    assert not found[1] & found[2]


def test_the_topic_is_encrypted(topic: Program) -> None:
    [one] = topic.of("aws:sns/topic:Topic").values()
    assert one.properties["kmsMasterKeyId"] == "key-logs"
    assert one.properties["name"] == "leandata-prod-alarms"


def test_only_services_of_our_own_account_write_to_it(topic: Program) -> None:
    [one] = topic.of("aws:sns/topicPolicy:TopicPolicy").values()
    allowed, refused = json.loads(one.properties["policy"])["Statement"]
    assert allowed["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "ses.amazonaws.com"]}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": "333333333333"}}
    assert (refused["Effect"], refused["Principal"]) == ("Deny", "*")
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_policy_is_about_this_topic_alone() -> None:
    with environment("prod") as prod:
        resources = {arn for one in alarms.topic_policy(prod)["Statement"] for arn in one["Resource"]}
        assert resources == {alarms.topic_arn(prod)} == {"arn:aws:sns:eu-central-1:333333333333:leandata-prod-alarms"}


def test_everybody_whom_the_environment_names_is_told_by_mail(topic: Program) -> None:
    told = [one.properties for one in topic.of("aws:sns/topicSubscription:TopicSubscription").values()]
    assert [(one["protocol"], one["endpoint"]) for one in told] == [("email", "data-team@leandata.example")]
