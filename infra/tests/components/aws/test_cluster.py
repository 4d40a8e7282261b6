"""Kubernetes on AWS: Auto Mode whole or not at all, closed to the outside, and open to roles that are named."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment
from infra.components.aws import cluster
from infra.components.cluster import Cluster
from infra.components.kubernetes import network

ACCOUNT = "333333333333"


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    return run(lambda stack: Cluster("cluster", stack=stack), stack="cluster")


@pytest.fixture(scope="module")
def made(program: Program) -> dict[str, Any]:
    [found] = program.of("aws:eks/cluster:Cluster").values()
    return found.properties


def test_the_three_parts_of_auto_mode_are_on_together(made: dict[str, Any]) -> None:
    assert made["computeConfig"]["enabled"] is True
    assert made["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert made["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert made["bootstrapSelfManagedAddons"] is False, "a change of this replaces the cluster"


def test_what_replaces_a_cluster_when_it_changes_is_as_it_was(made: dict[str, Any]) -> None:
    assert made["name"] == "leandata-prod"
    assert made["computeConfig"]["nodePools"] == ["general-purpose", "system"]
    assert made["computeConfig"]["nodeRoleArn"].endswith(":role/leandata-prod-nodes")
    assert made["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/16"
    assert made["encryptionConfig"] == {
        "provider": {"keyArn": "arn:aws:kms:eu-central-1:333333333333:key/secrets"}, "resources": ["secrets"],
    }  # fmt: skip


def test_pods_may_ask_for_names_where_nodes_answer_for_them(made: dict[str, Any]) -> None:
    services = ip_network(made["kubernetesNetworkConfig"]["serviceIpv4Cidr"])
    with environment("prod") as prod:
        [rule] = network.closed(prod)["egress"]
    with environment("cluster") as elsewhere:
        [usual] = network.closed(elsewhere)["egress"]
    [block] = [one["ipBlock"]["cidr"] for one in rule["to"] if "ipBlock" in one]
    assert ip_network(block) == ip_network((int(services.network_address) + 10, 32)), (
        "EKS gives names the tenth address"
    )
    assert [one for one in rule["to"] if "ipBlock" not in one] == usual["to"]
    assert {port["port"] for port in rule["ports"]} == {53}


def test_its_api_is_reached_from_inside_the_network_only(made: dict[str, Any]) -> None:
    assert made["vpcConfig"] == {
        "endpointPrivateAccess": True, "endpointPublicAccess": False, "subnetIds": ["subnet-a", "subnet-b", "subnet-c"],
    }  # fmt: skip


def test_ranges_of_the_environments_file_open_it_to_these_and_no_others(run: Any, told: Any) -> None:
    ranges = ["198.51.100.7/32", "192.0.2.0/24"]
    program = run(lambda stack: Cluster("cluster", stack=told(stack, "cluster", open_to=ranges)), stack="cluster")
    [found] = program.of("aws:eks/cluster:Cluster").values()
    assert found.properties["vpcConfig"]["endpointPublicAccess"] is True
    assert found.properties["vpcConfig"]["publicAccessCidrs"] == ["192.0.2.0/24", "198.51.100.7/32"]
    assert found.properties["vpcConfig"]["endpointPrivateAccess"] is True


def test_everything_that_the_control_plane_decides_is_logged(made: dict[str, Any]) -> None:
    assert made["enabledClusterLogTypes"] == ["api", "audit", "authenticator", "controllerManager", "scheduler"]


def test_it_is_not_removed_by_accident(program: Program, made: dict[str, Any]) -> None:
    assert made["deletionProtection"] is True
    assert program.of("aws:eks/cluster:Cluster")["cluster"].protect


def test_whoever_made_it_has_no_right_to_it_for_that(made: dict[str, Any]) -> None:
    assert made["accessConfig"] == {
        "authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False,
    }  # fmt: skip


def test_people_and_the_deployer_may_do_everything_and_other_roles_of_ci_look_on(program: Program) -> None:
    entries = {one.properties["principalArn"] for one in program.of("aws:eks/accessEntry:AccessEntry").values()}
    allowed = program.of("aws:eks/accessPolicyAssociation:AccessPolicyAssociation").values()
    policies = {
        one.properties["principalArn"]: one.properties["policyArn"].rpartition("/")[2].removeprefix("AmazonEKS")
        for one in allowed
    }
    assert policies == {
        f"arn:aws:iam::{ACCOUNT}:role/leandata-prod-deploy": "ClusterAdminPolicy",
        f"arn:aws:iam::{ACCOUNT}:role/leandata-prod-drift": "ViewPolicy",
        f"arn:aws:iam::{ACCOUNT}:role/leandata-prod-preview": "ViewPolicy",
        f"arn:aws:iam::{ACCOUNT}:role/platform-team": "ClusterAdminPolicy",
    }
    assert set(policies) == entries
    assert all(one.properties["accessScope"] == {"type": "cluster"} for one in allowed)


def test_roles_have_their_policies_before_the_cluster_uses_them(program: Program) -> None:
    found = program.of("aws:eks/cluster:Cluster")["cluster"]
    attached = program.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    ours = {name: one for name, one in attached.items() if not name.startswith("observer-")}
    assert len(ours) == 7
    assert {one.urn for one in ours.values()} <= set(found.needs)


def test_the_roles_hold_just_what_auto_mode_asks_for(program: Program) -> None:
    attached = program.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    names = {one.properties["policyArn"].rpartition("/")[2] for one in attached}
    assert names == {
        "AmazonEC2ContainerRegistryPullOnly", "AmazonEKSBlockStoragePolicy", "AmazonEKSClusterPolicy",
        "AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
        "AmazonEKSWorkerNodeMinimalPolicy", "CloudWatchAgentServerPolicy",
    }  # fmt: skip


def test_sessions_of_the_cluster_may_be_tagged(program: Program) -> None:
    role = program.of("aws:iam/role:Role")["cluster"]
    [trust] = json.loads(role.properties["assumeRolePolicy"])["Statement"]
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"], "Auto Mode does not start without"
    assert trust["Principal"] == {"Service": "eks.amazonaws.com"}


def test_secrets_metrics_and_logs_come_as_add_ons(program: Program) -> None:
    found = program.of("aws:eks/addon:Addon")
    assert sorted(found) == [
        "amazon-cloudwatch-observability",
        "aws-secrets-store-csi-driver-provider",
        "metrics-server",
    ]
    observer = found["amazon-cloudwatch-observability"].properties["podIdentityAssociations"]
    assert observer == [
        {"roleArn": "arn:aws:iam::111122223333:role/leandata-prod-observer", "serviceAccount": "cloudwatch-agent"}
    ]
    driver = json.loads(found["aws-secrets-store-csi-driver-provider"].properties["configurationValues"])
    assert driver == {"secrets-store-csi-driver": {"enableSecretRotation": True}}


def test_alarms_ring_at_the_environments_topic(program: Program) -> None:
    alarms = program.of("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert sorted(alarms) == ["failed-nodes", "pending-pods"]
    for one in alarms.values():
        assert one.properties["alarmActions"] == ["arn:aws:sns:eu-central-1:333333333333:alarms"]
        assert one.properties["dimensions"] == {"ClusterName": "leandata-prod"}
        assert one.properties["alarmDescription"]


def test_the_kubeconfig_holds_no_credential() -> None:
    with environment("prod") as prod:
        config = json.loads(cluster.kubeconfig(prod, endpoint="https://abc.example", authority="Y2VydA=="))
    [user] = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"] == [
        "--region", "eu-central-1", "eks", "get-token", "--cluster-name", "leandata-prod", "--output", "json",
    ]  # fmt: skip
    assert config["clusters"][0]["cluster"] == {
        "certificate-authority-data": "Y2VydA==", "server": "https://abc.example",
    }  # fmt: skip
    assert config["current-context"] == config["contexts"][0]["name"]


def test_the_kubeconfig_and_the_group_of_the_pods_are_handed_on(run: Any) -> None:
    seen: dict[str, str] = {}

    def declare(stack: Any) -> None:
        made: Any = Cluster("cluster", stack=stack)
        made.kubeconfig.apply(lambda text: seen.update(kubeconfig=text))
        made.security_group.apply(lambda text: seen.update(security_group=text))

    run(declare, stack="cluster")
    assert seen["security_group"] == "sg-cluster"
    server = json.loads(seen["kubeconfig"])["clusters"][0]["cluster"]["server"]
    assert server == "https://leandata-prod.eks.example"


def test_everything_that_can_say_whose_it_is_does(program: Program) -> None:
    for kind in ("eks/cluster:Cluster", "eks/addon:Addon", "eks/accessEntry:AccessEntry", "iam/role:Role"):
        for one in program.of(f"aws:{kind}").values():
            assert one.properties["tags"]["environment"] == "prod", one.name
            assert one.properties["tags"]["stack"] == "cluster"
