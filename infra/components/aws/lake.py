"""The lake on S3: a bucket for every zone, one for logs, and one for the logs of who reached them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider
from infra.components.aws.bucket import lives, make_bucket
from infra.components.aws.place import place_of, table
from infra.components.stack import Stack
from infra.environment import Environment
from infra.parts.managed import ManagedLake
from infra.stacks.foundation.outputs import FoundationOutputs

LOGS = "logs"
ACCESS = "access"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """How a zone's files are kept: moves to cheaper classes by their days, and the day on which they go (0: never)."""

    moves: Mapping[str, int]
    until: int = 0


def bucket(environment: Environment, zone: str) -> str:
    """The name of a zone's bucket, unique in the world because it ends in the account."""
    return f"{naming.account_wide(environment, 'lake', zone)}-{table(environment).account}"


def address(environment: Environment, zone: str) -> str:
    """The address of a zone, s3://<bucket>."""
    return f"s3://{bucket(environment, zone)}"


def kept(zone: str, days: ManagedLake) -> Kept:
    """How the files of a zone are kept. All classes answer at once, so nothing has to be restored before it is read."""
    if zone in (LOGS, ACCESS):
        return Kept(moves={}, until=days.logs)
    if zone == "raw":
        return Kept(moves={"STANDARD_IA": days.seldom_after, "GLACIER_IR": days.archived_after})
    return Kept(moves={"INTELLIGENT_TIERING": days.seldom_after})


def make_zone(parent: pulumi.Resource, *, zone: str, stack: Stack) -> pulumi.Output[str]:
    """The bucket of `zone`, closed to everybody but this account; its s3:// address."""
    access = stack.once("lake ground", lambda: _make_ground(parent, stack=stack))
    made = _make_bucket(parent, zone=zone, stack=stack, access=access)
    return made.bucket.apply(lambda name: f"s3://{name}")


def _make_ground(parent: pulumi.Resource, *, stack: Stack) -> aws.s3.Bucket:
    """What all zones need: no bucket of the account can be public, and there is a place for access logs."""
    closed = aws.s3.AccountPublicAccessBlock(
        "lake-account",
        account_id=table(stack.environment).account,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=provider.options(stack, parent=parent),
    )
    access = _make_bucket(parent, zone=ACCESS, stack=stack, needs=[closed])
    _make_bucket(parent, zone=LOGS, stack=stack, access=access)
    return access


def _make_bucket(
    parent: pulumi.Resource,
    *,
    zone: str,
    stack: Stack,
    access: aws.s3.Bucket | None = None,
    needs: list[pulumi.Resource] | None = None,
) -> aws.s3.Bucket:
    environment, keys = stack.environment, FoundationOutputs.of(stack)
    days = table(environment).lake
    plan = kept(zone, days)
    return make_bucket(
        parent,
        f"lake-{zone}",
        stack=stack,
        bucket=bucket(environment, zone),
        data=zone,
        policy=_policy(environment, zone),
        rule=lives(old_days=days.versions, days=plan.until or None, moves=plan.moves),
        key={ACCESS: None, LOGS: keys.key_logs}.get(zone, keys.key_lake),
        logs_to=access,
        needs=[access] if access is not None else needs,
    )


def _policy(environment: Environment, zone: str) -> documents.Document:
    sources = f"arn:aws:s3:::{naming.account_wide(environment, 'lake')}-*" if zone == ACCESS else ""
    return documents.bucket_policy(place_of(environment), bucket(environment, zone), logs_from=sources)
