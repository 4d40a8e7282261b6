"""Every form at its limits: what is cut is counted, what comes from programs is never obeyed, rows group without loss."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.preview.document import document
from ci.preview.escaping import code, cut, prose, value, visible
from ci.preview.making import Made, failed, only
from ci.preview.markdown import markdown
from ci.preview.model import ABSENT, LATER, RISKS, Op, PropertyChange, Risk, RiskKind
from ci.preview.page import page
from ci.preview.report import Live, Preview, ordered
from ci.preview.risk_rows import LEVELS, general, rows
from ci.preview.summary import summary
from ci.release.plan import Plan
from ci.tests.preview.previews import COMMITS, change, preview, risk, stack
from ci.verbs.preview import folders, write

ESCAPE = "\x1b[31mred\x07"
PLAN = Plan(commit="c", environment="prod", graph={}, images={}, serials={}, tools={}, made="2026-11-25T14:02:00+00:00")


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [("a", "a"), ("", ""), (1, "1"), (True, "true"), (None, "null"), ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}'), (["ü"], '["ü"]'), (Path("/x"), '"/x"')],
)  # fmt: skip
def test_a_value_is_shown_as_json_and_a_text_without_quotes(found: Any, said: str) -> None:
    assert value(found) == said


@pytest.mark.parametrize(
    ("said", "length", "left"),
    [
        ("abcdefgh", 8, "abcdefgh"),
        ("abcdefghi", 8, "abcde…hi"),
        ("abcdefghi", 4, "ab…i"),
        ("abc", 1, "…"),
        ("abc", 2, "a…"),
    ],
)
def test_a_cut_text_keeps_its_begin_and_its_end(said: str, length: int, left: str) -> None:
    assert cut(said, length) == left


@pytest.mark.parametrize("said", ["closes GH-12", "gh-7", "see GH-1, GH-2"])
def test_an_issue_by_its_short_form_is_no_link(said: str) -> None:
    assert not re.search(r"(?i)gh-\d", prose(said))
    assert prose(said).replace("\u200b", "") == said


@pytest.mark.parametrize("said", ["a plain sentence, with commas.", "10 of 12", "a-b/c:d", "Ünïcödé 中文", "high-12"])
def test_harmless_text_is_left_as_it_is(said: str) -> None:
    assert prose(said) == said


def test_a_name_of_nothing_is_still_a_cell() -> None:
    assert code("") == code(" \n ") == "<code> </code>"


@given(st.text(max_size=200))
def test_what_is_shown_in_markdown_reads_as_what_it_was(said: str) -> None:
    back = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), prose(said, length=10_000)).replace("\u200b", "")
    assert back == visible(said)


# -- the terminal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        preview(stack(change(ESCAPE))),
        preview(stack(change("a", "update", PropertyChange(path=ESCAPE, before=1, after=2)))),
        preview(stack(change("a", type_=f"aws:s3/bucket:{ESCAPE}"))),
        preview(stack(change("a"), name=ESCAPE)),
        preview(stack(), risks=(risk(ESCAPE, why=ESCAPE, stack=ESCAPE, teams=(ESCAPE,)),)),
        preview(stack(), notes=(ESCAPE,)),
        preview(stack(), live=Live(compared=False, why=ESCAPE)),
        preview(stack(), failure=ESCAPE),
        preview(stack(), commits=replace(COMMITS, how=f"asked for as {ESCAPE}")),
    ],
    ids=["name", "property", "type", "stack", "risk", "note", "live", "failure", "base"],
)
def test_nothing_in_a_preview_steers_the_terminal(found: Preview) -> None:
    shown = summary(found)
    assert "red" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)


@pytest.mark.parametrize(("count", "more"), [(12, 0), (13, 1), (500, 488)])
def test_the_terminal_shows_twelve_changes_of_a_stack_and_counts_the_others(count: int, more: int) -> None:
    shown = summary(preview(stack(*(change(f"b-{n}") for n in range(count)))))
    assert shown.count("    ~ update") == 12
    assert (f"    and {more} more" in shown) == bool(more)


def test_properties_are_named_where_something_is_updated_and_not_where_it_comes_or_goes() -> None:
    many = [PropertyChange(path=f"p{n}", before=1, after=2) for n in range(8)]
    shown = summary(preview(stack(change("u", "update", *many), change("c", "create", *many[:1]))))
    assert "u: p0, p1, p2, p3, p4, p5 ..." in shown
    assert "c: p0" not in shown


# -- Markdown and HTML -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["create", "update", "replace", "delete"])
@pytest.mark.parametrize("flag", ["may_replace", "deletes_first", ""])
def test_a_change_says_how_sure_it_is_only_where_that_matters(op: Op, flag: str) -> None:
    found = preview(stack(change("x", op, **({flag: True} if flag else {}))))
    for shown in (markdown(found), page(found, counts={})):
        assert ("may turn out as a replacement" in shown) == (flag == "may_replace" and op == "update")
        assert ("the old one is deleted first" in shown) == (flag == "deletes_first" and op == "replace")


@pytest.mark.parametrize(
    ("replaces", "said"), [(True, "forces replacement"), (None, "(may force replacement)"), (False, "")]
)
def test_a_property_says_whether_it_forces_a_replacement(replaces: bool | None, said: str) -> None:
    found = preview(stack(change("x", "update", PropertyChange(path="p", before=1, after=2, replaces=replaces))))
    for shown in (markdown(found), page(found, counts={})):
        assert said in shown
        assert ("force" in shown) == bool(said)


@pytest.mark.parametrize(("mark", "said"), [(ABSENT, "not set"), (LATER, "known after deploy")])
def test_marks_are_said_in_words(mark: str, said: str) -> None:
    found = preview(stack(change("x", "update", PropertyChange(path="p", before="v", after=mark))))
    assert f"<code>v</code> → {said}" in markdown(found)
    assert f"<code>v</code> → {said}" in page(found, counts={})


@pytest.mark.parametrize(("count", "more"), [(40, 0), (41, 1), (100, 60)])
def test_the_comment_shows_40_properties_of_a_resource_and_counts_the_others(count: int, more: int) -> None:
    many = [PropertyChange(path=f"p{n}", before=1, after=2) for n in range(count)]
    shown = markdown(preview(stack(change("x", "update", *many))))
    assert len(re.findall(r"^  - <code>p\d+</code>", shown, re.MULTILINE)) == min(count, 40)
    assert (f"  - and {more} more properties" in shown) == bool(more)


@pytest.mark.parametrize(("count", "more"), [(0, 0), (10, 0), (11, 1), (30, 20)])
def test_the_comment_shows_ten_notes_and_counts_the_others(count: int, more: int) -> None:
    shown = markdown(preview(stack(), notes=tuple(f"note {n}" for n in range(count))))
    assert len(re.findall(r"^> note", shown, re.MULTILINE)) == min(count, 10)
    assert (f"> and {more} more notes" in shown) == bool(more)


@given(st.integers(4_000, 60_000), st.integers(0, 40), st.integers(1, 60))
@settings(max_examples=15)
def test_a_smaller_limit_is_kept_too_and_the_first_lines_stay(limit: int, stacks: int, each: int) -> None:
    found = preview(*(stack(*(change(f"b-{n}", stack=f"s{m}") for n in range(each)), name=f"s{m}") for m in range(stacks)))  # fmt: skip
    shown = markdown(found, limit=limit)
    assert len(shown) <= limit
    whole = markdown(found).splitlines()
    assert shown.splitlines()[:4] == whole[:4]
    assert shown.rstrip().splitlines()[-1] == whole[-1], "what it was compared with is the last line"


# -- risks as rows -----------------------------------------------------------------------------------------------------


RISK = st.builds(
    lambda name, kind, why, place, teams, confirm: risk(name, kind, why, stack=place, teams=teams, confirm=confirm),
    st.sampled_from(["a", "b1", "b2", ""]),
    st.sampled_from(RISKS),
    st.sampled_from(["replace: b1 goes", "replace: b2 goes", "opens 22", "opens 443"]),
    st.sampled_from(["lake", "api"]),
    st.sets(st.sampled_from(["x", "y"])).map(lambda found: tuple(sorted(found))),
    st.booleans(),
)


@given(st.lists(RISK, max_size=25))
@settings(max_examples=30)
def test_grouping_loses_no_risk_no_team_and_no_confirmation(found: list[Risk]) -> None:
    for level in range(LEVELS):
        grouped = rows(found, level)
        assert sum(row.count for row in grouped) == len(found)
        for kind in RISKS:
            mine, inside = [row for row in grouped if row.kind == kind], [one for one in found if one.kind == kind]
            assert {team for row in mine for team in row.teams} == {team for one in inside for team in one.teams}
            assert any(row.confirm for row in mine) == any(one.confirm for one in inside)
    counts = [len(rows(found, level)) for level in range(LEVELS)]
    assert counts == sorted(counts, reverse=True), "each level has no more rows than the one before"


@given(st.lists(RISK, max_size=25), st.randoms())
@settings(max_examples=30)
def test_risks_are_ordered_once_each_by_kind_whatever_their_order(found: list[Risk], chance: Any) -> None:
    first = ordered(found)
    assert set(first) == set(found)
    assert len(first) == len(set(found))
    assert [RISKS.index(one.kind) for one in first] == sorted(RISKS.index(one.kind) for one in first)
    chance.shuffle(found)
    assert [one.why for one in ordered(found)] == [one.why for one in first]


@pytest.mark.parametrize(
    ("name", "why", "said"),
    [("raw", "raw holds 3 GB", "NAME holds N GB"), ("", "opens 22", "opens N"), ("x", "no name here", "no name here")],
)
def test_reasons_are_alike_but_for_names_and_numbers(name: str, why: str, said: str) -> None:
    assert general(risk(name, why=why)) == said


def test_risks_of_several_reasons_in_one_row_say_how_many() -> None:
    found = [risk("a", why="opens 22"), risk("b", why="is public")]
    assert rows(found, 3)[0].why == "2 reasons, among them: opens 22"
    assert rows([risk("a", why="opens 22"), risk("b", why="opens 80")], 3)[0].why == "opens 22"


def test_the_last_level_has_a_row_for_each_kind_with_the_first_and_the_last_name() -> None:
    found = [risk(name, stack=place) for name in "abcd" for place in ("lake", "api")] + [risk("k", "cost")]
    first, other = rows(found, LEVELS - 1)
    assert (first.kind, first.count, first.names, first.stack) == ("data", 8, ("a", "d"), "")
    assert (other.kind, other.count, other.names, other.stack) == ("cost", 1, ("k",), "lake")


# -- the verdict -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RISKS)
def test_any_kind_of_risk_that_somebody_signs_stops(kind: RiskKind) -> None:
    found = preview(stack(), risks=(risk("a", kind),))
    assert (found.exit_code, found.verdict) == (3, f"STOP: 1 {kind} risk")


@pytest.mark.parametrize(
    ("teams", "confirm", "exit_code"), [((), False, 2), (("x",), False, 3), ((), True, 3), (("x",), True, 3)]
)
def test_a_risk_stops_where_somebody_has_to_agree_or_to_type(teams: Any, confirm: bool, exit_code: int) -> None:
    found = preview(stack(), risks=(risk("a", teams=teams, confirm=confirm),))
    assert found.exit_code == document(found)["exit_code"] == exit_code
    assert [one.team for one in found.sign_off()] == list(teams)


def test_the_gravest_kind_is_said_first_whatever_comes_first() -> None:
    found = preview(stack(), risks=(risk("a", "order"), risk("b", "cost"), risk("c", "access"), risk("d", "access")))
    assert found.verdict == "STOP: 2 access risks and 2 more"


# -- files -------------------------------------------------------------------------------------------------------------


def test_the_plan_lies_beside_the_report_and_goes_when_there_is_none_any_more(tmp_path: Path) -> None:
    whole = Made(preview=preview(stack(change("a"))), counts={}, plan=PLAN)
    write(whole, tmp_path / "deep" / "folder")
    assert Plan.load(tmp_path / "deep" / "folder" / "plan.json") == PLAN
    write(failed("prod", COMMITS, "no luck"), tmp_path / "deep" / "folder")
    names = sorted(path.name for path in (tmp_path / "deep" / "folder").iterdir())
    assert names == ["preview.html", "preview.json", "preview.md"]
    assert json.loads((tmp_path / "deep" / "folder" / "preview.json").read_text())["exit_code"] == 1


def test_reports_of_several_environments_never_share_a_folder() -> None:
    for out in ("", "out", "/abs/out"):
        assert len(set(folders(out, ["dev", "prod", "local"]).values())) == 3


def test_a_part_of_a_preview_has_its_risks_and_says_that_it_is_a_part() -> None:
    found = Made(preview=preview(stack(change("a")), stack(name="api"), risks=(risk("a"), risk("b", stack="api"))), counts={})  # fmt: skip
    part = only(found, ["lake", "api"]).preview
    assert (len(part.risks), part.notes) == (2, ("only these stacks are shown: api, lake",))
    part = only(found, ["api"]).preview
    assert ([one.name for one in part.risks], part.changes) == (["b"], 0)


def test_a_failed_preview_is_shown_whole_whatever_part_is_asked_for() -> None:
    found = failed("prod", COMMITS, "no luck")
    assert only(found, ["mars"]) is found
