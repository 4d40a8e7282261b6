"""What an environment costs: against sums done by hand, and nothing counted as zero that is only unknown."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.cost import Estimate, Item, estimate, table
from ci.pods import Pod, cheapest, pods, quantity, scaled_replicas, vcpus
from ci.prices import PATH, Node, Prices
from ci.programs import Resource
from ci.snapshot import take
from ci.tests.graphs import deployment, graph, resource
from leandata.errors import SettingsError

PRICES = Prices.load()
HOURS = PRICES.hours_a_month
CLUSTER = resource("aws:eks/cluster:Cluster", "c")


def cost(*resources: Resource, environment: str = "nobody", idle: bool = False) -> Estimate:
    return estimate(environment, graph(*resources), PRICES, idle=idle)


def database(class_: str = "db.t4g.medium", **more: Any) -> Resource:
    return resource("aws:rds/instance:Instance", "d", {"instanceClass": class_, "allocatedStorage": 20, **more})


def test_the_price_list_says_when_and_where_it_is_from() -> None:
    assert PRICES.typed_on >= date(2026, 11, 1)
    assert PRICES.region == "eu-central-1"
    assert "typed by hand" in PRICES.origin
    assert all(price.source.startswith("https://") for price in PRICES.price.values())


def test_a_price_list_with_an_unknown_key_is_refused_with_its_file(tmp_path: Any) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(PATH.read_text() + "\n[price.other]\nwhat = 'x'\nunit = 'y'\nusd = 1.0\nsource = 'z'\neuro = 1\n")
    with pytest.raises(SettingsError, match=r"price\.other\.euro: unknown key \(.*prices\.toml\)"):
        Prices.load(path)


@pytest.mark.parametrize(
    ("resources", "by_hand"),
    [
        ([CLUSTER], 0.10 * 730),
        ([resource("aws:kms/key:Key", str(n)) for n in range(4)], 4.00),
        ([resource("aws:secretsmanager/secret:Secret", str(n)) for n in range(10)], 4.00),
        ([resource("aws:ec2/natGateway:NatGateway", "n", {})], 730 * (0.052 + 0.005)),
        ([resource("aws:ec2/natGateway:NatGateway", "n", {"availabilityMode": "regional"})], 3 * 730 * (0.052 + 0.005)),
        ([database()], 0.075 * 730 + 20 * 0.137),
        ([database("db.m7g.large", multiAz=True, allocatedStorage=100)], 2 * (0.195 * 730 + 100 * 0.137)),
        ([resource("aws:ec2/vpcEndpoint:VpcEndpoint", "e", {"vpcEndpointType": "Gateway"})], 0.0),
        ([resource("aws:ec2/vpcEndpoint:VpcEndpoint", "e", {"vpcEndpointType": "Interface", "subnetIds": ["a", "b"]})], 2 * 730 * 0.012),
        ([resource("aws:lb/loadBalancer:LoadBalancer", "l")], 730 * (0.027 + 0.1 * 0.008)),
        ([resource("aws:cloudwatch/metricAlarm:MetricAlarm", str(n)) for n in range(7)], 0.70),
        ([CLUSTER, deployment("a", cpu="500m", memory="1Gi")], 73 + 730 * 0.097 * 1.12 + 80 * 0.0952),
        ([resource("kubernetes:core/v1:PersistentVolumeClaim", "p", {"spec": {"resources": {"requests": {"storage": "20Gi"}}}})], 20 * 0.0952),
    ],
)  # fmt: skip
def test_an_environment_costs_what_a_person_would_add_up(resources: list[Resource], by_hand: float) -> None:
    found = cost(*resources)
    assert math.isclose(found.monthly, by_hand, abs_tol=0.01)
    assert found.not_priced == ()


def test_two_ingresses_of_one_group_share_a_load_balancer() -> None:
    def ingress(name: str, group: str) -> Resource:
        annotations = {"alb.ingress.kubernetes.io/group.name": group}
        return resource(
            "kubernetes:networking.k8s.io/v1:Ingress", name, {"metadata": {"name": name, "annotations": annotations}}
        )

    one = cost(ingress("a", "web"), ingress("b", "web")).monthly
    assert math.isclose(one, 730 * (0.027 + 0.1 * 0.008), abs_tol=0.01)
    assert math.isclose(cost(ingress("a", "web"), ingress("b", "other")).monthly, 2 * one, abs_tol=0.01)


def test_ingresses_of_a_class_whose_parameters_name_a_group_share_a_load_balancer() -> None:
    parameters = resource(
        "kubernetes:eks.amazonaws.com/v1:IngressClassParams",
        "alb",
        {"metadata": {"name": "alb"}, "spec": {"group": {"name": "ours"}}},
    )

    def ingress(name: str, class_: str) -> Resource:
        properties = {"metadata": {"name": name}, "spec": {"ingressClassName": class_}}
        return resource("kubernetes:networking.k8s.io/v1:Ingress", name, properties)

    one = cost(parameters, ingress("a", "alb"), ingress("b", "alb")).monthly
    assert math.isclose(one, 730 * (0.027 + 0.1 * 0.008), abs_tol=0.01)
    two = cost(parameters, ingress("a", "alb"), ingress("b", "other")).monthly
    assert math.isclose(two, 2 * one, abs_tol=0.01), "another class has a load balancer of its own"


def test_what_has_no_rule_or_no_price_is_said_and_not_counted() -> None:
    found = cost(
        resource("aws:redshift/cluster:Cluster", "r"), database("db.x99.huge"), resource("aws:iam/role:Role", "free")
    )
    assert found.monthly == 0
    assert found.not_priced == (
        "aws:rds/instance:Instance d: no price for 'db.x99.huge'",
        "aws:redshift/cluster:Cluster: no rule",
    )
    assert "not priced: aws:redshift/cluster:Cluster: no rule" in table(found, PRICES)


def test_a_pod_that_fits_on_no_instance_is_said() -> None:
    found = cost(CLUSTER, deployment("huge", memory="900Gi"))
    assert found.not_priced == ("nodes: one pod asks for more than any instance in the price list has",)


def test_asleep_only_what_is_stored_or_cannot_stop_goes_on_costing() -> None:
    awake = cost(CLUSTER, database(), deployment("a"), resource("aws:kms/key:Key", "k"))
    asleep = awake.asleep()
    assert {item.what for item in asleep.items} == {"EKS control plane", "KMS key", "RDS storage (gp3), each copy"}
    assert asleep.monthly < awake.monthly


def test_the_work_of_people_is_assumed_and_an_idle_environment_has_none() -> None:
    warehouse = resource("snowflake:index/warehouse:Warehouse", "w", {"warehouseSize": "SMALL"})
    bucket = resource("aws:s3/bucket:Bucket", "b")
    usage = PRICES.usage["prod"]
    assert math.isclose(cost(warehouse, environment="prod").monthly, usage.warehouse_hours * 2 * 3.90)
    assert cost(warehouse, environment="prod", idle=True).monthly == 0
    assert math.isclose(cost(bucket, environment="prod", idle=True).monthly, usage.lake_gb * 0.0245)


def test_lines_are_merged_and_the_dearest_come_first() -> None:
    found = cost(CLUSTER, *(resource("aws:kms/key:Key", str(n)) for n in range(3)), database())
    assert [item.monthly for item in found.items] == sorted((item.monthly for item in found.items), reverse=True)
    assert len({item.what for item in found.items}) == len(found.items)
    assert found.biggest(1)[0].what == "EKS control plane"
    assert len(table(found, PRICES, count=2).splitlines()) == 3


def test_an_item_is_its_quantity_times_its_price() -> None:
    assert Item(what="x", unit="hour", quantity=730, usd=0.1).monthly == pytest.approx(73)


def test_one_machine_costs_nothing() -> None:
    found = estimate("local", take("local"), PRICES)
    assert (found.monthly, found.not_priced) == (0, ())


# -- pods and nodes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", 0.5),
        ("1", 1),
        (2, 2),
        ("1.5", 1.5),
        ("512Mi", 512 * 2**20),
        ("1Gi", 2**30),
        ("1G", 1e9),
        ("64Ki", 65536),
        ("1e3", 1000),
    ],
)
def test_a_quantity_is_a_number(text: object, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "one", "5 Gi", "-1", "1GiB", None])
def test_what_is_no_quantity_says_so(text: object) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


@given(st.integers(0, 10**6))
def test_millis_are_thousandths(number: int) -> None:
    assert quantity(f"{number}m") == pytest.approx(number / 1000)


def autoscaler(name: str, minimum: int) -> Resource:
    spec = {"minReplicas": minimum, "maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": name}}
    return resource(
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        f"{name}-scaler",
        {"metadata": {"name": name, "namespace": "ns"}, "spec": spec},
    )


def dask(**spec: Any) -> Resource:
    pod = {"containers": [{"name": "x", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}
    whole = {"scheduler": {"spec": pod}, "worker": {"replicas": 2, "spec": pod}, **spec}
    return resource(
        "kubernetes:kubernetes.dask.org/v1:DaskCluster",
        "d",
        {"metadata": {"name": "d", "namespace": "ns"}, "spec": whole},
    )


def test_pods_are_counted_at_the_smallest_that_an_autoscaler_leaves() -> None:
    programs = graph(deployment("a", replicas=5), autoscaler("a", 2), deployment("b", replicas=3))
    assert scaled_replicas(programs["s"]) == {("ns", "a"): 2}
    assert sorted(pod.owner for pod in pods(programs)) == ["ns/a"] * 2 + ["ns/b"] * 3


def test_a_dask_cluster_is_its_scheduler_and_its_workers() -> None:
    assert len(pods(graph(dask()))) == 3
    scaler = resource(
        "kubernetes:kubernetes.dask.org/v1:DaskAutoscaler",
        "s",
        {"metadata": {"namespace": "ns", "name": "s"}, "spec": {"cluster": "d", "minimum": 0, "maximum": 8}},
    )
    assert len(pods(graph(dask(), scaler))) == 1


def test_a_pod_asks_for_its_containers_or_for_its_largest_init_container() -> None:
    def asks(cpu: str) -> dict[str, Any]:
        return {"name": "x", "resources": {"requests": {"cpu": cpu}}}

    one = resource(
        "kubernetes:apps/v1:Deployment",
        "a",
        {
            "metadata": {"name": "a"},
            "spec": {"template": {"spec": {"containers": [asks("1"), asks("500m")], "initContainers": [asks("2")]}}},
        },
    )
    assert [pod.cpu for pod in pods(graph(one))] == [2.0]
    assert vcpus(pods(graph(one))) == 2


NODES = [Node(type="small", usd=1.0, cpu=2, memory_gib=4), Node(type="large", usd=1.9, cpu=4, memory_gib=8)]


def pod(cpu: float, memory: float) -> Pod:
    return Pod(owner="o", cpu=cpu, memory_gib=memory)


def test_the_cheapest_instances_that_hold_all_pods_are_taken() -> None:
    assert cheapest([pod(1, 1)], NODES) == (NODES[0], 1)
    assert cheapest([pod(3, 1)], NODES) == (NODES[1], 1)
    assert cheapest([pod(1, 1)] * 4, NODES) == (NODES[1], 1)
    assert cheapest([pod(5, 1)], NODES) is None
    assert cheapest([], NODES) == (NODES[0], 0)


@given(st.lists(st.tuples(st.floats(0.1, 4), st.floats(0.1, 8)), min_size=1, max_size=20))
def test_no_node_holds_more_than_it_has(asked: list[tuple[float, float]]) -> None:
    found = cheapest([pod(cpu, memory) for cpu, memory in asked], NODES)
    assert found is not None
    node, count = found
    assert sum(cpu for cpu, _ in asked) <= node.cpu * count + 1e-6
    assert sum(memory for _, memory in asked) <= node.memory_gib * count + 1e-6
