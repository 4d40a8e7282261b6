"""Every environment of ours breaks no policy, and one broken thing in any of them is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ci.programs import Program, Resource
from ci.testing import graph
from infra.environment import Environment, names
from infra.policy import judge
from infra.policy.graph import Graph, Setting
from infra.policy.pods import pods

pytestmark = pytest.mark.integration
ENVIRONMENTS = [name for name in names() if name != "staging"]


def programs(name: str) -> dict[str, Program]:
    return graph(name)


def rules(made: dict[str, Program], name: str) -> set[str]:
    found = judge(made, environment=Environment.load(name, environ={}), waivers=[])
    return {one.rule for one in found}


def without(made: dict[str, Program], type_: str, number: int = 0) -> dict[str, Program]:
    """The programs without one resource of this type."""
    urns = [urn for program in made.values() for urn, one in sorted(program.resources.items()) if one.type == type_]
    return {
        stack: Program(resources={urn: one for urn, one in program.resources.items() if urn != urns[number]})
        for stack, program in made.items()
    }


def with_change(made: dict[str, Program], type_: str, **changes: Any) -> dict[str, Program]:
    """The programs with other properties or options of the first resource of this type."""
    urns = [urn for program in made.values() for urn, one in sorted(program.resources.items()) if one.type == type_]

    def new(urn: str, one: Resource) -> Resource:
        if urn != urns[0]:
            return one
        options = {key: value for key, value in changes.items() if key in Resource.__slots__}
        properties = {key: value for key, value in changes.items() if key not in options}
        return replace(one, properties={**one.properties, **properties}, **options)

    return {
        stack: Program(resources={urn: new(urn, one) for urn, one in program.resources.items()})
        for stack, program in made.items()
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_policy_finds_anything(name: str) -> None:
    assert rules(programs(name), name) == set()


@pytest.mark.parametrize("name", ["cluster", "prod"])
def test_every_service_s_pods_are_among_those_that_were_judged(name: str) -> None:
    graph = Graph.of(programs(name), setting=Setting(name=name))
    owners = {str(pod.resource.properties["metadata"]["name"]) for pod in pods(graph)}
    assert {"airflow-api", "airflow-scheduler", "airflow-task-pods", "api", "dash"} <= owners
    assert len(list(pods(graph))) >= 15


def once(type_: str, rule: str) -> Any:
    return pytest.param(type_, rule, id=type_.rpartition(":")[2])


@pytest.mark.parametrize(
    ("type_", "rule"),
    [
        once("aws:budgets/budget:Budget", "budget-there"),
        once("aws:ec2/flowLog:FlowLog", "network-logged"),
        once("aws:ecr/lifecyclePolicy:LifecyclePolicy", "images-cleaned"),
        once("aws:rds/parameterGroup:ParameterGroup", "database-tls"),
        once("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "bucket-lifecycle"),
        once("aws:s3/bucketOwnershipControls:BucketOwnershipControls", "bucket-owner"),
        once("aws:s3/bucketPolicy:BucketPolicy", "bucket-tls"),
        once("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "bucket-blocked"),
        once("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "bucket-key"),
        once("aws:s3/bucketVersioning:BucketVersioning", "bucket-versions"),
        once("kubernetes:core/v1:LimitRange", "namespaces-bounded"),
        once("kubernetes:core/v1:ResourceQuota", "namespaces-bounded"),
        once("snowflake:index/resourceMonitor:ResourceMonitor", "warehouse-monitor"),
    ],
)
def test_what_is_taken_away_from_production_is_missed(type_: str, rule: str) -> None:
    assert rule in rules(without(programs("prod"), type_), "prod")


@pytest.mark.parametrize(
    ("type_", "changes", "rule"),
    [
        ("aws:eks/cluster:Cluster", {"deletionProtection": False}, "stateful-deletion"),
        ("aws:eks/cluster:Cluster", {"encryptionConfig": None}, "cluster-secrets"),
        ("aws:eks/cluster:Cluster", {"vpcConfig": {"endpointPublicAccess": True}}, "cluster-private"),
        ("aws:kms/key:Key", {"enableKeyRotation": False}, "key-rotated"),
        ("aws:rds/instance:Instance", {"publiclyAccessible": True}, "database-private"),
        ("aws:rds/instance:Instance", {"storageEncrypted": False}, "database-encrypted"),
        ("aws:s3/bucket:Bucket", {"acl": "public-read"}, "bucket-public"),
        ("aws:s3/bucket:Bucket", {"protect": False}, "stateful-protected"),
        ("aws:s3/bucket:Bucket", {"tags": {}}, "objects-tags"),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "open", "labels": {}}}, "namespaces-restricted"),
        ("kubernetes:core/v1:Service", {"spec": {"type": "LoadBalancer"}}, "services-inside"),
        ("snowflake:index/database:Database", {"dataRetentionTimeInDays": 0}, "snowflake-retention"),
        ("snowflake:index/schema:Schema", {"withManagedAccess": "false"}, "schema-managed"),
        ("snowflake:index/serviceUser:ServiceUser", {"defaultRole": "ACCOUNTADMIN"}, "snowflake-users"),
        ("snowflake:index/warehouse:Warehouse", {"autoSuspend": 600}, "warehouse-idle"),
    ],
)
def test_what_is_loosened_in_production_is_found(type_: str, changes: dict[str, Any], rule: str) -> None:
    assert rule in rules(with_change(programs("prod"), type_, **changes), "prod")


def every_container(properties: Any) -> Iterator[dict[str, Any]]:
    if isinstance(properties, dict):
        if isinstance(properties.get("image"), str) and "securityContext" in properties:
            yield properties
        for value in properties.values():
            yield from every_container(value)
    elif isinstance(properties, list):
        for value in properties:
            yield from every_container(value)


def test_every_container_of_production_names_its_image_by_digest() -> None:
    images = {
        str(container["image"])
        for program in programs("prod").values()
        for one in program.resources.values()
        if one.type.startswith("kubernetes:")
        for container in every_container(one.properties)
    }
    assert images
    assert all("@sha256:" in image for image in images)
