"""Buckets, databases, keys, images, logs: each thing that is asked of each, alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.policy.cases import Node, aws, changed
from infra.tests.policy.verdicts import DEV, hits, passes, places

BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
BOTH = ["arn:aws:s3:::it", "arn:aws:s3:::it/*"]


def bucket(name: str = "it", **properties: Any) -> Node:
    return aws("s3/bucket:Bucket", {"bucket": name, **properties}, name=name)


def beside(kind: str, properties: dict[str, Any], *, of: str = "it", name: str = "beside") -> Node:
    return aws(f"s3/{kind[0].lower()}{kind[1:]}:{kind}", {"bucket": of, **properties}, name=name)


def policy(*statements: dict[str, Any]) -> Node:
    return beside("BucketPolicy", {"policy": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})})


def deny(condition: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": BOTH, "Condition": condition, **changes}


PLAIN = {"Bool": {"aws:SecureTransport": "false"}}
OLD = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}

SIBLINGS = {
    "bucket-blocked": "BucketPublicAccessBlock",
    "bucket-key": "BucketServerSideEncryptionConfiguration",
    "bucket-lifecycle": "BucketLifecycleConfiguration",
    "bucket-logged": "BucketLogging",
    "bucket-owner": "BucketOwnershipControls",
    "bucket-tls": "BucketPolicy",
    "bucket-tls-version": "BucketPolicy",
    "bucket-versions": "BucketVersioning",
}


@pytest.mark.parametrize("rule", sorted(SIBLINGS))
def test_a_bare_bucket_lacks_everything(rule: str):
    ((name, _, said),) = hits(rule, bucket())
    assert name == "it"
    assert "no" in said


@pytest.mark.parametrize(("rule", "kind"), sorted(SIBLINGS.items()))
def test_what_stands_beside_another_bucket_does_not_count(rule: str, kind: str):
    assert [name for name, _, _ in hits(rule, bucket(), beside(kind, {}, of="other"))] == ["it"]


@pytest.mark.parametrize("missing", BLOCKS)
def test_public_access_is_blocked_in_all_four_ways(missing: str):
    switches = dict.fromkeys(BLOCKS, True)
    assert passes("bucket-blocked", bucket(), beside("BucketPublicAccessBlock", switches))
    ((_, _, said),) = hits("bucket-blocked", bucket(), beside("BucketPublicAccessBlock", {**switches, missing: False}))
    assert said == missing


def test_the_account_blocks_public_access_too():
    kind = "s3/accountPublicAccessBlock:AccountPublicAccessBlock"
    assert passes("bucket-account-blocked", bucket(), aws(kind, dict.fromkeys(BLOCKS, True)))
    assert not passes("bucket-account-blocked", bucket(), aws(kind, dict.fromkeys(BLOCKS[:3], True)))
    assert len(hits("bucket-account-blocked", bucket("a"), bucket("b"))) == 1
    assert passes("bucket-account-blocked"), "without a bucket there is nothing to block"


@pytest.mark.parametrize(
    "statement",
    [
        deny(PLAIN, Effect="Allow"),
        deny(PLAIN, Principal={"AWS": "arn:aws:iam::111122223333:root"}),
        deny(PLAIN, Action="s3:GetObject"),
        deny(PLAIN, Resource="arn:aws:s3:::it"),
        deny(PLAIN, Resource=BOTH[1:]),
        deny({"Bool": {"aws:SecureTransport": "true"}}),
        deny({"StringEquals": {"aws:SecureTransport": "false"}}),
        deny({}),
    ],
)
def test_plain_http_is_refused_to_everybody_for_everything(statement: dict[str, Any]):
    assert not passes("bucket-tls", bucket(), policy(statement))


@pytest.mark.parametrize(
    "statement",
    [
        deny(PLAIN),
        deny(PLAIN, Principal={"AWS": "*"}),
        deny(PLAIN, Action=["s3:*"]),
        deny({"Bool": {"AWS:SecureTransport": "false"}}),
        deny({"Bool": {"aws:SecureTransport": False}}),
    ],
)
def test_the_ways_to_refuse_plain_http(statement: dict[str, Any]):
    assert passes("bucket-tls", bucket(), policy(statement))


@pytest.mark.parametrize(("version", "allowed"), [("1.2", True), ("1.3", True), ("1.1", False), ("1.0", False)])
def test_old_tls_is_refused(version: str, allowed: bool):
    made = policy(deny({"NumericLessThan": {"s3:TlsVersion": version}}))
    assert passes("bucket-tls-version", bucket(), made) is allowed


def test_one_policy_may_refuse_both():
    both = policy(deny(PLAIN), deny(OLD))
    assert passes("bucket-tls", bucket(), both)
    assert passes("bucket-tls-version", bucket(), both)


def test_a_policy_that_is_not_known_refuses_nothing():
    assert not passes("bucket-tls", bucket(), beside("BucketPolicy", {"policy": "[unknown]"}))


def encrypted(**rule: Any) -> Node:
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "it"}
    whole = {"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}
    return beside("BucketServerSideEncryptionConfiguration", {"rules": [changed(whole, rule)]})


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"bucketKeyEnabled": False}, False),
        ({"bucketKeyEnabled": None}, False),
        ({"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}, False),
        ({"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}, False),
        ({"applyServerSideEncryptionByDefault": None}, False),
    ],
)
def test_a_bucket_is_encrypted_by_a_key_of_ours(change: dict[str, Any], allowed: bool):
    assert passes("bucket-key", bucket(), encrypted(**change)) is allowed


def test_a_bucket_for_access_logs_is_encrypted_as_log_delivery_can():
    own = encrypted(applyServerSideEncryptionByDefault={"sseAlgorithm": "AES256"})
    assert passes("bucket-key", bucket(), own, beside("BucketLogging", {"targetBucket": "it"}, of="other"))


def test_a_bucket_for_access_logs_writes_none_of_its_own():
    logging = beside("BucketLogging", {"targetBucket": "logs"})
    assert passes("bucket-logged", bucket(), bucket("logs"), logging)
    assert not passes("bucket-logged", bucket(), bucket("logs"))


@pytest.mark.parametrize("status", ["Suspended", "Disabled", "", None])
def test_a_bucket_keeps_old_versions(status: str | None):
    made = beside("BucketVersioning", {"versioningConfiguration": {"status": status}})
    assert places("bucket-versions", bucket(), made) == ["versioningConfiguration"]


UPLOADS = {"abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}}
PAST = {"noncurrentVersionExpiration": {"noncurrentDays": 30}}


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([{"status": "Enabled", **UPLOADS, **PAST}], True),
        ([{"status": "Enabled", **UPLOADS}, {"status": "Enabled", **PAST}], True),
        ([{"status": "Enabled", **UPLOADS}], False),
        ([{"status": "Enabled", **PAST}], False),
        ([{"status": "Disabled", **UPLOADS, **PAST}], False),
        ([], False),
    ],
)
def test_what_is_no_longer_needed_ends(rules: list[dict[str, Any]], allowed: bool):
    assert passes("bucket-lifecycle", bucket(), beside("BucketLifecycleConfiguration", {"rules": rules})) is allowed


@pytest.mark.parametrize("owner", ["BucketOwnerPreferred", "ObjectWriter", None])
def test_acls_do_not_count(owner: str | None):
    assert not passes("bucket-owner", bucket(), beside("BucketOwnershipControls", {"rule": {"objectOwnership": owner}}))


@pytest.mark.parametrize("kind", ["BucketAcl", "BucketObjectAcl", "BucketAclV2", "BucketWebsiteConfiguration"])
def test_nothing_is_put_on_the_internet(kind: str):
    assert places("bucket-public", bucket(), beside(kind, {})) == ["bucket"]


@pytest.mark.parametrize(
    ("key", "value"), [("acl", "public-read"), ("grants", [{"uri": "all"}]), ("website", {"indexDocument": "i"})]
)
def test_nor_by_the_bucket_itself(key: str, value: Any):
    assert places("bucket-public", bucket(**{key: value})) == [key]
    assert passes("bucket-public", bucket(acl="private"))


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*", "111122223333"]}])
def test_no_policy_allows_anything_to_everybody(principal: Any):
    made = policy({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": BOTH})
    assert places("bucket-public", bucket(), made) == ["policy.Statement.Principal"]


def database(**changes: Any) -> Node:
    good = {
        "autoMinorVersionUpgrade": True,
        "backupRetentionPeriod": 7,
        "finalSnapshotIdentifier": "last",
        "kmsKeyId": "it",
        "manageMasterUserPassword": True,
        "multiAz": True,
        "parameterGroupName": "group",
        "publiclyAccessible": False,
        "storageEncrypted": True,
    }
    return aws("rds/instance:Instance", changed(good, changes))


def group(value: str = "1", *, name: str = "group", parameter: str = "rds.force_ssl") -> Node:
    return aws("rds/parameterGroup:ParameterGroup", {"name": name, "parameters": [{"name": parameter, "value": value}]})


DATABASE_RULES = ["backups", "encrypted", "login", "patched", "private", "tls", "zones"]


@pytest.mark.parametrize("rule", DATABASE_RULES)
def test_a_good_database_passes(rule: str):
    assert passes(f"database-{rule}", database(), group())


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("database-encrypted", {"storageEncrypted": False}),
        ("database-encrypted", {"storageEncrypted": None}),
        ("database-private", {"publiclyAccessible": True}),
        ("database-login", {"manageMasterUserPassword": None}),
        ("database-login", {"password": "[secret]"}),
        ("database-login", {"passwordWo": "[secret]"}),
        ("database-backups", {"backupRetentionPeriod": 0}),
        ("database-backups", {"backupRetentionPeriod": 6}),
        ("database-backups", {"backupRetentionPeriod": None}),
        ("database-backups", {"skipFinalSnapshot": True}),
        ("database-backups", {"finalSnapshotIdentifier": None}),
        ("database-zones", {"multiAz": False}),
        ("database-patched", {"autoMinorVersionUpgrade": False}),
    ],
)
def test_each_thing_that_a_database_lacks_is_found(rule: str, change: dict[str, Any]):
    assert len(places(rule, database(**change), group())) == 1


def test_outside_production_a_database_may_be_smaller():
    small = database(multiAz=False, backupRetentionPeriod=1, skipFinalSnapshot=True)
    assert passes("database-zones", small, setting=DEV)
    assert passes("database-backups", small, setting=DEV)
    assert not passes("database-backups", database(backupRetentionPeriod=0), setting=DEV)


@pytest.mark.parametrize("other", [group("0"), group(name="other"), group(parameter="log_statement")])
def test_a_database_refuses_connections_without_tls(other: Node):
    assert places("database-tls", database(), other) == ["parameterGroupName"]


@pytest.mark.parametrize(
    ("properties", "allowed"),
    [
        ({"enableKeyRotation": True}, True),
        ({"enableKeyRotation": True, "deletionWindowInDays": 30}, True),
        ({"enableKeyRotation": True, "deletionWindowInDays": 7}, False),
        ({"enableKeyRotation": False}, False),
        ({}, False),
        ({"keyUsage": "SIGN_VERIFY"}, True),
    ],
)
def test_keys_are_turned_and_not_deleted_at_once(properties: dict[str, Any], allowed: bool):
    assert passes("key-rotated", aws("kms/key:Key", properties)) is allowed


def test_outside_production_a_key_may_go_sooner():
    assert passes(
        "key-rotated", aws("kms/key:Key", {"enableKeyRotation": True, "deletionWindowInDays": 7}), setting=DEV
    )


REPOSITORY = {
    "imageTagMutability": "IMMUTABLE",
    "imageScanningConfiguration": {"scanOnPush": True},
    "encryptionConfigurations": [{"encryptionType": "KMS"}],
}


@pytest.mark.parametrize("key", sorted(REPOSITORY))
def test_a_repository_of_images_lacks_nothing(key: str):
    assert passes("images-kept", aws("ecr/repository:Repository", REPOSITORY))
    assert len(places("images-kept", aws("ecr/repository:Repository", changed(REPOSITORY, {key: None})))) == 1


@pytest.mark.parametrize(
    "type_", ["cloudwatch/logGroup:LogGroup", "secretsmanager/secret:Secret", "sns/topic:Topic", "sqs/queue:Queue"]
)
def test_what_holds_texts_is_encrypted_by_a_key_of_ours(type_: str):
    key = "kmsMasterKeyId" if type_.startswith("s") and "secret" not in type_ else "kmsKeyId"
    assert places("encrypted-by-us", aws(type_)) == [key]
    assert passes("encrypted-by-us", aws(type_, {key: "it"}))


def test_logs_end():
    assert places("logs-end", aws("cloudwatch/logGroup:LogGroup")) == ["retentionInDays"]
    assert places("logs-end", aws("cloudwatch/logGroup:LogGroup", {"retentionInDays": 0})) == ["retentionInDays"]
