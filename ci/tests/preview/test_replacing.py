"""The table of what forces a new resource, against the types we declare and what the installed packages say."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.preview import replacing
from ci.snapshot import FOLDER, short
from ci.tests.graphs import resource
from infra.environment import ROOT
from infra.policy.protection import STATEFUL
from infra.provider.servicer import KINDS

SAID = re.compile(r"forces? (a )?(new|replace|recreat)|cannot be changed after|ForceNew", re.IGNORECASE)
# Docstrings that speak of a replacement by another property's change, or of one that the provider no longer makes.
OTHERWISE = {
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "privateDnsEnabled"),
    ("aws:rds/instance:Instance", "allowMajorVersionUpgrade"),
    ("aws:rds/instance:Instance", "passwordWoVersion"),
    ("snowflake:index/serviceUser:ServiceUser", "daysToExpiry"),
    ("snowflake:index/serviceUser:ServiceUser", "minsToUnlock"),
    ("snowflake:index/warehouse:Warehouse", "warehouseSize"),
}


def declared_types() -> set[str]:
    """The types of all reviewed snapshots, as people say them."""
    lines = [line for path in (ROOT / FOLDER).glob("*.txt") for line in path.read_text(encoding="utf-8").splitlines()]
    return {line.split()[1] for line in lines if not line.startswith("#")}


def test_every_type_that_we_declare_is_in_the_table() -> None:
    known = {short(type_) for type_ in replacing.table()}
    foreign = ("kubernetes:", "pulumi:")
    assert {type_ for type_ in declared_types() if not type_.startswith(foreign)} - known == set()


def test_what_the_policy_holds_for_stateful_holds_data_here() -> None:
    ours = {type_ for type_ in STATEFUL if short(type_) in declared_types()}
    assert {type_ for type_ in ours if not replacing.stateful(type_)} == set()


def test_every_kind_of_our_provider_is_taken_from_itself() -> None:
    for type_, kind in KINDS.items():
        assert {path for path in kind.shapes if replacing.replaces(type_, path)} == set(kind.replaced_by) & set(
            kind.shapes
        )


@pytest.mark.parametrize(
    ("type_", "path", "expected"),
    [
        ("aws:s3/bucket:Bucket", "bucket", True),
        ("aws:s3/bucket:Bucket", "tags.owner", False),
        ("aws:s3/bucket:Bucket", "somethingNew", None),
        ("aws:eks/cluster:Cluster", "kubernetesNetworkConfig.serviceIpv4Cidr", True),
        ("aws:eks/cluster:Cluster", "kubernetesNetworkConfig", True),
        ("aws:eks/cluster:Cluster", "version", False),
        ("aws:eks/cluster:Cluster", "computeConfig.nodeRoleArn", None),
        ("aws:iam/role:Role", "assumeRolePolicy.Statement[A].Action", False),
        ("aws:nobody/knows:This", "name", None),
        ("kubernetes:apps/v1:Deployment", "spec.selector.matchLabels[a/b]", True),
        ("kubernetes:apps/v1:Deployment", "spec.replicas", False),
        ("kubernetes:batch/v1:Job", "spec.template.spec.containers[a].image", True),
        ("kubernetes:core/v1:ConfigMap", "data[pod.yaml]", True),
        ("kubernetes:example.com/v1:Strange", "metadata.namespace", True),
        ("kubernetes:example.com/v1:Strange", "spec.anything", False),
        ("machine:index:Directory", "path", True),
        ("machine:index:Directory", "mode", False),
        ("snowflake:index/schema:Schema", "database", True),
        ("snowflake:index/schema:Schema", "name", False),
        ("pulumi:providers:aws", "region", False),
    ],
)
def test_a_property_replaces_or_not_or_nobody_knows(type_: str, path: str, expected: bool | None) -> None:
    assert replacing.replaces(type_, path) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"name": "a"}, {"name": "a"}, True),
        ({"name": "a"}, {"name": "b"}, False),
        ({}, {}, False),
    ],
    ids=["the name stays", "another name", "no name"],
)
def test_a_fixed_name_is_free_only_when_the_old_one_is_gone(
    before: dict[str, str], after: dict[str, str], *, expected: bool
) -> None:
    type_ = "aws:iam/role:Role"
    assert replacing.deletes_first(resource(type_, "a", before), resource(type_, "a", after)) is expected


def test_a_program_and_our_own_provider_say_that_they_delete_first() -> None:
    link = resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a", deletes_first=True)
    ours = resource("machine:index:Secret", "a", {"path": "/a"})
    assert replacing.deletes_first(link, link)
    assert replacing.deletes_first(ours, resource("machine:index:Secret", "a", {"path": "/b"}))


def test_a_second_link_would_be_the_same() -> None:
    assert replacing.collides(resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "a"))
    assert replacing.collides(resource("aws:s3/bucket:Bucket", "a", {"bucket": "a"}))
    assert not replacing.collides(resource("aws:ec2/eip:Eip", "a"))


def documented(type_: str) -> Iterator[str]:
    """The properties of which the installed package's docstrings say that a change forces a new resource."""
    package, place, kind = type_.split(":")
    module = place.partition("/")[0]
    name = f"pulumi_{package}" + ("" if module == "index" else f".{module}")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    spec = importlib.util.find_spec(f"{name}.{snake}")
    if spec is None or spec.origin is None:
        return
    for cls in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(cls, ast.ClassDef) and cls.name in (f"{kind}Args", f"{kind}InitArgs"):
            for one in cls.body:
                if (
                    isinstance(one, ast.FunctionDef)
                    and one.name != "__init__"
                    and SAID.search(ast.get_docstring(one) or "")
                ):
                    parts = one.name.split("_")
                    yield parts[0] + "".join(part.title() for part in parts[1:])


@pytest.mark.parametrize("package", ["aws", "snowflake"])
def test_what_the_packages_say_is_in_the_table(package: str) -> None:
    pytest.importorskip(f"pulumi_{package}")
    types = [type_ for type_ in replacing.table() if type_.startswith(f"{package}:")]
    missing = [
        (type_, path)
        for type_ in types
        for path in documented(type_)
        if replacing.replaces(type_, path) is not True and (type_, path) not in OTHERWISE
    ]
    assert missing == []
