"""What an account is given before anything else: a place for state, roles for CI, and a budget."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from ci import programs
from ci.graph import discover
from ci.programs import Program, Resource
from ci.testing import environment
from infra.components.aws import bounds, provider, rights, state
from infra.components.naming import state_bucket
from infra.environment import ROOT, Environment
from infra.policy import judge
from infra.stacks.bootstrap.outputs import BootstrapOutputs

ON_AWS = ("dev", "prod", "staging")
BUCKET = "leandata-prod-state-333333333333"
ACCESS = "leandata-prod-state-access-333333333333"


def bootstrap(name: str) -> Program:
    with environment(name):
        return programs.run(discover(ROOT, name, by_hand=True)["bootstrap"], environment=name, before={})


@pytest.fixture(scope="module")
def program() -> Program:
    return bootstrap("prod")


@pytest.fixture(scope="module")
def prod() -> Iterator[Environment]:
    with environment("prod") as found:
        yield found


def beside(program: Program, kind: str, bucket: str) -> dict[str, Any]:
    """The properties of the only `kind` of that bucket."""
    short = f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}"
    [found] = [one for one in program.of(short).values() if one.properties["bucket"] == bucket]
    return found.properties


def roles(program: Program) -> dict[str, Resource]:
    return program.of("aws:iam/role:Role")


def test_it_tells_all_that_it_promised(program: Program) -> None:
    assert sorted(program.outputs) == sorted(field.name for field in fields(BootstrapOutputs))
    assert program.outputs["bucket"] == BUCKET


@pytest.mark.parametrize("name", ON_AWS)
def test_no_policy_objects_but_that_the_lake_closes_the_account(name: str) -> None:
    found = bootstrap(name)
    with environment(name) as here:
        findings = judge({"bootstrap": found}, environment=here)
    others = {"bucket-account-blocked", "waiver-unused"}  # the lake closes the account, and uses other waivers
    assert [one for one in findings if one.rule not in others] == []


def test_bucket_and_key_bear_the_names_under_which_the_engine_looks_for_them(
    program: Program, prod: Environment
) -> None:
    names = state_bucket(prod)
    assert names is not None
    assert names.bucket in {one.properties["bucket"] for one in program.of("aws:s3/bucket:Bucket").values()}
    [alias] = program.of("aws:kms/alias:Alias").values()
    assert alias.properties["name"] == names.alias


def test_the_state_is_encrypted_with_its_own_key(program: Program) -> None:
    [rule] = beside(program, "BucketServerSideEncryptionConfiguration", BUCKET)["rules"]
    [key] = program.of("aws:kms/key:Key").values()
    default = rule["applyServerSideEncryptionByDefault"]
    assert default == {"kmsMasterKeyId": program.outputs["key"], "sseAlgorithm": "aws:kms"}
    assert key.properties["tags"]["data"] == "state"
    assert rule["bucketKeyEnabled"] is True
    assert rule["blockedEncryptionTypes"] == ["SSE-C"]


def test_nobody_deletes_a_version_of_the_state_by_hand(prod: Environment) -> None:
    [kept] = [one for one in state.bucket_policy(prod)["Statement"] if one["Sid"] == "VersionsStay"]
    assert (kept["Effect"], kept["Principal"], kept["Action"]) == ("Deny", "*", ["s3:DeleteObjectVersion"])
    assert kept["Resource"] == [f"arn:aws:s3:::{BUCKET}/*"]


def test_versions_stay_for_a_year_and_the_newest_for_ever(program: Program) -> None:
    assert beside(program, "BucketVersioning", BUCKET)["versioningConfiguration"] == {"status": "Enabled"}
    [rule] = beside(program, "BucketLifecycleConfiguration", BUCKET)["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 365, "newerNoncurrentVersions": 20}
    assert "expiration" not in rule


@pytest.mark.parametrize("bucket", [BUCKET, ACCESS])
def test_both_buckets_are_closed_and_speak_tls_only(program: Program, bucket: str) -> None:
    block = beside(program, "BucketPublicAccessBlock", bucket)
    assert all(
        block[name] for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    )
    assert beside(program, "BucketOwnershipControls", bucket)["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    statements = json.loads(beside(program, "BucketPolicy", bucket)["policy"])["Statement"]
    assert {"TlsOnly", "Tls12", "OwnAccountOnly"} <= {one["Sid"] for one in statements}
    assert not [one for one in statements if one["Effect"] == "Allow" and one["Principal"] == "*"]


def test_who_reached_the_state_is_written_down_for_as_long_as_logs_are_kept(program: Program) -> None:
    assert beside(program, "BucketLogging", BUCKET)["targetBucket"] == ACCESS
    [rule] = beside(program, "BucketLifecycleConfiguration", ACCESS)["rules"]
    assert rule["expiration"] == {"days": 365}
    policy = json.loads(beside(program, "BucketPolicy", ACCESS)["policy"])
    [delivery] = [one for one in policy["Statement"] if one["Sid"] == "AccessLogs"]
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Condition"]["ArnLike"] == {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"}


@pytest.mark.parametrize("bucket", [BUCKET, ACCESS])
def test_a_policy_comes_after_what_closes_its_bucket(program: Program, bucket: str) -> None:
    [policy] = [
        one for one in program.of("aws:s3/bucketPolicy:BucketPolicy").values() if one.properties["bucket"] == bucket
    ]
    for kind in ("PublicAccessBlock", "OwnershipControls"):
        assert any(f"Bucket{kind}::" in need for need in policy.needs)


def test_github_is_trusted_through_one_provider_for_one_audience(program: Program) -> None:
    [issuer] = program.of("aws:iam/openIdConnectProvider:OpenIdConnectProvider").values()
    assert issuer.properties["url"] == "https://token.actions.githubusercontent.com"
    assert issuer.properties["clientIdLists"] == ["sts.amazonaws.com"]


def test_there_are_three_roles_and_each_has_its_own_subject(program: Program) -> None:
    subjects: dict[str, str] = {}
    for name, role in roles(program).items():
        [one] = json.loads(role.properties["assumeRolePolicy"])["Statement"]
        subjects[name] = one["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subjects == {
        role: f"repo:leandata-example/leandata:environment:prod-{role}" for role in ("deploy", "drift", "preview")
    }


def test_every_role_is_bounded_and_waits_for_its_boundary(program: Program, prod: Environment) -> None:
    bound = program.of("aws:iam/policy:Policy")["boundary"]
    assert provider.boundary(prod).endswith(f"/{bound.properties['name']}")
    assert json.loads(bound.properties["policy"]) == bounds.boundary(prod)
    for role in roles(program).values():
        assert role.properties["permissionsBoundary"] == provider.boundary(prod)
        assert bound.urn in role.needs


def test_the_boundary_is_attached_to_nobody(program: Program) -> None:
    arns = {
        str(one.properties["policyArn"])
        for one in program.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    }
    assert not [arn for arn in arns if arn.endswith("boundary")]


def test_only_deploy_has_policies_of_ours_that_write(program: Program, prod: Environment) -> None:
    attached: dict[str, list[str]] = {}
    for name, one in program.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment").items():
        attached.setdefault(one.properties["role"], []).append(name)
    assert attached["leandata-prod-preview"] == ["preview-reads"]
    assert attached["leandata-prod-drift"] == ["drift-reads"]
    groups = [f"deploy-{group}" for group in rights.deploy(prod)]
    assert attached["leandata-prod-deploy"] == sorted([*groups, "deploy-reads"])


def test_every_role_is_blind_for_values(program: Program, prod: Environment) -> None:
    policies = program.of("aws:iam/rolePolicy:RolePolicy")
    for role in rights.ROLES:
        assert json.loads(policies[f"{role}-blind"].properties["policy"]) == rights.blind(prod)
        assert policies[f"{role}-blind"].properties["role"] == f"leandata-prod-{role}"


def test_the_states_rights_name_the_key_that_was_made(program: Program) -> None:
    policies = program.of("aws:iam/rolePolicy:RolePolicy")
    for role in rights.ROLES:
        statements = json.loads(policies[f"{role}-state"].properties["policy"])["Statement"]
        [key] = [one["Resource"] for one in statements if one["Sid"] == "Key"]
        assert key == [program.outputs["key"]]


def test_sessions_end_after_the_longest_run(program: Program) -> None:
    assert {name: role.properties["maxSessionDuration"] for name, role in roles(program).items()} == {
        "deploy": 7200, "drift": 3600, "preview": 3600,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "limit"), [("dev", "400"), ("prod", "4000"), ("staging", "900")])
def test_money_is_told_when_it_is_spent_and_when_it_is_going_to_be(name: str, limit: str) -> None:
    [budget] = bootstrap(name).of("aws:budgets/budget:Budget").values()
    told = budget.properties["notifications"]
    assert (budget.properties["limitAmount"], budget.properties["timeUnit"]) == (limit, "MONTHLY")
    assert [(one["notificationType"], one["threshold"]) for one in told] == [
        ("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100),
    ]  # fmt: skip
    assert all(one["subscriberEmailAddresses"] == ["data-team@leandata.example"] for one in told)


def test_what_holds_state_is_protected_where_the_environment_says_so(program: Program) -> None:
    assert {one.type for one in program.resources.values() if one.protect} == {
        "aws:kms/key:Key", "aws:s3/bucket:Bucket",
    }  # fmt: skip


def test_the_state_holds_no_secret_so_it_can_be_moved(program: Program) -> None:
    assert "[secret]" not in json.dumps([one.properties for one in program.resources.values()])
