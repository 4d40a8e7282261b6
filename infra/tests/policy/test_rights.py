"""Rights on AWS: wildcards, ways to more rights, and whom roles trust."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.policy.cases import Node, aws
from infra.policy.iam import ESCALATION, MANAGED, escalations
from infra.tests.policy.verdicts import hits, passes, places

OBJECTS = "arn:aws:s3:::lake/shop/*"
ROLE = "arn:aws:iam::111122223333:role/leandata-prod-node"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/it"
GITHUB = "token.actions.githubusercontent.com"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Node:
    text = json.dumps({"Version": version, "Statement": list(statements)})
    return aws("iam/rolePolicy:RolePolicy", {"policy": text})


def allow(action: Any, resource: Any = OBJECTS, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal: Any, **more: Any) -> Node:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more}
    return aws("iam/role:Role", {"assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})


@pytest.mark.parametrize("action", ["*", "s3:*", "s3:Get*", "iam:*", "s3:?etObject", ["s3:GetObject", "ec2:*"]])
def test_an_action_is_named_in_full(action: Any):
    assert places("iam-action", policy(allow(action))) == ["policy.Statement.Action"]


@pytest.mark.parametrize("key", ["NotAction", "NotResource"])
def test_nothing_is_allowed_by_what_it_is_not(key: str):
    assert places("iam-action", policy({"Effect": "Allow", "Action": "s3:GetObject", key: "x"})) == [
        f"policy.Statement.{key}"
    ]


def test_everything_may_be_denied():
    assert passes("iam-action", policy({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}))
    assert passes("iam-resource", policy({"Effect": "Deny", "Action": "*", "Resource": "*"}))


def test_every_statement_of_every_document_is_judged():
    two = policy(allow("s3:GetObject"), allow("s3:*"))
    inline = aws("iam/role:Role", {"inlinePolicies": [{"policy": json.dumps({"Statement": [allow("ec2:*")]})}]})
    managed = aws("iam/policy:Policy", {"policy": json.dumps({"Statement": [allow("kms:*")]})})
    assert sorted(said for _, _, said in hits("iam-action", two, inline, managed)) == ["ec2:*", "kms:*", "s3:*"]


def test_a_document_may_be_given_parsed():
    assert not passes("iam-action", aws("iam/policy:Policy", {"policy": {"Statement": [allow("s3:*")]}}))


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("s3:GetObject", False),
        ("secretsmanager:GetSecretValue", False),
        ("kms:Decrypt", False),
        ("ecr:GetAuthorizationToken", True),
        ("cloudwatch:PutMetricData", True),
        ("ec2:DescribeInstances", True),
        ("s3:ListAllMyBuckets", True),
        (["ecr:GetAuthorizationToken", "s3:GetObject"], False),
        (["ecr:GetAuthorizationToken", "sts:GetCallerIdentity"], True),
    ],
)
def test_only_what_cannot_be_narrowed_is_on_everything(action: Any, allowed: bool):
    assert passes("iam-resource", policy(allow(action, "*"))) is allowed


def test_a_condition_narrows_as_well():
    condition = {"StringEquals": {"aws:ResourceTag/environment": "prod"}}
    assert passes("iam-resource", policy(allow("ec2:StopInstances", "*", Condition=condition)))


@pytest.mark.parametrize("body", ["[unknown]", "{", "[]", "null", '{"Version": "2012-10-17"}', '{"Statement": []}'])
def test_a_document_that_nobody_can_read_is_a_finding(body: str):
    assert places("iam-document", aws("iam/policy:Policy", {"policy": body})) == ["policy"]


def test_a_document_of_the_old_version_is_a_finding():
    assert places("iam-document", policy(allow("s3:GetObject"), version="2008-10-17")) == ["policy.Version"]


@pytest.mark.parametrize("action", sorted(ESCALATION))
def test_every_known_way_to_more_rights_is_found(action: str):
    assert escalations(allow(action, "*")) == [action]
    assert escalations(allow(f"{action[:-3]}*", "*")) != []
    assert escalations(allow(action.lower(), "*")) == [action]


def test_a_wildcard_hides_all_ways_of_a_service():
    found = escalations(allow("iam:*", "*"))
    assert found == sorted(one for one in ESCALATION if one.startswith("iam:"))
    assert escalations(allow("*", "*")) == sorted(ESCALATION)


@pytest.mark.parametrize(
    "resource", ["*", "arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/*", "arn:*", ["*", ROLE]]
)
def test_passing_any_role_is_a_way_to_more_rights(resource: Any):
    condition = {"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}}
    assert escalations(allow("iam:PassRole", resource, Condition=condition)) == ["iam:PassRole"]


@pytest.mark.parametrize("resource", [ROLE, "arn:aws:iam::111122223333:role/leandata-prod-*", [ROLE, f"{ROLE}-2"]])
def test_a_named_role_may_be_passed_to_a_named_service(resource: Any):
    condition = {"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}}
    assert escalations(allow("iam:PassRole", resource, Condition=condition)) == []
    assert escalations(allow("iam:PassRole", resource)) == ["iam:PassRole"]


def test_roles_are_written_only_within_a_boundary():
    condition = {"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/boundary"}}
    assert escalations(allow(["iam:CreateRole", "iam:PutRolePolicy"], ROLE, Condition=condition)) == []
    assert escalations(allow(["iam:CreateRole", "iam:PutRolePolicy"], ROLE)) == ["iam:CreateRole", "iam:PutRolePolicy"]
    assert escalations(allow("iam:CreateRole", "*", Condition=condition)) == ["iam:CreateRole"]


def test_a_named_role_may_be_taken():
    assert escalations(allow("sts:AssumeRole", ROLE)) == []
    assert escalations(allow("sts:AssumeRole", "*")) == ["sts:AssumeRole"]


def test_aws_itself_may_be_granted_the_use_of_a_key():
    condition = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert escalations(allow("kms:CreateGrant", "*", Condition=condition)) == []
    assert escalations(allow("kms:CreateGrant", KEY)) == []
    assert escalations(allow("kms:CreateGrant", "*")) == ["kms:CreateGrant"]


def test_what_is_denied_leads_nowhere():
    assert passes("iam-escalation", policy({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}))


def test_reading_is_no_way_to_more_rights():
    assert escalations(allow(["s3:GetObject", "iam:GetRole", "iam:ListRoles"], "*")) == []


@pytest.mark.parametrize("name", ["AdministratorAccess", "PowerUserAccess", "IAMFullAccess", "AmazonS3FullAccess"])
@pytest.mark.parametrize(
    "kind", ["GroupPolicyAttachment", "PolicyAttachment", "RolePolicyAttachment", "UserPolicyAttachment"]
)
def test_policies_of_aws_that_allow_much_are_not_attached(name: str, kind: str):
    made = aws(f"iam/{kind[0].lower()}{kind[1:]}:{kind}", {"policyArn": f"arn:aws:iam::aws:policy/{name}"})
    assert places("iam-managed", made) == ["policyArn"]


@pytest.mark.parametrize("name", sorted(MANAGED))
def test_reviewed_policies_of_aws_and_our_own_are_attached(name: str):
    for arn in (f"arn:aws:iam::aws:policy/{name}", f"arn:aws:iam::111122223333:policy/{name}"):
        assert passes("iam-managed", aws("iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": arn}))


def test_policies_in_a_role_itself_are_looked_at():
    made = aws("iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]})
    assert places("iam-managed", made) == ["managedPolicyArns"]


@pytest.mark.parametrize(
    "kind", ["accessKey:AccessKey", "group:Group", "user:User", "userLoginProfile:UserLoginProfile"]
)
def test_nobody_has_a_user_of_aws(kind: str):
    assert not passes("iam-no-users", aws(f"iam/{kind}"))


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::111122223333:role/it", "*"]}])
def test_nobody_trusts_everybody(principal: Any):
    assert ("it", "assumeRolePolicy.Statement.Principal", "*") in hits("iam-trust", trust(principal))


ACCOUNT = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
OUTSIDE = {"StringEquals": {"sts:ExternalId": "chosen"}}


def test_pods_of_our_own_account_are_trusted_only():
    assert passes("iam-trust", trust({"Service": "pods.eks.amazonaws.com"}, Condition=ACCOUNT))
    assert not passes("iam-trust", trust({"Service": "pods.eks.amazonaws.com"}))


@pytest.mark.parametrize(
    "who", ["arn:aws:iam::444455556666:root", "arn:aws:iam::444455556666:user/snowflake", "444455556666"]
)
def test_another_account_needs_the_external_id(who: str):
    assert passes("iam-trust", trust({"AWS": who}, Condition=OUTSIDE))
    assert not passes("iam-trust", trust({"AWS": who}))


@pytest.mark.parametrize("service", ["eks.amazonaws.com", "ec2.amazonaws.com", "vpc-flow-logs.amazonaws.com"])
def test_services_of_aws_are_trusted(service: str):
    assert passes("iam-trust", trust({"Service": service}))


def ci(**equal: Any) -> Node:
    whole = {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": "repo:example/leandata:environment:prod"}
    condition = {"StringEquals": {**whole, **{f"{GITHUB}:{key}": value for key, value in equal.items()}}}
    return trust({"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"}, Condition=condition)


@pytest.mark.parametrize(
    ("subject", "allowed"),
    [
        ("repo:example/leandata:environment:prod", True),
        (["repo:example/leandata:environment:prod", "repo:example/leandata:environment:prod-preview"], True),
        ("repo:example/leandata:ref:refs/heads/main", False),
        ("repo:example/leandata:pull_request", False),
        ("repo:example/leandata:*", False),
        ("repo:example/*:environment:prod", False),
        ("repo:example/leandata:environment:*", False),
        ("repo:leandata:environment:prod", False),
        ("*", False),
        ("", False),
        ([], False),
        (["repo:example/leandata:environment:prod", "repo:example/leandata:*"], False),
    ],
)
def test_one_environment_of_one_repository_takes_the_role_of_ci(subject: Any, allowed: bool):
    assert passes("github-subject", ci(sub=subject)) is allowed


@pytest.mark.parametrize("audience", ["", "*", "https://github.com/example", ["sts.amazonaws.com", "other"]])
def test_ci_asks_for_our_audience_only(audience: Any):
    assert not passes("github-subject", ci(aud=audience))


def test_a_pattern_is_no_subject():
    condition = {
        "StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{GITHUB}:sub": "repo:example/leandata:environment:prod"},
    }
    made = trust({"Federated": f"arn:aws:iam::111122223333:oidc-provider/{GITHUB}"}, Condition=condition)
    assert hits("github-subject", made) == [
        ("it", "assumeRolePolicy.Statement.Condition", "StringEquals names no subject")
    ]


def test_other_providers_are_not_asked_for_a_subject_of_github():
    assert passes("github-subject", trust({"Federated": "arn:aws:iam::111122223333:oidc-provider/other.example"}))
