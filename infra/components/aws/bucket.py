"""A bucket that is closed, encrypted, versioned and logged, with nothing left to AWS' defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import provider
from infra.components.aws.documents import Document
from infra.components.stack import Stack

_ABANDONED_DAYS = 7
Rule = aws.s3.BucketLifecycleConfigurationRuleArgs
Move = aws.s3.BucketLifecycleConfigurationRuleTransitionArgs


def make_bucket(
    parent: pulumi.Resource,
    name: str,
    *,
    stack: Stack,
    bucket: str,
    data: str,
    policy: Document,
    rule: Rule,
    key: pulumi.Input[str] | None = None,
    logs_to: aws.s3.Bucket | None = None,
    needs: list[pulumi.Resource] | None = None,
) -> aws.s3.Bucket:
    """The bucket named `bucket`, holding data of the class `data` and lived in by the lifecycle `rule`.

    It is encrypted with `key` (S3's own without one: log delivery writes no other), and who reached it is written
    down in `logs_to`.
    """
    made = aws.s3.Bucket(
        name,
        bucket=bucket,
        force_destroy=False,
        tags={**naming.tags(stack.environment, stack=stack.name), "data": data},
        opts=provider.options(stack, parent=parent, needs=needs, protect=True),
    )
    _close(made, name, stack=stack, policy=policy)
    _encrypt(made, name, stack=stack, key=key)
    _keep(made, name, stack=stack, rule=rule)
    if logs_to is not None:
        aws.s3.BucketLogging(
            name,
            bucket=made.bucket,
            target_bucket=logs_to.bucket,
            target_prefix=f"{data}/",
            opts=provider.options(stack, parent=made),
        )
    return made


def lives(
    *, old_days: int, days: int | None = None, newest: int | None = None, moves: Mapping[str, int] | None = None
) -> Rule:
    """How long files live: `days` (None: for ever), old versions `old_days`, of which the `newest` stay.

    `moves` are the days after which they go to a cheaper class.
    """
    abandoned = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
        days_after_initiation=_ABANDONED_DAYS
    )
    old = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
        noncurrent_days=old_days, newer_noncurrent_versions=newest
    )
    return Rule(
        id="keep",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        abort_incomplete_multipart_upload=abandoned,
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days) if days else None,
        noncurrent_version_expiration=old,
        transitions=[Move(days=day, storage_class=name) for name, day in (moves or {}).items()],
    )


def _close(made: aws.s3.Bucket, name: str, *, stack: Stack, policy: Document) -> None:
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
        policy=json.dumps(policy, sort_keys=True),
        opts=provider.options(stack, parent=made, needs=[closed, owned]),
    )


def _encrypt(made: aws.s3.Bucket, name: str, *, stack: Stack, key: pulumi.Input[str] | None) -> None:
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="aws:kms" if key is not None else "AES256", kms_master_key_id=key
    )
    rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default,
        bucket_key_enabled=key is not None,
        blocked_encryption_types=["SSE-C"],
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name, bucket=made.bucket, rules=[rule], opts=provider.options(stack, parent=made)
    )


def _keep(made: aws.s3.Bucket, name: str, *, stack: Stack, rule: Rule) -> None:
    versions = aws.s3.BucketVersioning(
        name,
        bucket=made.bucket,
        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=provider.options(stack, parent=made),
    )
    aws.s3.BucketLifecycleConfiguration(
        name, bucket=made.bucket, rules=[rule], opts=provider.options(stack, parent=made, needs=[versions])
    )
