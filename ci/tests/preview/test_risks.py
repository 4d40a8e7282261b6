"""Each kind of risk on graphs of one or two resources: what widens, weakens or loses is found, what narrows is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci.preview.changes import compare
from ci.preview.model import Risk
from ci.preview.risks import assess
from ci.programs import Program, Resource
from ci.tests.graphs import graph, resource

BUCKET, ROLE, RULES = "aws:s3/bucket:Bucket", "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
GRANT = "snowflake:index/grantPrivilegesToAccountRole:GrantPrivilegesToAccountRole"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
DATABASE, CLUSTER = "aws:rds/instance:Instance", "aws:eks/cluster:Cluster"
USER, NETWORK = "snowflake:index/serviceUser:ServiceUser", "snowflake:index/networkPolicy:NetworkPolicy"
POLICY, DEPLOYMENT = "kubernetes:networking.k8s.io/v1:NetworkPolicy", "kubernetes:apps/v1:Deployment"
PLACE = {"namespace": "leandata-api", "name": "api"}


class Owners:
    """Every stack and kind is signed by teams that are named after them."""

    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return (f"{stack}-team", f"{kind}-team")


def risks(before: dict[str, Program], after: dict[str, Program]) -> tuple[Risk, ...]:
    changes = compare(before, after, base_root=Path("/checkouts/base"), head_root=Path("/checkouts/head"), reasons={})
    return assess(changes, base=before, head=after, teams=Owners())


def kinds(before: list[Resource], after: list[Resource]) -> list[str]:
    """The kinds of risk of going from these resources to those."""
    return [one.kind for one in risks(graph(*before), graph(*after))]


def one(type_: str, **properties: Any) -> list[Resource]:
    return [resource(type_, "it", properties)]


def may(*said: dict[str, Any]) -> dict[str, Any]:
    """A document of these statements."""
    return {"role": "api", "policy": json.dumps({"Version": "2012-10-17", "Statement": list(said)})}


def allow(action: Any, on: Any = "arn:aws:s3:::lake/a/*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def test_who_signs_is_asked_of_the_teams_and_the_worst_comes_first() -> None:
    before = [resource(BUCKET, "raw", {"bucket": "raw"}, protect=True)]
    first, second = risks(graph(*before), graph(stack="s"))
    assert (first.kind, first.name, first.teams, first.confirm) == ("data", "raw", ("s-team", "data-team"), True)
    assert (second.kind, second.confirm) == ("protection", False)


def test_no_change_is_no_risk() -> None:
    assert risks(graph(*one(BUCKET, bucket="a")), graph(*one(BUCKET, bucket="a"))) == ()


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        (BUCKET, {"bucket": "a"}, {"bucket": "b"}),
        (BUCKET, {"bucket": "a", "forceDestroy": False}, {"bucket": "a", "forceDestroy": True}),
        ("aws:kms/key:Key", {"multiRegion": False}, {"multiRegion": True}),
        ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 0}, {"retentionInDays": 30}),
        ("snowflake:index/schema:Schema", {"dataRetentionTimeInDays": 90}, {"dataRetentionTimeInDays": 0}),
        ("snowflake:index/schema:Schema", {"dataRetentionTimeInDays": 90}, {}),
        ("kubernetes:core/v1:PersistentVolumeClaim", {"spec": {"a": 1}}, {"spec": {"a": 2}}),
        (LIFECYCLE, {"rules": [{"status": "Enabled", "id": "k", "expiration": {"days": 90}}]},
         {"rules": [{"status": "Enabled", "id": "k", "expiration": {"days": 30}}]}),
        (LIFECYCLE, {"rules": []}, {"rules": [{"status": "Enabled", "id": "k", "expiration": {"days": 30}}]}),
    ],
)  # fmt: skip
def test_losing_data_is_a_risk(type_: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert kinds(one(type_, **before), one(type_, **after)) == ["data"]


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        (BUCKET, {"bucket": "a", "tags": {}}, {"bucket": "a", "tags": {"owner": "x"}}),
        ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 30}, {"retentionInDays": 0}),
        ("snowflake:index/schema:Schema", {"dataRetentionTimeInDays": 1}, {"dataRetentionTimeInDays": 90}),
        (LIFECYCLE, {"rules": [{"status": "Enabled", "id": "k", "expiration": {"days": 30}}]},
         {"rules": [{"status": "Disabled", "id": "k", "expiration": {"days": 3}}]}),
        (LIFECYCLE, {"rules": [{"status": "Enabled", "id": "k", "expiration": {"days": 30}}]},
         {"rules": [{"status": "Enabled", "id": "renamed", "expiration": {"days": 30}}]}),
    ],
)  # fmt: skip
def test_keeping_data_is_none(type_: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert kinds(one(type_, **before), one(type_, **after)) == []


def test_what_is_retained_is_let_go_without_a_typed_name() -> None:
    (found,) = risks(graph(resource(BUCKET, "a", {"bucket": "a"}, retain=True)), graph())
    assert (found.kind, found.confirm) == ("data", False)


# -- access ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (may(allow("s3:GetObject")), may(allow(["s3:GetObject", "s3:PutObject"]))),
        (may(allow("s3:GetObject")), may(allow("s3:*"))),
        (may(allow("s3:GetObject")), may(allow("s3:GetObject", "arn:aws:s3:::lake/*"))),
        (may(allow("s3:GetObject", Condition={"Bool": {"a": "true"}})), may(allow("s3:GetObject"))),
        (
            may(allow("iam:PassRole", "arn:a", Condition={"StringEquals": {"iam:PassedToService": ["a"]}})),
            may(allow("iam:PassRole", "arn:a", Condition={"StringEquals": {"iam:PassedToService": ["a", "b"]}})),
        ),
        (
            may(allow("s3:GetObject", Condition={"StringNotEquals": {"a": ["x", "y"]}})),
            may(allow("s3:GetObject", Condition={"StringNotEquals": {"a": ["x"]}})),
        ),
        (may({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), may(allow("*", "*"))),
    ],
    ids=["action", "wildcard", "resource", "condition gone", "value added", "exception gone", "all but"],
)
def test_allowing_more_is_a_risk(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert kinds(one(RULES, **before), one(RULES, **after)) == ["access"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (may(allow(["s3:GetObject", "s3:PutObject"])), may(allow("s3:GetObject"))),
        (may(allow("s3:*")), may(allow("s3:GetObject"), allow("s3:PutObject"))),
        (may(allow("S3:getobject")), may(allow("s3:GetObject"))),
        (may(allow("s3:GetObject", "arn:aws:s3:::lake/*")), may(allow("s3:GetObject", "arn:aws:s3:::lake/a/*"))),
        (may(allow("s3:GetObject")), may(allow("s3:GetObject", Sid="Renamed", Condition={"Bool": {"a": "true"}}))),
        (
            may(allow("s3:GetObject", Condition={"StringLike": {"a": ["x*"]}})),
            may(allow("s3:GetObject", Condition={"StringLike": {"a": ["xy"]}})),
        ),
    ],
    ids=["less", "split", "spelling", "narrower", "one more condition", "a pattern narrowed"],
)
def test_allowing_less_or_the_same_is_none(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert kinds(one(RULES, **before), one(RULES, **after)) == []


def test_a_statement_that_moves_to_another_policy_of_the_role_is_no_risk() -> None:
    a, b = allow("s3:GetObject"), allow("s3:PutObject")
    before = [resource(RULES, "one", may(a, b)), resource(RULES, "two", may())]
    after = [resource(RULES, "one", may(a)), resource(RULES, "two", may(b))]
    assert kinds(before, after) == []


def test_what_was_forbidden_and_is_not_any_more_is_a_risk() -> None:
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    role = resource(ROLE, "api", {"name": "api"})
    assert kinds([role, *one(RULES, **may(deny))], [role, *one(RULES, **may())]) == ["access"]
    plain = {**deny, "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    type_ = "aws:s3/bucketPolicy:BucketPolicy"
    sides = [[resource(type_, "it", {"bucket": "a", "policy": may(*said)["policy"]})] for said in ((plain,), ())]
    assert kinds(*sides) == ["network"]


def test_a_wider_trust_and_a_boundary_that_is_gone_are_risks() -> None:
    def role(principal: Any, **more: Any) -> list[Resource]:
        said = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
        return one(ROLE, name="api", assumeRolePolicy=json.dumps({"Statement": [said]}), **more)

    assert kinds(role({"Service": "a"}), role({"Service": ["a", "b"]})) == ["access"]
    assert kinds(role({"Service": ["a", "b"]}), role({"Service": "a"})) == []
    assert kinds(role({"Service": "a"}, permissionsBoundary="x"), role({"Service": "a"})) == ["access"]


def granted(*privileges: str, **on: Any) -> list[Resource]:
    return one(GRANT, accountRoleName="R", privileges=list(privileges), **on)


def test_grants_on_snowflake_are_compared_as_facts() -> None:
    schema = {"onSchema": {"schemaName": '"MARTS"."SALES"'}}
    future = {"onSchemaObject": {"future": {"objectTypePlural": "TABLES", "inSchema": "MARTS.SALES"}}}
    whole = {"onSchemaObject": {"future": {"objectTypePlural": "TABLES", "inDatabase": "MARTS"}}}
    assert kinds(granted("USAGE", **schema), granted("CREATE TABLE", "USAGE", **schema)) == ["access"]
    assert kinds(granted("CREATE TABLE", "USAGE", **schema), granted("USAGE", **schema)) == []
    assert kinds([], granted("SELECT", **future)) == ["access"]
    assert "access" in kinds(granted("SELECT", **future), granted("SELECT", **whole))
    assert "access" not in kinds(granted("SELECT", **whole), granted("SELECT", **future))
    role = "snowflake:index/grantAccountRole:GrantAccountRole"
    assert kinds([], one(role, roleName="A", parentRoleName="B")) == ["access"]


def test_rights_in_kubernetes_are_compared_as_facts() -> None:
    type_ = "kubernetes:rbac.authorization.k8s.io/v1:Role"

    def role(verbs: list[str], resources: list[str]) -> list[Resource]:
        rule = {"apiGroups": [""], "resources": resources, "verbs": verbs}
        return one(type_, metadata=PLACE, rules=[rule])

    assert kinds(role(["get"], ["pods"]), role(["get"], ["pods", "secrets"])) == ["access"]
    assert kinds(role(["get"], ["pods"]), role(["*"], ["pods"])) == ["access"]
    assert kinds(role(["get"], ["*"]), role(["get"], ["pods"])) == []
    assert kinds(role(["*"], ["pods"]), role(["get", "list"], ["pods"])) == []
    assert kinds(role(["get", "list"], ["pods"]), role(["list", "get"], ["pods"])) == []
    binding = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": "a"} for name in "ab"]
    ref = {"kind": "Role", "name": "api"}
    sides = [one(binding, metadata=PLACE, roleRef=ref, subjects=some) for some in (subjects[:1], subjects)]
    assert kinds(*sides) == ["access"]
    assert kinds(*reversed(sides)) == []


def test_entries_to_a_cluster_are_rights() -> None:
    type_ = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    some = {"principalArn": "p", "policyArn": "a/View"}
    inside = one(type_, **some, accessScope={"type": "namespace", "namespaces": ["a"]})
    whole = one(type_, **some, accessScope={"type": "cluster"})
    assert kinds(inside, whole) == ["access"]
    assert kinds(whole, inside) == []


def test_roles_of_postgres_are_rights_on_a_machine_and_in_jobs() -> None:
    grants = {"database": "serving", "schema": "serving", "role": "reader", "owner": "writer"}
    assert kinds([], one("machine:index:PostgresGrants", **grants)) == ["access"]

    def job(schema: str) -> list[Resource]:
        command = ["python", "-m", "infra.jobs.databases", "reader", "--database", "serving", "--role", "reader",
                   "--owner", "writer", "--schema", schema]  # fmt: skip
        pod = {"spec": {"containers": [{"name": "a", "command": command}]}}
        return one("kubernetes:batch/v1:Job", metadata={"name": "j", "namespace": "a"}, spec={"template": pod})

    assert kinds(job("serving"), job("public")) == ["access"]


def test_a_page_without_its_login_is_a_risk() -> None:
    def page(**said: str) -> list[Resource]:
        annotations = {f"alb.ingress.kubernetes.io/{key.replace('_', '-')}": value for key, value in said.items()}
        return one("kubernetes:networking.k8s.io/v1:Ingress", metadata={**PLACE, "annotations": annotations})

    assert kinds(page(auth_type="oidc"), page()) == ["access"]
    assert kinds(page(), page(auth_type="oidc")) == []
    strangers = page(auth_type="oidc", auth_on_unauthenticated_request="allow")
    assert kinds(page(auth_type="oidc", auth_on_unauthenticated_request="authenticate"), strangers) == ["access"]


# -- network -----------------------------------------------------------------------------------------------------------


def door(cidr: str, start: int = 443, end: int = 443) -> list[Resource]:
    return one(INGRESS_RULE, securityGroupId="sg", cidrIpv4=cidr, ipProtocol="tcp", fromPort=start, toPort=end)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (door("10.0.0.0/16"), door("0.0.0.0/0"), ["network"]),
        (door("10.0.0.0/16"), door("10.0.1.0/24"), []),
        (door("10.0.0.0/16"), door("10.0.0.0/16", 22), ["network"]),
        (door("10.0.0.0/16", 1, 500), door("10.0.0.0/16", 80, 80), []),
        (one(NETWORK, name="N", allowedIpLists=["10.0.0.0/24"]), one(NETWORK, name="N", allowedIpLists=["10.0.0.0/8"]),
         ["network"]),
        (one(NETWORK, name="N", allowedIpLists=["10.0.0.0/8"]), one(NETWORK, name="N", allowedIpLists=["10.1.0.0/16"]),
         []),
        (one(CLUSTER, name="c", vpcConfig={"endpointPublicAccess": False}),
         one(CLUSTER, name="c", vpcConfig={"endpointPublicAccess": True}), ["network"]),
        (one(DATABASE, publiclyAccessible=False), one(DATABASE, publiclyAccessible=True), ["network"]),
        (one("machine:index:Process", name="a", command=["a", "--host", "127.0.0.1"]),
         one("machine:index:Process", name="a", command=["a", "--host", "0.0.0.0"]), ["network"]),
        (one("machine:index:Process", name="a", env={"URL": "https://a.example/x"}),
         one("machine:index:Process", name="a", env={"URL": "http://a.example/x"}), ["network"]),
        (one("machine:index:Process", name="a", env={"URL": "postgresql://a/b?sslmode=verify-full"}),
         one("machine:index:Process", name="a", env={"URL": "postgresql://a/b?sslmode=prefer"}), ["network"]),
        (one("machine:index:Process", name="a", env={"URL": "http://a"}),
         one("machine:index:Process", name="a", env={"URL": "https://a"}), []),
        (one("kubernetes:core/v1:Service", metadata=PLACE, spec={"type": "ClusterIP"}),
         one("kubernetes:core/v1:Service", metadata=PLACE, spec={"type": "NodePort"}), ["network"]),
    ],
)  # fmt: skip
def test_opening_is_a_risk_and_closing_is_none(before: list[Resource], after: list[Resource], found: list[str]) -> None:
    assert kinds(before, after) == found


def test_network_policies_are_compared_by_what_they_let_through() -> None:
    space = resource("kubernetes:core/v1:Namespace", "ns", {"metadata": {"name": "leandata-api"}})

    def policy(name: str, selector: Any, ports: list[int], *, kinds_: tuple[str, ...] = ("Egress",)) -> Resource:
        rule = {"ports": [{"port": port, "protocol": "TCP"} for port in ports], "to": [{"podSelector": {}}]}
        spec = {"podSelector": selector, "policyTypes": list(kinds_), "egress": [rule] if ports else []}
        return resource(POLICY, name, {"metadata": {"name": name, "namespace": "leandata-api"}, "spec": spec})

    api = {"matchLabels": {"app": "api"}}
    closed, narrow, wide = policy("closed", {}, []), policy("api", api, [1]), policy("api", api, [1, 2])
    assert kinds([space, closed, narrow], [space, closed, wide]) == ["network"]
    assert kinds([space, closed, wide], [space, closed, narrow]) == []
    # What lets through may go while another one closes; what closes may not.
    assert kinds([space, closed, narrow], [space, closed]) == []
    assert kinds([space, narrow], [space]) == ["network"]
    assert kinds([space, closed], [space]) == ["network"]


# -- protection --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        (DATABASE, {"backupRetentionPeriod": 35}, {"backupRetentionPeriod": 7}),
        (DATABASE, {"deletionProtection": True}, {"deletionProtection": False}),
        (CLUSTER, {"name": "c", "vpcConfig": {"endpointPublicAccess": False}, "enabledClusterLogTypes": ["api", "audit"]},
         {"name": "c", "vpcConfig": {"endpointPublicAccess": False}, "enabledClusterLogTypes": ["api"]}),
        ("snowflake:index/resourceMonitor:ResourceMonitor", {"name": "M", "creditQuota": 10}, {"name": "M", "creditQuota": 20}),
        ("snowflake:index/warehouse:Warehouse", {"name": "W", "resourceMonitor": "M"}, {"name": "W"}),
        ("aws:ecr/repository:Repository", {"name": "r", "imageTagMutability": "IMMUTABLE"},
         {"name": "r", "imageTagMutability": "MUTABLE"}),
        ("kubernetes:core/v1:ResourceQuota", {"spec": {"hard": {"limits.memory": "1Gi"}}},
         {"spec": {"hard": {"limits.memory": "2048Mi"}}}),
        (DEPLOYMENT, {"spec": {"template": {"spec": {"securityContext": {"runAsNonRoot": True}}}}},
         {"spec": {"template": {"spec": {"securityContext": {"runAsNonRoot": False}}}}}),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "a", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
         {"metadata": {"name": "a", "labels": {}}}),
    ],
)  # fmt: skip
def test_protecting_less_is_a_risk_and_more_is_none(type_: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert kinds(one(type_, **before), one(type_, **after)) == ["protection"]
    assert kinds(one(type_, **after), one(type_, **before)) == []


def test_a_guard_may_go_with_what_it_guards_and_not_before() -> None:
    bucket = resource("aws:s3/bucketObject:BucketObject", "thing", {"bucket": "a"})
    guard = resource("aws:s3/bucketVersioning:BucketVersioning", "v", {"bucket": "a"})
    assert kinds([bucket, guard], [bucket]) == ["protection"]
    assert kinds([guard], []) == []


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_secret_that_is_plain_is_a_risk_that_does_not_repeat_it() -> None:
    def env(value: str) -> dict[str, Program]:
        return graph(*one("machine:index:Process", name="a", env={"PASSWORD": value}))

    (found,) = risks(env("[secret]"), env("hunter2"))
    assert found.kind == "secret"
    assert "hunter2" not in found.why
    (address,) = risks(env("postgresql://a@b/c?password_file=/x"), env("postgresql://a:hunter2@b/c"))
    assert address.kind == "secret"
    assert "hunter2" not in address.why
    assert risks(env("smtp://a:25?sender=x@y"), env("smtp://b:25?sender=x@y")) == ()


def test_another_reader_of_a_known_secret_is_a_risk() -> None:
    def process(name: str, *secrets: str) -> Resource:
        files = {secret: f"/state/secrets/{secret}" for secret in secrets}
        return resource("machine:index:Process", name, {"name": name, "secret_files": files})

    assert kinds([process("a", "x"), process("b")], [process("a", "x"), process("b", "x")]) == ["secret"]
    assert kinds([process("a", "x")], [process("a")]) == []
    assert kinds([process("a")], [process("a", "new")]) == []


def test_another_kind_of_secret_is_a_risk() -> None:
    type_ = "machine:index:Secret"
    found = kinds(one(type_, path="/state/secrets/a", kind="hex"), one(type_, path="/state/secrets/a", kind="password"))
    assert found == ["secret"]


# -- order -------------------------------------------------------------------------------------------------------------


def test_a_grant_that_is_named_otherwise_is_revoked_by_its_old_self() -> None:
    on = {"accountRoleName": "R", "privileges": ["USAGE"], "onSchema": {"schemaName": "A.B"}}
    assert kinds([resource(GRANT, "old", on)], [resource(GRANT, "new", on)]) == ["order"]
    more = {**on, "privileges": ["CREATE TABLE", "USAGE"]}
    assert kinds([resource(GRANT, "old", on)], [resource(GRANT, "new", more)]) == ["access", "order"]


def test_a_replaced_grant_must_be_deleted_first() -> None:
    sides = [
        {"accountRoleName": "R", "privileges": ["USAGE"], "onSchema": {"schemaName": name}} for name in ("A.B", "A.C")
    ]
    assert "order" in kinds([resource(GRANT, "g", sides[0])], [resource(GRANT, "g", sides[1])])
    safe = [resource(GRANT, "g", side, deletes_first=True) for side in sides]
    assert "order" not in kinds([safe[0]], [safe[1]])


def test_keys_of_a_user_are_changed_in_two_steps() -> None:
    one_ = one(USER, name="U", rsaPublicKey="A" * 20)
    both = one(USER, name="U", rsaPublicKey="A" * 20, rsaPublicKey2="B" * 20)
    other = one(USER, name="U", rsaPublicKey="B" * 20)
    assert kinds(one_, other) == ["access", "order"]
    assert kinds(one_, both) == ["access"]
    assert kinds(both, one_) == []


def test_an_image_loses_its_digest() -> None:
    def pod(image: str) -> list[Resource]:
        spec = {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}
        return one(DEPLOYMENT, metadata=PLACE, spec=spec)

    assert kinds(pod("a@sha256:1"), pod("a:latest")) == ["order"]
    assert kinds(pod("a:1"), pod("a:2")) == []
    assert kinds(pod("a@sha256:1"), pod("a@sha256:2")) == []


def test_an_output_that_others_read_may_not_go() -> None:
    reader = resource(
        BUCKET,
        "b",
        {"bucket": "b"},
        needs=("urn:pulumi:test::s::pulumi:pulumi:StackReference::organization/lake/test",),
    )

    def lake(**outputs: Any) -> dict[str, Program]:
        return {**graph(reader), "lake": Program(outputs=outputs)}

    (gone,) = risks(lake(raw="s3://a", curated="s3://b"), lake(raw="s3://a"))
    assert (gone.kind, gone.stack, gone.why) == ("order", "lake", "outputs: curated is gone; read by s")
    assert [found.kind for found in risks(lake(raw="a"), lake(raw=["a"]))] == ["order"]
    assert risks(lake(raw="a"), lake(raw="b", more="c")) == ()


def test_versions_go_up_one_by_one() -> None:
    def cluster(version: str) -> list[Resource]:
        return one(CLUSTER, name="c", version=version, vpcConfig={"endpointPublicAccess": False})

    assert kinds(cluster("1.34"), cluster("1.35")) == []
    assert kinds(cluster("1.34"), cluster("1.36")) == ["order"]
    assert kinds(cluster("1.35"), cluster("1.34")) == ["order"]
    assert kinds(one(DATABASE, engineVersion="17"), one(DATABASE, engineVersion="18")) == ["order"]


def test_an_immutable_field_leaves_a_gap() -> None:
    sides = [{"metadata": PLACE, "spec": {"selector": {"a": value}}} for value in ("1", "2")]
    assert kinds(one(DEPLOYMENT, **sides[0]), one(DEPLOYMENT, **sides[1])) == ["order"]
