"""The network on AWS, the cluster in it, what must not be lost, and who pays."""

from __future__ import annotations

from typing import Any

import pytest

from infra.policy.cases import Node, aws, changed, snowflake
from infra.policy.protection import STATEFUL, TAGS, UNTAGGED, tagged
from infra.tests.policy.verdicts import DEV, hits, passes, places

RULE = "vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.mark.parametrize(("key", "cidr"), [("cidrIpv4", "0.0.0.0/0"), ("cidrIpv6", "::/0")])
def test_no_port_is_open_to_the_world(key: str, cidr: str):
    assert places("security-group-open", aws(RULE, {key: cidr, "ipProtocol": "tcp", "fromPort": 443})) == [key]


@pytest.mark.parametrize("key", ["cidrBlocks", "ipv6CidrBlocks"])
def test_nor_by_a_rule_in_the_group_or_of_the_old_kind(key: str):
    open_ = {key: ["10.0.0.0/8", "0.0.0.0/0"], "protocol": "tcp"}
    assert places("security-group-open", aws("ec2/securityGroup:SecurityGroup", {"ingress": [open_]})) == [
        f"ingress.{key}"
    ]
    old = aws("ec2/securityGroupRule:SecurityGroupRule", {"type": "ingress", **open_})
    assert places("security-group-open", old) == [key]


def test_what_goes_out_may_go_anywhere():
    old = {"type": "egress", "cidrBlocks": ["0.0.0.0/0"], "protocol": "-1"}
    assert passes("security-group-open", aws("ec2/securityGroupRule:SecurityGroupRule", old))
    assert passes("security-group-open", aws("ec2/securityGroup:SecurityGroup", {"egress": [old]}))


def test_ports_are_named():
    every = {"cidrIpv4": "10.0.0.0/16", "ipProtocol": "-1"}
    assert places("security-group-open", aws(RULE, every)) == ["ipProtocol"]
    assert passes("security-group-open", aws(RULE, {**every, "self": True}))


VPC = aws("ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, name="net")
DEFAULT = "ec2/defaultSecurityGroup:DefaultSecurityGroup"


def test_the_default_group_lets_nothing_through():
    assert passes("security-group-default", VPC, aws(DEFAULT))
    assert not passes("security-group-default", VPC)
    for side in ("ingress", "egress"):
        assert not passes("security-group-default", VPC, aws(DEFAULT, {side: [{"protocol": "-1"}]}))


def test_the_network_writes_down_who_talked_to_whom():
    assert passes("network-logged", VPC, aws("ec2/flowLog:FlowLog", {"vpcId": "net"}))
    assert not passes("network-logged", VPC, aws("ec2/flowLog:FlowLog", {"vpcId": "other"}))


LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


def cluster(**changes: Any) -> Node:
    good = {
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        "deletionProtection": True,
        "enabledClusterLogTypes": LOGS,
        "encryptionConfig": {"provider": {"keyArn": "it"}, "resources": ["secrets"]},
        "vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False},
    }
    return aws("eks/cluster:Cluster", changed(good, {key.replace("__", "."): value for key, value in changes.items()}))


ENTRY = aws("eks/accessEntry:AccessEntry")


@pytest.mark.parametrize("rule", ["cluster-access", "cluster-logged", "cluster-private", "cluster-secrets"])
def test_a_good_cluster_passes(rule: str):
    assert passes(rule, cluster(), ENTRY)


@pytest.mark.parametrize(
    ("public", "ranges", "allowed"),
    [
        (False, None, True),
        (True, ["198.51.100.0/24"], True),
        (True, ["0.0.0.0/0"], False),
        (True, ["198.51.100.0/24", "0.0.0.0/0"], False),
        (True, [], False),
        (True, None, False),
        (None, None, False),
    ],
)
def test_the_api_server_is_open_to_named_ranges_at_most(public: bool | None, ranges: Any, allowed: bool):
    made = cluster(vpcConfig__endpointPublicAccess=public, vpcConfig__publicAccessCidrs=ranges)
    assert passes("cluster-private", made) is allowed


def test_the_api_server_answers_inside():
    assert places("cluster-private", cluster(vpcConfig__endpointPrivateAccess=False)) == [
        "vpcConfig.endpointPrivateAccess"
    ]


@pytest.mark.parametrize("log", LOGS)
def test_the_control_plane_writes_all_its_logs(log: str):
    found = hits("cluster-logged", cluster(enabledClusterLogTypes=[one for one in LOGS if one != log]))
    assert [said for _, _, said in found] == [f"not {log}"]


@pytest.mark.parametrize(
    "change", [{"encryptionConfig": None}, {"encryptionConfig__provider": {}}, {"encryptionConfig__resources": []}]
)
def test_secrets_of_the_cluster_are_encrypted(change: dict[str, Any]):
    assert places("cluster-secrets", cluster(**change)) == ["encryptionConfig"]


@pytest.mark.parametrize("mode", ["CONFIG_MAP", "API_AND_CONFIG_MAP", None])
def test_only_entries_give_access_to_the_cluster(mode: str | None):
    assert not passes("cluster-access", cluster(accessConfig__authenticationMode=mode), ENTRY)


def test_whoever_made_the_cluster_is_nobody_special_and_somebody_comes_in():
    made = cluster(accessConfig__bootstrapClusterCreatorAdminPermissions=True)
    assert not passes("cluster-access", made, ENTRY)
    assert not passes("cluster-access", cluster())


@pytest.mark.parametrize(("protocol", "allowed"), [("HTTPS", True), ("TLS", True), ("HTTP", False), ("TCP", False)])
def test_load_balancers_speak_tls(protocol: str, allowed: bool):
    assert passes("balancer-encrypted", aws("lb/listener:Listener", {"protocol": protocol})) is allowed


def test_a_load_balancer_may_send_people_on():
    action = {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}}
    assert passes("balancer-encrypted", aws("lb/listener:Listener", {"protocol": "HTTP", "defaultActions": [action]}))


WHOLE = dict.fromkeys(TAGS, "it")


@pytest.mark.parametrize("tag", TAGS)
def test_each_tag_is_there(tag: str):
    less = {key: value for key, value in WHOLE.items() if key != tag}
    assert [said for _, _, said in hits("objects-tags", aws("kms/key:Key", {"tags": less}))] == [f"no {tag}"]


def test_a_provider_may_give_the_tags_to_all_of_its_stack():
    given = Node(type="pulumi:providers:aws", properties={"defaultTags": {"tags": WHOLE}})
    assert passes("objects-tags", aws("kms/key:Key"), given)


@pytest.mark.parametrize("type_", sorted(UNTAGGED))
def test_what_has_no_tags_needs_none(type_: str):
    assert passes("objects-tags", Node(type=type_))


def test_parts_of_a_bucket_have_no_tags_but_the_bucket_has():
    assert tagged("aws:s3/bucket:Bucket")
    assert not tagged("aws:s3/bucketPolicy:BucketPolicy")
    assert not tagged("kubernetes:core/v1:Service")


@pytest.mark.parametrize("type_", sorted(STATEFUL))
def test_production_s_data_is_protected(type_: str):
    assert places("stateful-protected", Node(type=type_)) == ["protect"]
    assert passes("stateful-protected", Node(type=type_, protect=True))
    assert passes("stateful-protected", Node(type=type_), setting=DEV)


def test_what_is_retained_is_not_yet_protected():
    assert not passes("stateful-protected", Node(type="aws:s3/bucket:Bucket", retain=True))


@pytest.mark.parametrize("type_", ["rds/instance:Instance", "rds/cluster:Cluster", "eks/cluster:Cluster"])
def test_aws_too_refuses_to_delete(type_: str):
    assert places("stateful-deletion", aws(type_)) == ["deletionProtection"]
    assert passes("stateful-deletion", aws(type_), setting=DEV)


@pytest.mark.parametrize(
    ("type_", "key"), [("s3/bucket:Bucket", "forceDestroy"), ("ecr/repository:Repository", "forceDelete")]
)
def test_what_is_full_is_not_deleted(type_: str, key: str):
    assert places("stateful-emptied", aws(type_, {key: True})) == [key]
    assert passes("stateful-emptied", aws(type_, {key: True}), setting=DEV)


def budget(*kinds: str, subscribers: str = "subscriberEmailAddresses", amount: str = "100") -> Node:
    told = [{"notificationType": kind, subscribers: ["data@example.com"]} for kind in kinds]
    return aws("budgets/budget:Budget", {"limitAmount": amount, "notifications": told})


@pytest.mark.parametrize("subscribers", ["subscriberEmailAddresses", "subscriberSnsTopicArns"])
def test_somebody_is_told_of_what_is_spent_and_of_what_will_be(subscribers: str):
    assert passes("budget-told", budget("ACTUAL", "FORECASTED", subscribers=subscribers))


@pytest.mark.parametrize(
    "made",
    [
        budget("ACTUAL"),
        budget("FORECASTED"),
        budget(),
        budget("ACTUAL", "FORECASTED", subscribers="nobody"),
        budget("ACTUAL", "FORECASTED", amount=""),
    ],
)
def test_a_budget_that_tells_nobody_is_none(made: Node):
    assert not passes("budget-told", made)


@pytest.mark.parametrize("type_", ["eks/cluster:Cluster", "rds/instance:Instance", "ec2/natGateway:NatGateway"])
def test_what_costs_has_a_budget(type_: str):
    assert places("budget-there", aws(type_)) == ["budget"]
    assert passes("budget-there", aws(type_), budget("ACTUAL", "FORECASTED"))


def test_what_costs_nothing_needs_no_budget():
    assert passes("budget-there", aws("iam/role:Role"), snowflake("AccountRole"))
