"""The text of a comment: found again, true to its commit, with the commits before, and never over GitHub's limit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.comment.body import OUTCOMES, Section, Shown, body, is_quiet, outdated, quiet, remembered
from ci.preview.markdown import LIMIT
from ci.preview.report import Live
from ci.tests.comment.artifacts import changing, unchanged
from ci.tests.comment.fake_github import COMMIT, OLDER
from ci.tests.preview.previews import change, preview, risk, stack

RUN = "https://github.com/leandata-example/leandata/actions/runs/7"
COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)
COUNTS = st.lists(st.integers(0, 10**9 - 1), min_size=5, max_size=5).map(tuple)
SHOWN = st.builds(
    Shown, commit=COMMITS, outcome=st.sampled_from(OUTCOMES), live=st.booleans(), totals=COUNTS | st.just(())
)
ONE: dict[str, Any] = {"commit": OLDER, "live": False, "outcome": "changes", "totals": [1, 2, 3, 4, 5]}


def said(section: Section, **more: Any) -> str:
    return body(section, **{"commit": COMMIT, "run": RUN, "notes": (), "before": (), **more})


def numbered(number: int, **more: Any) -> Shown:
    return Shown(**{"commit": f"{number:040x}", "outcome": "failed", "live": False, "totals": (), **more})


def state(*rows: Any) -> str:
    return f"<!-- preview:prod -->\n<!-- state:{json.dumps(rows)} -->"


@pytest.mark.parametrize(
    ("found", "outcome", "totals"),
    [
        (unchanged(), "no-change", (0, 0, 0, 0, 4)),
        (preview(stack(change("raw"), same=2)), "changes", (0, 1, 0, 0, 2)),
        (changing(), "sign-off", (0, 0, 1, 0, 3)),
        (preview(stack(same=1), risks=(risk("raw", teams=(), confirm=True),)), "sign-off", (0, 0, 0, 0, 1)),
        (preview(stack(same=1), risks=(risk("raw", teams=()),)), "changes", (0, 0, 0, 0, 1)),
        (changing(failure="it failed"), "failed", (0, 0, 1, 0, 3)),
    ],
    ids=["no change", "changes", "a team", "typed confirmation", "a risk that nobody signs", "failure"],
)
def test_what_is_remembered_of_a_preview_is_how_it_ended_and_what_it_counted(found: Any, outcome: str, totals: Any):
    shown = Section(environment="prod", preview=found).shown(COMMIT)
    assert (shown.commit, shown.outcome, shown.totals, shown.live) == (COMMIT, outcome, totals, False)


def test_whether_it_was_compared_with_what_runs_is_remembered():
    found = preview(stack(), live=Live(compared=True, why=""))
    assert Section(environment="prod", preview=found).shown(COMMIT).live is True


def test_where_there_is_no_preview_nothing_is_counted():
    shown = Section(environment="prod", failure="no artifact").shown(COMMIT)
    assert shown == Shown(commit=COMMIT, outcome="failed", live=False, totals=())


@given(st.lists(SHOWN, max_size=12, unique_by=lambda one: one.commit))
@settings(max_examples=40)
def test_a_comment_remembers_itself_and_the_eight_commits_before_in_their_order(before: list[Shown]):
    section = Section(environment="prod", preview=changing())
    found = remembered(said(section, before=before))
    assert found == (section.shown(COMMIT), *[one for one in before if one.commit != COMMIT][:8])


@given(st.lists(SHOWN, max_size=3, unique_by=lambda one: one.commit))
@settings(max_examples=40)
def test_what_is_remembered_survives_a_failure_and_the_mark_of_being_outdated(before: list[Shown]):
    text = said(Section(environment="prod", failure="it did not end"), before=before)
    assert remembered(outdated(text, commit=OLDER)) == remembered(text)
    assert len(remembered(text)) == 1 + len(before)


def test_a_second_look_at_the_same_commit_takes_the_place_of_the_first():
    before = (numbered(0, commit=COMMIT), numbered(5))
    text = said(Section(environment="prod", preview=changing()), before=before)
    assert [one.commit for one in remembered(text)] == [COMMIT, f"{5:040x}"]
    assert text.count("<summary>Commits before</summary>") == 1
    assert "- <code>0000000000</code> failed" in text


def test_a_first_look_tells_of_no_commits_before():
    assert "Commits before" not in said(Section(environment="prod", preview=changing()))


@pytest.mark.parametrize(
    "row",
    [
        {**ONE, "commit": "a" * 39},
        {**ONE, "commit": "A" * 40},
        {**ONE, "commit": f"{'a' * 40}\n"},
        {**ONE, "commit": 7},
        {**ONE, "outcome": "perfect"},
        {**ONE, "outcome": ["failed"]},
        {**ONE, "live": 1},
        {**ONE, "live": None},
        {**ONE, "totals": [1, 2, 3, 4]},
        {**ONE, "totals": [1, 2, 3, 4, True]},
        {**ONE, "totals": [1, 2, 3, 4, 5.0]},
        {**ONE, "totals": [1, 2, 3, 4, -1]},
        {**ONE, "totals": [1, 2, 3, 4, 10**9]},
        {**ONE, "totals": "12345"},
        {key: value for key, value in ONE.items() if key != "live"},
        [],
        "text",
        None,
        7,
    ],
    ids=repr,
)
def test_one_row_that_cannot_be_makes_the_whole_memory_nothing(row: Any):
    assert remembered(state(ONE)) != ()
    assert remembered(state(ONE, row)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- preview:prod -->",
        "<!-- state:[ -->",
        "<!-- state:[}] -->",
        "<!-- state:{} -->",
        f"<!-- state:[{'[' * 1400}{']' * 1400}] -->",
        f"<!-- state:{json.dumps([ONE] * 60)} -->",
    ],
    ids=["empty", "no state", "no end", "no JSON", "an object", "a thousand lists", "too long"],
)
def test_a_damaged_comment_remembers_nothing(text: str):
    assert remembered(text) == ()


def test_of_two_memories_in_one_comment_the_last_is_ours():
    other = json.dumps([{**ONE, "commit": COMMIT}])
    text = f"<!-- preview:prod -->\n<!-- state:{other} -->\n<!-- state:{json.dumps([ONE])} -->"
    assert [one.commit for one in remembered(text)] == [OLDER]


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_whatever_a_failure_says_forges_no_memory_and_no_mark(why: str):
    text = said(Section(environment="prod", failure=f"{why} <!-- state:[] --> <!-- preview:dev -->"))
    assert text.startswith("<!-- preview:prod -->\n### Preview prod at aaaaaaaaaa · FAILED\n")
    assert text.count("<!--") == 2
    assert [one.commit for one in remembered(text)] == [COMMIT]


@pytest.mark.parametrize("why", ["", "the run ended early"])
def test_a_section_without_a_preview_says_why(why: str):
    text = said(Section(environment="prod", failure=why))
    assert f"**Nothing is known of this change**: {why or 'its preview is too long to be shown'}.\n" in text


def test_notes_and_the_address_of_the_run_stand_below_the_preview():
    text = said(Section(environment="prod", preview=changing()), notes=("one", "two"))
    lines = text.splitlines()
    assert lines.index("> one") + 1 == lines.index("> two")
    assert lines.index("> two") < lines.index(f"[The run]({RUN})") < len(lines)
    assert lines[-1].startswith("<!-- state:[")


@pytest.mark.parametrize("count", [1, 400, 2_000])
def test_however_much_changes_the_comment_fits_and_keeps_its_memory(count: int):
    changes = tuple(change(f"bucket-{number}-{'x' * 60}", "create", after={"a": "b" * 50}) for number in range(count))
    risks = tuple(risk(f"bucket-{number}", why="y" * 200) for number in range(count))
    before = [numbered(number, totals=(999_999_999,) * 5) for number in range(1, 20)]
    text = said(Section(environment="prod", preview=preview(stack(*changes), risks=risks)), before=before)
    assert len(text) < LIMIT
    assert len(remembered(text)) == 9
    assert remembered(text)[0].totals == (count, 0, 0, 0, 0)


def test_notes_that_leave_no_room_leave_the_preview_out_and_say_so():
    text = said(Section(environment="prod", preview=changing()), notes=("n" * LIMIT,))
    assert "**Nothing is known of this change**: its preview is too long to be shown.\n" in text
    assert "**create" not in text


def test_the_quiet_comment_names_its_environments_in_order_and_is_known_again():
    text = quiet(["staging", "dev"], commit=COMMIT, run=RUN, notes=("note",))
    assert "**No infrastructure change** in **dev**, **staging**.\n" in text
    assert "> note\n" in text
    assert f"[The run]({RUN})\n" in text
    assert is_quiet(text)


def test_the_quiet_comment_of_no_environment_points_to_the_others():
    text = quiet([], commit=COMMIT, run=RUN, notes=())
    assert "See the other comments.\n" in text
    assert "No infrastructure change" not in text
    assert is_quiet(text)


def test_a_comment_of_an_environment_is_not_the_quiet_one():
    assert not is_quiet(said(Section(environment="prod", preview=unchanged())))
    assert not is_quiet("text\n" + quiet(["dev"], commit=COMMIT, run=RUN, notes=()))


@given(st.lists(COMMITS, min_size=1, max_size=4), st.sampled_from(["comment", "quiet"]))
@settings(max_examples=40)
def test_however_often_it_is_outdated_a_comment_says_so_once_and_of_the_newest(commits: list[str], which: str):
    first = (
        said(Section(environment="prod", preview=changing()))
        if which == "comment"
        else quiet(["prod"], commit=COMMIT, run=RUN, notes=())
    )
    text = first
    for commit in commits:
        text = outdated(text, commit=commit)
    lines = text.split("\n")
    assert lines[0] == first.split("\n")[0]
    assert lines[1] == f"> **Outdated**: a preview of {commits[-1][:10]} is under way; below is an older commit."
    assert [lines[0], *lines[2:]] == first.split("\n")
