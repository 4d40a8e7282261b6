"""What the roles of CI may do: everything that the programs declare, on our own names, and no way to more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest

from ci.testing import environment
from infra.components.aws import bounds, provider, rights
from infra.components.aws.documents import Document
from infra.environment import Environment
from infra.policy.iam import UNNARROWED, escalations
from infra.testing.rights import MAKES

# Where the name of a right is not that of the operation: see "Actions defined by" of each service.
CALLED = {
    "s3:DeleteObjectVersion": "DeleteObject",
    "s3:ListBucket": "ListObjectsV2",
    "s3:PutAccountPublicAccessBlock": "PutPublicAccessBlock",
    "s3:PutBucketPublicAccessBlock": "PutPublicAccessBlock",
    "s3:PutEncryptionConfiguration": "PutBucketEncryption",
    "s3:PutLifecycleConfiguration": "PutBucketLifecycleConfiguration",
    "ecr:BatchCheckLayerAvailability": "BatchCheckLayerAvailability",
}
WITHOUT_OPERATION = {"iam:PassRole", "s3:GetObjectVersion"}
MODELS = {"cloudwatch": ["cloudwatch"], "s3": ["s3", "s3control"], "ses": ["sesv2"], "dynamodb": ["dynamodb"]}
MANAGED_CHARACTERS = 6144


@pytest.fixture(scope="module")
def prod() -> Iterator[Environment]:
    with environment("prod") as found:
        yield found


@pytest.fixture(scope="module")
def statements(prod: Environment) -> list[Document]:
    """All that deploy may write."""
    return [one for document in rights.deploy(prod).values() for one in document["Statement"]]


def allowing(statements: list[Document], action: str) -> list[Document]:
    return [one for one in statements if action in one["Action"]]


def test_deploy_can_make_every_type_that_this_file_knows(statements: list[Document]) -> None:
    assert [action for action in sorted(set(MAKES.values())) if not allowing(statements, action)] == []


def test_every_action_is_named_in_full(statements: list[Document]) -> None:
    for one in statements:
        assert "NotAction" not in one
        assert "NotResource" not in one
        assert not [action for action in one["Action"] if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+", action)]


def test_every_action_is_an_operation_of_its_service(prod: Environment, statements: list[Document]) -> None:
    session = botocore.session.Session()
    denied = [*rights.blind(prod)["Statement"], *bounds.boundary(prod)["Statement"][1:]]
    states = [one for role in rights.ROLES for one in rights.state(prod, role, key="key")["Statement"]]
    actions = {action for one in [*statements, *denied, *states] for action in one.get("Action", [])}
    unknown = []
    for action in sorted(actions - WITHOUT_OPERATION):
        service, _, name = action.partition(":")
        models = [session.get_service_model(model) for model in MODELS.get(service, [service])]
        if not any(CALLED.get(action, name) in model.operation_names for model in models):
            unknown.append(action)
    # KMS checks two sides of one operation; S3 has rights on tags and ACLs that several operations ask for.
    assert set(unknown) <= {"kms:ReEncryptFrom", "kms:ReEncryptTo"}


def test_what_cannot_be_narrowed_to_a_name_is_narrowed_by_a_condition(statements: list[Document]) -> None:
    for one in statements:
        if "*" in one["Resource"]:
            assert one.get("Condition") or set(one["Action"]) <= UNNARROWED, one["Sid"]


def test_no_statement_leads_to_more_rights(prod: Environment, statements: list[Document]) -> None:
    for one in statements:
        assert escalations(one) == [], one["Sid"]


def test_names_are_those_of_this_environment_alone(prod: Environment, statements: list[Document]) -> None:
    for one in statements:
        for arn in one["Resource"]:
            if arn == "*" or ":secret:rds!" in arn or ":og:default:" in arn or "/aws-service-role/" in arn:
                continue
            if ":key/" in arn:
                assert "aws:ResourceTag/environment" in json.dumps(one["Condition"])
                continue
            assert re.search(r"leandata([-/]|\.example)(prod)?", arn), arn
            assert "staging" not in arn
            assert "dev" not in arn


def test_the_states_bucket_is_not_among_the_buckets_that_deploy_changes(
    prod: Environment, statements: list[Document]
) -> None:
    state = "arn:aws:s3:::leandata-prod-state-333333333333"
    for one in statements:
        if any(action.startswith("s3:Put") for action in one["Action"]) and "*" not in one["Resource"]:
            assert not any(fnmatchcase(state, pattern) for pattern in one["Resource"])


def test_roles_are_made_only_within_the_boundary(prod: Environment, statements: list[Document]) -> None:
    for action in ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
        for one in allowing(statements, action):
            assert one["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": provider.boundary(prod)}}


def test_roles_are_passed_only_to_the_services_that_take_them(statements: list[Document]) -> None:
    [one] = allowing(statements, "iam:PassRole")
    assert "*" not in one["Resource"]
    services = one["Condition"]["StringEquals"]["iam:PassedToService"]
    assert "pods.eks.amazonaws.com" in services
    assert all(service.endswith(".amazonaws.com") for service in services)
    assert "lambda.amazonaws.com" not in services


@pytest.mark.parametrize(
    "action", ["secretsmanager:GetSecretValue", "s3:GetObject", "ssm:GetParameter", "logs:StartQuery"]
)
def test_deploy_is_given_no_right_to_see_a_value(statements: list[Document], action: str) -> None:
    assert allowing(statements, action) == []


def test_each_policy_is_short_enough_to_be_one(prod: Environment) -> None:
    documents = {**rights.deploy(prod), "boundary": bounds.boundary(prod)}
    for name, document in documents.items():
        assert len(json.dumps(document, separators=(",", ":"))) <= MANAGED_CHARACTERS, name
    assert len(documents) <= 9  # with ReadOnlyAccess at most ten on a role


@pytest.mark.parametrize("action", ["secretsmanager:GetSecretValue", "ssm:GetParameters", "logs:GetLogEvents"])
def test_no_role_sees_a_value_although_read_only_access_would_let_it(prod: Environment, action: str) -> None:
    values, _ = rights.blind(prod)["Statement"]
    assert (values["Effect"], values["Resource"]) == ("Deny", ["*"])
    assert action in values["Action"]
    assert "Condition" not in values


def test_no_role_reads_a_file_but_the_state(prod: Environment) -> None:
    _, files = rights.blind(prod)["Statement"]
    assert files["Effect"] == "Deny"
    assert "s3:GetObject" in files["Action"]
    assert files["NotResource"] == ["arn:aws:s3:::leandata-prod-state-333333333333/*"]
    assert "Resource" not in files


def written(prod: Environment, role: str) -> list[str]:
    return [
        arn
        for one in rights.state(prod, role, key="arn:key")["Statement"]
        if "s3:PutObject" in one["Action"]
        for arn in one["Resource"]
    ]


def test_only_deploy_writes_state(prod: Environment) -> None:
    assert written(prod, "preview") == written(prod, "drift") == []
    assert written(prod, "deploy") == ["arn:aws:s3:::leandata-prod-state-333333333333/*"]


def test_who_only_looks_only_decrypts(prod: Environment) -> None:
    used = {
        role: {
            action
            for one in rights.state(prod, role, key="k")["Statement"]
            for action in one["Action"]
            if action.startswith("kms:")
        }
        for role in rights.ROLES
    }
    assert used["drift"] == used["preview"] == {"kms:Decrypt"}
    assert used["deploy"] == {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}


@pytest.mark.parametrize("role", rights.ROLES)
def test_a_role_is_taken_from_one_ci_environment_of_one_repository(prod: Environment, role: str) -> None:
    [one] = rights.trust(prod, role, issuer="issuer", provider_arn="arn:provider")["Statement"]
    assert one["Principal"] == {"Federated": "arn:provider"}
    assert one["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    subject = f"repo:leandata-example/leandata:environment:prod-{role}"
    assert one["Condition"] == {"StringEquals": {"issuer:aud": "sts.amazonaws.com", "issuer:sub": subject}}


def test_no_subject_is_a_pattern_and_no_two_roles_share_one() -> None:
    subjects: list[str] = []
    for name in ("dev", "prod", "staging"):
        with environment(name) as found:
            subjects += [rights.subject(found, role) for role in rights.ROLES]
    assert len(set(subjects)) == 9
    assert not [one for one in subjects if set(one) & set("*?")]


# The boundary: what no policy can give.


def denies(document: Document, action: str, resource: str, **context: str) -> bool:
    """Whether a document denies the action on the resource, when its conditions are about `context` alone."""
    for one in document["Statement"]:
        if one["Effect"] != "Deny":
            continue
        acts = any(fnmatchcase(action, pattern) for pattern in one.get("Action", []))
        acts = acts or ("NotAction" in one and not any(fnmatchcase(action, pattern) for pattern in one["NotAction"]))
        if acts and any(fnmatchcase(resource, pattern) for pattern in one["Resource"]) and _holds(one, context):
            return True
    return False


def _holds(one: Document, context: dict[str, str]) -> bool:
    conditions: dict[str, dict[str, Any]] = one.get("Condition", {})
    for operator, asked in conditions.items():
        for key, wanted in asked.items():
            value = context.get(key.partition(":")[2])
            equal = value == wanted
            if operator == "StringNotEquals" and equal:
                return False
            if operator != "StringNotEquals" and not equal:
                return False
    return True


HERE = {"RequestedRegion": "eu-central-1"}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateUser", "arn:aws:iam::333333333333:user/x"),
        ("iam:CreateAccessKey", "arn:aws:iam::333333333333:user/x"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::333333333333:policy/leandata-prod-boundary"),
        ("iam:DeleteRolePermissionsBoundary", "arn:aws:iam::333333333333:role/leandata-prod-api"),
        ("iam:PutRolePolicy", "arn:aws:iam::333333333333:role/leandata-prod-deploy"),
        ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::333333333333:role/leandata-prod-deploy"),
        ("iam:CreateOpenIDConnectProvider", "arn:aws:iam::333333333333:oidc-provider/x"),
        ("s3:PutBucketPolicy", "arn:aws:s3:::leandata-prod-state-333333333333"),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::leandata-prod-state-333333333333/.pulumi/x"),
    ],
)
def test_nobody_within_the_boundary_can_loosen_it(prod: Environment, action: str, resource: str) -> None:
    within = {**HERE, "PermissionsBoundary": provider.boundary(prod)}
    assert denies(bounds.boundary(prod), action, resource, **within)


def test_a_role_with_the_boundary_can_be_made_and_one_without_cannot(prod: Environment) -> None:
    role = "arn:aws:iam::333333333333:role/leandata-prod-api"
    document = bounds.boundary(prod)
    assert not denies(document, "iam:CreateRole", role, PermissionsBoundary=provider.boundary(prod), **HERE)
    assert denies(document, "iam:CreateRole", role, **HERE)
    assert denies(
        document, "iam:CreateRole", role, PermissionsBoundary="arn:aws:iam::333333333333:policy/other", **HERE
    )


def test_nothing_is_made_in_another_region_but_what_has_none(prod: Environment) -> None:
    document = bounds.boundary(prod)
    assert denies(document, "ec2:CreateVpc", "arn:aws:ec2:us-east-1:333333333333:vpc/x", RequestedRegion="us-east-1")
    assert not denies(document, "ec2:CreateVpc", "arn:aws:ec2:eu-central-1:333333333333:vpc/x", **HERE)
    assert not denies(document, "iam:GetRole", "arn:aws:iam::333333333333:role/x", RequestedRegion="us-east-1")


def test_the_states_key_is_deleted_by_nobody_and_others_can_be(prod: Environment) -> None:
    document, key = bounds.boundary(prod), "arn:aws:kms:eu-central-1:333333333333:key/1"
    assert denies(document, "kms:ScheduleKeyDeletion", key, ResourceAliases="alias/leandata-prod-state", **HERE)
    assert not denies(document, "kms:ScheduleKeyDeletion", key, ResourceAliases="alias/leandata-prod-lake", **HERE)


def test_everything_that_deploy_may_do_lies_within_the_boundary(prod: Environment, statements: list[Document]) -> None:
    most = bounds.boundary(prod)["Statement"][0]["Action"]
    for one in statements:
        for action in one["Action"]:
            assert any(fnmatchcase(action, pattern) for pattern in most), action
