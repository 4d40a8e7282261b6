"""A plan is deployed as it was approved, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci.release.plan import LIFETIME, SCHEMA, UNSEEN, Approval, Plan, World, graph_digest, refusals, serial
from ci.tests.graphs import graph, resource
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 14, 2, tzinfo=UTC)
COMMIT, OTHER = "a" * 40, "b" * 40
ROOT, STATE = Path("/checkout"), Path("/state")


def programs(path: str = "/state/x", **options: Any) -> dict[str, Any]:
    return graph(resource("machine:index:Directory", "x", {"path": path}, **options), stack="lake")


def plan(**changes: Any) -> Plan:
    """The plan that a preview makes of the small world of these tests, but for `changes`."""
    made = Plan.of(
        changes.pop("programs", programs()),
        commit=COMMIT,
        environment="prod",
        root=ROOT,
        state=STATE,
        images={"api": "sha256:1"},
        serials={"lake": "41"},
        tools={"pulumi": "3.255.0", "python": "3.11.9"},
        needs=["data", "platform"],
        made=NOW,
    )
    return replace(made, **changes)


def approved(**changes: Any) -> Plan:
    return plan(**changes).approved([Approval(team="data", commit=COMMIT), Approval(team="platform", commit=COMMIT)])


def world(*, uncommitted: tuple[str, ...] = (), later: timedelta = timedelta(hours=1), **changes: Any) -> World:
    return World(plan=plan(**changes), uncommitted=uncommitted, now=NOW + later)


def test_an_approved_plan_is_deployed(tmp_path: Path) -> None:
    approved().write(tmp_path / "plan.json")
    assert refusals(Plan.load(tmp_path / "plan.json"), world()) == []


# -- ways to deploy something else -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """What is in the file, what the deployment finds, and what it says; `edit` changes the text of the file."""

    said: str
    edit: Callable[[dict[str, Any]], Any] = lambda read: None
    plan: Callable[[], Plan] = approved
    world: Callable[[], World] = world
    fingerprint: str = ""


TAMPERINGS = {
    "edited plan": Tampering(
        edit=lambda read: read["graph"].update(lake="0" * 64), said="the plan was edited after it was made"
    ),
    "edited approvals": Tampering(
        edit=lambda read: read.update(needs=[]), said="the plan was edited after it was made"
    ),
    "wrong environment": Tampering(
        world=lambda: world(environment="staging"), said="the plan is for the environment prod, not for staging"
    ),
    "newer commit": Tampering(
        world=lambda: world(commit=OTHER),
        said="the plan is for the commit aaaaaaaaaaaa, and bbbbbbbbbbbb is checked out",
    ),
    "uncommitted work": Tampering(
        world=lambda: world(uncommitted=("infra/x.py", "infra/y.py")),
        said="there is uncommitted work in infra/x.py (and 1 more)",
    ),
    "moved state": Tampering(
        world=lambda: world(serials={"lake": "42"}), said="the state was changed since the preview in lake"
    ),
    "state that nobody looked at": Tampering(
        plan=lambda: approved(serials={"lake": UNSEEN}), said="the plan was made without looking at the state of lake"
    ),
    "other tool": Tampering(
        world=lambda: world(tools={"pulumi": "3.256.0", "python": "3.11.9"}),
        said="the plan was made with another version of pulumi (3.255.0, here 3.256.0)",
    ),
    "missing approval": Tampering(
        plan=lambda: plan().approved([Approval(team="data", commit=COMMIT)]),
        said="the approval of platform is missing",
    ),
    "approval of another commit": Tampering(
        plan=lambda: plan().approved([Approval(team="data", commit=COMMIT), Approval(team="platform", commit=OTHER)]),
        said="platform approved another commit: bbbbbbbbbbbb, the plan is for aaaaaaaaaaaa",
    ),
    "other graph": Tampering(
        world=lambda: world(programs=programs("/elsewhere")), said="the programs declare something else in lake"
    ),
    "other image": Tampering(world=lambda: world(images={"api": "sha256:2"}), said="another image would run for api"),
    "expired": Tampering(
        world=lambda: world(later=LIFETIME + timedelta(seconds=1)),
        said="the plan is from 2026-11-25 14:02 UTC: plans are good for 7 days",
    ),
    "from the future": Tampering(world=lambda: world(later=timedelta(hours=-1)), said="which is not yet"),
    "other version of plans": Tampering(
        edit=lambda read: read.update(schema=SCHEMA + 1), said="the plan has the schema version 2, this is version 1"
    ),
    "another plan than people approved": Tampering(
        fingerprint="sha256:" + "0" * 64, said="the plan is not the approved one: its fingerprint is sha256:"
    ),
}


@pytest.mark.parametrize("case", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_anything_else_is_refused_with_a_sentence_that_names_the_part(case: Tampering, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    case.plan().write(path)
    read = json.loads(path.read_text())
    case.edit(read)
    path.write_text(json.dumps(read))
    try:
        found = refusals(Plan.load(path), case.world(), fingerprint=case.fingerprint)
    except LeandataError as error:
        found = [error.what]
    assert len(found) == 1, found
    assert case.said in found[0]


def test_every_difference_is_named() -> None:
    found = refusals(approved(), world(commit=OTHER, serials={"lake": "42", "mail": "1"}, uncommitted=("x",)))
    assert found == [
        "the plan is for the commit aaaaaaaaaaaa, and bbbbbbbbbbbb is checked out",
        "there is uncommitted work in x",
        "the state was changed since the preview in lake and 1 more",
    ]


@pytest.mark.parametrize("part", ["commit", "environment", "graph", "images", "made", "needs", "serials", "tools"])
def test_a_part_that_is_taken_out_of_the_file_is_noticed(part: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    approved().write(path)
    read = json.loads(path.read_text())
    del read[part]
    path.write_text(json.dumps(read))
    with pytest.raises(LeandataError, match="the plan was edited"):
        Plan.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"plan"', "{}", "null"])
def test_what_is_no_plan_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(LeandataError, match="this is no plan"):
        Plan.load(tmp_path / "plan.json")


def test_a_plan_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match="the plan cannot be read: No such file or directory"):
        Plan.load(tmp_path / "plan.json")


# -- the fingerprint ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"commit": OTHER},
        {"environment": "dev"},
        {"graph": {"lake": "1"}},
        {"images": {}},
        {"serials": {"lake": "42"}},
        {"tools": {}},
        {"schema": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_part_is_bound_by_the_fingerprint(change: dict[str, Any]) -> None:
    assert plan(**change).fingerprint != plan().fingerprint


def test_the_fingerprint_does_not_depend_on_when_and_who() -> None:
    assert plan(made="2026-11-26T00:00:00+00:00", needs=()).fingerprint == approved().fingerprint


def test_the_same_declaration_has_the_same_digest_in_another_checkout() -> None:
    here = graph_digest(programs("/state/x")["lake"], root=ROOT, state=STATE)
    there = graph_digest(programs("/elsewhere/x")["lake"], root=Path("/root2"), state=Path("/elsewhere"))
    assert here == there


@pytest.mark.parametrize(
    "options",
    [{"protect": True}, {"retain": True}, {"ignore": ("path",)}, {"parent": "urn:p"}, {"needs": ("urn:n",)}],
    ids=lambda options: next(iter(options)),
)
def test_options_of_a_resource_are_part_of_the_graph(options: dict[str, Any]) -> None:
    assert plan(programs=programs(**options)).graph != plan().graph


def test_a_state_has_the_same_serial_however_often_it_is_written() -> None:
    state = {"manifest": {"time": "1"}, "resources": [{"urn": "a", "outputs": {"x": 1}}]}
    again = {"resources": [{"outputs": {"x": 1}, "urn": "a"}], "manifest": {"time": "2"}, "metadata": {}}
    assert serial(state) == serial(again)


def test_a_changed_or_interrupted_state_has_another_serial() -> None:
    state = {"resources": [{"urn": "a", "outputs": {"x": 1}}]}
    others = [
        {},
        {"resources": [{"urn": "a", "outputs": {"x": 2}}]},
        {**state, "pending_operations": [{"type": "creating"}]},
    ]
    assert len({serial(one) for one in [state, *others]}) == 4
    assert serial({}) == ""
