"""What an environment costs a month, from its graph and the price list: an estimate that says what it leaves out.

Pure. Whatever costs money and has no price here is listed as not priced, never counted as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ci.pods import Pod, cheapest, pods_of, quantity
from ci.prices import Prices, Usage
from ci.programs import Program, Resource

_NODE_DISK_GB = 80
_GIB = 2.0**30
_SIZES = {"XSMALL": 1, "X-SMALL": 1, "SMALL": 2, "MEDIUM": 4, "LARGE": 8, "XLARGE": 16, "X-LARGE": 16, "XXLARGE": 32}
# Resources that cost nothing by themselves; what they lead to is priced where it arises.
_FREE = (
    "aws:accessanalyzer/", "aws:account/", "aws:acm/certificate", "aws:budgets/", "aws:cloudwatch/logMetricFilter",
    "aws:cloudwatch/logResourcePolicy", "aws:ebs/", "aws:ec2/default", "aws:ec2/eip", "aws:ec2/flowLog",
    "aws:ec2/internetGateway",
    "aws:ec2/mainRoute", "aws:ec2/route", "aws:ec2/securityGroup", "aws:ec2/subnet", "aws:ec2/vpc:", "aws:ec2/vpcDhcp",
    "aws:ecr/lifecycle", "aws:ecr/registry", "aws:ecr/repositoryPolicy", "aws:eks/access", "aws:eks/addon",
    "aws:eks/podIdentity", "aws:iam/", "aws:kms/alias", "aws:kms/keyPolicy", "aws:rds/parameterGroup",
    "aws:rds/subnetGroup", "aws:s3/account", "aws:s3/bucketL", "aws:s3/bucketO", "aws:s3/bucketP", "aws:s3/bucketS",
    "aws:s3/bucketV", "aws:secretsmanager/secretP", "aws:secretsmanager/secretRotation", "aws:ses/", "aws:sesv2/",
    "aws:sns/", "aws:vpc/",
)  # fmt: skip
# Priced by what is used: see `_used`.
_BY_USE = ("aws:cloudwatch/logGroup:", "aws:ecr/repository:", "aws:s3/bucket:")
_GROUP = "alb.ingress.kubernetes.io/group.name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One line: `quantity` units of `unit` a month at `usd` each. `sleeps` is whether it costs nothing while asleep.

    `stack` and `service` are what it is for, "" where lines of several are one.
    """

    what: str
    unit: str
    quantity: float
    usd: float
    sleeps: bool = False
    stack: str = ""
    service: str = ""

    @property
    def monthly(self) -> float:
        """US dollars a month."""
        return self.quantity * self.usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """The lines, the dearest first, and a sentence for each thing that costs money and has no price."""

    items: tuple[Item, ...]
    not_priced: tuple[str, ...]

    @property
    def monthly(self) -> float:
        """US dollars a month, of what is priced."""
        return sum(item.monthly for item in self.items)

    def asleep(self) -> Estimate:
        """The same environment asleep: what is stopped costs nothing, what is stored goes on costing."""
        return Estimate(items=tuple(item for item in self.items if not item.sleeps), not_priced=self.not_priced)

    def biggest(self, count: int = 5) -> tuple[Item, ...]:
        """The dearest lines."""
        return self.items[:count]


Rule = Callable[[Resource, Prices], Iterator[Item]]
Place = tuple[str, str]  # a stack and a service


def estimate(environment: str, programs: Mapping[str, Program], prices: Prices, *, idle: bool = False) -> Estimate:
    """What the environment costs a month, awake; with `idle` without what people's work would cost."""
    found = attributed(environment, programs, prices, idle=idle)
    items = _merged([replace(item, stack="", service="") for item in found.items])
    return Estimate(items=items, not_priced=found.not_priced)


def attributed(environment: str, programs: Mapping[str, Program], prices: Prices, *, idle: bool = False) -> Estimate:
    """The same estimate with a line for each stack and service that it is for; the sum is the same.

    Nodes are shared out by what pods ask for, with what is left empty; what is paid by use by the number of resources
    that use it; a load balancer among the ingresses that it serves.
    """
    usage = prices.usage.get(environment, Usage())
    usage = usage.idle() if idle else usage
    found: list[Item] = []
    missing: set[str] = set()
    placed = [
        (_place(stack, one), one)
        for stack, program in sorted(programs.items())
        for _, one in sorted(program.resources.items())
    ]
    for place, resource in placed:
        rule = _RULES.get(resource.type)
        if rule is not None:
            try:
                found += [_at(place, item) for item in rule(resource, prices)]
            except (KeyError, ValueError) as error:
                missing.add(f"{resource.type} {resource.name}: no price for {error}")
        elif resource.type.startswith("aws:") and not resource.type.startswith(_FREE + _BY_USE):
            missing.add(f"{resource.type}: no rule")
    if any(resource.type.startswith("aws:eks/cluster") for _, resource in placed):
        nodes, problem = _nodes(programs, prices)
        found += nodes
        missing |= problem
    found += _used(placed, usage, prices)
    return Estimate(items=_merged(found), not_priced=tuple(sorted(missing)))


def by_place(found: Estimate) -> dict[Place, float]:
    """US dollars a month by stack and service, sorted."""
    totals: dict[Place, float] = {}
    for item in found.items:
        place = (item.stack, item.service)
        totals[place] = totals.get(place, 0.0) + item.monthly
    return dict(sorted(totals.items()))


def _place(stack: str, resource: Resource) -> Place:
    """The stack, and the service that the resource's tags or labels name, else the stack's own name."""
    metadata: Mapping[str, Any] = resource.properties.get("metadata") or {}
    labels: Mapping[str, Any] = metadata.get("labels") or {}
    tags = resource.properties.get("tags")
    said = tags.get("service") if isinstance(tags, Mapping) else None
    return stack, str(said or labels.get("app.kubernetes.io/part-of") or stack)


def _at(place: Place, item: Item, *, share: float = 1.0) -> Item:
    return replace(item, stack=place[0], service=place[1], quantity=item.quantity * share)


def _shared(item: Item, places: Sequence[Place]) -> Iterator[Item]:
    """The line in equal parts, one for each of `places`."""
    for place in places:
        yield _at(place, item, share=1 / len(places))


def _merged(items: Sequence[Item]) -> tuple[Item, ...]:
    """Lines of the same thing as one, without those of nothing, the dearest first."""
    totals: dict[Item, float] = {}
    for item in items:
        kind = replace(item, quantity=0)
        totals[kind] = totals.get(kind, 0.0) + item.quantity
    merged = [replace(kind, quantity=round(total, 6)) for kind, total in totals.items() if total > 0]
    return tuple(sorted(merged, key=lambda item: (-item.monthly, item.what, item.stack, item.service)))


def _item(prices: Prices, name: str, quantity: float, *, sleeps: bool = False) -> Item:
    price = prices.price[name]
    hours = prices.hours_a_month if price.unit.endswith("hour") else 1
    return Item(what=price.what, unit=price.unit, quantity=quantity * hours, usd=price.usd, sleeps=sleeps)


def _each(name: str) -> Rule:
    """One of the price's unit, all month, for each resource."""

    def rule(resource: Resource, prices: Prices) -> Iterator[Item]:
        del resource
        yield _item(prices, name, 1)

    return rule


def _nat(resource: Resource, prices: Prices) -> Iterator[Item]:
    zones = 3 if resource.properties.get("availabilityMode") == "regional" else 1
    yield _item(prices, "nat_gateway", zones)
    yield _item(prices, "public_address", zones)


def _endpoint(resource: Resource, prices: Prices) -> Iterator[Item]:
    if resource.properties.get("vpcEndpointType") == "Interface":
        yield _item(prices, "interface_endpoint", len(resource.properties.get("subnetIds") or [1]))


def _database(resource: Resource, prices: Prices) -> Iterator[Item]:
    properties = resource.properties
    class_ = str(properties["instanceClass"])
    copies = 2 if properties.get("multiAz") else 1
    hourly = prices.database_classes[class_]
    hours = prices.hours_a_month * copies
    yield Item(what=f"RDS {class_}", unit="hour", quantity=hours, usd=hourly, sleeps=True)
    yield _item(prices, "database_storage", float(properties.get("allocatedStorage", 20)) * copies)


def _balancer(resource: Resource, prices: Prices) -> Iterator[Item]:
    if resource.type.endswith("Service") and (resource.properties.get("spec") or {}).get("type") != "LoadBalancer":
        return
    yield _item(prices, "load_balancer", 1)
    yield _item(prices, "load_balancer_capacity", 0.1)


def _volume(resource: Resource, prices: Prices) -> Iterator[Item]:
    asked = (resource.properties.get("spec") or {})["resources"]["requests"]["storage"]
    yield _item(prices, "volume", quantity(asked) / _GIB)


_RULES: dict[str, Rule] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": _each("alarm"),
    "aws:ec2/natGateway:NatGateway": _nat,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/cluster:Cluster": _each("eks_cluster"),
    "aws:kms/key:Key": _each("key"),
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:rds/instance:Instance": _database,
    "aws:secretsmanager/secret:Secret": _each("secret"),
    "kubernetes:core/v1:PersistentVolumeClaim": _volume,
    "kubernetes:core/v1:Service": _balancer,
}


def _nodes(programs: Mapping[str, Program], prices: Prices) -> tuple[list[Item], set[str]]:
    asked = [
        (_place(stack, resource), pod)
        for stack, program in sorted(programs.items())
        for resource, pod in pods_of(program)
    ]
    found = cheapest([pod for _, pod in asked], prices.node)
    if found is None:
        return [], {"nodes: one pod asks for more than any instance in the price list has"}
    node, count = found
    hours = count * prices.hours_a_month
    fee = prices.price["auto_mode_fee"]
    items = [
        Item(what=f"EC2 {node.type}", unit="hour", quantity=hours, usd=node.usd, sleeps=True),
        Item(what=f"EKS Auto Mode for {node.type}", unit="hour", quantity=hours, usd=node.usd * fee.usd, sleeps=True),
        _item(prices, "node_disk", count * _NODE_DISK_GB, sleeps=True),
    ]

    def weight(pod: Pod) -> float:
        return max(pod.cpu / node.cpu, pod.memory_gib / node.memory_gib)

    whole = sum(weight(pod) for _, pod in asked)
    if not whole:
        return items, set()
    return [_at(place, item, share=weight(pod) / whole) for place, pod in asked for item in items], set()


def _balancers(placed: Sequence[tuple[Place, Resource]]) -> dict[str, list[Place]]:
    """The load balancers of all ingresses, each with those that it serves: its whole group, named by the ingress itself
    or by its class' parameters.
    """
    classes = {
        str(one.properties["metadata"]["name"]): str(
            ((one.properties.get("spec") or {}).get("group") or {}).get("name")
        )
        for _, one in placed
        if one.type.endswith(":IngressClassParams") and (one.properties.get("spec") or {}).get("group")
    }
    found: dict[str, list[Place]] = {}
    for place, one in placed:
        if one.type.endswith("networking.k8s.io/v1:Ingress"):
            said = ((one.properties.get("metadata") or {}).get("annotations") or {}).get(_GROUP)
            of_class = classes.get(str((one.properties.get("spec") or {}).get("ingressClassName")))
            found.setdefault(str(said or of_class or one.name), []).append(place)
    return found


def _used(placed: Sequence[tuple[Place, Resource]], usage: Usage, prices: Prices) -> Iterator[Item]:
    """What is paid by use, for what the environment has."""
    for served in _balancers(placed).values():
        yield from _shared(_item(prices, "load_balancer", 1), served)
        yield from _shared(_item(prices, "load_balancer_capacity", 0.1), served)
    by_use = {
        "aws:s3/bucket:Bucket": ("lake_storage", usage.lake_gb),
        "aws:ecr/repository:Repository": ("image_storage", usage.images_gb),
        "aws:cloudwatch/logGroup:LogGroup": ("log_ingestion", usage.logs_gb),
        "aws:ec2/natGateway:NatGateway": ("nat_traffic", usage.nat_gb),
        "snowflake:index/database:Database": ("warehouse_storage", usage.warehouse_tb),
    }
    stored = {"lake_storage", "image_storage", "warehouse_storage"}
    for type_, (name, amount) in by_use.items():
        users = [place for place, resource in placed if resource.type == type_]
        yield from _shared(_item(prices, name, amount, sleeps=name not in stored), users)
    mailing = [place for place, resource in placed if resource.type.startswith(("aws:ses/", "aws:sesv2/"))]
    yield from _shared(_item(prices, "mail", usage.mails / 1000, sleeps=True), mailing)
    for place, resource in placed:
        if resource.type == "snowflake:index/warehouse:Warehouse":
            credits_an_hour = _SIZES.get(str(resource.properties.get("warehouseSize", "XSMALL")).upper(), 1)
            yield _at(place, _item(prices, "credit", usage.warehouse_hours * credits_an_hour, sleeps=True))


def table(found: Estimate, prices: Prices, *, count: int = 0) -> str:
    """The lines (the `count` dearest; 0 = all), the sum, and what is not priced."""
    items = found.biggest(count) if count else found.items
    lines = [f"{one.monthly:>10,.2f}  {one.what} ({one.quantity:,.6g} x {one.unit} at {one.usd:g})" for one in items]
    lines.append(f"{found.monthly:>10,.2f}  a month in all; {prices.origin}")
    return "\n".join([*lines, *(f"not priced: {sentence}" for sentence in found.not_priced)])
