"""What every environment declares is what was reviewed; and what holds for every graph, whatever it declares.

LEANDATA_HASH_SEEDS says under how many hash seeds prod is declared (default 3, a quarter of a minute each; 20 for all).
"""

from __future__ import annotations

import base64
import json
import os
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ci.programs import Program, Resource
from ci.snapshot import UPDATE, dangling, differences, doubled, path, short, take, text
from ci.tests.graphs import graph, resource
from infra.environment import names

ENVIRONMENTS = [name for name in names() if path(name).exists()]
PROD_SEEDS = int(os.environ.get("LEANDATA_HASH_SEEDS") or 3)
_GRAPHS: dict[str, dict[str, Program]] = {}


def taken(environment: str) -> dict[str, Program]:
    if environment not in _GRAPHS:
        _GRAPHS[environment] = take(environment)
    return _GRAPHS[environment]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_declares_what_was_reviewed(environment: str) -> None:
    after = text(environment, taken(environment))
    if os.environ.get(UPDATE):
        path(environment).parent.mkdir(parents=True, exist_ok=True)
        path(environment).write_text(after)
    before = path(environment).read_text() if path(environment).exists() else ""
    lines = "\n".join(differences(before, after)[:60])
    assert before == after, (
        f"{environment} declares something else. If it is meant: `make snapshot`, and review it:\n{lines}"
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_reference_resolves(environment: str) -> None:
    assert list(dangling(taken(environment))) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_two_things_are_called_the_same(environment: str) -> None:
    assert list(doubled(taken(environment))) == []


@pytest.mark.integration
@pytest.mark.parametrize(
    ("environment", "runs"),
    [(name, 20 if name == "local" else PROD_SEEDS) for name in ENVIRONMENTS if name in ("local", "prod")],
)
def test_the_graph_is_the_same_in_every_run(environment: str, runs: int) -> None:
    def one(seed: int) -> str:
        found = take(environment, PYTHONHASHSEED=str(seed * 7919))
        return json.dumps({name: _plain(program) for name, program in found.items()})

    with ThreadPoolExecutor(max_workers=2) as pool:
        assert len(set(pool.map(one, range(runs)))) == 1


def _plain(program: Program) -> Any:
    return [
        program.outputs,
        *(
            [urn, found.parent, found.needs, found.properties, found.protect, found.retain, found.ignore]
            for urn, found in program.resources.items()
        ),
    ]


# -- no secret is plain ------------------------------------------------------------------------------------------------

MARKERS = [f"leandata-marker-{number:02}-{'x' * (number % 7)}" for number in range(50)]


def forms(marker: str) -> set[str]:
    """The marker as it is, and as it could be written down without being seen."""
    raw = marker.encode()
    return {
        marker,
        raw.hex(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.b32encode(raw).decode().rstrip("="),
        urllib.parse.quote(marker, safe=""),
        marker[::-1],
        marker.upper(),
    }


@pytest.mark.integration
@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name in ("local", "prod")])
def test_no_secret_of_who_deploys_reaches_the_graph(environment: str) -> None:
    planted = {
        "AWS_ACCESS_KEY_ID": MARKERS[0],
        "AWS_SECRET_ACCESS_KEY": MARKERS[1],
        "AWS_SESSION_TOKEN": MARKERS[2],
        "SNOWFLAKE_PASSWORD": MARKERS[3],
        "SNOWFLAKE_PRIVATE_KEY": MARKERS[4],
        "PULUMI_CONFIG_PASSPHRASE": MARKERS[5],
        "PULUMI_ACCESS_TOKEN": MARKERS[6],
        "KUBECONFIG_DATA": MARKERS[7],
        **{f"PLANTED_SECRET_{number}": marker for number, marker in enumerate(MARKERS[8:])},
    }
    found = take(environment, **planted)
    whole = json.dumps([_plain(program) for program in found.values()])
    assert [marker for marker in MARKERS if any(form in whole for form in forms(marker))] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_that_is_called_a_password_holds_one(environment: str) -> None:
    assert sorted(_plain_passwords(taken(environment))) == []


def _plain_passwords(programs: dict[str, Program]) -> set[str]:
    """Where a property that is called password, token or private key has a text that is no path and no reference."""
    found: set[str] = set()

    def look(value: Any, place: str, key: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                look(inner, f"{place}.{name}", name)
        elif isinstance(value, list):
            for inner in value:
                look(inner, place, key)
        elif isinstance(value, str) and value not in ("", "[secret]", "[unknown]"):
            called = key.lower().replace("_", "").replace("-", "")
            if called.endswith(("password", "privatekey", "secretkey", "accesstoken")) and not value.startswith(
                ("/", "<")
            ):
                found.add(f"{place} = {value}")

    for stack, program in programs.items():
        for resource_ in program.resources.values():
            look(resource_.properties, f"{stack} {resource_.name}", "")
    return found


def test_a_plain_password_would_be_found() -> None:
    planted = graph(
        resource("aws:rds/instance:Instance", "d", {"masterPassword": "hunter2", "nested": [{"api_secret_key": "x"}]})
    )
    assert _plain_passwords(planted) == {"s d.masterPassword = hunter2", "s d.nested.api_secret_key = x"}
    good = graph(
        resource("aws:rds/instance:Instance", "d", {"masterPassword": "[secret]", "password": "/run/secrets/x"})
    )
    assert _plain_passwords(good) == set()


@pytest.mark.parametrize("marker", MARKERS[:5])
def test_every_form_of_a_marker_would_be_found(marker: str) -> None:
    assert len(forms(marker)) >= 6
    for form in forms(marker):
        assert form in json.dumps({"somewhere": f"deep {form} inside"})


# -- the snapshot itself -----------------------------------------------------------------------------------------------


def snapshot(*resources: Resource) -> str:
    return text("test", graph(*resources))


def test_a_snapshot_has_one_sorted_line_a_resource_and_leaves_out_what_only_groups() -> None:
    lines = snapshot(
        resource("aws:s3/bucket:Bucket", "b", protect=True),
        resource("aws:kms/key:Key", "a", retain=True, ignore=("y", "x")),
        resource("leandata:index:Lake", "lake", custom=False),
    ).splitlines()
    assert lines[0] == "# test: 2 resources in 1 stacks; `make snapshot` writes this file"
    assert [line.split()[:3] for line in lines[1:]] == [["s", "aws:kms:Key", "a"], ["s", "aws:s3:Bucket", "b"]]
    assert lines[1].split()[4:] == ["retain", "ignore=x,y"]
    assert lines[2].split()[4:] == ["protect"]


def test_a_changed_property_changes_its_line_only() -> None:
    before = snapshot(resource("a:b:C", "one", {"x": 1}), resource("a:b:C", "two", {"x": 1}))
    after = snapshot(resource("a:b:C", "one", {"x": 2}), resource("a:b:C", "two", {"x": 1}))
    changed = differences(before, after)
    assert [line[0] for line in changed] in (["+", "-"], ["-", "+"])
    assert all("one" in line for line in changed)
    assert differences(before, before) == []


def test_where_it_lies_and_which_commit_it_is_change_nothing() -> None:
    one = snapshot(resource("a:b:C", "job-0123abcd", {"image": "x@sha256:" + "a1" * 32, "triggers": {"code": "1"}}))
    other = snapshot(resource("a:b:C", "job-9876fedc", {"image": "x@sha256:" + "b2" * 32, "triggers": {"code": "2"}}))
    assert one == other
    assert "job-*" in one


def test_no_property_can_be_read_in_a_snapshot() -> None:
    assert "hunter2" not in snapshot(resource("a:b:C", "one", {"password": "hunter2"}))


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("aws:s3/bucket:Bucket", "aws:s3:Bucket"),
        ("machine:index:File", "machine:File"),
        ("snowflake:index/warehouse:Warehouse", "snowflake:Warehouse"),
        ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:Deployment"),
        ("kubernetes:core/v1:Service", "kubernetes:core/v1:Service"),
    ],
)
def test_types_are_said_as_people_say_them(type_: str, said: str) -> None:
    assert short(type_) == said


def test_a_reference_to_nothing_is_found() -> None:
    broken = resource("a:b:C", "one", parent="urn:nowhere", needs=("urn:nothing",))
    assert [sentence.split(" refers to ")[1] for sentence in dangling(graph(broken))] == [
        "urn:nowhere, which is not declared",
        "urn:nothing, which is not declared",
    ]


def test_two_things_of_one_name_are_found_across_stacks() -> None:
    one = graph(resource("aws:s3/bucket:Bucket", "a", {"bucket": "same"}), stack="one")
    two = graph(resource("aws:s3/bucket:Bucket", "b", {"bucket": "same"}), stack="two")
    assert len(list(doubled({**one, **two}))) == 1
    pods = [
        resource("kubernetes:core/v1:Service", name, {"metadata": {"name": "same", "namespace": space}})
        for name, space in (("a", "x"), ("b", "y"))
    ]
    assert list(doubled(graph(*pods))) == [], "in two namespaces they are two things"


def test_every_snapshot_belongs_to_an_environment() -> None:
    assert {found.stem for found in path("local").parent.glob("*.txt")} <= set(names())


def test_every_environment_has_a_snapshot() -> None:
    assert names() == ENVIRONMENTS
