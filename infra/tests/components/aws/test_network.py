"""The network: a private and a public half in every zone, one way out, no way in, and S3 without the internet."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.programs import Program
from ci.testing import environment
from infra.components.aws import network
from infra.components.aws.logs import Logs
from infra.components.aws.network import Network
from infra.components.stack import Stack
from infra.environment import Environment
from infra.parts.aws import Aws

Declared = Callable[..., Program]


def saying(before: Environment, **values: object) -> Environment:
    """The environment when [aws] of its file says something else."""
    said = before.file.aws
    assert said is not None
    other = Aws.model_validate({**said.model_dump(), **values})
    return replace(before, file=before.file.model_copy(update={"aws": other}))


@pytest.fixture(scope="module")
def declared(run: Any) -> Declared:
    """The network of `environment`, when its file says `values` besides."""

    def network_of(name: str = "prod", **values: object) -> Program:
        def declare(stack: Stack) -> None:
            other = replace(stack, environment=saying(stack.environment, **values))
            Network("network", stack=other, logs=Logs("logs", stack=other, key="key"))

        return run(declare, stack="foundation", environment=name)

    return network_of


@pytest.fixture(scope="module")
def program(declared: Declared) -> Program:
    return declared()


def the(program: Program, kind: str) -> dict[str, Any]:
    """The properties of the only resource of that kind."""
    [found] = program.of(kind).values()
    return found.properties


def test_every_zone_has_a_private_and_a_public_subnet(program: Program) -> None:
    subnets = {name: one.properties for name, one in program.of("aws:ec2/subnet:Subnet").items()}
    assert sorted(subnets) == [f"{half}-{zone}" for half in ("private", "public") for zone in "abc"]
    for name, subnet in subnets.items():
        assert subnet["availabilityZone"] == f"eu-central-1{name[-1]}"


def test_no_subnet_gives_public_addresses_by_itself(program: Program) -> None:
    assert all(not one.properties["mapPublicIpOnLaunch"] for one in program.of("aws:ec2/subnet:Subnet").values())


def test_subnets_tell_the_cluster_where_load_balancers_go(program: Program) -> None:
    for name, one in program.of("aws:ec2/subnet:Subnet").items():
        role = "internal-elb" if name.startswith("private") else "elb"
        assert one.properties["tags"][f"kubernetes.io/role/{role}"] == "1"


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "10.128.0.0/17", "172.16.16.0/20", "192.168.0.0/16"])
def test_ranges_lie_in_the_network_and_do_not_overlap(cidr: str) -> None:
    with environment("prod") as prod:
        cut = network.ranges(saying(prod, cidr=cidr))
    pieces = [ipaddress.IPv4Network(text) for one in cut for text in (one.private, one.public)]
    assert len(pieces) == 6
    assert all(piece.subnet_of(ipaddress.IPv4Network(cidr)) for piece in pieces)
    assert not any(a.overlaps(b) for n, a in enumerate(pieces) for b in pieces[n + 1 :])


@given(st.integers(0, 2**20 - 1), st.integers(16, 20), st.sampled_from([["a", "b"], ["a", "b", "c"], ["b", "c", "f"]]))
def test_any_network_is_cut_into_pieces_that_fit_and_do_not_overlap(start: int, prefix: int, zones: list[str]) -> None:
    cidr = ipaddress.IPv4Network((0x0A000000 + (start << 4), prefix), strict=False)
    if not cidr.subnet_of(ipaddress.IPv4Network("10.0.0.0/8")):
        return
    with environment("prod") as prod:
        cut = network.ranges(saying(prod, cidr=str(cidr), zones=zones))
    pieces = [ipaddress.IPv4Network(text) for one in cut for text in (one.private, one.public)]
    assert len(pieces) == 2 * len(zones)
    assert sum(piece.num_addresses for piece in pieces) <= cidr.num_addresses
    assert all(piece.subnet_of(cidr) and piece.num_addresses >= 2**8 for piece in pieces)
    assert len(list(ipaddress.collapse_addresses(pieces))) <= len(pieces)
    assert not any(a.overlaps(b) for n, a in enumerate(pieces) for b in pieces[n + 1 :])


def test_private_halves_are_large_enough_for_an_address_for_every_pod() -> None:
    with environment("prod") as prod:
        for one in network.ranges(prod):
            assert ipaddress.IPv4Network(one.private).num_addresses >= 2**14


def test_another_zone_moves_no_subnet_that_is_there() -> None:
    with environment("prod") as prod:
        assert network.ranges(saying(prod, zones=["a", "b"])) == network.ranges(prod)[:2]


def test_the_only_way_out_of_the_public_half_is_the_internet_gateway(program: Program) -> None:
    route = program.of("aws:ec2/route:Route")["public"].properties
    assert (route["destinationCidrBlock"], route["gatewayId"]) == ("0.0.0.0/0", "internet")
    assert not route.get("natGatewayId")


def test_the_only_way_out_of_the_private_half_is_the_nat_gateway(program: Program) -> None:
    route = program.of("aws:ec2/route:Route")["private"].properties
    assert (route["destinationCidrBlock"], route["natGatewayId"]) == ("0.0.0.0/0", "nat")
    assert not route.get("gatewayId")


def test_every_subnet_is_tied_to_the_routes_of_its_half(program: Program) -> None:
    for name, one in program.of("aws:ec2/routeTableAssociation:RouteTableAssociation").items():
        assert one.properties == {"subnetId": name, "routeTableId": name.partition("-")[0]}


def test_one_regional_gateway_takes_no_address_and_no_subnet(program: Program) -> None:
    nat = the(program, "aws:ec2/natGateway:NatGateway")
    assert (nat["availabilityMode"], nat["vpcId"]) == ("regional", "network")
    assert not {"allocationId", "subnetId"} & set(nat)
    assert not program.of("aws:ec2/eip:Eip")


def test_a_small_environment_has_one_gateway_in_one_zone(declared: Declared) -> None:
    dev = declared("dev")
    nat = the(dev, "aws:ec2/natGateway:NatGateway")
    assert nat["subnetId"] == "public-a"
    assert nat["allocationId"] == "eipalloc-1"
    assert sorted(dev.of("aws:ec2/eip:Eip")) == ["nat"]


def test_zonal_gateways_keep_each_zone_free_of_the_others(declared: Declared) -> None:
    zonal = declared(nat="zonal")
    routes = {name: one.properties.get("natGatewayId") for name, one in zonal.of("aws:ec2/route:Route").items()}
    assert routes == {"public": None, **{f"private-{zone}": f"nat-{zone}" for zone in "abc"}}
    gateways = {name: one.properties["subnetId"] for name, one in zonal.of("aws:ec2/natGateway:NatGateway").items()}
    assert gateways == {f"nat-{zone}": f"public-{zone}" for zone in "abc"}
    ties = zonal.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
    assert ties["private-b"].properties["routeTableId"] == "private-b"


@pytest.mark.parametrize("nat", ["one", "regional", "zonal"])
def test_gateways_wait_for_the_internet_gateway(declared: Declared, nat: str) -> None:
    program = declared(nat=nat)
    [door] = [one.urn for one in program.of("aws:ec2/internetGateway:InternetGateway").values()]
    for kind in ("aws:ec2/natGateway:NatGateway", "aws:ec2/eip:Eip"):
        assert all(door in one.needs for one in program.of(kind).values())


@pytest.mark.parametrize(("nat", "tables"), [("one", 1), ("regional", 1), ("zonal", 3)])
def test_s3_is_reached_from_every_private_subnet_without_the_internet(
    declared: Declared, nat: str, tables: int
) -> None:
    endpoint = the(declared(nat=nat), "aws:ec2/vpcEndpoint:VpcEndpoint")
    assert (endpoint["vpcEndpointType"], endpoint["serviceName"]) == ("Gateway", "com.amazonaws.eu-central-1.s3")
    assert len(endpoint["routeTableIds"]) == len(set(endpoint["routeTableIds"])) == tables
    assert "public" not in endpoint["routeTableIds"]


def test_what_goes_through_the_endpoint_is_the_policy_that_can_be_read(program: Program) -> None:
    with environment("prod") as prod:
        assert json.loads(the(program, "aws:ec2/vpcEndpoint:VpcEndpoint")["policy"]) == network.endpoint_policy(prod)


def test_data_cannot_be_carried_to_a_bucket_of_somebody_else() -> None:
    with environment("prod") as prod:
        own, layers, foreign = network.endpoint_policy(prod)["Statement"]
    assert own["Resource"] == ["*"]
    assert own["Condition"] == {"StringEquals": {"aws:ResourceAccount": "333333333333"}}
    assert layers["Action"] == ["s3:GetObject"]
    assert layers["Resource"] == ["arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/*"]
    assert foreign["Resource"] == ["arn:aws:s3:::sfc-eu-ds1-customer-stage/*"]
    assert foreign["Action"] == ["s3:GetObject", "s3:PutObject"]


def test_without_foreign_buckets_no_bucket_of_others_can_be_written() -> None:
    with environment("prod") as prod:
        statements = network.endpoint_policy(saying(prod, foreign_buckets=[]))["Statement"]
    writers = [one for one in statements if "s3:PutObject" in one["Action"]]
    assert [one["Sid"] for one in writers] == ["OwnBuckets"]


def test_the_endpoint_names_its_actions_and_lets_nobody_delete_versions_or_policies() -> None:
    with environment("prod") as prod:
        actions = {action for one in network.endpoint_policy(prod)["Statement"] for action in one["Action"]}
    assert not any("*" in action for action in actions)
    assert not {action for action in actions if "Policy" in action or action == "s3:DeleteObjectVersion"}


def test_nothing_passes_the_default_security_group(program: Program) -> None:
    group = the(program, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert (group["vpcId"], group["ingress"], group["egress"]) == ("network", [], [])


def test_all_traffic_is_logged_every_minute(program: Program) -> None:
    log = the(program, "aws:ec2/flowLog:FlowLog")
    assert (log["vpcId"], log["trafficType"], log["maxAggregationInterval"]) == ("network", "ALL", 60)


def test_only_our_own_flow_logs_may_write_and_only_into_their_group(program: Program) -> None:
    role = the(program, "aws:iam/role:Role")
    [trust] = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "333333333333"}
    [may] = json.loads(the(program, "aws:iam/rolePolicy:RolePolicy")["policy"])["Statement"]
    assert may["Resource"] == [f"{the(program, 'aws:ec2/flowLog:FlowLog')['logDestination']}:*"]
    assert not any("*" in action for action in may["Action"])


def test_flow_logs_begin_when_their_role_may_write(program: Program) -> None:
    [log] = program.of("aws:ec2/flowLog:FlowLog").values()
    [may] = program.of("aws:iam/rolePolicy:RolePolicy").values()
    assert may.urn in log.needs


def test_the_role_cannot_be_more_than_the_boundary_lets(program: Program) -> None:
    assert (
        the(program, "aws:iam/role:Role")["permissionsBoundary"]
        == "arn:aws:iam::333333333333:policy/leandata-prod-boundary"
    )


def test_everything_has_a_name_that_people_find_in_the_console(program: Program) -> None:
    names = {
        one.properties["tags"]["Name"]
        for kind in ("aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable", "aws:ec2/vpc:Vpc")
        for one in program.of(kind).values()
    }
    assert {"leandata-prod", "leandata-prod-private-a", "leandata-prod-public"} <= names


def test_the_network_is_protected_where_the_environment_says_so(program: Program, declared: Declared) -> None:
    assert program.of("aws:ec2/vpc:Vpc")["network"].protect
    assert not declared("dev").of("aws:ec2/vpc:Vpc")["network"].protect
