"""What a change costs, by stack and service: ten environments against sums done by hand, and budgets that say stop."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.cost import attributed, by_place, estimate
from ci.preview.money import money, over_budget
from ci.preview.report import Money
from ci.prices import Prices, Usage
from ci.programs import Program, Resource
from ci.tests.graphs import deployment, graph, resource
from ci.verbs.cost import table
from infra.components.manifest import Budget, ServiceManifest

PRICES = Prices.load().model_copy(
    update={"usage": {"prod": Usage(lake_gb=500, nat_gb=200, logs_gb=50, images_gb=20, warehouse_hours=90, warehouse_tb=0.5, mails=1000)}}
)  # fmt: skip


def of(service: str, found: Resource) -> Resource:
    """The resource with the tag of a service."""
    return Resource(**{**{name: getattr(found, name) for name in Resource.__slots__}, "properties": {**found.properties, "tags": {"service": service}}})  # fmt: skip


def labelled(service: str, found: Resource) -> Resource:
    metadata = {**found.properties.get("metadata", {}), "labels": {"app.kubernetes.io/part-of": service}}
    return Resource(**{**{name: getattr(found, name) for name in Resource.__slots__}, "properties": {**found.properties, "metadata": metadata}})  # fmt: skip


CLUSTER = resource("aws:eks/cluster:Cluster", "c")
DATABASE = resource(
    "aws:rds/instance:Instance", "d", {"instanceClass": "db.m7g.large", "allocatedStorage": 100, "multiAz": True}
)
NAT = resource("aws:ec2/natGateway:NatGateway", "n", {"availabilityMode": "regional"})
WAREHOUSE = resource("snowflake:index/warehouse:Warehouse", "w", {"warehouseSize": "MEDIUM"})
BUCKETS = [resource("aws:s3/bucket:Bucket", name) for name in ("raw", "curated", "models")]
INGRESS = resource(
    "kubernetes:networking.k8s.io/v1:Ingress", "i",
    {"metadata": {"name": "i", "annotations": {"alb.ingress.kubernetes.io/group.name": "web"}}},
)  # fmt: skip
CLAIM = resource(
    "kubernetes:core/v1:PersistentVolumeClaim", "p", {"spec": {"resources": {"requests": {"storage": "50Gi"}}}}
)
# By hand, from the price pages' figures: 730 hours a month.
BY_HAND: dict[str, tuple[list[Resource], float]] = {
    "a cluster without a pod": ([CLUSTER], 73.00),
    "a cluster with one pod on one small node": (
        [CLUSTER, deployment("a", cpu="500m", memory="1Gi")], 73.00 + 730 * 0.097 * 1.12 + 80 * 0.0952,
    ),
    "a database on two machines": ([DATABASE], 2 * (730 * 0.195 + 100 * 0.137)),
    "a gateway in three zones with its traffic": ([NAT], 3 * 730 * 0.057 + 200 * 0.052),
    "a medium warehouse that works 90 hours": ([WAREHOUSE], 90 * 4 * 3.90),
    "a lake of three buckets and 500 GB": (BUCKETS, 500 * 0.0245),
    "one load balancer for a page": ([INGRESS], 730 * (0.027 + 0.1 * 0.008)),
    "a volume of 50 GiB": ([CLAIM], 50 * 0.0952),
    "keys, secrets and alarms": (
        [resource("aws:kms/key:Key", str(n)) for n in range(4)]
        + [resource("aws:secretsmanager/secret:Secret", str(n)) for n in range(10)]
        + [resource("aws:cloudwatch/metricAlarm:MetricAlarm", str(n)) for n in range(5)],
        4 * 1.00 + 10 * 0.40 + 5 * 0.10,
    ),
    "a small platform": (
        [CLUSTER, DATABASE, NAT, WAREHOUSE, *BUCKETS, deployment("a", cpu="500m", memory="1Gi")],
        73.00 + 79.3184 + 7.616 + 312.10 + 124.83 + 10.40 + 1404.00 + 12.25,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_the_cost_line_is_within_five_per_cent_of_a_sum_by_hand(name: str) -> None:
    resources, by_hand = BY_HAND[name]
    found = money("prod", graph(), graph(*resources), prices=PRICES, manifests={})
    assert math.isclose(found.difference, by_hand, rel_tol=0.05), (found.difference, by_hand)
    assert found.base == 0


def test_there_are_ten_sums() -> None:
    assert len(BY_HAND) == 10


def test_a_stack_and_a_service_have_lines_of_their_own_and_the_sum_is_the_estimate() -> None:
    programs: dict[str, Program] = {
        **graph(CLUSTER, stack="cluster"),
        **graph(labelled("api", deployment("api", cpu="1", memory="1Gi")), stack="api"),
        **graph(labelled("dash", deployment("dash", cpu="3", memory="3Gi")), DATABASE, stack="dash"),
        **graph(of("api", resource("aws:kms/key:Key", "k")), resource("aws:kms/key:Key", "l"), stack="foundation"),
    }
    found = by_place(attributed("prod", programs, PRICES))
    assert set(found) == {("cluster", "cluster"), ("api", "api"), ("dash", "dash"), ("foundation", "api"), ("foundation", "foundation")}  # fmt: skip
    assert math.isclose(sum(found.values()), estimate("prod", programs, PRICES).monthly, abs_tol=0.01)
    assert found["foundation", "api"] == 1.0
    of_nodes = found["dash", "dash"] - 312.10
    assert math.isclose(of_nodes, 3 * found["api", "api"], rel_tol=0.01), "by what pods ask for"


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(list(BY_HAND))), max_size=8))
def test_lines_always_add_up_to_the_estimate(chosen: list[tuple[str, str]]) -> None:
    programs: dict[str, Program] = {}
    for stack, name in chosen:
        for one in BY_HAND[name][0]:
            programs.setdefault(stack, Program()).resources[one.urn] = one
    lines = by_place(attributed("prod", programs, PRICES))
    assert math.isclose(sum(lines.values()), estimate("prod", programs, PRICES).monthly, abs_tol=0.01)


def test_a_page_that_several_stacks_share_is_shared_out() -> None:
    programs = {**graph(INGRESS, stack="api"), **graph(INGRESS, stack="dash")}
    lines = by_place(attributed("prod", programs, PRICES))
    assert lines["api", "api"] == lines["dash", "dash"]
    assert math.isclose(lines["api", "api"], 730 * (0.027 + 0.1 * 0.008) / 2)


def test_what_is_not_priced_is_listed_and_in_no_sum() -> None:
    strange = resource("aws:redshift/cluster:Cluster", "r")
    found = money("prod", graph(), graph(strange, DATABASE), prices=PRICES, manifests={})
    assert found.not_priced == ("aws:redshift/cluster:Cluster: no rule",)
    assert math.isclose(found.head, 312.10)
    assert "  not priced: aws:redshift/cluster:Cluster: no rule" in list(table(found))


# -- budgets -----------------------------------------------------------------------------------------------------------


class Signers:
    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return (f"{stack}-team", f"{kind}-team")


def manifests(**budgets: float) -> dict[str, ServiceManifest]:
    whole = ServiceManifest.load("api")
    return {name: whole.model_copy(update={"name": name, "budget": Budget(monthly_usd=usd)}) for name, usd in budgets.items()}  # fmt: skip


def of_api(*resources: Resource) -> dict[str, Program]:
    return graph(*resources, stack="api")


@pytest.mark.parametrize(
    ("base", "head", "usd", "risks"),
    [
        ([], [DATABASE], 300, 1),
        ([], [DATABASE], 313, 0),
        ([], [DATABASE], 312.10, 0),
        ([DATABASE], [DATABASE], 300, 0),
        ([DATABASE], [DATABASE, resource("aws:kms/key:Key", "k")], 300, 1),
        ([DATABASE, resource("aws:kms/key:Key", "k")], [DATABASE], 300, 0),
    ],
    ids=["goes over", "stays under", "is just reached", "was over before", "goes further over", "comes down"],
)
def test_going_over_a_budget_is_a_risk_that_its_teams_sign(base: Any, head: Any, usd: float, risks: int) -> None:
    found = money("prod", of_api(*base), of_api(*head), prices=PRICES, manifests=manifests(api=usd))
    said = list(over_budget(found, teams=Signers()))
    assert len(said) == risks
    if risks:
        assert (said[0].kind, said[0].name, said[0].teams) == ("cost", "api", ("api-team", "cost-team"))
        assert f"its budget is {usd:,.2f}" in said[0].why


def test_a_service_without_a_budget_may_cost_anything() -> None:
    found = money("prod", graph(), of_api(DATABASE), prices=PRICES, manifests={"api": ServiceManifest.load("api").model_copy(update={"budget": None})})  # fmt: skip
    assert found.budgets == ()


def test_a_budget_is_for_all_that_belongs_to_the_service_in_any_stack() -> None:
    head = {**of_api(DATABASE), **graph(of("api", resource("aws:kms/key:Key", "k")), stack="foundation")}
    found = money("prod", graph(), head, prices=PRICES, manifests=manifests(api=313))
    assert [round(one.head, 2) for one in found.budgets] == [313.10]
    assert found.budgets[0].over


def test_the_table_says_before_after_and_over() -> None:
    found = money("prod", graph(), of_api(DATABASE), prices=PRICES, manifests=manifests(api=300))
    shown = list(table(found))
    assert shown[1].split() == ["api", "api", "0.00", "312.10", "+312.10"]
    assert shown[3] == "  budget of api: 312.10 of 300.00 OVER"
    assert "typed by hand" in shown[-1]


def test_an_environment_that_costs_nothing_says_so() -> None:
    assert list(table(Money(lines=(), budgets=(), not_priced=(), origin=""))) == ["  nothing that costs money"]
