"""IAM documents as plain data: nothing is asked of AWS, so a policy can be read and judged without an account.

Actions are never wildcards. A resource ends in one only below a dataset's own folder, and where AWS adds six
characters of its own to a secret's ARN.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
VERSION = "2012-10-17"
PODS = "pods.eks.amazonaws.com"
_SECRET_SUFFIX = "-??????"  # noqa: S105 - what AWS appends to the name of every secret
_ASSUME = ("sts:AssumeRole", "sts:TagSession")
_READ = ("s3:GetObject",)
_WRITE = ("s3:AbortMultipartUpload", "s3:PutObject")
_SIDS = {"kms:Decrypt": "Decrypt", "kms:GenerateDataKey": "Encrypt"}
_SECRET_ACTIONS = ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where things lie: the account, the region, and the partition's name that ARNs begin with."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, service: str, what: str) -> str:
        """The ARN of a regional thing."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{what}"

    def via(self, service: str) -> str:
        """The name of a service as KMS sees it when the service uses a key for somebody."""
        return f"{service}.{self.region}.amazonaws.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """What may be done below which folders ("shop/orders/") of one bucket, encrypted with the key `key` (an ARN).

    With `probes` a file that is not there is answered as missing and not as forbidden. S3 asks the right to list the
    whole bucket for it, by name only.
    """

    bucket: str
    key: str
    probes: bool = False
    reads: Collection[str] = ()
    writes: Collection[str] = ()


def document(statements: Sequence[Mapping[str, Any]]) -> Document:
    """A policy document."""
    return {"Version": VERSION, "Statement": [dict(statement) for statement in statements]}


def statement(
    sid: str,
    actions: Collection[str],
    resources: Collection[str],
    *,
    effect: str = "Allow",
    condition: Mapping[str, Mapping[str, Any]] | None = None,
) -> Document:
    """One statement about resources, its lists sorted."""
    made: Document = {"Sid": sid, "Effect": effect, "Action": sorted(actions), "Resource": sorted(resources)}
    return made | ({"Condition": {key: dict(value) for key, value in condition.items()}} if condition else {})


def trust(
    service: str, *, actions: Sequence[str] = ("sts:AssumeRole",), condition: Mapping[str, Any] | None = None
) -> Document:
    """Who may take a role: an AWS service, under conditions."""
    made: Document = {
        "Sid": "Assume",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": sorted(actions),
    }
    return document([made | ({"Condition": dict(condition)} if condition else {})])


def source(place: Place) -> Document:
    """The condition that a service acts for our own account, and is not made to act by somebody else's."""
    return {"StringEquals": {"aws:SourceAccount": place.account}}


def pod_trust(place: Place, *, cluster: str, namespace: str, account: str) -> Document:
    """Pods of one service account in one namespace of one cluster may take the role, and nobody else.

    See "EKS Pod Identity session tags": the agent's request carries the namespace and the service account.
    """
    condition = {
        "ArnEquals": {"aws:SourceArn": place.arn("eks", f"cluster/{cluster}")},
        "StringEquals": {
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": account,
            "aws:SourceAccount": place.account,
        },
    }
    return trust(PODS, actions=_ASSUME, condition=condition)


def cluster_trust(place: Place) -> Document:
    """EKS may take the role of the cluster. Auto Mode tags its sessions."""
    return trust("eks.amazonaws.com", actions=_ASSUME, condition=source(place))


def addon_trust(place: Place, *, cluster: str) -> Document:
    """The pods of an add-on of the cluster may take the role."""
    condition = {
        "ArnEquals": {"aws:SourceArn": place.arn("eks", f"cluster/{cluster}")},
        "StringEquals": {"aws:SourceAccount": place.account},
    }
    return trust(PODS, actions=_ASSUME, condition=condition)


def secret_arn(place: Place, name: str) -> str:
    """The secret of that name, whatever six characters AWS put behind it."""
    return place.arn("secretsmanager", f"secret:{name}{_SECRET_SUFFIX}")


def pod_policy(
    place: Place,
    *,
    folders: Sequence[Folders] = (),
    secrets: Collection[str] = (),
    secrets_key: str = "",
) -> Document:
    """What a pod may do: read and write these folders of the lake, read these secrets (ARNs), and take no other role.

    Keys are used only through the service whose data they encrypt.
    """
    statements = [one for number, found in enumerate(folders) for one in _folders(found, number)]
    used = {"kms:Decrypt": {found.key for found in folders if found.reads or found.writes}}
    used["kms:GenerateDataKey"] = {found.key for found in folders if found.writes}
    statements += [_key(_SIDS[action], [action], keys, place.via("s3")) for action, keys in used.items() if keys]
    if secrets:
        statements.append(statement("Secrets", _SECRET_ACTIONS, secrets))
        statements.append(_key("SecretsKey", ["kms:Decrypt"], [secrets_key], place.via("secretsmanager")))
    statements.append(statement("NoOtherRole", ["sts:AssumeRole"], ["*"], effect="Deny"))
    return document(statements)


def bucket_policy(place: Place, bucket: str, *, logs_from: str = "") -> Document:
    """What nobody may do with a bucket: reach it without TLS 1.2, or from another account.

    With `logs_from` (a pattern of bucket ARNs) Amazon's log delivery may put the access logs of those buckets into it.
    """
    arn = f"arn:{place.partition}:s3:::{bucket}"
    both = [arn, f"{arn}/*"]
    strangers = {
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        "StringNotEquals": {"aws:PrincipalAccount": place.account},
    }
    statements = [
        _everybody("TlsOnly", both, {"Bool": {"aws:SecureTransport": "false"}}),
        _everybody("Tls12", both, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        _everybody("OwnAccountOnly", both, strangers),
    ]
    if logs_from:
        delivery = statement(
            "AccessLogs", ["s3:PutObject"], [f"{arn}/*"],
            condition={"ArnLike": {"aws:SourceArn": logs_from}, "StringEquals": {"aws:SourceAccount": place.account}},
        )  # fmt: skip
        statements.append({**delivery, "Principal": {"Service": "logging.s3.amazonaws.com"}})
    return document(statements)


def _everybody(sid: str, resources: Sequence[str], condition: Mapping[str, Any]) -> Document:
    made = statement(sid, ["s3:*"], resources, effect="Deny", condition=condition)
    return {**made, "Principal": "*"}


def _folders(found: Folders, number: int) -> list[Document]:
    bucket = f"arn:aws:s3:::{found.bucket}"
    everything = sorted({*found.reads, *found.writes})
    if not everything:
        return []
    seen = {"StringLike": {"s3:prefix": [pattern for folder in everything for pattern in (folder, f"{folder}*")]}}
    listed = statement(f"List{number}", ["s3:ListBucket"], [bucket], condition=None if found.probes else seen)
    statements = [listed]
    for name, actions, wanted in (("Read", _READ, found.reads), ("Write", _WRITE, found.writes)):
        if wanted:
            statements.append(statement(f"{name}{number}", actions, [f"{bucket}/{folder}*" for folder in wanted]))
    return statements


def _key(sid: str, actions: Collection[str], keys: Collection[str], service: str) -> Document:
    return statement(sid, actions, keys, condition={"StringEquals": {"kms:ViaService": service}})
