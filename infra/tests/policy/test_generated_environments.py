"""Whatever an environment's file says, no policy is broken: no public bucket, no warehouse without a monitor, no bad pod.

The parts that an environment's file sizes are run under mocks, each in environments that nobody has written yet: as
many as GENERATED_EXAMPLES says. A thousand take about eight minutes.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.programs import Program
from ci.testing import ON_AWS, declared_by
from infra.components.compute import ComputeCluster
from infra.components.kubernetes import pods
from infra.components.kubernetes.spaces import Spaces
from infra.components.lake import Lake
from infra.components.manifest import ServiceManifest
from infra.components.service import Program as Process
from infra.components.service import Service
from infra.components.stack import Stack
from infra.components.warehouse import Warehouse
from infra.environment import Environment, EnvironmentFile
from infra.policy import RULES, judge
from infra.policy.cases import DIGEST, LABELS, manifest
from infra.policy.graph import PRODUCTION, Graph
from infra.policy.restricted import RULES as RESTRICTED

EXAMPLES = int(os.environ.get("GENERATED_EXAMPLES") or 60)
ELSEWHERE = {"bucket-account-blocked", "budget-there", "waiver-unused"}


def api(stack: Stack) -> None:
    """The API's process as its manifest sizes it."""
    found = ServiceManifest.load("api").one("api")
    listen = stack.listen("api")
    command = [stack.python, "-m", "serving", "--host", listen.bind, "--port", str(listen.port)]
    Service("api", stack=stack, programs=[Process(manifest=found, command=command, settings={})])


def warehouse(stack: Stack) -> None:
    """The warehouse, with the stages of two zones."""
    Warehouse("warehouse", stack=stack, zones={"raw": "s3://raw", "curated": "s3://curated"})


def dask(stack: Stack) -> None:
    """The compute cluster."""
    ComputeCluster("dask", stack=stack, manifest=ServiceManifest.load("dask"))


def lake(stack: Stack) -> None:
    """The buckets."""
    Lake("lake", stack=stack)


def cluster(stack: Stack) -> None:
    """The namespaces."""
    Spaces("spaces", stack=stack)


PARTS: dict[str, Callable[[Stack], None]] = {
    "api": api, "cluster": cluster, "dask": dask, "lake": lake, "warehouse": warehouse
}  # fmt: skip


def changed(value: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a file with other values at these dotted keys, where the file has the table."""
    made = dict(value)
    for path, new in changes.items():
        key, _, rest = path.partition(".")
        if rest and isinstance(made.get(key), dict):
            made[key] = changed(made[key], {rest: new})
        elif not rest:
            made[key] = new
    return made


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An environment of ours, and other values for what its file sizes."""
    name = draw(st.sampled_from(["cluster", "dev", "prod", "staging"]))
    replicas, seldom = draw(st.integers(1, 50)), draw(st.integers(30, 400))
    names = draw(st.lists(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), min_size=2, max_size=5, unique=True))
    sizes = {
        one: {
            "serves": ("services", "teams")[place % 2],
            "size": draw(st.sampled_from(["XSMALL", "SMALL", "MEDIUM", "LARGE", "XLARGE"])),
            "credits": draw(st.integers(1, 100_000)),
            "auto_suspend": draw(st.integers(1, 60)),
            "statement_timeout": draw(st.integers(1, 86_400)),
        }
        for place, one in enumerate(names)
    }
    changes = {
        "aws.lake.seldom_after": seldom,
        "aws.lake.archived_after": max(90, seldom + draw(st.integers(30, 400))),
        "aws.lake.versions": draw(st.integers(7, 3000)),
        "aws.lake.logs": draw(st.integers(30, 3000)),
        "aws.protected": True if name == "prod" else draw(st.booleans()),
        "compute.memory": f"{draw(st.integers(1, 64))}GiB",
        "compute.threads": draw(st.integers(1, 8)),
        "compute.workers": draw(st.integers(1, 40)),
        "kubernetes.prefix": draw(st.sampled_from(["", "leandata-", "x-", "a1-b2-"])),
        "kubernetes.replicas": replicas,
        "kubernetes.replicas_at_most": draw(st.integers(replicas, 200)),
        "orchestrator.parallelism": draw(st.integers(1, 64)),
        "snowflake.retention_days": draw(st.integers(7 if name == "prod" else 1, 90)),
        "snowflake.warehouses": sizes,
    }
    return name, changes


def generated(name: str, part: str, changes: Mapping[str, Any]) -> tuple[Program, Environment]:
    """What a part declares in the environment with other values, and that environment."""
    seen: list[Environment] = []

    def declare(stack: Stack) -> None:
        environment = stack.environment
        text = (environment.root / "infra" / "environments" / f"{environment.name}.toml").read_text(encoding="utf-8")
        tables = changed(tomllib.loads(text), changes)
        seen.append(replace(environment, file=EnvironmentFile.model_validate(tables)))
        PARTS[part](replace(stack, environment=seen[0]))

    return declared_by(name, declare, stack=part, outputs=ON_AWS), seen[0]


@pytest.mark.integration
@pytest.mark.timeout(3600)
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(file=files(), part=st.sampled_from(sorted(PARTS)))
def test_generated_environments_break_no_policy(file: tuple[str, dict[str, Any]], part: str) -> None:
    name, changes = file
    program, environment = generated(name, part, changes)
    found = judge({part: program}, environment=environment, waivers=[])
    assert [str(one) for one in found if one.rule not in ELSEWHERE] == []


@pytest.mark.parametrize("part", sorted(PARTS))
def test_each_part_declares_what_its_policies_are_about(part: str) -> None:
    program, environment = generated("prod", part, {})
    assert len(program.resources) > 5
    assert [
        one for one in judge({part: program}, environment=environment, waivers=[]) if one.rule not in ELSEWHERE
    ] == []


# -- pods, however they are put together -------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
VOLUMES = st.builds(
    lambda name, path, read_only, source: pods.Volume(name=name, path=f"/{path}", source=source, read_only=read_only),
    NAMES,
    NAMES,
    st.booleans(),
    st.sampled_from(
        [
            {"emptyDir": {"sizeLimit": "1Mi"}},
            {"configMap": {"name": "it"}},
            {"persistentVolumeClaim": {"claimName": "it"}},
        ]
    ),
)
CONTAINERS = st.builds(
    pods.Container,
    name=NAMES,
    image=st.just(DIGEST),
    command=st.lists(st.text(max_size=20), min_size=1, max_size=3),
    env=st.dictionaries(NAMES, st.text(max_size=20), max_size=3),
    cpu=st.sampled_from(["100m", "1", "2.5", "16"]),
    memory=st.integers(2**20, 2**40),
    scratch=st.integers(2**20, 2**40),
    ports=st.lists(st.integers(1, 65_535), max_size=3, unique=True),
    linger=st.integers(0, 20),
    volumes=st.lists(VOLUMES, max_size=3, unique_by=lambda volume: volume.name),
)


@settings(max_examples=1_000, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    containers=st.lists(CONTAINERS, min_size=1, max_size=3),
    init=st.lists(CONTAINERS, max_size=2),
    token=st.booleans(),
    secrets=st.sampled_from([{}, {"projected": {"sources": []}}, {"csi": {"driver": "secrets-store.csi.k8s.io"}}]),
    grace=st.integers(30, 3600),
)
def test_a_thousand_pods_are_restricted(
    containers: list[Any], init: list[Any], token: bool, secrets: dict[str, Any], grace: int
) -> None:
    spec = pods.pod(containers, account="it", secrets=secrets, init=init, grace=grace, token=token)
    body = {"spec": {"template": {"metadata": {"labels": LABELS}, "spec": spec}}}
    graph = Graph.from_resources([manifest("Deployment", body)], PRODUCTION)
    always = {rule.id for rule in RESTRICTED} | {
        "pods-digest",
        "pods-read-only",
        "pods-resources",
        "pods-user",
        "pods-grace",
    }
    broken = [(rule.id, hit.property) for rule in RULES if rule.id in always for hit in rule.check(graph)]
    assert broken == []
