"""The network on AWS, and the cluster in it: nothing is open that nobody named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.policy.cases import Node, aws, changed
from infra.policy.graph import Graph, Object, at, items, mapping, objects, texts, true
from infra.policy.rule import Hit, Rule

CLUSTER = "aws:eks/cluster:Cluster"
EKS = "Security Hub EKS"
EC2 = "Security Hub EC2"
_WORLD = ("0.0.0.0/0", "::/0")
_CIDRS = ("cidrBlocks", "cidrIpv4", "cidrIpv6", "ipv6CidrBlocks")
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_GROUP = "aws:ec2/securityGroup:SecurityGroup"


def _ingress(graph: Graph) -> Iterator[tuple[Any, str, Object]]:
    """Every rule by which something comes in: the resource, where in it, and the rule."""
    for one in graph.every(_GROUP, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"):
        for rule in objects(one.properties, "ingress"):
            yield one, "ingress.", rule
    for one in graph.every("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        yield one, "", one.properties
    for one in graph.every("aws:ec2/securityGroupRule:SecurityGroupRule"):
        if one.properties.get("type") == "ingress":
            yield one, "", one.properties


def _open(graph: Graph) -> Iterator[Hit]:
    for one, where, rule in _ingress(graph):
        for key in _CIDRS:
            if any(cidr in _WORLD for cidr in items(rule, key)):
                yield Hit(resource=one, property=f"{where}{key}", said="from anywhere")
        if str(at(rule, "ipProtocol", at(rule, "protocol"))) == "-1" and not at(rule, "self"):
            yield Hit(resource=one, property=f"{where}ipProtocol", said="any protocol, any port")


def _default_group(graph: Graph) -> Iterator[Hit]:
    groups = list(graph.every("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"))
    for one in graph.every("aws:ec2/vpc:Vpc"):
        if not groups:
            yield Hit(resource=one, property="defaultSecurityGroup", said="left as AWS makes it: open to itself")
    for one in groups:
        if objects(one.properties, "ingress") or objects(one.properties, "egress"):
            yield Hit(resource=one, property="ingress", said="has rules")


def _flow_logs(graph: Graph) -> Iterator[Hit]:
    for one in graph.every("aws:ec2/vpc:Vpc"):
        if not any(graph.beside(one, "aws:ec2/flowLog:FlowLog", "vpcId")):
            yield Hit(resource=one, property="cidrBlock", said="no FlowLog")


def _public_addresses(graph: Graph) -> Iterator[Hit]:
    for one in graph.every("aws:ec2/subnet:Subnet"):
        if true(one.properties.get("mapPublicIpOnLaunch")):
            yield Hit(resource=one, property="mapPublicIpOnLaunch", said="true")


def _endpoint(graph: Graph) -> Iterator[Hit]:
    """The API server answers inside the network; outside it only to the ranges that the environment's file lists."""
    for one in graph.every(CLUSTER):
        network = mapping(one.properties, "vpcConfig")
        if not true(at(network, "endpointPrivateAccess")):
            yield Hit(resource=one, property="vpcConfig.endpointPrivateAccess", said="not true")
        if at(network, "endpointPublicAccess") is not False:
            ranges = items(network, "publicAccessCidrs")
            if not ranges or any(one in _WORLD for one in ranges):
                yield Hit(resource=one, property="vpcConfig.publicAccessCidrs", said="anywhere")


def _cluster_logs(graph: Graph) -> Iterator[Hit]:
    for one in graph.every(CLUSTER):
        if missing := sorted(set(_LOGS) - set(texts(one.properties, "enabledClusterLogTypes"))):
            yield Hit(resource=one, property="enabledClusterLogTypes", said=f"not {', '.join(missing)}")


def _cluster_secrets(graph: Graph) -> Iterator[Hit]:
    for one in graph.every(CLUSTER):
        found = mapping(one.properties, "encryptionConfig")
        if "secrets" not in items(found, "resources") or not at(found, "provider.keyArn"):
            yield Hit(resource=one, property="encryptionConfig", said="not by a key of ours")


def _cluster_access(graph: Graph) -> Iterator[Hit]:
    for one in graph.every(CLUSTER):
        access = mapping(one.properties, "accessConfig")
        if at(access, "authenticationMode") != "API":
            yield Hit(resource=one, property="accessConfig.authenticationMode", said="aws-auth counts")
        if at(access, "bootstrapClusterCreatorAdminPermissions") is not False:
            yield Hit(resource=one, property="accessConfig.bootstrapClusterCreatorAdminPermissions", said="not false")
        if not any(graph.every("aws:eks/accessEntry:AccessEntry")):
            yield Hit(resource=one, property="accessConfig", said="no AccessEntry: nobody may come in")


def _balancers(graph: Graph) -> Iterator[Hit]:
    """What listens for people speaks TLS, or sends them on to where TLS is spoken."""
    for one in graph.every("aws:lb/listener:Listener", "aws:alb/listener:Listener"):
        protocol = str(one.properties.get("protocol", ""))
        redirected = any(
            at(action, "redirect.protocol") == "HTTPS" for action in items(one.properties, "defaultActions")
        )
        if protocol not in ("HTTPS", "TLS") and not redirected:
            yield Hit(resource=one, property="protocol", said=protocol)


def _topics(graph: Graph) -> Iterator[Hit]:
    for one in graph.every("aws:sns/topicSubscription:TopicSubscription"):
        if one.properties.get("protocol") == "http":
            yield Hit(resource=one, property="protocol", said="http")


def _cluster(changes: Object) -> Node:
    good = {
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        "enabledClusterLogTypes": list(_LOGS),
        "encryptionConfig": {"provider": {"keyArn": "it"}, "resources": ["secrets"]},
        "vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False},
    }
    return aws("eks/cluster:Cluster", changed(good, changes))


def _from(cidr: str) -> Node:
    rule = {"cidrIpv4": cidr, "fromPort": 443, "ipProtocol": "tcp", "toPort": 443}
    return aws("vpc/securityGroupIngressRule:SecurityGroupIngressRule", rule)


_VPC = aws("ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"})
_ENTRY = aws("eks/accessEntry:AccessEntry")

RULES: tuple[Rule, ...] = (
    Rule(
        id="security-group-open", title="No port is open to the world", check=_open, severity="high",
        source=f"{EC2}.18, {EC2}.19", reason="It is found within minutes", remedy="Name the range and the port",
        good=(_from("10.0.0.0/16"),), bad=(_from("0.0.0.0/0"),),
    ),
    Rule(
        id="security-group-default", title="The default security group lets nothing through", check=_default_group,
        source=f"{EC2}.2", severity="medium", reason="What is put nowhere talks to all others of its kind",
        remedy="Add a DefaultSecurityGroup without rules",
        good=(_VPC, aws("ec2/defaultSecurityGroup:DefaultSecurityGroup")), bad=(_VPC,),
    ),
    Rule(
        id="network-logged", title="Networks log who talked to whom", check=_flow_logs, severity="medium",
        source=f"{EC2}.6", reason="Nobody can tell what was taken, and where to", remedy="Add a FlowLog",
        good=(_VPC, aws("ec2/flowLog:FlowLog", {"vpcId": "it"})), bad=(_VPC,),
    ),
    Rule(
        id="subnet-addresses", title="Nothing gets a public address by itself", check=_public_addresses,
        severity="high",
        source=f"{EC2}.15", reason="A machine in the wrong subnet is on the internet",
        remedy="Leave mapPublicIpOnLaunch out",
        good=(aws("ec2/subnet:Subnet"),), bad=(aws("ec2/subnet:Subnet", {"mapPublicIpOnLaunch": True}),),
    ),
    Rule(
        id="cluster-private", title="The API server is not open to the world", check=_endpoint, severity="high",
        source=f"{EKS}.1", reason="One leaked login is enough", good=(_cluster({}),),
        remedy="Set endpointPrivateAccess, and endpointPublicAccess false or publicAccessCidrs",
        bad=(_cluster({"vpcConfig.endpointPublicAccess": True}),),
    ),
    Rule(
        id="cluster-logged", title="The control plane logs all that it does", check=_cluster_logs, severity="medium",
        source=f"{EKS}.8", reason="Nobody can tell who did what", good=(_cluster({}),),
        remedy=f"Set enabledClusterLogTypes to {', '.join(_LOGS)}",
        bad=(_cluster({"enabledClusterLogTypes": ["api"]}),),
    ),
    Rule(
        id="cluster-secrets", title="Secrets of Kubernetes are encrypted by a key of ours", check=_cluster_secrets,
        source=f"{EKS}.3", severity="high", reason="They lie readable in etcd and its copies", good=(_cluster({}),),
        remedy="Set encryptionConfig", bad=(_cluster({"encryptionConfig": None}),),
    ),
    Rule(
        id="cluster-access", title="Access to the cluster is by entries that everybody can read", check=_cluster_access,
        source="EKS best practices guide, access entries", severity="high", good=(_cluster({}), _ENTRY),
        reason="Whoever made the cluster is its administrator for ever, unseen",
        remedy="Set authenticationMode API, bootstrapClusterCreatorAdminPermissions false, and add an AccessEntry",
        bad=(_cluster({"accessConfig.authenticationMode": "CONFIG_MAP"}), _ENTRY),
    ),
    Rule(
        id="balancer-encrypted", title="Load balancers speak TLS", check=_balancers, severity="high",
        source="Security Hub ELB.1", reason="Passwords and numbers are read on the way",
        remedy="Set protocol HTTPS, or redirect to it",
        good=(aws("lb/listener:Listener", {"protocol": "HTTPS"}),),
        bad=(aws("lb/listener:Listener", {"protocol": "HTTP"}),),
    ),
    Rule(
        id="alarms-encrypted", title="Alarms are not told over plain HTTP", check=_topics, severity="medium",
        source="Security Hub SNS", reason="What is wrong with us is told to everybody on the way",
        remedy="Use https, email or sqs", good=(aws("sns/topicSubscription:TopicSubscription", {"protocol": "email"}),),
        bad=(aws("sns/topicSubscription:TopicSubscription", {"protocol": "http"}),),
    ),
)  # fmt: skip
