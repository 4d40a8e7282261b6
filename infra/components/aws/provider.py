"""The one AWS provider of a program: of the environment's account and region, never the ambient default."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws.place import table
from infra.components.stack import Stack
from infra.environment import Environment

NAME = "aws"


def options(
    stack: Stack,
    *,
    parent: pulumi.Resource | None = None,
    needs: list[pulumi.Resource] | None = None,
    protect: bool = False,
) -> pulumi.ResourceOptions:
    """Options of a resource on AWS: its parent, what must exist before it, our provider.

    With `protect` the engine refuses to delete it wherever the environment's file says `protected`.
    """
    provider = stack.provider_of(NAME, lambda: _provider(stack))
    kept = protect and table(stack.environment).protected
    return pulumi.ResourceOptions(parent=parent, depends_on=needs, provider=provider, protect=kept)


def boundary(environment: Environment) -> str:
    """The ARN of the policy that bounds every role of the environment: the bootstrap makes it, before any role."""
    return f"arn:aws:iam::{table(environment).account}:policy/{naming.account_wide(environment, 'boundary')}"


def _provider(stack: Stack) -> pulumi.ProviderResource:
    said = table(stack.environment)
    tags = aws.ProviderDefaultTagsArgs(tags=naming.tags(stack.environment, stack=stack.name))
    return aws.Provider(NAME, region=said.region, allowed_account_ids=[said.account], default_tags=tags)
