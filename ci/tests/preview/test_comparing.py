"""Two declarations compared: what is the same thing, what of it differs, and how that is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ci.preview.changes import compare
from ci.preview.differing import differences
from ci.preview.model import ABSENT, LATER, Change, StackChanges
from ci.programs import Program
from ci.tests.graphs import graph, resource

BASE, HEAD = Path("/checkouts/base"), Path("/checkouts/head")
BUCKET = "aws:s3/bucket:Bucket"
PROCESS = "machine:index:Process"


def compared(before: dict[str, Program], after: dict[str, Program]) -> StackChanges:
    """The one stack's changes."""
    (found,) = compare(before, after, base_root=BASE, head_root=HEAD, reasons={"s": ("services/api",)})
    return found


def only(found: StackChanges) -> Change:
    """The one change."""
    (change,) = found.changes
    return change


def changed(before: dict[str, Any], after: dict[str, Any], type_: str = PROCESS, **options: Any) -> Change:
    """The change of one resource with these properties before and after."""
    return only(compared(graph(resource(type_, "it", before)), graph(resource(type_, "it", after, **options))))


def test_the_same_declaration_changes_nothing() -> None:
    one = graph(resource(BUCKET, "raw", {"bucket": "raw"}), resource("aws:sns/topic:Topic", "alarms"))
    found = compared(one, one)
    assert found.changes == ()
    assert found.counts() == {"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 2}
    assert found.reasons == ("services/api",)


def test_components_are_no_resources() -> None:
    found = compared({}, graph(resource("leandata:index:Lake", "lake", custom=False)))
    assert found.counts()["create"] == 0


def test_checkouts_and_interpreters_lie_elsewhere_and_are_no_difference() -> None:
    def process(root: Path) -> dict[str, Any]:
        return {"command": [sys.executable, "-m", "serving"], "directory": str(root), "env": {"HOME": f"{root}/home"}}

    found = compared(graph(resource(PROCESS, "api", process(BASE))), graph(resource(PROCESS, "api", process(HEAD))))
    assert found.changes == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"env": {"LEANDATA_COMMIT": "0123456789ab"}}, {"env": {"LEANDATA_COMMIT": "ba9876543210"}}),
        (
            {"env": [{"name": "LEANDATA_COMMIT", "value": "0123456789ab"}]},
            {"env": [{"name": "LEANDATA_COMMIT", "value": "ba9876543210"}]},
        ),
        ({"text": "LEANDATA_COMMIT: 0123456789ab"}, {"text": "LEANDATA_COMMIT: ba9876543210"}),
    ],
    ids=["a mapping", "a list", "a text"],
)
def test_the_mere_commit_is_no_difference(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert compared(graph(resource(PROCESS, "api", before)), graph(resource(PROCESS, "api", after))).changes == ()


def test_other_code_and_another_image_are_differences() -> None:
    change = changed({"triggers": {"code": "a" * 16}}, {"triggers": {"code": "b" * 16}})
    assert [(one.path, one.before, one.after) for one in change.properties] == [("triggers.code", "a" * 16, "b" * 16)]
    image = changed({"image": "api@sha256:" + "a" * 64}, {"image": "api@sha256:" + "b" * 64})
    assert [one.path for one in image.properties] == ["image"]


def test_what_comes_is_created_and_what_goes_is_deleted() -> None:
    found = compared(graph(resource(BUCKET, "old", {"bucket": "a"})), graph(resource(BUCKET, "new", {"bucket": "b"})))
    assert [(one.op, one.name, one.before, one.after) for one in found.changes] == [
        ("create", "new", None, {"bucket": "b"}),
        ("delete", "old", {"bucket": "a"}, None),
    ]


def test_the_same_real_thing_under_another_urn_is_replaced() -> None:
    change = only(
        compared(graph(resource(BUCKET, "old", {"bucket": "a"})), graph(resource(BUCKET, "new", {"bucket": "a"})))
    )
    assert (change.op, [one.path for one in change.properties], change.deletes_first) == ("replace", ["urn"], False)


def test_an_alias_says_that_it_is_the_same() -> None:
    old = resource(BUCKET, "old", {"bucket": "a"})
    found = compared(graph(old), graph(resource(BUCKET, "new", {"bucket": "a"}, aliases=(old.urn,))))
    assert found.changes == ()


def test_a_link_that_is_named_otherwise_is_known_by_what_it_is() -> None:
    type_, given = "snowflake:index/grantAccountRole:GrantAccountRole", {"roleName": "A", "userName": "U"}
    change = only(compared(graph(resource(type_, "old", given)), graph(resource(type_, "new", given))))
    assert change.op == "replace"


def test_a_job_is_known_without_the_digest_in_its_name() -> None:
    def job(digest: str) -> dict[str, Program]:
        name = f"migrate-{digest}"
        return graph(
            resource("kubernetes:batch/v1:Job", name, {"metadata": {"name": name, "namespace": "a"}, "spec": {}})
        )

    change = only(compared(job("7ab70f3d"), job("1f8f3bcb")))
    assert (change.op, change.name, change.deletes_first) == ("replace", "migrate-1f8f3bcb", False)


def test_a_fixed_name_is_deleted_first() -> None:
    type_ = "kubernetes:core/v1:Service"
    meta = {"name": "api", "namespace": "a"}
    change = changed(
        {"metadata": meta, "spec": {"clusterIP": "a"}}, {"metadata": meta, "spec": {"clusterIP": "b"}}, type_
    )
    assert (change.op, change.deletes_first) == ("replace", True)


@pytest.mark.parametrize("option", ["protect", "retain"])
def test_options_are_properties(option: str) -> None:
    change = only(compared(graph(resource(BUCKET, "a", **{option: True})), graph(resource(BUCKET, "a"))))
    (one,) = change.properties
    assert (change.op, one.path, one.before, one.after) == ("update", f"options.{option}", True, False)


def test_what_the_engine_ignores_is_no_difference() -> None:
    before, after = {"spec": {"replicas": 1, "a": 1}}, {"spec": {"replicas": 2, "a": 1}}
    ignored = {"ignore": ("spec.replicas",)}
    found = compared(
        graph(resource(PROCESS, "it", before, **ignored)), graph(resource(PROCESS, "it", after, **ignored))
    )
    assert found.changes == ()


def test_a_secret_that_turns_plain_is_seen_and_one_that_stays_is_not() -> None:
    change = changed({"a": "[secret]", "b": "[secret]"}, {"a": "hunter2", "b": "[secret]"})
    assert [(one.path, one.before) for one in change.properties] == [("a", "[secret]")]


def test_an_unknown_change_of_what_holds_data_may_replace_it() -> None:
    change = changed({}, {"somethingNew": 1}, "aws:rds/instance:Instance")
    assert (change.op, change.may_replace) == ("update", True)
    known = changed({"tags": {}}, {"tags": {"a": "b"}}, "aws:rds/instance:Instance")
    assert not known.may_replace


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"b": 2}, [("a", 1, ABSENT), ("b", ABSENT, 2)]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
        ({"a": 1}, {"a": "[unknown]"}, [("a", 1, LATER)]),
        ({"labels": {"x/y": "1"}}, {"labels": {"x/y": "2"}}, [("labels[x/y]", "1", "2")]),
        (
            {"env": [{"name": "A", "value": 1}, {"name": "B", "value": 2}]},
            {"env": [{"name": "N", "value": 0}, {"name": "A", "value": 1}, {"name": "B", "value": 3}]},
            [("env[B].value", 2, 3), ("env[N]", ABSENT, {"name": "N", "value": 0})],
        ),
        (
            {"env": [{"name": "A"}, {"name": "B"}]},
            {"env": [{"name": "B"}, {"name": "A"}]},
            [("env.order", ["A", "B"], ["B", "A"])],
        ),
        (
            {"rules": [{"cidr": "a"}, {"cidr": "b"}]},
            {"rules": [{"cidr": "new"}, {"cidr": "a"}, {"cidr": "b"}]},
            [("rules[0]", ABSENT, {"cidr": "new"})],
        ),
        ({"rules": [{"cidr": "a"}]}, {"rules": [{"cidr": "b"}]}, [("rules[0].cidr", "a", "b")]),
        ({"list": ["a"]}, {"list": ["a", "b"]}, [("list", ["a"], ["a", "b"])]),
        ({"list": []}, {"list": [{"name": "a"}]}, [("list[a]", ABSENT, {"name": "a"})]),
        (
            {"policy": '{"Statement": [{"Sid": "A", "Action": "x"}]}'},
            {"policy": '{"Statement": [{"Action": "y", "Sid": "A"}]}'},
            [("policy.Statement[A].Action", "x", "y")],
        ),
        ({"policy": '{"a": 1, "b": 2}'}, {"policy": '{"b": 2,"a": 1}'}, []),
        ({"text": "{not json"}, {"text": "{neither"}, [("text", "{not json", "{neither")]),
        ({"a": {"b": 1}}, {"a": [1]}, [("a", {"b": 1}, [1])]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_differences_are_said_by_path(before: Any, after: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert list(differences(before, after)) == expected


def test_stacks_that_come_and_go_are_compared_too() -> None:
    found = compare(
        graph(resource(BUCKET, "a"), stack="old"), graph(resource(BUCKET, "a"), stack="new"), base_root=BASE,
        head_root=HEAD, reasons={},
    )  # fmt: skip
    assert [(one.stack, one.counts()["create"], one.counts()["delete"]) for one in found] == [
        ("new", 1, 0),
        ("old", 0, 1),
    ]


def test_the_result_does_not_depend_on_the_order_of_declaration() -> None:
    some = [resource(BUCKET, name, {"bucket": name}) for name in "cab"]
    assert compared({}, graph(*some)) == compared({}, graph(*reversed(some)))
