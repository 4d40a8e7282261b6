"""Where alarms go: one encrypted topic, which only AWS' own services of this account write to, and mail reads."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider
from infra.components.aws.documents import Document
from infra.components.aws.place import place_of, table
from infra.components.stack import Stack
from infra.environment import Environment

_SENDERS = ("cloudwatch.amazonaws.com", "ses.amazonaws.com")
_PUBLISH = ["sns:Publish"]


def topic_arn(environment: Environment) -> str:
    """The ARN of the topic."""
    return place_of(environment).arn("sns", naming.account_wide(environment, "alarms"))


def topic_policy(environment: Environment) -> Document:
    """CloudWatch and SES may write for this account, nobody without TLS; whoever else the account's policies let."""
    place, topic = place_of(environment), topic_arn(environment)
    senders = documents.statement("Senders", _PUBLISH, [topic], condition=documents.source(place))
    plain = documents.statement(
        "TlsOnly", _PUBLISH, [topic], effect="Deny", condition={"Bool": {"aws:SecureTransport": "false"}}
    )
    return documents.document([{**senders, "Principal": {"Service": list(_SENDERS)}}, {**plain, "Principal": "*"}])


class Alarms(pulumi.ComponentResource):
    """The topic (`topic` is its ARN), encrypted with `key`. Each reader has to accept once, by a link in a mail."""

    topic: pulumi.Output[str]

    def __init__(self, name: str, *, stack: Stack, key: pulumi.Input[str]) -> None:
        super().__init__("leandata:index:Alarms", name)
        environment = stack.environment
        topic = aws.sns.Topic(
            name,
            name=naming.account_wide(environment, "alarms"),
            kms_master_key_id=key,
            tags=naming.tags(environment, stack=stack.name),
            opts=provider.options(stack, parent=self),
        )
        self.topic = topic.arn
        options = provider.options(stack, parent=topic)
        policy = json.dumps(topic_policy(environment), sort_keys=True)
        aws.sns.TopicPolicy(name, arn=topic.arn, policy=policy, opts=options)
        for number, reader in enumerate(table(environment).alerts):
            aws.sns.TopicSubscription(
                f"{name}-{number}", topic=topic.arn, protocol="email", endpoint=reader, opts=options
            )
        self.register_outputs({"topic": self.topic})
