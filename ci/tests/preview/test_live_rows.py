"""The engine's steps beside the programs' changes: each resource once, whatever the order, and what is not counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.events import Log
from ci.preview.document import text
from ci.preview.live import ALREADY_LIVE, ALSO_LIVE, LiveStep, live_steps, reconcile
from ci.preview.markdown import LIMIT, markdown
from ci.preview.model import Change, Op, PropertyChange
from ci.preview.page import page
from ci.preview.report import Live, LiveRow
from ci.preview.summary import summary
from ci.tests.preview.previews import change, preview, stack

BUCKET = "aws:s3/bucket:Bucket"
OPS: tuple[Op, ...] = ("create", "update", "replace", "delete")
NAMES = st.sampled_from(["raw", "curated", "models", "role", "key"])


def step(name: str, op: str = "update", *properties: str, place: str = "lake", type_: str = BUCKET) -> LiveStep:
    urn = f"urn:pulumi:prod::{place}::{type_}::{name}"
    return LiveStep(stack=place, urn=urn, type=type_, op=op, properties=properties)


def changed(name: str, op: Op = "update", *paths: str, place: str = "lake") -> Change:
    return change(name, op, *(PropertyChange(path=path, before=1, after=2) for path in paths), stack=place)


def rows(changes: Sequence[Change], steps: Sequence[LiveStep]) -> list[tuple[str, str, str]]:
    return [(row.said, row.stack, row.name) for row in reconcile([stack(*changes)], steps).rows]


# -- one row for each resource -----------------------------------------------------------------------------------------


@given(st.dictionaries(NAMES, st.sampled_from(OPS)), st.dictionaries(NAMES, st.sampled_from(OPS)))
def test_each_resource_agrees_or_has_one_row(ours: dict[str, Op], theirs: dict[str, Op]) -> None:
    live = reconcile([stack(*(changed(*one) for one in ours.items()))], [step(*one) for one in theirs.items()])
    assert live.agreed == len(ours.items() & theirs.items())
    assert sorted(row.name for row in live.rows) == sorted(
        name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)
    )
    said = {row.name: row.said for row in live.rows}
    assert {name for name in said if said[name] == ALSO_LIVE} == theirs.keys() - ours.keys()
    assert {name for name in said if said[name] == ALREADY_LIVE} == ours.keys() - theirs.keys()


@given(st.lists(st.tuples(NAMES, st.sampled_from(OPS)), max_size=8, unique_by=lambda one: one[0]), st.randoms())
def test_the_order_of_changes_and_events_does_not_matter(found: list[tuple[str, Op]], chance: Any) -> None:
    steps, changes = [step(*one) for one in found], [changed(name) for name, _ in found]
    first = reconcile([stack(*changes)], steps)
    chance.shuffle(steps)
    chance.shuffle(changes)
    assert reconcile([stack(*changes)], steps) == first


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (("tags.team",), ("tags",), []),
        (("rules[0].cidr", "rules[1]"), ("rules[0].cidr",), []),
        (("tags",), (), []),
        (("tags",), ("tags", "versioning.enabled"), [(ALSO_LIVE, ("versioning",))]),
        (("acl", "tags"), ("tags",), [(ALREADY_LIVE, ("acl",))]),
        (("acl",), ("tags",), [(ALREADY_LIVE, ("acl",)), (ALSO_LIVE, ("tags",))]),
        (("options.protect", "tags"), ("tags",), []),
    ],
)
def test_what_differs_live_does_not_hide_behind_a_change_of_another_property(
    ours: tuple[str, ...], theirs: tuple[str, ...], said: list[tuple[str, tuple[str, ...]]]
) -> None:
    live = reconcile([stack(changed("raw", "update", *ours))], [step("raw", "update", *theirs)])
    assert [(row.said, row.properties) for row in live.rows] == said
    assert live.agreed == (not said)


def test_properties_of_what_is_replaced_are_not_compared() -> None:
    live = reconcile([stack(changed("raw", "replace", "acl"))], [step("raw", "replace", "acl", "id")])
    assert (live.agreed, live.rows) == (1, ())


def test_nothing_on_both_sides_is_compared_and_agrees_on_nothing() -> None:
    assert reconcile([], []) == Live(compared=True, why="", agreed=0, rows=())
    assert reconcile([stack(same=5)], []).rows == ()


def test_the_same_name_in_two_stacks_is_two_resources() -> None:
    ours = [stack(changed("x")), stack(changed("x", place="api"), name="api")]
    live = reconcile(ours, [step("x"), step("x", "replace", place="api")])
    assert (live.agreed, [(row.stack, row.said) for row in live.rows]) == (
        1,
        [("api", "the programs say update, the engine says replace")],
    )


def test_the_same_name_of_another_type_is_another_resource() -> None:
    assert rows([changed("x")], [step("x", type_="aws:iam/role:Role")]) == [
        (ALREADY_LIVE, "lake", "x"),
        (ALSO_LIVE, "lake", "x"),
    ]


def test_rows_that_say_the_same_stand_together_then_go_by_stack() -> None:
    steps = [step("b"), step("a", place="mail"), step("a"), step("z", "delete")]
    assert rows([changed("z")], steps) == [
        (ALSO_LIVE, "lake", "a"),
        (ALSO_LIVE, "lake", "b"),
        (ALSO_LIVE, "mail", "a"),
        ("the programs say update, the engine says delete", "lake", "z"),
    ]


# -- names with digests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([("migrate-0123abcd01", "create"), ("migrate-9876fedc98", "delete")], [("migrate-0123abcd01", "create"), ("migrate-9876fedc98", "delete")], []),
        ([("migrate-0123abcd01", "replace")], [("migrate-0123abcd01", "create"), ("migrate-9876fedc98", "delete")], []),
        ([("migrate-0123abcd01", "replace")], [("migrate-0123abcd01", "create")], ["the programs say replace, the engine says create"]),
        ([("migrate-0123abcd01", "create")], [("other-9876fedc98", "create")], [ALREADY_LIVE, ALSO_LIVE]),
        ([("migrate-feedface", "create")], [("migrate-deadbeef", "create")], [ALREADY_LIVE, ALSO_LIVE]),
    ],
    ids=["both say both", "one says replaced", "only created live", "another job", "words that look like digests"],
)  # fmt: skip
def test_a_digest_at_the_end_of_a_name_is_no_part_of_it(ours: list[Any], theirs: list[Any], said: list[str]) -> None:
    live = reconcile([stack(*(changed(*one) for one in ours))], [step(*one) for one in theirs])
    assert [row.said for row in live.rows] == said
    assert live.agreed == (not said)


# -- which properties --------------------------------------------------------------------------------------------------


def test_the_properties_are_those_of_the_engine_where_it_says_some() -> None:
    live = reconcile([stack(changed("x", "update", "tags", "acl"))], [step("x", "replace", "bucket")])
    assert live.rows[0].properties == ("bucket",)


def test_the_properties_are_those_of_the_programs_where_the_engine_says_none() -> None:
    live = reconcile([stack(changed("x", "update", "tags", "acl"))], [])
    assert live.rows[0].properties == ("acl", "tags")


def test_properties_of_several_steps_are_said_once_each_and_sorted() -> None:
    steps = [step("job-0123abcd01", "create", "b", "a"), step("job-9876fedc98", "delete", "c", "a")]
    assert reconcile([], steps).rows[0].properties == ("a", "b", "c")


# -- events ------------------------------------------------------------------------------------------------------------


def event(op: Any, type_: str = "machine:index:File", name: str = "x", diff: Any = None) -> Any:
    urn = f"urn:pulumi:local::api::{type_}::{name}"
    metadata = SimpleNamespace(op=op, type=type_, urn=urn, detailed_diff=diff)
    return SimpleNamespace(
        resource_pre_event=SimpleNamespace(metadata=metadata), res_outputs_event=None, diagnostic_event=None
    )


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("form", ["text", "enumeration"])
def test_a_step_is_kept_with_its_stack_and_name_however_the_engine_names_it(op: Op, form: str) -> None:
    log = Log()
    log.take(event(op if form == "text" else SimpleNamespace(value=op)))
    assert [(one.op, one.stack, one.name, one.properties) for one in live_steps("api", log)] == [(op, "api", "x", ())]


@pytest.mark.parametrize(
    "op", ["same", "read", "refresh", "discard", "create-replacement", "delete-replaced", "import", ""]
)
def test_what_changes_nothing_or_is_half_of_a_replacement_is_no_step(op: str) -> None:
    log = Log()
    log.take(event(op))
    assert live_steps("api", log) == []


@pytest.mark.parametrize("type_", ["pulumi:pulumi:Stack", "pulumi:providers:aws", "leandata:index:Service"])
def test_stacks_providers_and_components_are_no_steps(type_: str) -> None:
    log = Log()
    log.take(event("create", type_))
    assert live_steps("api", log) == []


def test_a_problem_of_the_engine_is_kept_beside_the_steps() -> None:
    log = Log()
    said = SimpleNamespace(severity="error", message="error: no such bucket", urn="")
    log.take(SimpleNamespace(resource_pre_event=None, res_outputs_event=None, diagnostic_event=said))
    assert (live_steps("api", log), log.problems) == ([], ["no such bucket"])


# -- as it is shown ----------------------------------------------------------------------------------------------------


def with_rows(count: int, *properties: str) -> Live:
    found = tuple(LiveRow(stack="api", urn=f"u{n}", type=BUCKET, name=f"row-{n}", said=ALSO_LIVE, properties=properties) for n in range(count))  # fmt: skip
    return Live(compared=True, why="", agreed=1_234, rows=found)


@pytest.mark.parametrize(("count", "left_out"), [(0, 0), (1, 0), (40, 0), (41, 1), (5_000, 4_960)])
def test_the_comment_has_40_rows_and_counts_all(count: int, left_out: int) -> None:
    shown = markdown(preview(stack(), live=with_rows(count, "policy")))
    assert f"**Compared with the live state**: 1,234 changes agree, {count:,} do not." in shown
    assert shown.count("also differs live") == count - left_out
    assert (f"- and {left_out} more; the artifact" in shown) == bool(left_out)
    assert len(shown) <= LIMIT


def test_the_page_and_the_document_have_every_row() -> None:
    whole = preview(stack(), live=with_rows(300, "policy"))
    assert page(whole, counts={}).count("also differs live") == 300
    assert len(json.loads(text(whole))["live"]["rows"]) == 300


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (12, 12), (13, 12)])
def test_the_terminal_has_the_first_twelve_rows_under_the_count_of_all(count: int, shown: int) -> None:
    lines = summary(preview(stack(), live=with_rows(count))).splitlines()
    assert f"  live: 1234 changes agree, {count} do not" in lines
    assert sum("also differs live" in line for line in lines) == shown


def test_no_more_than_six_properties_of_a_row_are_named() -> None:
    names = [f"p{n}" for n in range(9)]
    whole = preview(stack(), live=with_rows(1, *names))
    assert "p5" in markdown(whole)
    assert "p6" not in markdown(whole)
    assert "p5" in summary(whole)
    assert "p6" not in summary(whole)
    assert "p8" in page(whole, counts={})


def test_why_it_was_not_compared_is_said_in_every_form() -> None:
    whole = preview(stack(), live=Live(compared=False, why="LIVE=no was said"))
    for shown in (markdown(whole), page(whole, counts={}), summary(whole), text(whole)):
        assert "LIVE=no was said" in shown
        assert "changes agree" not in shown
