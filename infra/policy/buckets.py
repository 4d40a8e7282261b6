"""Buckets: what Security Hub and Control Tower ask of every one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from infra.policy.cases import aws, changed
from infra.policy.graph import Graph, Object, Resource, at, document, items, mapping, names, objects, true
from infra.policy.rule import Case, Check, Hit, Rule, Severity

BUCKET = "aws:s3/bucket:Bucket"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
S3 = "Security Hub S3"
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_ACLS = ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketObjectAcl:BucketObjectAcl", "aws:s3/bucketAclV2:BucketAclV2")


def _buckets(property_: str, sibling: str, wrong: Any) -> Check:
    """A check of what stands beside each bucket: `wrong` says what a sibling's properties lack, "" for nothing."""

    def check(graph: Graph) -> Iterator[Hit]:
        for bucket in graph.every(BUCKET):
            found = list(graph.beside(bucket, f"aws:s3/{sibling[0].lower()}{sibling[1:]}:{sibling}", "bucket"))
            if not found:
                yield Hit(resource=bucket, property=property_, said=f"no {sibling}")
            for one in found:
                if said := wrong(one.properties):
                    yield Hit(resource=one, property=property_, said=said)

    return check


def _blocked(properties: Object) -> str:
    return ", ".join(name for name in _BLOCKS if not true(properties.get(name)))


def _account(graph: Graph) -> Iterator[Hit]:
    blocks = list(graph.every("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"))
    for bucket in graph.every(BUCKET) if not blocks else ():
        yield Hit(resource=bucket, property="bucket", said="the account has no AccountPublicAccessBlock")
        return
    for one in blocks:
        if said := _blocked(one.properties):
            yield Hit(resource=one, property="blockPublicAcls", said=said)


def statements(policy: Any) -> list[Object]:
    """The statements of a policy document, none when it is no document."""
    return [one for one in items(document(policy) or {}, "Statement") if isinstance(one, dict)]


def principals(statement: Object) -> list[str]:
    """Whom a statement is about: account numbers, ARNs, services, "*"."""
    found = statement.get("Principal")
    if isinstance(found, dict):
        return sorted(str(one) for value in found.values() for one in items(value))
    return [str(found)] if found else []


def _refuses(policy: Any, operator: str, key: str, values: Sequence[str]) -> bool:
    """Whether a document denies everything to everybody where the condition holds, for a bucket and what lies in it."""
    for one in statements(policy):
        everything = "s3:*" in items(one, "Action") or "*" in items(one, "Action")
        asked = mapping(one.get("Condition", {}), operator)
        met = any(str(asked.get(name)) in values for name in asked if str(name).lower() == key.lower())
        whole = one.get("Effect") == "Deny" and principals(one) == ["*"] and len(items(one, "Resource")) > 1
        if whole and everything and met:
            return True
    return False


def _tls_only(properties: Object) -> str:
    policy = properties.get("policy")
    return "" if _refuses(policy, "Bool", "aws:SecureTransport", ["false", "False"]) else "plain HTTP is not refused"


def _tls_new(properties: Object) -> str:
    policy = properties.get("policy")
    return "" if _refuses(policy, "NumericLessThan", "s3:TlsVersion", ["1.2", "1.3"]) else "old TLS is not refused"


def _encrypted(graph: Graph) -> Iterator[Hit]:
    """Amazon's log delivery can write only to a bucket that is encrypted by S3's own key."""
    type_ = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    targets = _log_targets(graph)
    for bucket in graph.every(BUCKET):
        found = list(graph.beside(bucket, type_, "bucket"))
        if not found:
            yield Hit(resource=bucket, property="rules", said="not encrypted by a key of ours")
        for one in found:
            if said := _key(one.properties, for_logs=bool(names(bucket) & targets)):
                yield Hit(resource=one, property="rules", said=said)


def _key(properties: Object, *, for_logs: bool) -> str:
    for rule in items(properties, "rules"):
        default = mapping(rule, "applyServerSideEncryptionByDefault")
        if for_logs and default.get("sseAlgorithm") == "AES256":
            continue
        if default.get("sseAlgorithm") not in ("aws:kms", "aws:kms:dsse") or not default.get("kmsMasterKeyId"):
            return "not by a key of ours"
        if not true(at(rule, "bucketKeyEnabled")):
            return "no bucket key: every object costs a call"
    return "" if items(properties, "rules") else "no rule"


def _versioned(properties: Object) -> str:
    return "" if at(properties, "versioningConfiguration.status") == "Enabled" else "not Enabled"


def _lives(properties: Object) -> str:
    rules = [rule for rule in objects(properties, "rules") if rule.get("status") == "Enabled"]
    if not any(at(rule, "abortIncompleteMultipartUpload.daysAfterInitiation") for rule in rules):
        return "unfinished uploads stay for ever"
    if not any(at(rule, "noncurrentVersionExpiration.noncurrentDays") for rule in rules):
        return "old versions stay for ever"
    return ""


def _owned(properties: Object) -> str:
    return "" if at(properties, "rule.objectOwnership") == "BucketOwnerEnforced" else "ACLs count"


def _log_targets(graph: Graph) -> set[str]:
    return {str(one.properties.get("targetBucket")) for one in graph.every(LOGGING)}


def _logged(graph: Graph) -> Iterator[Hit]:
    """Each bucket's requests are written down, in a bucket that takes no logs of its own."""
    targets = _log_targets(graph)
    for bucket in graph.every(BUCKET):
        if not names(bucket) & targets and not any(graph.beside(bucket, LOGGING, "bucket")):
            yield Hit(resource=bucket, property="logging", said="no BucketLogging")


def _public(graph: Graph) -> Iterator[Hit]:
    """No ACL, no website, and no policy that allows anything to everybody."""
    for one in graph.every(*_ACLS, "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration"):
        yield Hit(resource=one, property="bucket", said=one.type.rpartition(":")[2])
    for bucket in graph.every(BUCKET):
        for key in ("acl", "grants", "website"):
            if bucket.properties.get(key) not in (None, "private", []):
                yield Hit(resource=bucket, property=key)
    for one in graph.every("aws:s3/bucketPolicy:BucketPolicy", BUCKET):
        for statement in statements(one.properties.get("policy")):
            if statement.get("Effect") == "Allow" and "*" in principals(statement):
                yield Hit(resource=one, property="policy.Statement.Principal", said="*")


def _rule(
    id_: str, title: str, check: Check, remedy: str, *, reason: str, source: str, good: Case, bad: Case,
    severity: Severity = "high",
) -> Rule:  # fmt: skip
    return Rule(
        id=id_, title=title, source=source, reason=reason, remedy=remedy, severity=severity, check=check,
        good=good, bad=bad,
    )  # fmt: skip


def _beside(sibling: str, properties: Object) -> tuple[Resource, ...]:
    return _BUCKET, aws(f"s3/{sibling[0].lower()}{sibling[1:]}:{sibling}", {"bucket": "it", **properties})


def _deny(condition: Object, *, resources: Sequence[str] = ("arn:aws:s3:::it", "arn:aws:s3:::it/*")) -> Object:
    one = {"Action": "s3:*", "Condition": condition, "Effect": "Deny", "Principal": "*", "Resource": list(resources)}
    return {"policy": {"Version": "2012-10-17", "Statement": [one]}}


_BUCKET = aws("s3/bucket:Bucket", {"bucket": "it"})
_LOGS = aws("s3/bucket:Bucket", {"bucket": "logs"}, name="logs")
_OPEN = {"policy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}}
_KMS = {
    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "it"},
    "bucketKeyEnabled": True,
}
_PAST = {"noncurrentVersionExpiration": {"noncurrentDays": 30}}
_LIFE = {"abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}, "status": "Enabled"}

RULES: tuple[Rule, ...] = (
    _rule(
        "bucket-blocked", "Buckets block public access",
        _buckets("blockPublicAcls", "BucketPublicAccessBlock", _blocked),
        "Set all four switches of BucketPublicAccessBlock", source=f"{S3}.8",
        reason="One wrong policy shows it to the world",
        good=_beside("BucketPublicAccessBlock", dict.fromkeys(_BLOCKS, True)),
        bad=_beside("BucketPublicAccessBlock", {"blockPublicAcls": True}),
    ),
    _rule(
        "bucket-account-blocked", "The account blocks public access", _account, "Add an AccountPublicAccessBlock",
        source=f"{S3}.1", reason="A bucket made by hand is public", bad=(_BUCKET,),
        good=(_BUCKET, aws("s3/accountPublicAccessBlock:AccountPublicAccessBlock", dict.fromkeys(_BLOCKS, True))),
    ),
    _rule(
        "bucket-tls", "Buckets refuse plain HTTP", _buckets("policy", "BucketPolicy", _tls_only),
        "Deny s3:* on the bucket and on what lies in it when aws:SecureTransport is false",
        source=f"{S3}.5", reason="Data is read, and changed, on the way",
        good=_beside("BucketPolicy", _deny({"Bool": {"aws:SecureTransport": "false"}})),
        bad=_beside("BucketPolicy", _deny({"Bool": {"aws:SecureTransport": "true"}})),
    ),
    _rule(
        "bucket-tls-version", "Buckets refuse TLS before 1.2", _buckets("policy", "BucketPolicy", _tls_new),
        "Deny s3:* when s3:TlsVersion is less than 1.2", source="Control Tower CT.S3.PR", severity="medium",
        reason="Old TLS can be broken",
        good=_beside("BucketPolicy", _deny({"NumericLessThan": {"s3:TlsVersion": "1.2"}})),
        bad=_beside("BucketPolicy", _deny({"NumericLessThan": {"s3:TlsVersion": "1.1"}})),
    ),
    _rule(
        "bucket-key", "Buckets are encrypted by a key of ours, with a bucket key",
        _encrypted,
        "Set sseAlgorithm aws:kms, kmsMasterKeyId and bucketKeyEnabled", source=f"{S3}.17",
        reason="Whoever may read the bucket reads the data, whatever the key's policy says",
        good=_beside("BucketServerSideEncryptionConfiguration", {"rules": [_KMS]}),
        bad=_beside("BucketServerSideEncryptionConfiguration", {"rules": [changed(_KMS, {"bucketKeyEnabled": False})]}),
    ),
    _rule(
        "bucket-versions", "Buckets keep old versions",
        _buckets("versioningConfiguration", "BucketVersioning", _versioned),
        "Set status of BucketVersioning to Enabled", source=f"{S3}.14", reason="What is overwritten is lost",
        good=_beside("BucketVersioning", {"versioningConfiguration": {"status": "Enabled"}}), bad=(_BUCKET,),
    ),
    _rule(
        "bucket-lifecycle", "Old versions and unfinished uploads end",
        _buckets("rules", "BucketLifecycleConfiguration", _lives),
        "Add noncurrentVersionExpiration and abortIncompleteMultipartUpload", source=f"{S3}.13", severity="medium",
        reason="They are paid for ever",
        good=_beside("BucketLifecycleConfiguration", {"rules": [{**_LIFE, **_PAST}]}),
        bad=_beside("BucketLifecycleConfiguration", {"rules": [_LIFE]}),
    ),
    _rule(
        "bucket-owner", "ACLs do not count", _buckets("rule.objectOwnership", "BucketOwnershipControls", _owned),
        "Set objectOwnership to BucketOwnerEnforced", source=f"{S3}.12",
        reason="An ACL of one object is stronger than the policy",
        good=_beside("BucketOwnershipControls", {"rule": {"objectOwnership": "BucketOwnerEnforced"}}), bad=(_BUCKET,),
    ),
    _rule(
        "bucket-logged", "Who asked a bucket for what is written down", _logged,
        "Add BucketLogging to the bucket for logs",
        source=f"{S3}.9", severity="medium", reason="Nobody can tell what was taken",
        good=(*_beside("BucketLogging", {"targetBucket": "logs"}), _LOGS),
        bad=(_BUCKET,),
    ),
    _rule(
        "bucket-public", "Nothing of S3 is meant for everybody", _public,
        "Remove the ACL, the website or the principal *",
        source=f"{S3}.2, {S3}.3", reason="The lake is on the internet", good=(_BUCKET,),
        bad=_beside("BucketPolicy", _OPEN),
    ),
)  # fmt: skip
