"""The lake on S3: a bucket for every zone, one for logs, and one for the logs of who reached them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider
from infra.components.aws.place import place_of, table
from infra.components.stack import Stack
from infra.environment import Environment
from infra.parts.managed import ManagedLake
from infra.stacks.foundation.outputs import FoundationOutputs

LOGS = "logs"
ACCESS = "access"
_ABANDONED_DAYS = 7
_GROUND: WeakKeyDictionary[pulumi.Resource, pulumi.Resource] = WeakKeyDictionary()

Rule = aws.s3.BucketLifecycleConfigurationRuleArgs
Move = aws.s3.BucketLifecycleConfigurationRuleTransitionArgs


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
    if parent not in _GROUND:
        _GROUND[parent] = _make_ground(parent, stack=stack)
    made = _make_bucket(parent, zone=zone, stack=stack, needs=[_GROUND[parent]])
    return made.bucket.apply(lambda name: f"s3://{name}")


def _make_ground(parent: pulumi.Resource, *, stack: Stack) -> pulumi.Resource:
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
    _make_bucket(parent, zone=LOGS, stack=stack, needs=[access])
    return access


def _make_bucket(parent: pulumi.Resource, *, zone: str, stack: Stack, needs: list[pulumi.Resource]) -> aws.s3.Bucket:
    environment = stack.environment
    name = f"lake-{zone}"
    made = aws.s3.Bucket(
        name,
        bucket=bucket(environment, zone),
        force_destroy=False,
        tags={**naming.tags(environment, stack=stack.name), "data": zone},
        opts=provider.options(stack, parent=parent, needs=needs, protect=True),
    )
    options = provider.options(stack, parent=made)
    closed = aws.s3.BucketPublicAccessBlock(
        name,
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=options,
    )
    owned = aws.s3.BucketOwnershipControls(
        name,
        bucket=made.bucket,
        rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
        opts=options,
    )
    aws.s3.BucketPolicy(
        name,
        bucket=made.bucket,
        policy=json.dumps(_policy(environment, zone), sort_keys=True),
        opts=provider.options(stack, parent=made, needs=[closed, owned]),
    )
    _encrypt(made, name, zone=zone, stack=stack)
    versions = aws.s3.BucketVersioning(
        name,
        bucket=made.bucket,
        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=options,
    )
    aws.s3.BucketLifecycleConfiguration(
        name,
        bucket=made.bucket,
        rules=_rules(zone, table(environment).lake),
        opts=provider.options(stack, parent=made, needs=[versions]),
    )
    if zone != ACCESS:
        aws.s3.BucketLogging(
            name,
            bucket=made.bucket,
            target_bucket=bucket(environment, ACCESS),
            target_prefix=f"{zone}/",
            opts=options,
        )
    return made


def _policy(environment: Environment, zone: str) -> documents.Document:
    sources = f"arn:aws:s3:::{naming.account_wide(environment, 'lake')}-*" if zone == ACCESS else ""
    return documents.bucket_policy(place_of(environment), bucket(environment, zone), logs_from=sources)


def _encrypt(made: aws.s3.Bucket, name: str, *, zone: str, stack: Stack) -> None:
    """With our key, one call a bucket and not one an object. Access logs are delivered to S3's own keys only."""
    keys = FoundationOutputs.of(stack)
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="AES256" if zone == ACCESS else "aws:kms",
        kms_master_key_id=None if zone == ACCESS else keys.key_logs if zone == LOGS else keys.key_lake,
    )
    rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default,
        bucket_key_enabled=zone != ACCESS,
        blocked_encryption_types=["SSE-C"],
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name, bucket=made.bucket, rules=[rule], opts=provider.options(stack, parent=made)
    )


def _rules(zone: str, days: ManagedLake) -> list[Rule]:
    plan = kept(zone, days)
    everything = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    abandoned = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
        days_after_initiation=_ABANDONED_DAYS
    )
    old = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=days.versions)
    until = aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=plan.until) if plan.until else None
    return [
        Rule(
            id="keep",
            status="Enabled",
            filter=everything,
            abort_incomplete_multipart_upload=abandoned,
            expiration=until,
            noncurrent_version_expiration=old,
            transitions=[Move(days=day, storage_class=name) for name, day in plan.moves.items()],
        )
    ]
