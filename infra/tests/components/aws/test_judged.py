"""What is made on AWS, whatever the environment's file says of it, is judged by all our policies."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.programs import Program
from ci.testing import environment, stack_of
from infra.components.aws import identity, secret
from infra.components.cluster import Cluster
from infra.components.lake import Lake
from infra.components.mail import Mail
from infra.policy import Finding, judge

ELSEWHERE = {"budget-there"}  # the bootstrap has it


def findings(programs: dict[str, Program], *, name: str = "prod") -> list[Finding]:
    with environment(name) as real:
        found = judge(programs, environment=real)
    return [one for one in found if one.rule not in ELSEWHERE | {"waiver-unused"}]


def pods(stack: Any) -> None:
    """The identities and secrets of two services."""
    parent = pulumi.ComponentResource("test:index:Parent", "parent")
    for owner, account in (("airflow", "airflow-task"), ("dask", "dask-worker")):
        secret.make_secret(parent, name=f"{owner}-key", stack=stack, kind="hex")
        names = pulumi.Output.from_input([f"{owner}-key"])
        identity.make_identity(parent, stack=stack, owner=owner, account=account, data=True, secrets=names)


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_no_policy_finds_anything(run: Any, ground: dict[str, Any], name: str) -> None:
    made = {
        "airflow": run(pods, stack="airflow", environment=name),
        "cluster": run(lambda stack: Cluster("cluster", stack=stack), stack="cluster", environment=name),
        "database": stack_of(name, "database", ground),
        "lake": run(lambda stack: Lake("lake", stack=stack), stack="lake", environment=name),
        "mail": run(lambda stack: Mail("mail", stack=stack), stack="mail", environment=name),
    }
    assert findings(made, name=name) == []


BLOCKS = st.builds(
    lambda a, b, size: f"{a}.{b}.0.0/{size}", st.integers(1, 223), st.integers(0, 255), st.integers(16, 32)
)


@pytest.mark.integration
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    open_to=st.lists(BLOCKS, max_size=4, unique=True),
    days=st.tuples(st.integers(30, 400), st.integers(30, 400), st.integers(7, 3000), st.integers(30, 3000)),
)
def test_no_file_gives_a_public_bucket_or_a_cluster_open_to_all(
    run: Any, told: Any, open_to: list[str], days: tuple[int, int, int, int]
) -> None:
    seldom, more, versions, logs = days
    kept = {"seldom_after": seldom, "archived_after": max(90, seldom + more), "versions": versions, "logs": logs}
    made = {
        "cluster": run(
            lambda stack: Cluster("cluster", stack=told(stack, "cluster", open_to=open_to)), stack="cluster"
        ),
        "lake": run(lambda stack: Lake("lake", stack=told(stack, "lake", **kept)), stack="lake"),
    }
    assert findings(made) == []
    [found] = made["cluster"].of("aws:eks/cluster:Cluster").values()
    assert found.properties["vpcConfig"]["endpointPublicAccess"] == bool(open_to)
    assert found.properties["vpcConfig"].get("publicAccessCidrs", []) == sorted(open_to)
