"""What holds of every difference: places, order, issues that settle, texts that fit, ways out that can be run."""

from __future__ import annotations

import json
import string
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.cli import parser
from ci.drift.beside import beside, files, processes
from ci.drift.hiding import Hider
from ci.drift.issues import Action, Issue, body, decide
from ci.drift.look import difference
from ci.drift.model import ABSENT, SORTS, Difference, Found, Kind, StackDrift, exit_code
from ci.drift.report import answer, cell, lines, markdown, summary
from ci.drift.seen import Seen, found, walk
from ci.drift.sources import line_of, of
from ci.verbs.drift import drift as verb
from infra.environment import Environment
from leandata.errors import LeandataError

BOT = "github-actions[bot]"
KEYS = st.text(string.ascii_lowercase, min_size=1, max_size=3)
LEAVES = st.one_of(st.none(), st.integers(-2, 2), st.text("ab", max_size=2))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
KINDS = get_args(Kind)
NAMES = ("api", "lake", "warehouse")


def one(stack: str = "lake", **changed: Any) -> Difference:
    known = {
        "stack": stack, "type": "machine:index:File", "name": "x", "kind": "changed", "property": "content",
        "before": "a", "after": "b", "sort": "harmless", "why": "w", "adopt": "a", "revert": "r",
    }  # fmt: skip
    return Difference(**{**known, **changed})


def seen(**changed: Any) -> Found:
    known = {"stack": "lake", "urn": "u", "type": "machine:index:File", "name": "x", "kind": "changed"}
    return Found(**{**known, **changed})


DRIFTS = st.lists(
    st.builds(
        StackDrift,
        stack=st.sampled_from(NAMES),
        looked_at=st.integers(0, 9),
        differences=st.lists(st.builds(one, sort=st.sampled_from(SORTS), name=KEYS), max_size=4).map(tuple),
        error=st.sampled_from(["", "", "failed"]),
    ),
    max_size=3,
    unique_by=lambda stack: stack.stack,
)


@given(value=VALUES)
@settings(deadline=None, max_examples=30)
def test_a_value_does_not_differ_from_its_own_copy(value: Any) -> None:
    assert list(walk(value, json.loads(json.dumps(value)))) == []


@given(before=VALUES, after=VALUES)
@settings(deadline=None, max_examples=40)
def test_two_values_differ_somewhere_and_the_same_places_the_other_way_round(before: Any, after: Any) -> None:
    there = list(walk(before, after))
    back = list(walk(after, before))
    assert bool(there) == (before != after)
    assert [(path, new, old) for path, old, new in there] == back
    assert len({path for path, _, _ in there}) == len(there), "no place is told twice"


@given(before=st.dictionaries(KEYS, LEAVES, max_size=4), after=st.dictionaries(KEYS, LEAVES, max_size=4))
@settings(deadline=None, max_examples=30)
def test_what_is_told_is_enough_to_come_from_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    made = dict(before)
    for path, old, new in walk(before, after):
        assert before.get(path, ABSENT) == old
        made.pop(path, None)
        if new is not ABSENT:
            made[path] = new
    assert made == after


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("a.b[1].c", 2, 3)]),
        ([1], [1, 2], [("[1]", ABSENT, 2)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({"a": [1]}, {"a": {"0": 1}}, [("a", [1], {"0": 1})]),
        ({"a": {}}, {"a": {"b": {"c": 1}}}, [("a.b", ABSENT, {"c": 1})]),
        ("x", "y", [("", "x", "y")]),
    ],
)
def test_a_place_is_named_from_the_outside_in(before: Any, after: Any, told: list[Any]) -> None:
    assert list(walk(before, after)) == told


def event(op: str, *, old: Any, new: Any, planned: bool, urn: str = "urn::a::b::x", diff: tuple[str, ...] = ()) -> Any:
    metadata = SimpleNamespace(
        op=op,
        urn=urn,
        type="machine:index:File",
        detailed_diff=dict.fromkeys(diff),
        old=state(old),
        new=state(new),
    )
    inner = SimpleNamespace(metadata=metadata)
    return SimpleNamespace(resource_pre_event=inner if planned else None, res_outputs_event=None if planned else inner)


def state(values: dict[str, Any] | None) -> Any:
    return None if values is None else SimpleNamespace(outputs=values, inputs=values)


def all_found(*events: Any) -> list[Found]:
    taken = Seen()
    for each in events:
        taken.take(each)
    return found(taken, stack="lake", sources={"urn::a::b::x": "services/lake/deploy.py:7"})


@pytest.mark.parametrize("op", ["same", "read", "refresh", "import", "discard"])
def test_a_step_that_changes_nothing_is_no_plan(op: str) -> None:
    assert all_found(event(op, old={"a": 1}, new={"a": 2}, planned=True, diff=("a",))) == []


def test_an_event_about_something_else_is_passed_over() -> None:
    assert all_found(SimpleNamespace(resource_pre_event=None, res_outputs_event=None)) == []


def test_what_is_new_in_the_program_is_undeployed_and_what_left_it_as_well() -> None:
    new = event("create", old=None, new={"a": 1}, planned=True)
    gone = event("delete", old={"a": 1}, new=None, planned=True, urn="urn::a::b::y")
    told = [(each.kind, each.name, each.before, each.after) for each in all_found(new, gone)]
    assert told == [("undeployed", "x", ABSENT, "declared"), ("undeployed", "y", "deployed", ABSENT)]


@pytest.mark.parametrize(
    ("op", "diff", "mended"), [("update", ("a",), True), ("update", ("b",), False), ("replace", (), True)]
)
def test_a_change_is_mended_when_a_deployment_touches_it_or_makes_all_anew(
    op: str, diff: tuple[str, ...], mended: bool
) -> None:
    live = event("refresh", old={"a": {"k": 1}}, new={"a": {"k": 2}}, planned=False)
    told = all_found(live, event(op, old={"a": {"k": 2}}, new={"a": {"k": 1}}, planned=True, diff=diff))
    assert [(each.property, each.mended) for each in told if each.kind == "changed"] == [("a.k", mended)]
    assert all(each.source == "services/lake/deploy.py:7" for each in told)


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"path": "/p", "name": "n"}, "/p"),
        ({"arn": "r", "name": "n"}, "n"),
        ({"id": "i", "bucket": "b"}, "b"),
        ({"path": "", "arn": "r"}, "r"),
        ({"id": 7}, "7"),
        ({}, "there"),
    ],
)
def test_what_is_gone_is_named_by_the_best_name_it_has(properties: dict[str, Any], name: str) -> None:
    (told,) = all_found(event("refresh", old=properties, new=None, planned=False))
    assert (told.before, told.kind, told.mended) == (name, "gone", False)


@given(stacks=DRIFTS)
@settings(deadline=None, max_examples=30)
def test_the_code_the_counts_and_the_lines_say_the_same(stacks: list[StackDrift]) -> None:
    said = answer("prod", stacks)
    sorts = [each.sort for stack in stacks for each in stack.differences]
    assert said["counts"] == {sort: sorts.count(sort) for sort in sorted(SORTS)}
    assert said["code"] == exit_code(stacks)
    assert (said["code"] == 0) == (not any(stack.error for stack in stacks) and set(sorts) <= {"noise"})
    told = lines(stacks)
    assert told[-1] == summary(stacks)
    assert sum(line.startswith(SORTS) for line in told) == len(sorts)
    assert sum(line.startswith("error: ") for line in told) == sum(bool(stack.error) for stack in stacks)


@given(stacks=DRIFTS)
@settings(deadline=None, max_examples=30)
def test_issues_settle_after_one_round_and_there_is_one_for_each_stack_that_differs(stacks: list[StackDrift]) -> None:
    opened = [Issue(number=9, author=BOT, body=body("prod", StackDrift(stack="old", looked_at=1, error="x")))]
    after = carried_out(opened, decide(opened, stacks, environment="prod", author=BOT))
    assert decide(after, stacks, environment="prod", author=BOT) == []
    wanted = [stack for stack in stacks if stack.error or stack.of("dangerous") or stack.of("harmless")]
    assert sorted(issue.body for issue in after) == sorted(body("prod", stack) for stack in wanted)


def carried_out(issues: list[Issue], actions: list[Action]) -> list[Issue]:
    """A forge that does as it is told."""
    held = {issue.number: issue for issue in issues}
    for action in actions:
        number = action.number or max(held, default=0) + 1
        if action.act == "close":
            del held[number]
        else:
            held[number] = Issue(number=number, author=BOT, body=action.body)
    return list(held.values())


def test_a_closed_issue_says_why() -> None:
    kept = StackDrift(stack="lake", looked_at=1, differences=(one(),))
    issues = [Issue(number=number, author=BOT, body=body("prod", kept)) for number in (8, 5)]
    gone = Issue(number=3, author=BOT, body=body("prod", StackDrift(stack="old", looked_at=1)))
    said = [(each.number, each.body) for each in decide([*issues, gone], [kept], environment="prod", author=BOT)]
    assert said == [(8, "The same as #5."), (3, "prod has no stack old any more.")]
    well = StackDrift(stack="lake", looked_at=1)
    (action,) = decide(issues[:1], [well], environment="prod", author=BOT)
    assert action.body == "prod is as declared again."


def test_space_at_the_ends_of_an_issue_is_no_other_drift() -> None:
    drifted = StackDrift(stack="lake", looked_at=1, differences=(one(),))
    issue = Issue(number=5, author=BOT, body=body("prod", drifted) + "\r\n \n")
    assert decide([issue], [drifted], environment="prod", author=BOT) == []


@pytest.mark.parametrize("length", [10, 20_000, 59_000, 70_000, 500_000])
@pytest.mark.parametrize("letter", ["x", "|", "`"])
def test_a_stack_s_text_always_fits_an_issue(length: int, letter: str) -> None:
    failed = markdown("prod", StackDrift(stack="lake", looked_at=1, error=letter * length))
    assert len(failed) <= 60_000
    assert failed.startswith("### Drift of prod, stack lake\n\nIt could not be looked at: `")
    told = markdown("prod", StackDrift(stack="lake", looked_at=1, differences=(one(why=letter * length), one())))
    assert len(told) <= 60_000
    assert "1 resources: 2 harmless." in told


@given(text=st.text(max_size=60))
@settings(deadline=None, max_examples=40)
def test_no_text_leaves_its_cell(text: str) -> None:
    shown = cell(text)
    assert shown == "" or (shown[0] == shown[-1] == "`" and "`" not in shown[1:-1])
    assert len(shown.splitlines()) <= 1
    assert shown.count("|") == shown.count("\\|")


@given(kind=st.sampled_from(KINDS), mended=st.booleans(), before=VALUES, after=VALUES, name=KEYS)
@settings(deadline=None, max_examples=30)
def test_every_difference_has_a_reason_and_two_ways_out(
    kind: Kind, mended: bool, before: Any, after: Any, name: str
) -> None:
    raw = seen(kind=kind, mended=mended, before=before, after=after, name=name, property=name)
    told = difference(raw, rules=(), hider=Hider(), environment="prod")
    assert told.sort in ("harmless", "dangerous")
    assert all((told.why, told.adopt, told.revert))
    if kind != "beside":
        assert (told.revert == "make deploy ENV=prod STACK=lake") == mended


def test_secrets_are_masked_in_both_values_and_in_the_advice() -> None:
    raw = seen(property="content", before="it is hunter2-hunter2", after="it is other-other")
    told = difference(raw, rules=(), hider=Hider(secrets=("hunter2-hunter2", "other-other")), environment="prod")
    assert (told.before, told.after) == ("[secret]", "[secret]")
    assert "other" not in told.adopt
    assert "hunter2" not in told.adopt


def ours(kind: str, id_: str) -> dict[str, Any]:
    return {"type": f"machine:index:{kind}", "id": id_, "outputs": {}}


@pytest.mark.parametrize(
    ("running", "told"), [([], []), (["web"], []), (["web", "b", "a", "b"], ["a", "b"]), (["WEB"], ["WEB"])]
)
def test_each_process_that_nobody_declared_is_told_once_and_by_name(running: list[str], told: list[str]) -> None:
    known = {"lake": [ours("Process", "web"), {"type": "machine:index:Process", "outputs": {}}], "api": []}
    found_ = list(processes(running, known))
    assert [each.name for each in found_] == told
    assert {each.stack for each in found_} <= {"api"}
    assert all(each.by_hand.startswith(f"supervisorctl stop {each.name}, ") for each in found_)


def test_files_are_looked_for_only_where_a_stack_has_its_own(tmp_path: Path) -> None:
    for folder in ("secrets", "lake"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "strange").write_text("")
    assert list(files(tmp_path, {"api": []})) == []
    declared = {
        "web": [ours("Secret", f"{tmp_path}/secrets/a")],
        "api": [ours("RenderedSecret", f"{tmp_path}/secrets/b")],
    }
    (told,) = files(tmp_path, declared)
    assert (told.stack, told.type, told.name, told.by_hand) == (
        "api",
        "secret",
        "strange",
        f"rm -r {tmp_path}/secrets/strange",
    )


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_where_services_run_in_a_cluster_nothing_lies_beside_on_this_machine(name: str) -> None:
    assert beside(Environment.load(name, environ={}), {"api": []}) == []


@pytest.mark.parametrize(
    ("position", "place"),
    [
        ("project:///services/api/deploy.py#12", "services/api/deploy.py:12"),
        ("project:///../../services/api/deploy.py#12,5", "services/api/deploy.py:12"),
        ("project:///infra/components/lake.py#3", "infra/components/lake.py:3"),
        ("project:///infra/components/stack.py#3", ""),
        ("project:///services/api/app.py#3", ""),
        ("file:///services/api/deploy.py#3", ""),
        ("project:///services/api/deploy.py", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_only_a_line_of_a_program_or_component_is_a_source(position: Any, place: str) -> None:
    resource = {"urn": "u", "sourcePosition": position}
    assert line_of(resource) == place
    assert of([resource]) == ({"u": place} if place else {})


@pytest.mark.parametrize(
    "text", ["{", "null", "7", '["a"]', "[{}]", '[{"number": "x", "author": {"login": "a"}, "body": ""}]', "\udcff"],
    ids=ascii,
)  # fmt: skip
def test_open_issues_that_cannot_be_read_end_the_look_before_it_begins(tmp_path: Path, text: str) -> None:
    file = tmp_path / "issues.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LeandataError) as raised:
        verb(parser().parse_args(["drift", "--issues", str(file)]))
    assert str(raised.value) == f"the open issues cannot be read ({file})"
