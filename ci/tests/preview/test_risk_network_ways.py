"""Ways into what we run: each that is new or wider is flagged where it is declared, a narrower or renamed one is not."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.programs import Resource
from ci.tests.graphs import resource
from ci.tests.preview.judged import risks

GROUP, ROUTE = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/route:Route"
RULE, OLD_RULE = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:ec2/securityGroupRule:SecurityGroupRule",
)
CLUSTER, LISTENER = "aws:eks/cluster:Cluster", "aws:lb/listener:Listener"
POLICY, NAMESPACE = "kubernetes:networking.k8s.io/v1:NetworkPolicy", "kubernetes:core/v1:Namespace"
INGRESS, SERVICE = "kubernetes:networking.k8s.io/v1:Ingress", "kubernetes:core/v1:Service"
PROCESS = "machine:index:Process"
SPACE = resource(NAMESPACE, "ns", {"metadata": {"name": "api"}})
PLACE = {"name": "api", "namespace": "api"}


def where(before: list[Resource], after: list[Resource]) -> list[str]:
    """The resources at which the network opens."""
    return [one.name for one in risks(before, after, "network")]


def it(type_: str, **said: Any) -> list[Resource]:
    return [resource(type_, "it", said)]


def rule(**said: Any) -> list[Resource]:
    return it(RULE, **{"securityGroupId": "sg", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, **said})


def group(*rules: dict[str, Any]) -> list[Resource]:
    return it(GROUP, name="web", ingress=list(rules))


def route(**said: str) -> list[Resource]:
    return it(ROUTE, routeTableId="t", **said)


def api(**said: Any) -> list[Resource]:
    return it(CLUSTER, name="c", vpcConfig={"endpointPrivateAccess": True, **said})


def page(*paths: str, host: str = "a.example") -> list[Resource]:
    rules = [{"host": host, "http": {"paths": [{"path": path} for path in paths]}}]
    return it(INGRESS, metadata=PLACE, spec={"rules": rules})


SSH = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["10.0.0.0/8"]}
# What each row goes from, and what it goes to, which is wider: the way back narrows.
WIDER: dict[str, tuple[list[Resource], list[Resource]]] = {
    "a rule for the world": (rule(cidrIpv4="10.0.0.0/8"), rule(cidrIpv4="0.0.0.0/0")),
    "a rule for the world of IPv6": (rule(cidrIpv6="fd00::/8"), rule(cidrIpv6="::/0")),
    "one port more": (rule(cidrIpv4="10.0.0.0/8"), rule(cidrIpv4="10.0.0.0/8", toPort=444)),
    "all protocols": (rule(cidrIpv4="10.0.0.0/8"), rule(cidrIpv4="10.0.0.0/8", ipProtocol="-1")),
    "a rule in a group": (group(), group(SSH)),
    "an address more in a group": (group(SSH), group({**SSH, "cidrBlocks": ["10.0.0.0/8", "192.168.0.0/24"]})),
    "the group itself": (group(), group({"protocol": "-1", "self": True})),
    "another group": (group(SSH), group(SSH, {"protocol": "-1", "securityGroups": ["sg-b"]})),
    "a rule of the older kind": (
        it(OLD_RULE, type="ingress", securityGroupId="a", protocol="tcp", cidrBlocks=["10.0.0.0/24"]),
        it(OLD_RULE, type="ingress", securityGroupId="a", protocol="tcp", cidrBlocks=["10.0.0.0/16"]),
    ),
    "a route to the internet": (
        route(destinationCidrBlock="10.0.0.0/8", gatewayId="igw"),
        route(destinationCidrBlock="0.0.0.0/0", gatewayId="igw"),
    ),
    "the API server for the world": (
        api(endpointPublicAccess=True, publicAccessCidrs=["192.0.2.0/24"]),
        api(endpointPublicAccess=True),
    ),
    "the API server without a word of who": (api(endpointPublicAccess=False), api()),
    "a path more": (page("/a"), page("/a", "/b")),
    "an address of Snowflake's rule": (
        it("snowflake:index/networkRule:NetworkRule", name="R", valueLists=["192.0.2.1/32"]),
        it("snowflake:index/networkRule:NetworkRule", name="R", valueLists=["192.0.2.0/24"]),
    ),
    "a process in its settings": (
        it(PROCESS, name="a", env={"BIND": "127.0.0.1:80"}),
        it(PROCESS, name="a", env={"BIND": "0.0.0.0:80"}),
    ),
    "a process on one address": (
        it(PROCESS, name="a", command=["x", "--listen", "localhost"]),
        it(PROCESS, name="a", command=["x", "--listen", "192.0.2.7"]),
    ),
    "an outer address of a service": (
        it(SERVICE, metadata=PLACE, spec={"externalIPs": []}),
        it(SERVICE, metadata=PLACE, spec={"externalIPs": ["192.0.2.1"]}),
    ),
    "a load balancer": (
        it(SERVICE, metadata=PLACE, spec={"type": "ClusterIP"}),
        it(SERVICE, metadata=PLACE, spec={"type": "LoadBalancer"}),
    ),
    "a public page": (
        it("kubernetes:eks.amazonaws.com/v1:IngressClassParams", metadata=PLACE, spec={"scheme": "internal"}),
        it("kubernetes:eks.amazonaws.com/v1:IngressClassParams", metadata=PLACE, spec={"scheme": "internet-facing"}),
    ),
    "addresses of a subnet": (
        it("aws:ec2/subnet:Subnet", mapPublicIpOnLaunch=False),
        it("aws:ec2/subnet:Subnet", mapPublicIpOnLaunch=True),
    ),
    "a bucket that may be public": (
        it("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket="a", blockPublicAcls=True),
        it("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket="a", blockPublicAcls=False),
    ),
    "a database without TLS": (
        it("aws:rds/parameterGroup:ParameterGroup", parameters=[{"name": "rds.force_ssl", "value": "1"}]),
        it("aws:rds/parameterGroup:ParameterGroup", parameters=[{"name": "rds.force_ssl", "value": "0"}]),
    ),
    "mail in the open": (
        it("aws:sesv2/configurationSet:ConfigurationSet", deliveryOptions={"tlsPolicy": "REQUIRE"}),
        it("aws:sesv2/configurationSet:ConfigurationSet", deliveryOptions={"tlsPolicy": "OPTIONAL"}),
    ),
    "a page without TLS": (
        it(INGRESS, metadata=PLACE, spec={"tls": [{"hosts": ["a"]}]}),
        it(INGRESS, metadata=PLACE, spec={}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WIDER)
def test_what_opens_is_flagged_at_its_resource_and_what_closes_is_not(what: str) -> None:
    narrow, wide = WIDER[what]
    (found,) = risks(narrow, wide)
    assert (found.name, found.stack, found.teams, found.confirm) == ("it", "s", ("s", "network"), False)
    assert risks(wide, narrow) == []


@pytest.mark.parametrize("what", [what for what in WIDER if not what.startswith("an outer")])
def test_what_only_has_another_name_in_the_program_opens_nothing(what: str) -> None:
    (old,) = WIDER[what][1]
    assert where([old], [resource(old.type, "renamed", old.properties)]) == []


def test_a_group_that_opens_is_named_and_not_its_neighbour() -> None:
    shut, other = resource(GROUP, "db", {"name": "db", "ingress": []}), resource(GROUP, "web", {"name": "web"})
    opened = resource(GROUP, "db", {"name": "db", "ingress": [SSH], "tags": {"a": "b"}})
    changed = resource(GROUP, "web", {"name": "web", "tags": {"a": "b"}})
    assert where([shut, other], [opened, changed]) == ["db"]


def test_a_way_that_another_resource_declares_instead_is_none() -> None:
    one = resource(RULE, "one", rule(cidrIpv4="10.0.0.0/8")[0].properties)
    two = resource(RULE, "two", rule(cidrIpv4="10.1.0.0/16")[0].properties)
    assert where([one], [two]) == []
    assert where([two], [one]) == ["one"]


def test_what_leaves_through_a_rule_is_no_way_in() -> None:
    said = {"securityGroupId": "a", "protocol": "tcp"}
    assert where([], it(OLD_RULE, **said, type="egress", cidrBlocks=["0.0.0.0/0"])) == []
    assert where([], it(OLD_RULE, **said, type="ingress", cidrBlocks=["0.0.0.0/0"])) == ["it"]


def test_a_new_listener_is_a_way_in_by_its_port() -> None:
    (found,) = risks([], it(LISTENER, port=80))
    assert found.why == "opened: anybody to the listener it, 80"
    assert where(it(LISTENER, port=80), it(LISTENER, port=80, tags={"a": "b"})) == []


def test_many_ways_are_one_risk_that_says_how_many_more() -> None:
    (found,) = risks(group(), group(*({**SSH, "cidrBlocks": [f"10.{n}.0.0/16"]} for n in range(5))))
    assert found.why.startswith("opened: 10.0.0.0/16 to the security group")
    assert found.why.endswith("; and 2 more")


NETWORKS = st.integers(8, 32).flatmap(
    lambda bits: st.integers(0, 2**32 - 1).map(lambda a: str(ipaddress.ip_network((a, bits), strict=False)))
)
PORTS = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted)


@given(NETWORKS, st.integers(0, 8), PORTS, PORTS)
def test_a_rule_is_flagged_exactly_when_it_holds_more_addresses_or_ports(
    cidr: str, up: int, old: list[int], new: list[int]
) -> None:
    wide = str(ipaddress.ip_network(cidr).supernet(up))
    before = rule(cidrIpv4=cidr, fromPort=old[0], toPort=old[1])
    after = rule(cidrIpv4=wide, fromPort=new[0], toPort=new[1])
    inside = set(range(new[0], new[1] + 1)) <= set(range(old[0], old[1] + 1))
    assert (where(before, after) == []) == (inside and up == 0)


# -- network policies --------------------------------------------------------------------------------------------------


def policy(
    name: str = "api",
    *,
    pods: dict[str, str] | None = None,
    peers: list[dict[str, Any]] | None = None,
    ports: list[Any] | None = None,
    types: list[str] | None = None,
) -> Resource:
    spec: dict[str, Any] = {"podSelector": {"matchLabels": pods} if pods else {}}
    if peers is not None:
        spec["ingress"] = [{"from": peers, "ports": [{"port": port, "protocol": "TCP"} for port in ports or [80]]}]
    if types != []:
        spec["policyTypes"] = types or ["Ingress"]
    return resource(POLICY, name, {"metadata": {"name": name, "namespace": "api"}, "spec": spec})


def pods(**labels: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels} if labels else {}}


ANY_SPACE: dict[str, Any] = {"namespaceSelector": {}}
WEB = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "web"}}}
PEERS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "all pods": ([pods(app="a")], [pods()]),
    "another pod": ([pods(app="a")], [pods(app="a"), pods(app="b")]),
    "everybody": ([pods(app="a")], []),
    "all namespaces": ([WEB], [ANY_SPACE]),
    "such a pod in all namespaces": ([{**WEB, **pods(app="a")}], [{**ANY_SPACE, **pods(app="a")}]),
    "any pod of a namespace": ([{**WEB, **pods(app="a")}], [WEB]),
    "addresses": ([{"ipBlock": {"cidr": "10.0.0.0/16"}}], [{"ipBlock": {"cidr": "10.0.0.0/8"}}]),
    "addresses that were left out": (
        [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
        [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
    ),
}


@pytest.mark.parametrize("what", PEERS)
def test_a_policy_that_lets_more_in_is_flagged_and_one_that_lets_less_in_is_not(what: str) -> None:
    narrow, wide = (policy(peers=peers) for peers in PEERS[what])
    assert where([SPACE, narrow], [SPACE, wide]) == ["api"]
    assert where([SPACE, wide], [SPACE, narrow]) == []


def test_addresses_are_no_pods_whoever_they_are() -> None:
    block = {"ipBlock": {"cidr": "10.0.0.0/8"}}
    assert where([SPACE, policy(peers=[ANY_SPACE])], [SPACE, policy(peers=[block])]) == ["api"]
    assert where([SPACE, policy(peers=[block])], [SPACE, policy(peers=[ANY_SPACE])]) == ["api"]


def test_a_label_that_ends_like_another_one_is_another_one() -> None:
    sides = [policy(peers=[{**space, **pods(**said)}]) for space, said in (
        (ANY_SPACE, {"app": "a"}), (WEB, {"example.com/app": "a"}))]  # fmt: skip
    assert where([SPACE, sides[0]], [SPACE, sides[1]]) == ["api"]


def test_ports_by_name_are_only_themselves() -> None:
    by = {name: policy(peers=[pods()], ports=[name]) for name in ("http", "metrics", "80")}
    assert where([SPACE, by["http"]], [SPACE, by["metrics"]]) == ["api"]
    assert where([SPACE, by["http"]], [SPACE, by["http"]]) == []
    assert where([SPACE, by["80"]], [SPACE, by["http"]]) == ["api"]


@pytest.mark.parametrize("types", [["Ingress"], []], ids=["said", "as Kubernetes takes it when nothing is said"])
def test_pods_that_no_policy_takes_any_more_are_open(types: list[str]) -> None:
    (found,) = risks([SPACE, policy(pods={"app": "a"}, types=types)], [SPACE])
    assert (found.name, found.why) == ("api", "no policy closes app=a for Ingress")


def test_a_wider_policy_may_take_over_and_a_narrower_one_may_not() -> None:
    old = policy(pods={"app": "a"})
    assert where([SPACE, old], [SPACE, policy("all")]) == []
    assert where([SPACE, policy("all")], [SPACE, policy(pods={"app": "a"})]) == ["all"]
    assert where([SPACE, old], [SPACE, policy("other", pods={"app": "b"})]) == ["api"]
    assert where([SPACE, old], [SPACE, policy("all", types=["Egress"])]) == ["api"]


def test_a_policy_goes_with_its_namespace() -> None:
    assert where([SPACE, policy()], []) == []


# -- in the open -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("https://a/x", "http://a/x", "https -> http"),
        ("rediss://a:1", "redis://b:1", "rediss -> redis"),
        ("x https://a https://b", "x https://a http://b", "https -> http"),
        ("postgresql://a?sslmode=verify-full", "postgresql://a?sslmode=require", "verify-full -> require"),
        ("postgresql://a?sslmode=require", "postgresql://a", "require -> nothing"),
        ("http://a", "https://a", ""),
        ("https://a", "https://b", ""),
        ("https://a", "", ""),
        ("http://a", "http://b", ""),
        ("https://a", "ftp://a", ""),
        ("postgresql://a?sslmode=odd", "postgresql://a", ""),
        ("postgresql://a?sslmode=require", "postgresql://a?sslmode=verify-ca", ""),
    ],
)
def test_an_address_that_was_encrypted_and_is_not_is_a_risk(before: str, after: str, why: str) -> None:
    sides = [it(PROCESS, name="a", env={"URL": text}) for text in (before, after)]
    assert [one.why for one in risks(*sides)] == ([f"env.URL: {why}"] if why else [])


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [("true", "false", True), ("1", "0", True), ("on", None, True), ("false", "true", False), ("true", "1", False)],
)
def test_a_switch_that_asks_for_encryption_may_be_spelled_anew_but_not_turned_off(
    before: str, after: str | None, *, found: bool
) -> None:
    sides = [it(PROCESS, name="a", env={"REQUIRE_TLS": text} if text else {}) for text in (before, after)]
    assert where(*sides) == (["it"] if found else [])


def test_plain_http_beside_https_is_a_risk_of_the_page() -> None:
    def listening(ports: str) -> list[Resource]:
        notes = {"alb.ingress.kubernetes.io/listen-ports": ports}
        return it(INGRESS, metadata={**PLACE, "annotations": notes})

    both, safe = listening('[{"HTTP":80},{"HTTPS":443}]'), listening('[{"HTTPS":443}]')
    assert [one.why for one in risks(safe, both)] == ["it listens to plain HTTP"]
    assert where(both, safe) == []
