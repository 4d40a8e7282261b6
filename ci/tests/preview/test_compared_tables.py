"""The table of replacements as it is written, and against the snapshots of what we declare."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview import replacing
from ci.snapshot import FOLDER, short
from ci.tests.graphs import resource
from infra.environment import ROOT

RAW: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(
    Path(replacing.__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
ROWS = [(f"{package}:{name}", said) for package, rows in RAW.items() for name, said in rows.items()]
IDS = [type_ for type_, _ in ROWS]
TYPES = sorted(replacing.table())


def declared() -> set[str]:
    """The types of all reviewed snapshots, as people say them."""
    lines = [line for path in (ROOT / FOLDER).glob("*.txt") for line in path.read_text(encoding="utf-8").splitlines()]
    return {line.split()[1] for line in lines if not line.startswith("#")}


@pytest.mark.parametrize(("type_", "said"), ROWS, ids=IDS)
def test_a_row_says_only_what_is_read(type_: str, said: dict[str, Any]) -> None:
    assert said.keys() <= {"stateful", "link", "replaces", "updates"}, type_


@pytest.mark.parametrize(("type_", "said"), ROWS, ids=IDS)
def test_a_property_stands_once_and_in_one_list(type_: str, said: dict[str, Any]) -> None:
    both = [*said.get("replaces", []), *said.get("updates", [])]
    assert len(set(both)) == len(both), type_


@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_.startswith("aws:")])
def test_every_row_of_aws_is_of_a_type_that_a_program_declares(type_: str) -> None:
    assert short(type_) in declared()


@pytest.mark.parametrize("type_", TYPES)
def test_what_the_row_says_is_what_is_answered(type_: str) -> None:
    row = replacing.row(type_)
    assert row is not None
    assert all(replacing.replaces(type_, path) is True for path in row.replaces)
    assert all(replacing.replaces(type_, f"{path}.in[it]") is True for path in row.replaces)
    assert all(replacing.replaces(type_, path) is False for path in row.updates)


@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_.startswith(("aws:", "snowflake:"))])
def test_what_is_in_no_list_is_open_only_where_data_is_held(type_: str) -> None:
    assert replacing.replaces(type_, "nobodyKnowsThis") is (None if replacing.stateful(type_) else False)


@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_.startswith("aws:") and replacing.stateful(type_)])
def test_tags_never_empty_what_holds_data(type_: str) -> None:
    assert replacing.replaces(type_, "tags.owner") is False


@pytest.mark.parametrize("version", ["core/v1", "apps/v1", "example.com/v1beta1"])
@pytest.mark.parametrize("path", ["kind", "apiVersion", "metadata.name", "metadata.namespace", "metadata"])
def test_an_object_of_kubernetes_is_another_one_under_another_name_whatever_its_kind(version: str, path: str) -> None:
    assert replacing.replaces(f"kubernetes:{version}:Anything", path) is True


@pytest.mark.parametrize("path", ["metadata.labels[app]", "metadata.annotations[a/b]", "metadata.nameSuffix", "spec"])
def test_and_the_same_one_with_other_labels(path: str) -> None:
    assert replacing.replaces("kubernetes:core/v1:Anything", path) is False


def test_a_kind_is_known_in_every_version_of_its_api() -> None:
    found = {replacing.row(f"kubernetes:apps/{version}:StatefulSet") for version in ("v1", "v1beta1", "v2")}
    assert len(found) == 1
    assert replacing.stateful("kubernetes:apps/v1beta1:StatefulSet")


@pytest.mark.parametrize("type_", ["aws:nobody/knows:This", "gcp:storage/bucket:Bucket", "odd", ""])
def test_of_a_type_that_nobody_looked_at_nothing_is_known(type_: str) -> None:
    assert replacing.row(type_) is None
    assert replacing.replaces(type_, "name") is None
    assert not replacing.stateful(type_)


PART = st.sampled_from(["bucket", "tags", "spec", "name", "a"])


@given(st.sampled_from(TYPES), st.lists(PART, min_size=1, max_size=3), st.sampled_from(["[0]", "[a.b/c]", "[x][y]"]))
def test_which_entry_of_a_list_it_is_makes_no_difference(type_: str, parts: list[str], entry: str) -> None:
    plain = ".".join(parts)
    assert replacing.replaces(type_, plain) is replacing.replaces(type_, plain.replace(".", f"{entry}.") + entry)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("bucket", True), ("bucketPrefix", True), ("bucketKeyEnabled", None), ("tags", False), ("tagsAll", None)],
)
def test_a_name_that_only_begins_alike_is_another_one(path: str, *, expected: bool | None) -> None:
    assert replacing.replaces("aws:s3/bucket:Bucket", path) is expected


@pytest.mark.parametrize(("type_", "said"), [(t, s) for t, s in ROWS if s.get("link")])
def test_a_second_link_is_the_same_whatever_it_is_called(type_: str, said: dict[str, Any]) -> None:
    whole = type_ if type_.startswith("aws:") else type_.replace("snowflake:", "snowflake:index/")
    assert said["link"] is True
    assert replacing.collides(resource(whole, "a"))
