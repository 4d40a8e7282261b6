"""What is rendered: manifests, resources, the diagram, who may what; sorted, the same bytes each time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.graph import StackInfo
from ci.masking import masked, portable, stable_name
from ci.programs import Program
from ci.render import (
    access,
    counts,
    files,
    manifest,
    manifests_of,
    place,
    record,
    snowflake_sql,
    substrate,
    to_json,
    to_yaml,
    write,
)
from ci.render_svg import Box, columns, depths, diagram, direct, lines
from ci.tests.graphs import deployment, graph, resource
from infra.components.naming import services
from infra.environment import ROOT, Environment
from infra.provider.postgres_binaries import passing

LOCAL = Environment.load("local", environ={"LEANDATA_STATE": "/state"})
NAMESPACE = resource(
    "kubernetes:core/v1:Namespace", "ns", {"metadata": {"name": "ns"}, "status": {"phase": "Active"}, "spec": None}
)
BUCKET = resource("aws:s3/bucket:Bucket", "raw", {"bucket": "leandata-raw"}, protect=True, ignore=("tags",))


def info(name: str, *needs: str) -> StackInfo:
    return StackInfo(name=name, module=name, folder=Path(name), needs=needs)


def rendered(programs: dict[str, Program]) -> dict[str, str]:
    stacks = {name: info(name) for name in programs}
    return files(LOCAL, stacks=stacks, programs=programs, manifests=services())


@pytest.mark.parametrize(
    ("type_", "place_"),
    [
        ("aws:s3/bucket:Bucket", "aws"),
        ("snowflake:index/warehouse:Warehouse", "snowflake"),
        ("kubernetes:apps/v1:Deployment", "kubernetes"),
        ("machine:index:Process", "machine"),
        ("leandata:index:Service", ""),
        ("pulumi:providers:aws", ""),
    ],
)
def test_a_type_lies_on_a_substrate_or_only_groups(type_: str, place_: str) -> None:
    assert substrate(type_) == place_


def test_resources_are_counted_by_substrate_in_a_fixed_order() -> None:
    program = graph(BUCKET, NAMESPACE, deployment("a"), resource("leandata:index:Lake", "x"))["s"]
    assert list(counts(program).items()) == [("kubernetes", 2), ("aws", 1)]


def test_a_stack_gives_one_file_a_substrate() -> None:
    found = rendered({"one": graph(BUCKET, NAMESPACE)["s"], "two": graph(resource("machine:index:File", "f"))["s"]})
    assert list(found) == ["access.md", "one/aws.json", "one/kubernetes.yaml", "stacks.svg", "two/machine.json"]


def test_a_manifest_has_its_kind_and_no_status() -> None:
    assert manifest(NAMESPACE) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}
    assert manifest(deployment("a"))["apiVersion"] == "apps/v1"


def test_a_custom_resource_keeps_its_own_version() -> None:
    cluster = resource("kubernetes:kubernetes.dask.org/v1:DaskCluster", "d", {"metadata": {"name": "d"}})
    assert manifest(cluster)["apiVersion"] == "kubernetes.dask.org/v1"


def test_manifests_can_be_applied_in_their_order() -> None:
    service = resource("kubernetes:core/v1:Service", "a", {"metadata": {"name": "a", "namespace": "ns"}})
    account = resource("kubernetes:core/v1:ServiceAccount", "a", {"metadata": {"name": "a", "namespace": "ns"}})
    kinds = [found["kind"] for found in manifests_of([deployment("b"), deployment("a"), service, account, NAMESPACE])]
    assert kinds == ["Namespace", "ServiceAccount", "Service", "Deployment", "Deployment"]


def test_yaml_reads_back_and_long_texts_are_blocks() -> None:
    documents = [{"data": {"script": "one\ntwo\n", "yes": "yes", "number": "01"}}, {"a": [1, None, True]}]
    text = to_yaml(documents)
    assert list(yaml.safe_load_all(text)) == documents
    assert "script: |" in text


def test_yaml_repeats_what_is_the_same_instead_of_pointing_at_it() -> None:
    shared = {"a": 1}
    assert "*" not in to_yaml([{"one": shared, "two": shared}])


def test_json_says_options_only_where_there_are_some() -> None:
    assert record(BUCKET) == {
        "type": "aws:s3/bucket:Bucket",
        "name": "raw",
        "protect": True,
        "ignoreChanges": ["tags"],
        "properties": {"bucket": "leandata-raw"},
    }
    assert set(record(NAMESPACE)) == {"type", "name", "properties"}


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_in_which_programs_declare_changes_no_byte(chance: random.Random) -> None:
    resources = [
        BUCKET,
        NAMESPACE,
        deployment("a"),
        deployment("b"),
        resource("machine:index:File", "f", {"b": 1, "a": 2}),
    ]
    expected = rendered(graph(*resources))
    chance.shuffle(resources)
    assert rendered(graph(*resources)) == expected


def test_paths_of_this_machine_are_not_rendered() -> None:
    guard = ["/usr/bin/setpriv", "--reuid=7", *passing(Path("/root"), user="nobody", capabilities=-1)]
    properties = {"path": f"/state/x:{ROOT}/y", "command": [*guard, sys.executable, "-m", "x"]}
    text = rendered(graph(resource("machine:index:Process", "p", properties)))["s/machine.json"]
    assert json.loads(text)[0]["properties"] == {"command": ["<python>", "-m", "x"], "path": "<state>/x:<root>/y"}


def test_access_tells_every_right_of_every_manifest() -> None:
    text = access(LOCAL, services())
    assert "| dask | data-science | lake | raw/shop/orders/ | read |" in text
    for name, found in services().items():
        for dataset in found.data.warehouse.writes:
            row = next(
                line
                for line in text.splitlines()
                if line.startswith(f"| {name} ") and place("warehouse", dataset) in line
            )
            assert "write" in row
        for role in found.data.database.roles:
            assert f"| {name} | {found.owner} | database | role {role} |" in text


def test_a_dataset_has_its_place_in_each_store() -> None:
    assert place("warehouse", "shop.orders") == "RAW.SHOP.ORDERS"
    assert place("lake", "shop.orders") == "raw/shop/orders/"
    assert place("lake", "features.customer_features") == "curated/features/customer_features/"
    assert place("lake", "nobody.knows") == "nobody.knows"


def test_writing_removes_what_an_earlier_rendering_left_and_nothing_else(tmp_path: Path) -> None:
    write({"old/aws.json": "[]", "access.md": "x"}, tmp_path)
    (tmp_path / "old" / "mine.txt").write_text("mine")
    write({"new/aws.json": "[]", "access.md": "y"}, tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == [
        "access.md",
        "new/aws.json",
        "old/mine.txt",
    ]
    assert (tmp_path / "access.md").read_text() == "y"


def test_the_sql_is_text_whatever_the_graph() -> None:
    assert isinstance(snowflake_sql(graph(resource("machine:index:File", "f"))), str)


def test_json_ends_in_a_line_break_and_keeps_letters() -> None:
    assert to_json({"b": "ü", "a": 1}) == '{\n  "a": 1,\n  "b": "ü"\n}\n'


# -- masking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "    - name: LEANDATA_COMMIT\n      value: {}\n",
        '{{"name": "LEANDATA_COMMIT", "value": "{}"}}',
        "LEANDATA_COMMIT={}",
        "LEANDATA_COMMIT: '{}'",
    ],
)
def test_a_commit_in_a_manifest_within_a_manifest_is_masked(text: str) -> None:
    def one(commit: str) -> object:
        return masked({"data": {"pod.yaml": text.format(commit)}}, root=Path("/r"), state=Path("/s"))

    assert one("c73ef564be16") == one("0123456789ab")
    assert "<commit>" in str(one("c73ef564be16"))
    assert one("main") != one("c73ef564be16"), "only a commit is masked"


@pytest.mark.parametrize("commit", ["401454158773", "12345678e123", "000000000000", "c73ef564be16"])
def test_a_commit_that_yaml_quotes_because_it_reads_as_a_number_is_masked_as_any_other(commit: str) -> None:
    def manifest(value: str) -> str:
        return yaml.safe_dump({"env": [{"name": "LEANDATA_COMMIT", "value": value}, {"name": "TZ", "value": "UTC"}]})

    found = masked({"pod.yaml": manifest(commit)}, root=Path("/r"), state=Path("/s"))
    assert found == {"pod.yaml": manifest("<commit>")}
    assert portable({"pod.yaml": manifest(commit)}, root=Path("/r")) == found


def test_what_belongs_to_a_machine_or_a_commit_is_masked() -> None:
    value = {"triggers": {"code": "0123456789abcdef"}, "image": "x@sha256:" + "a1" * 32, "n": 1, "none": None}
    found = masked(value, root=Path("/root-of-all"), state=Path("/state"))
    assert found == {"image": "x@<digest>", "n": 1, "none": None, "triggers": {}}


def test_the_commit_is_masked_for_a_process_and_for_a_container() -> None:
    def of(commit: str) -> object:
        pairs = [{"name": "LEANDATA_COMMIT", "value": commit}, {"name": "TZ", "value": "UTC"}]
        return masked({"env": {"LEANDATA_COMMIT": commit}, "list": pairs}, root=Path("/r"), state=Path("/s"))

    assert of("d45ffd0b4b2a") == of("0123456789ab") == {"env": {}, "list": [{"name": "TZ", "value": "UTC"}]}


@pytest.mark.parametrize(
    ("name", "stable"),
    [("migrate-0a1b2c3d4e", "migrate-*"), ("dask", "dask"), ("api-key", "api-key"), ("a-facade", "a-facade")],
)
def test_a_hash_at_the_end_of_a_name_is_masked(name: str, stable: str) -> None:
    assert stable_name(name) == stable


# -- the diagram -------------------------------------------------------------------------------------------------------


def box(name: str, *needs: str, **found: int) -> Box:
    return Box(name=name, needs=needs, counts=found)


CHAIN = [box("a", aws=3), box("b", "a"), box("c", "a", "b", kubernetes=2)]


def test_a_stack_stands_after_all_that_it_needs() -> None:
    assert depths(CHAIN) == {"a": 0, "b": 1, "c": 2}


def test_a_need_that_another_implies_is_not_drawn() -> None:
    assert direct(CHAIN) == [("a", "b"), ("b", "c")]


def test_a_long_line_has_a_place_of_its_own_in_the_columns_it_passes() -> None:
    boxes = [*CHAIN, box("d"), box("e", "c", "d")]
    assert lines(boxes)[("d", "e")] == ["d", "d>e@1", "d>e@2", "e"]
    assert columns(boxes) == [["a", "d"], ["b", "d>e@1"], ["c", "d>e@2"], ["e"]]


def test_a_circle_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="circle"):
        depths([box("a", "b"), box("b", "a")])


def test_the_diagram_is_well_formed_and_tells_every_stack_and_count() -> None:
    root = ET.fromstring(diagram(CHAIN, title="Stacks of <prod> & co"))
    texts = [element.text for element in root.iter() if element.text and element.tag.endswith("text")]
    assert {"a", "b", "c", "3", "2", "aws 3", "kubernetes 2", "5 resources in 3 stacks"} <= set(texts)
    assert texts[0] == "Stacks of <prod> & co"


def test_boxes_do_not_overlap_and_lie_within_the_picture() -> None:
    boxes = [box(f"s{n}", *(f"s{m}" for m in range(n) if (n * m) % 3 == 1), aws=n + 1) for n in range(14)]
    root = ET.fromstring(diagram(boxes, title="t"))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    areas = [
        tuple(float(element.attrib[key]) for key in ("x", "y", "width", "height"))
        for element in root.iter()
        if element.attrib.get("class") == "box"
    ]
    assert len(areas) == 14
    for x, y, wide, tall in areas:
        assert 0 <= x <= width - wide
        assert 0 <= y <= height - tall
    for one in areas:
        for other in areas:
            if one is not other:
                assert one[0] != other[0] or abs(one[1] - other[1]) >= one[3]


def test_an_environment_without_stacks_gives_an_empty_picture() -> None:
    assert ET.fromstring(diagram([], title="nothing")) is not None


@pytest.mark.integration
def test_two_renderings_of_the_machine_are_the_same_bytes(tmp_path: Path) -> None:
    def rendering(seed: str) -> dict[str, bytes]:
        folder = tmp_path / seed
        own = {"PYTHONHASHSEED": seed, "LEANDATA_STATE": "/leandata-state"}
        command = [sys.executable, "-m", "ci", "render", "--env", "local", "--out", str(folder)]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **own}, check=True, capture_output=True)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}

    first = rendering("1")
    assert {"access.md", "stacks.svg", "airflow/machine.json", "database/machine.json"} <= set(first)
    assert rendering("4711") == first
    assert not any(str(ROOT).encode() in content or b"/leandata-state" in content for content in first.values())
