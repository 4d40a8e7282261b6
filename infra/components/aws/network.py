"""The network: a public and a private half in every zone. What works lies in the private one and is not reached."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider
from infra.components.aws.logs import Logs
from infra.components.aws.place import place_of, table
from infra.components.stack import Stack
from infra.environment import Environment

_ANYWHERE = "0.0.0.0/0"
_MAX_ZONES = 3
_MINUTE = 60
_OWN_ACTIONS = (
    "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject", "s3:GetObjectVersion",
    "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:PutObject",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """The ranges of one availability zone (`zone` is its full name)."""

    zone: str
    private: str
    public: str


def ranges(environment: Environment) -> list[Ranges]:
    """The network's range, cut: a quarter of it for the private half of each zone, a sixteenth for the public one.

    Of the same place for the same zone, however many zones there are.
    """
    said = table(environment)
    quarters = list(ipaddress.IPv4Network(said.cidr).subnets(prefixlen_diff=2))
    pieces = list(quarters[_MAX_ZONES].subnets(prefixlen_diff=2))
    return [
        Ranges(zone=f"{said.region}{letter}", private=str(quarters[number]), public=str(pieces[number]))
        for number, letter in enumerate(said.zones)
    ]


def endpoint_policy(environment: Environment) -> documents.Document:
    """What may be done with S3 from inside the network, whatever rights a program brings along.

    Files of this account, layers of images (ECR keeps them in a bucket of AWS), and the buckets of others that the
    environment's file names: data cannot be carried off to anybody else's bucket.
    """
    place, foreign = place_of(environment), table(environment).foreign_buckets
    own = {"StringEquals": {"aws:ResourceAccount": place.account}}
    layers = f"arn:{place.partition}:s3:::prod-{place.region}-starport-layer-bucket/*"
    statements = [
        documents.statement("OwnBuckets", _OWN_ACTIONS, ["*"], condition=own),
        documents.statement("ImageLayers", ["s3:GetObject"], [layers]),
    ]
    if foreign:
        files = [f"arn:{place.partition}:s3:::{bucket}/*" for bucket in foreign]
        statements.append(documents.statement("ForeignBuckets", ["s3:GetObject", "s3:PutObject"], files))
    return documents.document([{**one, "Principal": "*"} for one in statements])


class Network(pulumi.ComponentResource):
    """`vpc` is its id, `private_subnets` and `public_subnets` those of its halves, in the order of the zones."""

    vpc: pulumi.Output[str]
    private_subnets: pulumi.Output[list[str]]
    public_subnets: pulumi.Output[list[str]]

    def __init__(self, name: str, *, stack: Stack, logs: Logs) -> None:
        super().__init__("leandata:index:Network", name)
        self._stack = stack
        said = table(stack.environment)
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=said.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(),
            opts=provider.options(stack, parent=self, protect=True),
        )
        self.vpc = vpc.id
        self._close(vpc)
        self._log(vpc, logs)
        cut = ranges(stack.environment)
        door = aws.ec2.InternetGateway("internet", vpc_id=vpc.id, tags=self._tags(), opts=self._options(vpc))
        outside = self._table(vpc, "public", gateway=door)
        public = [self._subnet(vpc, one, public=True, routes=outside) for one in cut]
        inside = self._inside(vpc, public, door)
        private = [self._subnet(vpc, one, public=False, routes=inside[n]) for n, one in enumerate(cut)]
        self.private_subnets = pulumi.Output.all(*(subnet.id for subnet in private))
        self.public_subnets = pulumi.Output.all(*(subnet.id for subnet in public))
        aws.ec2.VpcEndpoint(
            "s3",
            vpc_id=vpc.id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{said.region}.s3",
            route_table_ids=[one.id for one in {id(found): found for found in inside}.values()],
            policy=json.dumps(endpoint_policy(stack.environment), sort_keys=True),
            tags=self._tags("s3"),
            opts=self._options(vpc),
        )
        self.register_outputs({"vpc": self.vpc})

    def _options(self, parent: pulumi.Resource, needs: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        return provider.options(self._stack, parent=parent, needs=needs)

    def _tags(self, *parts: str) -> dict[str, str]:
        environment = self._stack.environment
        return {**naming.tags(environment, stack=self._stack.name), "Name": naming.account_wide(environment, *parts)}

    def _close(self, vpc: aws.ec2.Vpc) -> None:
        """Nothing passes the group that AWS gives to what names none."""
        aws.ec2.DefaultSecurityGroup(
            "default", vpc_id=vpc.id, ingress=[], egress=[], tags=self._tags("closed"), opts=self._options(vpc)
        )

    def _log(self, vpc: aws.ec2.Vpc, logs: Logs) -> None:
        """Who talked to whom, and who was refused, minute by minute."""
        environment = self._stack.environment
        place = place_of(environment)
        condition = {
            "ArnLike": {"aws:SourceArn": place.arn("ec2", "vpc-flow-log/*")},
            "StringEquals": {"aws:SourceAccount": place.account},
        }
        role = aws.iam.Role(
            "flow-logs",
            name=naming.account_wide(environment, "flow-logs"),
            assume_role_policy=json.dumps(
                documents.trust("vpc-flow-logs.amazonaws.com", condition=condition), sort_keys=True
            ),
            permissions_boundary=provider.boundary(environment),
            tags=self._tags("flow-logs"),
            opts=self._options(vpc),
        )
        group = logs.flow
        write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        policy = group.arn.apply(
            lambda arn: json.dumps(
                documents.document([documents.statement("Write", write, [f"{arn}:*"])]), sort_keys=True
            )
        )
        may = aws.iam.RolePolicy("flow-logs", name="write", role=role.name, policy=policy, opts=self._options(role))
        aws.ec2.FlowLog(
            "flow-logs",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=_MINUTE,
            tags=self._tags(),
            opts=self._options(vpc, [may]),
        )

    def _table(
        self,
        vpc: aws.ec2.Vpc,
        name: str,
        *,
        gateway: aws.ec2.InternetGateway | None = None,
        nat: aws.ec2.NatGateway | None = None,
    ) -> aws.ec2.RouteTable:
        """A table of routes whose only way out is the gateway that is given."""
        made = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags=self._tags(name), opts=self._options(vpc))
        aws.ec2.Route(
            name,
            route_table_id=made.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id if gateway else None,
            nat_gateway_id=nat.id if nat else None,
            opts=self._options(made),
        )
        return made

    def _subnet(self, vpc: aws.ec2.Vpc, cut: Ranges, *, public: bool, routes: aws.ec2.RouteTable) -> aws.ec2.Subnet:
        """One half of a zone; the tag tells the cluster where load balancers go: see "subnet discovery" of EKS."""
        kind, role = ("public", "elb") if public else ("private", "internal-elb")
        name = f"{kind}-{cut.zone[-1]}"
        made = aws.ec2.Subnet(
            name,
            vpc_id=vpc.id,
            availability_zone=cut.zone,
            cidr_block=cut.public if public else cut.private,
            map_public_ip_on_launch=False,
            tags={**self._tags(name), f"kubernetes.io/role/{role}": "1"},
            opts=self._options(vpc),
        )
        aws.ec2.RouteTableAssociation(name, subnet_id=made.id, route_table_id=routes.id, opts=self._options(made))
        return made

    def _inside(
        self, vpc: aws.ec2.Vpc, public: list[aws.ec2.Subnet], door: aws.ec2.InternetGateway
    ) -> list[aws.ec2.RouteTable]:
        """The private routes of every zone, each to its gateway: of one zone, of its own, or of the region."""
        said = table(self._stack.environment)
        if said.nat == "regional":
            nat = aws.ec2.NatGateway(
                "nat",
                availability_mode="regional",
                vpc_id=vpc.id,
                tags=self._tags("nat"),
                opts=self._options(vpc, [door]),
            )
            return [self._table(vpc, "private", nat=nat)] * len(public)
        if said.nat == "one":
            nat = self._nat(vpc, "nat", public[0], door)
            return [self._table(vpc, "private", nat=nat)] * len(public)
        zones = zip(said.zones, public, strict=True)
        return [
            self._table(vpc, f"private-{letter}", nat=self._nat(vpc, f"nat-{letter}", subnet, door))
            for letter, subnet in zones
        ]

    def _nat(
        self, vpc: aws.ec2.Vpc, name: str, subnet: aws.ec2.Subnet, door: aws.ec2.InternetGateway
    ) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(name, domain="vpc", tags=self._tags(name), opts=self._options(vpc, [door]))
        return aws.ec2.NatGateway(
            name,
            allocation_id=address.allocation_id,
            subnet_id=subnet.id,
            tags=self._tags(name),
            opts=self._options(vpc, [door]),
        )
