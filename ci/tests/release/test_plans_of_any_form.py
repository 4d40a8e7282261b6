"""A plan says the same whoever writes it down, in whatever order; at its limits it is refused exactly beyond them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.release.plan import LIFETIME, SCHEMA, UNSEEN, Approval, Plan, World, _sealed, graph_digest, refusals, serial
from ci.release.world import tools, uncommitted
from ci.tests.graphs import graph, resource
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 14, 2, tzinfo=UTC)
COMMIT, OTHER = "a" * 40, "b" * 40
WORDS = st.text(alphabet="abcxyz019.-", min_size=1, max_size=8)
MAPS = st.dictionaries(WORDS, WORDS, max_size=4)
PARTS = ("graph", "images", "serials", "tools")


def plan(**changes: Any) -> Plan:
    made = Plan(
        commit=COMMIT, environment="prod", graph={"lake": "1"}, images={"api": "sha256:1"}, serials={"lake": "41"},
        tools={"pulumi": "3"}, made=NOW.isoformat(),
    )  # fmt: skip
    return replace(made, **changes)


def world(*, now: datetime = NOW, uncommitted: tuple[str, ...] = (), **changes: Any) -> World:
    return World(plan=plan(**changes), uncommitted=uncommitted, now=now)


def approvals(*teams: str, commit: str = COMMIT) -> tuple[Approval, ...]:
    return tuple(Approval(team=team, commit=commit) for team in teams)


def forged(path: Path, **changes: Any) -> Path:
    """A file that somebody wrote with a seal that is right for it."""
    path.write_text(json.dumps({**_sealed(plan()), **changes}))
    return path


@given(graph=MAPS, images=MAPS, serials=MAPS, tools=MAPS, needs=st.lists(WORDS, max_size=3, unique=True))
def test_any_plan_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, needs: list[str], **parts: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any" / "plan.json"
    made = plan(**parts, needs=tuple(needs)).approved(approvals(*needs))
    made.write(path)
    assert Plan.load(path) == made
    assert refusals(Plan.load(path), World(plan=made, uncommitted=(), now=NOW)) == []


@given(found=MAPS, part=st.sampled_from(PARTS))
def test_the_order_in_which_parts_are_given_is_of_no_interest(found: dict[str, str], part: str) -> None:
    backwards = dict(reversed(found.items()))
    assert plan(**{part: found}).fingerprint == plan(**{part: backwards}).fingerprint


@given(before=MAPS, now=MAPS, part=st.sampled_from(["graph", "images", "serials", "tools"]))
def test_a_plan_is_refused_exactly_when_a_part_differs_and_names_the_first(
    before: dict[str, str], now: dict[str, str], part: str
) -> None:
    found = refusals(plan(**{part: before}), world(**{part: now}))
    differing = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    assert len(found) == bool(differing)
    if differing:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        assert f" {differing[0]}" in found[0]
        assert found[0].endswith(more)


@given(before=MAPS, now=MAPS)
def test_two_plans_have_one_fingerprint_exactly_when_they_are_the_same(
    before: dict[str, str], now: dict[str, str]
) -> None:
    assert (plan(images=before).fingerprint == plan(images=now).fingerprint) is (before == now)


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(0), []),
        (LIFETIME, []),
        (LIFETIME + timedelta(seconds=1), ["the plan is from 2026-11-25 14:02 UTC: plans are good for 7 days"]),
        (timedelta(minutes=-5), []),
        (
            timedelta(minutes=-5, seconds=-1),
            ["the plan says that it was made at 2026-11-25T14:02:00+00:00, which is not yet"],
        ),
    ],
    ids=["now", "at its end", "after its end", "clocks differ", "from the future"],
)
def test_a_plan_is_good_from_when_it_was_made_until_it_ends(age: timedelta, said: list[str]) -> None:
    assert refusals(plan(), world(now=NOW + age)) == said


def test_a_moment_without_a_time_zone_is_no_moment() -> None:
    found = refusals(plan(made="2026-11-25T14:02:00"), world())
    assert found == ["the plan says that it was made at 2026-11-25T14:02:00, which is not yet"]


@pytest.mark.parametrize(
    ("needs", "given_by", "said"),
    [
        ((), (), []),
        ((), approvals("data"), []),
        (("data",), approvals("data", commit=OTHER) + approvals("data"), []),
        (("data",), approvals("platform"), ["the approval of data is missing"]),
        (("data", "platform"), (), ["the approval of data is missing", "the approval of platform is missing"]),
        (
            ("data",),
            approvals("data", commit=OTHER),
            ["data approved another commit: bbbbbbbbbbbb, the plan is for aaaaaaaaaaaa"],
        ),
    ],
    ids=["nobody needed", "one too many", "approved again", "another team", "two missing", "an older commit"],
)
def test_every_team_that_is_needed_approves_this_commit(
    needs: tuple[str, ...], given_by: tuple[Approval, ...], said: list[str]
) -> None:
    assert refusals(plan(needs=needs).approved(given_by), world()) == said


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), []),
        (("x.py",), ["there is uncommitted work in x.py"]),
        (("x.py", "y.py", "z.py"), ["there is uncommitted work in x.py (and 2 more)"]),
    ],
    ids=["none", "one", "three"],
)
def test_uncommitted_work_is_named_once(files: tuple[str, ...], said: list[str]) -> None:
    assert refusals(plan(), world(uncommitted=files)) == said


def test_a_fingerprint_from_elsewhere_is_held_against_the_file() -> None:
    assert refusals(plan(), world(), fingerprint=plan().fingerprint) == []
    other = plan(commit=OTHER).fingerprint
    assert refusals(plan(), world(), fingerprint=other) == [
        f"the plan is not the approved one: its fingerprint is {plan().fingerprint}, approved was {other}"
    ]


def test_a_state_that_was_not_looked_at_is_said_before_what_moved() -> None:
    seen = plan(serials={"api": "1", "dash": UNSEEN, "lake": UNSEEN})
    assert refusals(seen, world(serials={"api": "2"})) == ["the plan was made without looking at the state of dash"]


@pytest.mark.parametrize(
    "changes",
    [
        {"made": 7},
        {"made": "yesterday"},
        {"graph": 7},
        {"graph": ["ab"]},
        {"graph": ["abc"]},
        {"images": "abc"},
        {"approvals": [7]},
        {"approvals": [{"team": "data"}]},
        {"approvals": None},
        {"needs": None},
        {"needs": "data"},
        {"seal": "0"},
        {"more": 1},
        {"commit": 7},
        {"fingerprint": ""},
    ],
    ids=str,
)
def test_parts_of_another_form_are_an_edited_plan(changes: dict[str, Any], tmp_path: Path) -> None:
    path = forged(tmp_path / "plan.json", **changes)
    with pytest.raises(LeandataError) as refused:
        Plan.load(path)
    assert refused.value.what in ("the plan was edited: it is not whole", "the plan was edited after it was made")
    assert str(refused.value).endswith(f" ({path}). Make a new preview, and have that approved")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"7", b"[1]", b'{"a": 1}'], ids=repr)
def test_what_is_no_plan_says_how_one_is_made(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(LeandataError) as refused:
        Plan.load(tmp_path / "plan.json")
    assert str(refused.value) == f"this is no plan ({tmp_path / 'plan.json'}). make preview ENV=... OUT=folder"


def test_a_plan_of_another_version_is_named_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(LeandataError, match="the plan has the schema version 2, this is version 1"):
        Plan.load(path)


def test_approvals_are_written_in_one_order_and_change_no_fingerprint() -> None:
    one, other = approvals("data", "platform"), approvals("platform", "data")
    assert plan().approved(one) == plan().approved(other)
    assert plan().approved(one).fingerprint == plan().fingerprint
    assert plan().approvals == (), "the plan itself is as it was"


def test_teams_that_are_needed_twice_are_needed_once() -> None:
    made = Plan.of(
        graph(stack="lake"), commit=COMMIT, environment="prod", root=ROOT, state=Path("/s"), images={}, serials={},
        tools={}, needs=["platform", "data", "platform"], made=NOW,
    )  # fmt: skip
    assert (made.needs, made.made, list(made.graph)) == (("data", "platform"), "2026-11-25T14:02:00+00:00", ["lake"])


@given(names=st.permutations(["a", "b", "c"]))
def test_a_graph_has_one_digest_in_whatever_order_it_is_declared(names: list[str]) -> None:
    def of(found: list[str]) -> str:
        programs = graph(*(resource("machine:index:File", name, {"path": f"/s/{name}"}) for name in found))
        return graph_digest(programs["s"], root=Path("/r"), state=Path("/s"))

    assert of(names) == of(["a", "b", "c"])
    assert of(names) != of(names[:2])


@pytest.mark.parametrize(
    ("state", "same"),
    [
        ({"resources": [], "pending_operations": []}, True),
        ({"manifest": {"time": "x"}, "metadata": {"y": 1}}, True),
        ({"resources": None}, True),
        ({"resources": [{}]}, False),
        ({"pending_operations": [{"type": "creating"}]}, False),
    ],
    ids=["empty", "only when", "null", "a resource", "interrupted"],
)
def test_a_state_that_holds_nothing_is_that_of_a_stack_never_deployed(state: dict[str, Any], same: bool) -> None:
    assert (serial(state) == serial({}) == "") is same


# -- what there is to hold it against ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "providers"),
    [("local", set()), ("prod", {"pulumi-aws", "pulumi-kubernetes", "pulumi-snowflake"})],
)
def test_the_providers_of_an_environment_are_among_its_tools(name: str, providers: set[str]) -> None:
    found = tools(Environment.load(name, environ={}, root=ROOT))
    assert set(found) == {"python", "pulumi", "pulumi-sdk", *providers}
    assert all(found.values())


def test_files_that_say_which_images_run_are_no_uncommitted_work(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name in ("infra/releases/prod.json", "infra/releases-of-old.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert uncommitted(tmp_path) == ("infra/releases-of-old.json",)


def test_where_there_is_no_git_there_is_no_uncommitted_work(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    assert uncommitted(tmp_path) == ()
