"""Encryption keys, one for each class of data: who may use one can read nothing of another class."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider
from infra.components.aws.documents import Document
from infra.components.aws.logs import groups
from infra.components.aws.place import place_of
from infra.components.stack import Stack
from infra.environment import Environment

CLASSES = ("database", "images", "lake", "logs", "secrets")
_WAIT_DAYS = 30
_YEAR_DAYS = 365
_LOG_ACTIONS = (
    "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom", "kms:ReEncryptTo",
)  # fmt: skip
_SENDERS = ("cloudwatch.amazonaws.com", "ses.amazonaws.com")


def key_policy(environment: Environment, *, of: str = "") -> Document:
    """Who may use the key of the class `of`: whom the account's own policies let, and nobody outside the account.

    The logs' key is used by CloudWatch as well, for the environment's own log groups, and by what sends alarms to the
    encrypted topic. The first statement is AWS' own default: without it nobody could ever change the key again.
    """
    place = place_of(environment)
    root = {"AWS": f"arn:{place.partition}:iam::{place.account}:root"}
    statements = [{**documents.statement("Account", ["kms:*"], ["*"]), "Principal": root}]
    if of == "logs":
        arns = [place.arn("logs", f"log-group:{name}") for name in groups(environment).values()]
        context = {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": sorted(arns)}}
        writer = {"Service": f"logs.{place.region}.amazonaws.com"}
        logs = documents.statement("LogGroups", _LOG_ACTIONS, ["*"], condition=context)
        alarms = documents.statement(
            "Alarms", ["kms:Decrypt", "kms:GenerateDataKey"], ["*"], condition=documents.source(place)
        )
        statements += [{**logs, "Principal": writer}, {**alarms, "Principal": {"Service": list(_SENDERS)}}]
    return documents.document(statements)


def make_key(parent: pulumi.Resource, name: str, *, stack: Stack, alias: str, data: str, says: str) -> aws.kms.Key:
    """A key that is turned every year and cannot be gone before 30 days, under the name `alias` (alias/...)."""
    environment = stack.environment
    made = aws.kms.Key(
        name,
        description=says,
        enable_key_rotation=True,
        rotation_period_in_days=_YEAR_DAYS,
        deletion_window_in_days=_WAIT_DAYS,
        policy=json.dumps(key_policy(environment, of=data), sort_keys=True),
        tags={**naming.tags(environment, stack=stack.name), "data": data},
        opts=provider.options(stack, parent=parent, protect=True),
    )
    aws.kms.Alias(name, name=alias, target_key_id=made.key_id, opts=provider.options(stack, parent=made))
    return made


class Keys(pulumi.ComponentResource):
    """A key for each of `classes`; `arns` by class."""

    arns: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, *, stack: Stack, classes: Sequence[str] = CLASSES) -> None:
        super().__init__("leandata:index:Keys", name)
        environment = stack.environment
        self.arns = {
            one: make_key(
                self,
                f"key-{one}",
                stack=stack,
                alias=f"alias/{naming.account_wide(environment, one)}",
                data=one,
                says=f"{environment.name}: {one}",
            ).arn
            for one in classes
        }
        self.register_outputs({"arns": self.arns})
