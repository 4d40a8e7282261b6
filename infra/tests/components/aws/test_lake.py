"""The lake on S3: closed, encrypted, versioned, and cheaper with the years."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ci.programs import Program, Resource
from ci.testing import environment
from infra.components.aws import lake
from infra.components.lake import Lake
from infra.parts.managed import ManagedLake

ZONES = ("access", "curated", "logs", "models", "raw")
SIDES = (
    "bucketLifecycleConfiguration:BucketLifecycleConfiguration", "bucketOwnershipControls:BucketOwnershipControls",
    "bucketPolicy:BucketPolicy", "bucketPublicAccessBlock:BucketPublicAccessBlock",
    "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "bucketVersioning:BucketVersioning",
)  # fmt: skip


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    return run(lambda stack: Lake("lake", stack=stack), stack="lake")


def side(program: Program, kind: str) -> dict[str, Resource]:
    """The side resources of a kind, by zone."""
    short = kind[0].lower() + kind[1:]
    found = program.of(f"aws:s3/{short}:{kind}")
    return {name.removeprefix("lake-"): one for name, one in found.items()}


def test_every_zone_has_a_bucket_and_there_are_two_for_logs(program: Program) -> None:
    buckets = {one.properties["bucket"] for one in side(program, "Bucket").values()}
    assert buckets == {f"leandata-prod-lake-{zone}-333333333333" for zone in ZONES}


def test_every_bucket_has_all_that_makes_it_safe(program: Program) -> None:
    for kind in SIDES:
        found = program.of(f"aws:s3/{kind}")
        assert sorted(found) == [f"lake-{zone}" for zone in ZONES], kind
        assert {one.properties["bucket"] for one in found.values()} == {
            f"leandata-prod-lake-{zone}-333333333333" for zone in ZONES
        }


def test_programs_are_given_the_address_of_each_zone(run: Any) -> None:
    seen: dict[str, str] = {}

    def declare(stack: Any) -> None:
        for zone, url in Lake("lake", stack=stack).urls.items():
            url.apply(lambda text, zone=zone: seen.update({zone: text}))

    run(declare, stack="lake")
    assert seen == {zone: f"s3://leandata-prod-lake-{zone}-333333333333" for zone in ("curated", "models", "raw")}
    with environment("prod") as prod:
        assert seen["raw"] == lake.address(prod, "raw")


def test_nothing_can_be_public_in_any_bucket_or_in_the_account(program: Program) -> None:
    blocks = [*side(program, "BucketPublicAccessBlock").values()]
    [account] = program.of("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock").values()
    for block in (*blocks, account):
        for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
            assert block.properties[name] is True
    assert account.properties["accountId"] == "333333333333"


def test_the_account_is_closed_before_any_bucket_is_made(program: Program) -> None:
    [account] = program.of("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock")
    access = side(program, "Bucket")["access"]
    assert any(need.endswith(f"::{account}") for need in access.needs)
    for zone in ("curated", "logs", "models", "raw"):
        assert access.urn in side(program, "Bucket")[zone].needs


def test_every_bucket_refuses_what_comes_without_tls(program: Program) -> None:
    for zone, one in side(program, "BucketPolicy").items():
        text = one.properties["policy"]
        found = {said["Sid"]: said for said in json.loads(text)["Statement"]}
        assert found["TlsOnly"]["Resource"] == [
            f"arn:aws:s3:::leandata-prod-lake-{zone}-333333333333",
            f"arn:aws:s3:::leandata-prod-lake-{zone}-333333333333/*",
        ]
        assert ("AccessLogs" in found) == (zone == "access")


def test_a_policy_comes_after_the_bucket_is_closed(program: Program) -> None:
    for zone, one in side(program, "BucketPolicy").items():
        assert side(program, "BucketPublicAccessBlock")[zone].urn in one.needs


def test_data_and_logs_are_encrypted_by_keys_of_their_own_class(program: Program) -> None:
    found = side(program, "BucketServerSideEncryptionConfiguration")
    rules = {zone: one.properties["rules"][0] for zone, one in found.items()}
    keys = {zone: rule["applyServerSideEncryptionByDefault"] for zone, rule in rules.items()}
    key = "arn:aws:kms:eu-central-1:333333333333:key/"
    for zone in ("curated", "models", "raw"):
        assert keys[zone] == {"kmsMasterKeyId": f"{key}lake", "sseAlgorithm": "aws:kms"}
        assert rules[zone]["bucketKeyEnabled"] is True
    assert keys["logs"]["kmsMasterKeyId"] == f"{key}logs"
    assert keys["access"] == {"sseAlgorithm": "AES256"}, "access logs cannot be delivered to a key of ours"
    assert all(rule["blockedEncryptionTypes"] == ["SSE-C"] for rule in rules.values())


def test_every_bucket_but_that_of_access_logs_says_who_reached_it(program: Program) -> None:
    found = side(program, "BucketLogging")
    assert sorted(found) == ["curated", "logs", "models", "raw"]
    for zone, one in found.items():
        assert one.properties["targetBucket"] == "leandata-prod-lake-access-333333333333"
        assert one.properties["targetPrefix"] == f"{zone}/"


def test_what_was_overwritten_or_left_half_sent_goes_in_time(program: Program) -> None:
    for one in side(program, "BucketLifecycleConfiguration").values():
        [rule] = one.properties["rules"]
        assert rule["status"] == "Enabled"
        assert rule["filter"] == {"prefix": ""}
        assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
        assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


def test_data_never_goes_by_itself_and_logs_do(program: Program) -> None:
    rules = {zone: one.properties["rules"][0] for zone, one in side(program, "BucketLifecycleConfiguration").items()}
    assert {zone for zone, rule in rules.items() if "expiration" in rule} == {"access", "logs"}
    assert rules["logs"]["expiration"] == {"days": 365}
    assert rules["raw"]["transitions"] == [
        {"days": 30, "storageClass": "STANDARD_IA"}, {"days": 90, "storageClass": "GLACIER_IR"},
    ]  # fmt: skip
    assert rules["models"]["transitions"] == [{"days": 30, "storageClass": "INTELLIGENT_TIERING"}]


def test_no_class_has_to_be_restored_before_it_is_read() -> None:
    days = ManagedLake(seldom_after=30, archived_after=90, versions=30, logs=30)
    used = {name for zone in ZONES for name in lake.kept(zone, days).moves}
    assert used <= {"STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING"}


def test_buckets_are_protected_and_never_emptied(program: Program) -> None:
    for one in side(program, "Bucket").values():
        assert one.protect
        assert one.properties["forceDestroy"] is False


def test_every_bucket_says_whose_it_is(program: Program) -> None:
    for zone, one in side(program, "Bucket").items():
        assert one.properties["tags"] == {
            "cost-centre": "data", "data": zone, "environment": "prod", "managed-by": "leandata", "owner": "data-team",
            "service": "lake", "stack": "lake",
        }  # fmt: skip


def test_nothing_uses_a_deprecated_part_of_a_bucket(program: Program) -> None:
    for one in side(program, "Bucket").values():
        assert set(one.properties) == {"bucket", "forceDestroy", "tags"}
