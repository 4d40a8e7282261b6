"""Kubernetes on AWS: EKS in Auto Mode, closed to the outside, its secrets encrypted, everything it decides logged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider, rights, watch
from infra.components.aws.place import place_of, table
from infra.components.aws.watch import Watch
from infra.components.stack import Stack
from infra.environment import Environment
from infra.stacks.foundation.outputs import FoundationOutputs

NODE_POOLS = ("general-purpose", "system")
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_OF_AWS = "arn:aws:iam::aws:policy/"
_CLUSTER_POLICIES = (
    "AmazonEKSBlockStoragePolicy", "AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)  # fmt: skip
_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
_ACCESS = "arn:aws:eks::aws:cluster-access-policy/"
_ADMIN, _VIEW = f"{_ACCESS}AmazonEKSClusterAdminPolicy", f"{_ACCESS}AmazonEKSViewPolicy"
_TOKEN = "client.authentication.k8s.io/v1beta1"  # noqa: S105 - the version of an interface
_WATCHED = (
    Watch(
        name="failed-nodes", says="A node of the cluster has failed and is not replaced",
        metric="cluster_failed_node_count", threshold=0, statistic="Maximum",
    ),
    Watch(
        name="pending-pods", says="Pods wait longer than half an hour for a place in the cluster",
        metric="pod_status_pending", threshold=0, periods=6, statistic="Minimum",
    ),
)  # fmt: skip


def make_cluster(parent: pulumi.Resource, *, stack: Stack) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """The cluster, who may use it, and its add-ons; its kubeconfig without a credential, and its security group."""
    environment = stack.environment
    name = naming.account_wide(environment)
    control, attached = _role(
        parent, stack, "cluster", trust=documents.cluster_trust(place_of(environment)), policies=_CLUSTER_POLICIES
    )
    nodes, more = _role(parent, stack, "nodes", trust=documents.trust("ec2.amazonaws.com"), policies=_NODE_POLICIES)
    made = _cluster(parent, stack, control=control, nodes=nodes, needs=[*attached, *more])
    for number, admin in enumerate(table(environment).cluster.admins):
        _admit(made, stack, f"admin-{number}", principal=admin, policy=_ADMIN)
    for role in rights.ROLES:
        policy = _ADMIN if role == "deploy" else _VIEW
        _admit(made, stack, role, principal=rights.role_arn(environment, role), policy=policy)
    _addons(made, stack)
    dimensions = {"ClusterName": name}
    watch.make_alarms(made, stack=stack, namespace="ContainerInsights", dimensions=dimensions, watched=_WATCHED)
    known = pulumi.Output.all(made.endpoint, made.certificate_authority.data)
    config = known.apply(lambda parts: kubeconfig(environment, endpoint=parts[0], authority=parts[1]))
    return config, made.vpc_config.cluster_security_group_id


def kubeconfig(environment: Environment, *, endpoint: str, authority: str) -> str:
    """How the cluster is reached, as JSON: whoever uses it proves who he is by his own AWS credentials."""
    name, region = naming.account_wide(environment), place_of(environment).region
    token = {
        "apiVersion": _TOKEN,
        "args": ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
        "command": "aws",
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "clusters": [{"cluster": {"certificate-authority-data": authority, "server": endpoint}, "name": name}],
            "contexts": [{"context": {"cluster": name, "user": name}, "name": name}],
            "current-context": name,
            "kind": "Config",
            "users": [{"name": name, "user": {"exec": token}}],
        },
        sort_keys=True,
    )


def _cluster(
    parent: pulumi.Resource, stack: Stack, *, control: aws.iam.Role, nodes: aws.iam.Role, needs: list[pulumi.Resource]
) -> aws.eks.Cluster:
    environment, ground = stack.environment, FoundationOutputs.of(stack)
    said = table(environment).cluster
    subnets: Any = ground.private_subnets
    network = aws.eks.ClusterVpcConfigArgs(
        subnet_ids=subnets,
        endpoint_private_access=True,
        endpoint_public_access=bool(said.open_to),
        public_access_cidrs=sorted(said.open_to) or None,
    )
    encryption = aws.eks.ClusterEncryptionConfigArgs(
        provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=ground.key_secrets), resources=["secrets"]
    )
    balancing = aws.eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(enabled=True)
    return aws.eks.Cluster(
        "cluster",
        name=naming.account_wide(environment),
        role_arn=control.arn,
        version=said.version,
        bootstrap_self_managed_addons=False,
        access_config=aws.eks.ClusterAccessConfigArgs(
            authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
        ),
        compute_config=aws.eks.ClusterComputeConfigArgs(
            enabled=True, node_pools=list(NODE_POOLS), node_role_arn=nodes.arn
        ),
        kubernetes_network_config=aws.eks.ClusterKubernetesNetworkConfigArgs(
            elastic_load_balancing=balancing, ip_family="ipv4", service_ipv4_cidr=naming.SERVICES_ON_AWS
        ),
        storage_config=aws.eks.ClusterStorageConfigArgs(
            block_storage=aws.eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
        ),
        vpc_config=network,
        encryption_config=encryption,
        enabled_cluster_log_types=list(LOGS),
        upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
        zonal_shift_config=aws.eks.ClusterZonalShiftConfigArgs(enabled=True),
        deletion_protection=table(environment).protected,
        tags=naming.tags(environment, stack=stack.name),
        opts=provider.options(stack, parent=parent, needs=needs, protect=True),
    )


def _role(
    parent: pulumi.Resource, stack: Stack, name: str, *, trust: Mapping[str, Any], policies: Sequence[str]
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """A role with policies that AWS keeps; what must be attached before the role is used."""
    environment = stack.environment
    role = aws.iam.Role(
        name,
        name=naming.account_wide(environment, name),
        assume_role_policy=json.dumps(trust, sort_keys=True),
        permissions_boundary=provider.boundary(environment),
        tags=naming.tags(environment, stack=stack.name),
        opts=provider.options(stack, parent=parent),
    )
    attached: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy.rpartition('/')[2]}",
            role=role.name,
            policy_arn=f"{_OF_AWS}{policy}",
            opts=provider.options(stack, parent=role),
        )
        for policy in policies
    ]
    return role, attached


def _admit(made: aws.eks.Cluster, stack: Stack, name: str, *, principal: str, policy: str) -> None:
    """Let the role `principal` do in the cluster what `policy` says. To view is not to see secrets."""
    entry = aws.eks.AccessEntry(
        name,
        cluster_name=made.name,
        principal_arn=principal,
        type="STANDARD",
        tags=naming.tags(stack.environment, stack=stack.name),
        opts=provider.options(stack, parent=made),
    )
    aws.eks.AccessPolicyAssociation(
        name,
        cluster_name=made.name,
        principal_arn=principal,
        policy_arn=policy,
        access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
        opts=provider.options(stack, parent=entry),
    )


def _addons(made: aws.eks.Cluster, stack: Stack) -> None:
    """What Auto Mode does not bring: secrets as files, the figures that pods scale by, logs and metrics of pods."""
    environment = stack.environment
    trust = documents.addon_trust(place_of(environment), cluster=naming.account_wide(environment))
    agent, attached = _role(made, stack, "observer", trust=trust, policies=["CloudWatchAgentServerPolicy"])
    identity = aws.eks.AddonPodIdentityAssociationArgs(role_arn=agent.arn, service_account="cloudwatch-agent")
    driver = {"secrets-store-csi-driver": {"enableSecretRotation": True}}
    _addon(made, stack, "aws-secrets-store-csi-driver-provider", values=driver)
    _addon(made, stack, "metrics-server")
    _addon(made, stack, "amazon-cloudwatch-observability", identities=[identity], needs=attached)


def _addon(
    made: aws.eks.Cluster,
    stack: Stack,
    name: str,
    *,
    values: Mapping[str, Any] | None = None,
    identities: Sequence[aws.eks.AddonPodIdentityAssociationArgs] = (),
    needs: list[pulumi.Resource] | None = None,
) -> None:
    aws.eks.Addon(
        name,
        addon_name=name,
        cluster_name=made.name,
        configuration_values=json.dumps(values, sort_keys=True) if values else None,
        pod_identity_associations=list(identities) or None,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        tags=naming.tags(stack.environment, stack=stack.name),
        opts=provider.options(stack, parent=made, needs=needs),
    )
