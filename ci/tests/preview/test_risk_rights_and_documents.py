"""Rights and policy documents: what somebody may do only after a change is flagged where it is given, less is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.programs import Resource
from ci.tests.graphs import resource
from ci.tests.preview.judged import risks

ROLE, INLINE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"
BUCKET_POLICY, KEY = "aws:s3/bucketPolicy:BucketPolicy", "aws:kms/key:Key"
GRANT = "snowflake:index/grantPrivilegesToAccountRole:GrantPrivilegesToAccountRole"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
PLACE = {"name": "api", "namespace": "a"}


def rights(before: list[Resource], after: list[Resource]) -> list[str]:
    """Where somebody gets rights, or reads a secret by them."""
    return [one.name for one in risks(before, after, "access", "secret")]


def it(type_: str, **said: Any) -> list[Resource]:
    return [resource(type_, "it", said)]


def text(*said: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(said)})


def inline(*said: dict[str, Any], name: str = "it", role: str = "api") -> list[Resource]:
    return [resource(INLINE, name, {"role": role, "policy": text(*said)})]


def allow(action: Any = "s3:GetObject", on: Any = "arn:aws:s3:::lake/*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def under(operator: str, **tests: Any) -> dict[str, Any]:
    return allow(Condition={operator: tests})


def granted(*privileges: str, on: dict[str, Any] | None = None, **more: Any) -> list[Resource]:
    return it(GRANT, accountRoleName="R", privileges=list(privileges), **(on or SCHEMA), **more)


def every(plural: str = "TABLES", **where: str) -> dict[str, Any]:
    return {"onSchemaObject": {"all": {"objectTypePlural": plural, **where}}}


def role(groups: list[str], resources: list[str], verbs: list[str], names: list[str] | None = None) -> list[Resource]:
    rule = {"apiGroups": groups, "resources": resources, "verbs": verbs, **({"resourceNames": names} if names else {})}
    return it(f"{RBAC}:Role", metadata=PLACE, rules=[rule])


def bound(*names: str, kind: str = "RoleBinding", to: str = "view") -> list[Resource]:
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": "a"} for name in names]
    place = PLACE if kind == "RoleBinding" else {"name": "api"}
    return [resource(f"{RBAC}:{kind}", "it", {"metadata": place, "roleRef": {"kind": "ClusterRole", "name": to},
                                              "subjects": subjects})]  # fmt: skip


def entry(*groups: str) -> list[Resource]:
    return it("aws:eks/accessEntry:AccessEntry", principalArn="arn:p", kubernetesGroups=list(groups))


def integration(*places: str) -> list[Resource]:
    type_ = "snowflake:index/storageIntegrationAws:StorageIntegrationAws"
    return it(type_, name="I", storageAwsRoleArn="arn:r", storageAllowedLocations=list(places))


SCHEMA = {"onSchema": {"schemaName": "MARTS.SALES"}}
TABLE = {"onSchemaObject": {"objectType": "TABLE", "objectName": "MARTS.SALES.T"}}
# Less, then more: the way back is none.
MORE: dict[str, tuple[list[Resource], list[Resource]]] = {
    "an action": (inline(allow()), inline(allow(["s3:GetObject", "s3:PutObject"]))),
    "a pattern of actions": (inline(allow("s3:GetObject*")), inline(allow("s3:Get*"))),
    "a second resource": (inline(allow()), inline(allow(on=["arn:aws:s3:::lake/*", "arn:aws:s3:::x/*"]))),
    "a statement": (inline(allow()), inline(allow(), allow("sns:Publish", "arn:aws:sns:::a"))),
    "an OR in a condition": (inline(under("StringEquals", a="x")), inline(under("StringEquals", a=["x", "y"]))),
    "a condition less": (inline(under("StringEquals", a="x", b="y")), inline(under("StringEquals", a="x"))),
    "an exception less": (inline(under("ArnNotLike", a=["x", "y"])), inline(under("ArnNotLike", a=["x"]))),
    "more addresses": (
        inline(under("IpAddress", **{"aws:SourceIp": "10.1.0.0/16"})),
        inline(under("IpAddress", **{"aws:SourceIp": "10.0.0.0/8"})),
    ),
    "a principal of a bucket": (
        it(BUCKET_POLICY, bucket="b", policy=text(allow(Principal={"AWS": "arn:a"}))),
        it(BUCKET_POLICY, bucket="b", policy=text(allow(Principal={"AWS": ["arn:a", "arn:b"]}))),
    ),
    "everybody": (
        it(KEY, description="k", policy=text(allow("kms:*", "*", Principal={"AWS": "arn:a"}))),
        it(KEY, description="k", policy=text(allow("kms:*", "*", Principal="*"))),
    ),
    "who takes a role": (
        it(ROLE, name="api", assumeRolePolicy=text({"Effect": "Allow", "Action": "sts:AssumeRole",
                                                    "Principal": {"Service": "a"}})),
        it(ROLE, name="api", assumeRolePolicy=text({"Effect": "Allow", "Action": "sts:*",
                                                    "Principal": {"Service": "a"}})),
    ),
    "a policy within the role": (
        it(ROLE, name="api", inlinePolicies=[]),
        it(ROLE, name="api", inlinePolicies=[{"name": "x", "policy": text(allow())}]),
    ),
    "a managed policy": (it(ROLE, name="api"), it(ROLE, name="api", managedPolicyArns=["arn:x/Admin"])),
    "a privilege": (granted("USAGE"), granted("CREATE TABLE", "USAGE")),
    "all privileges": (granted("USAGE"), granted(allPrivileges=True)),
    "passing a privilege on": (granted("USAGE"), granted("USAGE", withGrantOption=True)),
    "passing all privileges on": (granted(allPrivileges=True), granted(allPrivileges=True, withGrantOption=True)),
    "all tables": (granted("SELECT", on=TABLE), granted("SELECT", on=every(inSchema="MARTS.SALES"))),
    "all schemas": (
        granted("SELECT", on=every(inSchema="MARTS.SALES")), granted("SELECT", on=every(inDatabase="MARTS"))
    ),
    "a place to load from": (integration("s3://lake/a/"), integration("s3://lake/")),
    "a verb": (role([""], ["pods"], ["get"]), role([""], ["pods"], ["get", "delete"])),
    "all verbs": (role([""], ["pods"], ["get"]), role([""], ["pods"], ["*"])),
    "a subresource": (role([""], ["pods"], ["get"]), role([""], ["pods", "pods/exec"], ["get"])),
    "all of one kind": (role([""], ["secrets"], ["get"], ["a"]), role([""], ["secrets"], ["get"])),
    "all kinds of a group": (role(["apps"], ["deployments"], ["get"]), role(["apps"], ["*"], ["get"])),
    "all groups": (role(["apps"], ["deployments"], ["get"]), role(["*"], ["deployments"], ["get"])),
    "everything": (role(["*"], ["deployments"], ["get"]), role(["*"], ["*"], ["get"])),
    "another kind in all groups": (role(["*"], ["pods"], ["get"]), role(["*"], ["pods", "secrets"], ["get"])),
    "a subject": (bound("x"), bound("x", "y")),
    "a group of the cluster": (entry("a"), entry("a", "system:masters")),
    "a client that is believed": (
        it("aws:iam/openIdConnectProvider:OpenIdConnectProvider", url="u", clientIdLists=["a"]),
        it("aws:iam/openIdConnectProvider:OpenIdConnectProvider", url="u", clientIdLists=["a", "b"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MORE)
def test_who_gets_more_is_flagged_at_what_gives_it_and_who_gets_less_is_not(what: str) -> None:
    less, more = MORE[what]
    (found,) = risks(less, more, "access", "secret")
    assert (found.kind, found.name, found.teams, found.confirm) == ("access", "it", ("s", "access"), False)
    assert rights(more, less) == []


@pytest.mark.parametrize("what", MORE)
def test_another_name_in_the_program_gives_nobody_more(what: str) -> None:
    (old,) = MORE[what][1]
    assert rights([old], [resource(old.type, "renamed", old.properties)]) == []


def test_the_same_role_for_the_whole_cluster_is_more_than_for_a_namespace() -> None:
    inside, whole = bound("x"), bound("x", kind="ClusterRoleBinding")
    (found,) = risks(inside, whole, "access")
    assert found.why == "new: ServiceAccount a/x has ClusterRole view in all namespaces"
    assert rights(whole, inside) == []


def test_passing_one_of_all_privileges_on_is_more_than_having_them_all() -> None:
    (found,) = risks(granted(allPrivileges=True), granted("USAGE", withGrantOption=True), "access")
    assert found.why == "new: R USAGE with grant option on SCHEMA.MARTS.SALES"
    assert rights(granted(allPrivileges=True, withGrantOption=True), granted("USAGE", withGrantOption=True)) == []


ACTIONS = st.frozensets(st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:*"]), min_size=1)


@given(ACTIONS, ACTIONS)
def test_a_role_is_flagged_exactly_when_an_action_is_not_allowed_before(
    before: frozenset[str], after: frozenset[str]
) -> None:
    found = rights(inline(allow(sorted(before))), inline(allow(sorted(after))))
    assert (found == []) == ("s3:*" in before or after <= before)


@given(st.permutations([allow(), allow("s3:PutObject"), under("StringEquals", a="x"), allow("sns:*", "*")]))
def test_statements_in_another_order_or_in_another_policy_are_the_same(said: list[dict[str, Any]]) -> None:
    whole = inline(allow(), allow("s3:PutObject"), under("StringEquals", a="x"), allow("sns:*", "*"))
    assert rights(whole, inline(*said)) == []
    assert rights(whole, [*inline(*said[:2]), *inline(*said[2:], name="second")]) == []


def test_the_same_statement_for_another_role_is_a_right_of_that_role() -> None:
    assert rights(inline(allow()), inline(allow(), role="admin")) == ["it"]


@pytest.mark.parametrize("action", ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"])
def test_reading_a_secret_by_a_document_is_of_that_kind(action: str) -> None:
    (found,) = risks(inline(allow()), inline(allow([action, "s3:GetObject"])), "access", "secret")
    assert (found.kind, found.why) == ("secret", f"role api newly allows: {action.lower()} on lake/*")


def test_whoever_makes_a_thing_says_whom_it_is_for_unless_it_is_all_the_world() -> None:
    def shared(who: Any, **more: Any) -> list[Resource]:
        return it(BUCKET_POLICY, bucket="b", policy=text(allow(Principal=who, **more)))

    assert rights([], shared({"AWS": "arn:a"})) == []
    assert rights([], shared("*")) == ["it"]
    assert rights([], shared({"AWS": "*"})) == ["it"]
    assert rights([], shared("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o"}})) == []


def test_a_document_that_is_no_document_allows_nothing() -> None:
    for broken in ("{", "", "null", "[1]", "[unknown]", '{"Statement": "x"}'):
        assert rights(it(INLINE, role="api", policy=text()), it(INLINE, role="api", policy=broken)) == []


DENY = {"Effect": "Deny", "Action": ["s3:Delete*", "s3:Put*"], "Resource": "*"}


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ([DENY], ""),
        ([{**DENY, "Action": "s3:*"}], ""),
        ([{**DENY, "Action": "s3:Put*"}, {**DENY, "Action": "s3:Delete*"}], ""),
        ([{**DENY, "Action": "s3:Put*"}], "no longer forbidden: s3:delete* on *"),
        ([{**DENY, "Condition": {"Bool": {"a": "true"}}}], "no longer forbidden: s3:delete* on *; s3:put* on *"),
    ],
    ids=["the same", "a wider one", "split", "an action less", "only sometimes"],
)
def test_what_was_forbidden_stays_forbidden(after: list[dict[str, Any]], why: str) -> None:
    holder = resource(ROLE, "api", {"name": "api"})
    before = [holder, resource(INLINE, "it", {"role": "api", "policy": text(DENY), "name": "x"})]
    now = [holder, resource(INLINE, "it", {"role": "api", "policy": text(*after), "name": "x"})]
    assert [one.why for one in risks(before, now, "access")] == ([why] if why else [])


def test_a_denial_goes_with_its_holder() -> None:
    holder = resource(ROLE, "api", {"name": "api"})
    assert rights([holder, *inline(DENY)], [holder]) == ["it"]
    assert rights([holder, *inline(DENY)], []) == []


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("arn:a", None, "the permissions boundary was arn:a, and is gone"),
        ("arn:a", "arn:b", "the permissions boundary was arn:a, and is arn:b"),
        (None, "arn:a", ""),
        ("arn:a", "arn:a", ""),
    ],
)
def test_a_boundary_may_come_and_may_not_go(before: str | None, after: str | None, why: str) -> None:
    sides = [
        it(ROLE, name="api", tags=tag, **({"permissionsBoundary": arn} if arn else {}))
        for tag, arn in (("x", before), ("y", after))
    ]
    assert [one.why for one in risks(*sides, "access")] == ([why] if why else [])


@pytest.mark.parametrize(
    ("type_", "said", "why"),
    [
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": "api", "policyArn": "arn:x/Admin"},
         "new: the role api has the policy Admin"),
        ("aws:iam/accessKey:AccessKey", {"user": "ci"}, "new: the user ci logs in with a password or a key"),
        ("aws:eks/podIdentityAssociation:PodIdentityAssociation",
         {"namespace": "a", "serviceAccount": "b", "roleArn": "arn:x/R"}, "new: the pods a/b take the role R"),
        ("aws:eks/addon:Addon", {"addonName": "csi", "podIdentityAssociations": [
            {"serviceAccount": "b", "roleArn": "arn:x/R"}]}, "new: the pods of csi, b take the role R"),
        ("snowflake:index/grantOwnership:GrantOwnership", {"accountRoleName": "R", "on": {"objectName": '"A"."B"'}},
         "new: R owns A.B"),
        ("snowflake:index/grantAccountRole:GrantAccountRole", {"roleName": "ACCOUNTADMIN", "userName": '"U"'},
         "new: U has the role ACCOUNTADMIN"),
        ("snowflake:index/grantDatabaseRole:GrantDatabaseRole",
         {"databaseRoleName": "D.R", "parentRoleName": "P"}, "new: P has the role D.R"),
        (GRANT, {"accountRoleName": "R", "privileges": ["CREATE ROLE"], "onAccount": True},
         "new: R CREATE ROLE on ACCOUNT"),
        (GRANT, {"accountRoleName": "R", "privileges": ["USAGE"],
                 "onAccountObject": {"objectType": "WAREHOUSE", "objectName": "W"}},
         "new: R USAGE on WAREHOUSE.W"),
        ("snowflake:index/serviceUser:ServiceUser", {"name": "U"}, "new: the user U logs in"),
        ("machine:index:PostgresDatabase", {"name": "d", "owner": "o"}, "new: the role o owns the database d"),
        (f"{RBAC}:ClusterRole", {"metadata": {"name": "m"}, "rules": [{"nonResourceURLs": ["/logs"], "verbs": ["get"]}]},
         "new: ClusterRole m may get url./logs"),
    ],
    ids=lambda value: value.rpartition(":")[2] if isinstance(value, str) and value.count(":") >= 2 else "",
)  # fmt: skip
def test_a_right_that_comes_with_a_new_resource_is_said_in_words(type_: str, said: dict[str, Any], why: str) -> None:
    assert [one.why for one in risks([], it(type_, **said), "access")] == [why]
    assert rights(it(type_, **said), []) == []


def test_a_grant_on_what_will_be_is_another_one_than_on_what_is() -> None:
    now = granted("SELECT", on=every(inSchema="MARTS.SALES"))
    soon = granted(
        "SELECT", on={"onSchemaObject": {"future": {"objectTypePlural": "TABLES", "inSchema": "MARTS.SALES"}}}
    )
    assert rights(now, soon) == rights(soon, now) == ["it"]
