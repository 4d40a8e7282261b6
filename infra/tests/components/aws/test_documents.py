"""IAM documents as plain data: what they allow, what they refuse, and that they are no wider than they must be."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.components.aws import documents
from infra.components.aws.documents import Folders, Place

HERE = Place(account="333333333333", region="eu-central-1")
LAKE, SECRETS = (f"arn:aws:kms:eu-central-1:333333333333:key/{name}" for name in ("lake", "secrets"))
SECRET = documents.secret_arn(HERE, "leandata/prod/api-key")
NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
FOLDERS = st.lists(NAMES.map(lambda name: f"shop/{name}/"), max_size=4, unique=True)


def by_sid(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {one["Sid"]: one for one in document["Statement"]}
    assert len(found) == len(document["Statement"]), "IAM takes no two statements of one name"
    return found


def orders(**changed: Any) -> Folders:
    said = {"reads": ["shop/orders/"], "writes": ["shop/orders/"], **changed}
    return Folders(bucket="lake-raw", key=LAKE, **said)


def test_a_service_writes_below_its_own_folders_only() -> None:
    found = by_sid(documents.pod_policy(HERE, folders=[orders()]))
    assert found["Write0"]["Resource"] == ["arn:aws:s3:::lake-raw/shop/orders/*"]
    assert found["Write0"]["Action"] == ["s3:AbortMultipartUpload", "s3:PutObject"]
    assert found["Read0"]["Resource"] == ["arn:aws:s3:::lake-raw/shop/orders/*"]
    assert "s3:DeleteObject" not in json.dumps(found), "nothing that was published is ever removed by a service"


def test_a_service_lists_its_own_folders_only() -> None:
    found = by_sid(documents.pod_policy(HERE, folders=[orders()]))
    assert found["List0"]["Resource"] == ["arn:aws:s3:::lake-raw"]
    assert found["List0"]["Condition"] == {"StringLike": {"s3:prefix": ["shop/orders/", "shop/orders/*"]}}


def test_who_must_tell_missing_from_forbidden_sees_the_names_in_the_bucket() -> None:
    found = by_sid(documents.pod_policy(HERE, folders=[orders(probes=True)]))
    assert found["List0"] == {
        "Action": ["s3:ListBucket"], "Effect": "Allow", "Resource": ["arn:aws:s3:::lake-raw"], "Sid": "List0",
    }  # fmt: skip
    assert found["Read0"]["Resource"] == ["arn:aws:s3:::lake-raw/shop/orders/*"], "but not what is in them"


def test_who_only_reads_may_not_encrypt() -> None:
    found = by_sid(documents.pod_policy(HERE, folders=[orders(writes=[])]))
    assert "Write0" not in found
    assert found["Decrypt"]["Action"] == ["kms:Decrypt"]
    assert "Encrypt" not in found


def test_a_key_is_used_only_through_the_service_whose_data_it_encrypts() -> None:
    found = by_sid(documents.pod_policy(HERE, folders=[orders()], secrets=[SECRET], secrets_key=SECRETS))
    via = {sid: found[sid]["Condition"]["StringEquals"]["kms:ViaService"] for sid in ("Encrypt", "SecretsKey")}
    assert via == {
        "Encrypt": "s3.eu-central-1.amazonaws.com",
        "SecretsKey": "secretsmanager.eu-central-1.amazonaws.com",
    }
    assert found["Encrypt"]["Resource"] == [LAKE]
    assert found["SecretsKey"]["Resource"] == [SECRETS]


def test_a_pod_reads_the_secrets_that_are_named_and_lists_none() -> None:
    found = by_sid(documents.pod_policy(HERE, secrets=[SECRET], secrets_key=SECRETS))
    assert found["Secrets"]["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    assert found["Secrets"]["Resource"] == [
        "arn:aws:secretsmanager:eu-central-1:333333333333:secret:leandata/prod/api-key-??????"
    ]


def test_a_pod_without_data_and_secrets_may_do_nothing() -> None:
    [only] = documents.pod_policy(HERE)["Statement"]
    assert (only["Effect"], only["Action"]) == ("Deny", ["sts:AssumeRole"])


def test_a_role_is_for_one_account_in_one_namespace_of_one_cluster() -> None:
    trust = documents.pod_trust(HERE, cluster="leandata-prod", namespace="leandata-api", account="api")
    [only] = trust["Statement"]
    assert only["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert only["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert only["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws:eks:eu-central-1:333333333333:cluster/leandata-prod"},
        "StringEquals": {
            "aws:RequestTag/kubernetes-namespace": "leandata-api",
            "aws:RequestTag/kubernetes-service-account": "api",
            "aws:SourceAccount": "333333333333",
        },
    }


def test_services_of_aws_take_roles_for_our_own_account_only() -> None:
    for trust in (documents.cluster_trust(HERE), documents.addon_trust(HERE, cluster="leandata-prod")):
        [only] = trust["Statement"]
        assert only["Condition"]["StringEquals"] == {"aws:SourceAccount": "333333333333"}
        assert "sts:TagSession" in only["Action"], "Auto Mode and the agent tag their sessions"


def test_a_bucket_is_reached_over_tls_from_our_own_account() -> None:
    found = by_sid(documents.bucket_policy(HERE, "lake-raw"))
    assert {sid: one["Effect"] for sid, one in found.items()} == {
        "OwnAccountOnly": "Deny", "Tls12": "Deny", "TlsOnly": "Deny",
    }  # fmt: skip
    for one in found.values():
        assert (one["Principal"], one["Action"]) == ("*", ["s3:*"])
        assert one["Resource"] == ["arn:aws:s3:::lake-raw", "arn:aws:s3:::lake-raw/*"]
    assert found["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert found["Tls12"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert found["OwnAccountOnly"]["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": "333333333333"}


def test_amazon_delivers_access_logs_of_our_own_buckets() -> None:
    found = by_sid(documents.bucket_policy(HERE, "lake-access", logs_from="arn:aws:s3:::leandata-prod-lake-*"))
    logs = found["AccessLogs"]
    assert logs["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert logs["Resource"] == ["arn:aws:s3:::lake-access/*"]
    assert logs["Condition"] == {
        "ArnLike": {"aws:SourceArn": "arn:aws:s3:::leandata-prod-lake-*"},
        "StringEquals": {"aws:SourceAccount": "333333333333"},
    }
    assert found["OwnAccountOnly"]["Condition"]["BoolIfExists"] == {"aws:PrincipalIsAWSService": "false"}


@settings(max_examples=300, deadline=None)
@given(
    zones=st.lists(st.tuples(FOLDERS, FOLDERS), max_size=3),
    names=st.lists(NAMES, max_size=5, unique=True),
)
def test_no_document_is_wider_than_its_folders_and_secrets(
    zones: list[tuple[list[str], list[str]]], names: list[str]
) -> None:
    folders = [
        Folders(bucket=f"lake-{number}", key=LAKE, reads=reads, writes=writes)
        for number, (reads, writes) in enumerate(zones)
    ]
    arns = [documents.secret_arn(HERE, f"leandata/prod/{name}") for name in names]
    document = documents.pod_policy(HERE, folders=folders, secrets=arns, secrets_key=SECRETS)
    expected = {
        f"arn:aws:s3:::lake-{number}/{one}*" for number, zone in enumerate(zones) for one in (*zone[0], *zone[1])
    }
    expected |= {f"arn:aws:s3:::lake-{number}" for number, zone in enumerate(zones) if any(zone)}
    expected |= set(arns) | ({SECRETS} if arns else set()) | ({LAKE} if any(map(any, zones)) else set())
    allowed = [one for one in by_sid(document).values() if one["Effect"] == "Allow"]
    assert {resource for one in allowed for resource in one["Resource"]} == expected
    for one in allowed:
        assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action) for action in one["Action"]), "an action is a wildcard"
        assert one["Resource"] == sorted(one["Resource"])


@pytest.mark.parametrize("folders", [[], [orders()], [orders(), Folders(bucket="b", key=LAKE, reads=["x/"])]])
def test_the_same_things_give_the_same_text(folders: list[Folders]) -> None:
    first, second = (documents.pod_policy(HERE, folders=folders) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert first["Version"] == "2012-10-17"
