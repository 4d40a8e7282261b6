"""What a preview looks like in Markdown, JSON and HTML: complete, short enough, and nothing in it is obeyed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.preview.document import SCHEMA, document, text
from ci.preview.escaping import code, cut, prose, visible
from ci.preview.markdown import LIMIT, markdown, marker
from ci.preview.model import ABSENT, LATER, RISKS, PropertyChange
from ci.preview.page import page
from ci.preview.report import Budget, Live, LiveRow, Money, MoneyLine, Preview
from ci.preview.risk_rows import LEVELS, rows
from ci.preview.summary import summary
from ci.tests.preview.previews import change, preview, risk, stack

CHANGED = PropertyChange(path="lifecycle[0].days", before=30, after=90)
MONEY = Money(
    lines=(MoneyLine(stack="cluster", service="api", base=100.0, head=312.0),),
    budgets=(Budget(service="api", allowed=250, base=100.0, head=312.0),),
    not_priced=("aws:redshift/cluster:Cluster: no rule",),
    origin="USD list prices of eu-central-1, typed by hand on 2026-11-25; no tax, no discount",
)
FULL = preview(
    stack(change("raw", "replace", PropertyChange(path="bucket", before="a", after="b", replaces=True)), same=7, reasons=("shared/naming.py",)),
    stack(
        change("role", "update", PropertyChange(path="policy", before=ABSENT, after=LATER), CHANGED, stack="api", type_="aws:iam/role:Role"),
        change("gone", "delete", stack="api", before={"name": "x"}),
        change("new", "create", stack="api", after={"name": "y", "size": 3}),
        name="api",
        same=141,
    ),
    stack(name="mail", same=2),
    risks=(risk("raw", why="replace: bucket changed", confirm=True), risk("role", "access", "adds s3:PutObject on curated/*", stack="api", teams=("platform-team", "security-team"))),
    money=MONEY,
    live=Live(compared=True, why="", agreed=3, rows=(LiveRow(stack="api", urn="u", type="aws:iam/role:Role", name="role", said="also differs live", properties=("policy",)),)),
    notes=("uv.lock differs",),
    fingerprint="sha256:" + "c" * 64,
)  # fmt: skip


def schema() -> dict[str, Any]:
    return json.loads(SCHEMA.read_text())


# -- Markdown ----------------------------------------------------------------------------------------------------------


def test_the_first_lines_are_what_a_reviewer_decides_by() -> None:
    lines = markdown(FULL).splitlines()
    assert lines[0] == "<!-- preview:prod -->" == marker("prod")
    assert lines[1] == "### Preview prod at 1a2b3c4d5e · 2026-11-25 14:02 UTC · STOP: 1 data risk and 1 more"
    assert lines[3] == "**create 1 · update 1 · replace 1 · delete 1 · same 150**  (2 of 3 stacks change)"
    assert lines[5].startswith("| risk | resource | why | needs |")
    assert lines[7].startswith(
        "| data | lake aws:s3:Bucket: <code>raw</code> | replace: bucket changed | lake-team + typed"
    )


def test_the_comment_says_why_who_what_it_costs_what_is_live_and_which_plan() -> None:
    shown = markdown(FULL)
    assert "- <code>lake</code>: shared/naming.py" in shown
    assert (
        "**Sign-off, every team of these for this commit**: lake-team (1: data) types names · platform-team (1: access)"
        in shown
    )
    assert "$312.00, +212.00" in shown
    assert "over budget: <code>api</code> 312.00 of 250.00" in shown
    assert "not priced, and not counted as zero: aws:redshift/cluster:Cluster: no rule" in shown
    assert "also differs live: api aws:iam:Role <code>role</code> (<code>policy</code>)" in shown
    assert "uv.lock differs" in shown
    assert f"Plan fingerprint <code>sha256:{'c' * 64}</code>" in shown


def test_a_stack_is_folded_and_shows_only_what_changes() -> None:
    shown = markdown(FULL)
    assert "<details><summary><code>lake</code> replace 1 · same 7</summary>" in shown
    assert "  - <code>bucket</code>: <code>a</code> → <code>b</code> **forces replacement**" in shown
    assert "  - <code>policy</code>: not set → known after deploy" in shown
    assert "  - <code>lifecycle&#91;0&#93;.days</code>: <code>30</code> → <code>90</code>" in shown
    assert shown.index("`-` delete") < shown.index("`~` update") < shown.index("`+` create"), "the gravest first"
    assert "<summary><code>mail</code>" not in shown, "nothing changes there"


def test_no_change_is_said() -> None:
    shown = markdown(preview(stack(same=148)))
    assert "no infrastructure change" in shown.splitlines()[1]
    assert "**No infrastructure change**: 148 resources stay as they are." in shown
    assert "<details>" not in shown


def test_without_the_live_state_the_comment_says_so_and_why() -> None:
    assert "Program against program, not compared with the live state: no credentials" in markdown(preview(stack()))


def test_a_failure_replaces_the_totals_in_every_form() -> None:
    broken = replace(FULL, failure="the programs of prod fail: no such module")
    assert broken.exit_code == 1
    for shown in (markdown(broken), page(broken, counts={}), summary(broken)):
        assert "the programs of prod fail: no such module" in shown
        assert "FAILED" in shown
        assert "same 150" not in shown
        assert "replace 1" not in shown
    assert document(broken)["failure"] == "the programs of prod fail: no such module"
    assert markdown(broken).startswith(marker("prod")), "so that it replaces the comment with the old totals"


@pytest.mark.parametrize(("count", "risky"), [(5_000, 0), (5_000, 120), (5_000, 5_000)])
def test_a_huge_change_fits_with_its_totals_and_every_risk(count: int, risky: int) -> None:
    properties = [PropertyChange(path=f"tags.number{n}", before="old " * 20, after="new " * 20) for n in range(3)]
    names = [f"bucket-{n:05}" for n in range(count)]
    changes = [change(name, "replace", *properties, stack=f"stack-{n % 12}") for n, name in enumerate(names)]
    stacks = [stack(*[one for one in changes if one.stack == f"stack-{n}"], name=f"stack-{n}") for n in range(12)]
    found = preview(
        *stacks, risks=tuple(risk(name, "data", f"{name}: its data would be lost") for name in names[:risky])
    )
    shown = markdown(found)
    assert len(shown) <= LIMIT == 60_000
    assert f"replace {count:,}" in shown
    assert "more changes are left out here; the artifact" in shown
    assert all(f"<code>stack-{n}</code>" in shown for n in range(12)), "every stack has its share of the room"
    if risky <= 120:
        assert all(f"<code>{name}</code>" in shown for name in names[:risky])
    else:
        assert f"{risky:,} risks in" in shown
        assert re.search(rf"\| data \| {risky:,} x lake aws:s3:Bucket", shown)
    assert len(document(found)["risks"]) == risky
    assert len([one for one in document(found)["stacks"] for _ in one["changes"]]) == count


@given(
    st.lists(
        st.tuples(
            st.sampled_from(RISKS),
            st.text(max_size=300),
            st.text(max_size=600),
            st.sampled_from(["a", "b"]),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.integers(1, 40),
)
@settings(max_examples=12, deadline=None)
def test_no_risk_is_lost_at_any_level_of_grouping_and_the_comment_always_fits(found: list[Any], times: int) -> None:
    risks = tuple(
        risk(f"{name}{n}", kind, why, stack=place, confirm=confirm)
        for kind, name, why, place, confirm in found
        for n in range(times)
    )
    for level in range(LEVELS):
        assert sum(row.count for row in rows(risks, level)) == len(risks)
        teams = {team for one in risks for team in one.teams}
        assert {team for row in rows(risks, level) for team in row.teams} == teams
    assert len(rows(risks, LEVELS - 1)) <= len(RISKS)
    assert len(markdown(preview(stack(), risks=risks))) <= LIMIT


@given(st.text(max_size=2_000), st.integers(0, 60))
@settings(max_examples=12, deadline=None)
def test_whatever_is_said_the_comment_fits(hostile: str, count: int) -> None:
    changes = [
        change(hostile, "update", PropertyChange(path=hostile, before=hostile, after=[hostile])) for _ in range(count)
    ]
    money = replace(MONEY, not_priced=(hostile,) * count)
    found = preview(
        stack(*changes, name=hostile[:50], reasons=(hostile,) * count), risks=(risk(hostile, why=hostile, teams=(hostile,) * 30),) * count, money=money,
        notes=(hostile,) * count, needs={},
    )  # fmt: skip
    assert len(markdown(found)) <= LIMIT


# -- nothing is obeyed -------------------------------------------------------------------------------------------------

HOSTILE = [
    "a | b | c",
    "`code` ``` fence",
    "<script>alert(1)</script>",
    "<!-- preview:dev -->",
    "</details></code>",
    "@everyone @leandata/platform-team",
    "closes #12, see owner/repo#34",
    "[click](https://evil.example) ![x](https://evil.example/p.png)",
    "https://evil.example www.evil.example",
    "**bold** _under_ ~~gone~~ # head",
    "line\n\n# another\r\n- list",
    "\u202egnp.exe \u2066hidden\u2069 \u200bzero",
    "&lt;b&gt; &#60;",
    "\\| escaped",
    "$x^2$ {{ template }}",
    "\x1b[31mred\x00",
]


@pytest.mark.parametrize("said", HOSTILE)
def test_text_of_programs_is_shown_and_not_obeyed(said: str) -> None:
    for shown in (prose(said), code(said).removeprefix("<code>").removesuffix("</code>")):
        assert "\n" not in shown
        without = re.sub(r"&#\d+;", "", shown)
        assert not re.search(r"[|`<>\[\]*_~#@\\$]", without), without
        assert not re.search(r"&#(64|35);(?!\u200b)", shown), "a mention or an issue is broken up"
        assert not re.search(r"https?://|www\.", shown), "nothing becomes a link"
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00-\x1f]", shown)


@pytest.mark.parametrize("said", HOSTILE)
def test_a_hostile_name_stays_within_its_cell_in_every_form(said: str) -> None:
    found = preview(
        stack(change(said, "update", PropertyChange(path=said, before=said, after=said + "!"))),
        risks=(risk(said, why=said, teams=(said,)),),
        notes=(said,),
    )
    table = [line for line in markdown(found).splitlines() if line.startswith("| data")]
    assert len(table) == 1
    assert table[0].count("|") == 5
    assert markdown(found).count("<!--") == 1
    assert markdown(found).count("<details>") == markdown(found).count("</details>") == 1
    shown = page(found, counts={})
    assert shown.count("<script>") == 1
    assert "<b>&lt;" not in shown
    Balanced().check(shown)


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not open."""

    def check(self, shown: str) -> None:
        self.open: list[str] = []
        self.feed(shown)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "input", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


@given(st.text(max_size=400), st.integers(1, 300))
def test_a_cut_text_is_as_long_as_asked_for(said: str, length: int) -> None:
    assert len(cut(said, length)) == min(len(said), length)


@given(st.text())
def test_what_is_visible_is_one_line(said: str) -> None:
    assert len(visible(said).splitlines()) <= 1


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [FULL, preview(), replace(FULL, failure="x"), preview(stack(same=1), needs={"lake": ("foundation",)})],
    ids=["full", "empty", "failed", "same"],
)
def test_the_document_keeps_its_schema(found: Preview) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(text(found)), schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [(["version"], 2), (["exit_code"], 4), (["head", "commit"], "../x"), (["head", "time"], "now"), (["surprise"], 1), (["risks", 0, "kind"], "bad"), (["totals", "create"], -1), (["environment"], "../../prod"), (["fingerprint"], "sha256:x"), (["stacks", 0, "changes", 0, "op"], "explode")],
)  # fmt: skip
def test_the_schema_refuses_what_is_no_preview(path: list[Any], value: Any) -> None:
    whole = json.loads(text(FULL))
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole, schema())


def test_the_document_carries_everything_that_the_comment_shows() -> None:
    whole = json.dumps(document(FULL))
    shown = re.sub(r"&#(\d+);\u200b?", lambda found: chr(int(found[1])), markdown(FULL))
    told = re.findall(r"<code>(.*?)</code>", shown)
    assert len(told) > 15
    for one in told:
        assert one in whole
    for sentence in ("replace: bucket changed", "adds s3:PutObject on curated/*", "also differs live", "uv.lock differs", "no rule", "shared/naming.py", "typed by hand", "STOP: 1 data risk and 1 more", "2026-11-25T14:02:00Z", "where this branch left origin/main"):  # fmt: skip
        assert sentence in whole
    assert document(FULL)["money"]["monthly_usd"] == {"base": 100.0, "head": 312.0, "difference": 212.0}
    assert document(FULL)["totals"] == {"create": 1, "update": 1, "replace": 1, "delete": 1, "same": 150}
    created = document(FULL)["stacks"][1]["changes"][2]
    assert created["after"] == {"name": "y", "size": 3}


# -- exit codes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "code_", "said"),
    [
        (preview(stack(same=3)), 0, "no infrastructure change"),
        (preview(stack(change("a"))), 2, "changes, no risk found"),
        (preview(stack(change("a")), risks=(risk("a", teams=()),)), 2, "STOP: 1 data risk"),
        (FULL, 3, "STOP: 1 data risk and 1 more"),
        (preview(stack(), risks=(risk("a", "cost"), risk("b", "cost"))), 3, "STOP: 2 cost risks"),
        (preview(stack(change("a")), failure="no"), 1, "FAILED"),
    ],
)
def test_the_exit_code_says_what_was_found(found: Preview, code_: int, said: str) -> None:
    assert (found.exit_code, found.verdict) == (code_, said)


def test_each_team_is_told_what_it_has_to_sign() -> None:
    signs = preview(
        stack(), risks=(risk("a", teams=("x", "y")), risk("b", "cost", teams=("y",), confirm=True))
    ).sign_off()
    assert [(one.team, one.risks, one.kinds, one.confirm) for one in signs] == [
        ("x", 1, ("data",), 0),
        ("y", 2, ("data", "cost"), 1),
    ]


# -- HTML --------------------------------------------------------------------------------------------------------------


def test_the_page_is_whole_by_itself_and_small() -> None:
    shown = page(FULL, counts={"api": {"aws": 143}})
    Balanced().check(shown)
    assert not re.search(r"""(src|href)\s*=|@import|url\(""", shown), "nothing from outside"
    assert "default-src 'none'" in shown
    assert "prefers-color-scheme:dark" in shown
    assert 'name="viewport"' in shown
    assert len(shown) < 25_000
    for said in ("STOP: 1 data risk and 1 more", "shared/naming.py", "typed confirmation", "also differs live", "no rule", "<svg", "Filter", "312.00", "forces replacement", "c" * 64):  # fmt: skip
        assert said in shown


def test_the_graph_marks_the_stacks_that_change_with_what_happens_there() -> None:
    found = replace(FULL, needs={"lake": (), "api": ("lake",), "mail": ()})
    shown = page(found, counts={"api": {"aws": 143}, "lake": {"aws": 8}, "mail": {"aws": 2}})
    assert shown.count('class="box marked"') == 2
    assert shown.count('class="box"') == 1
    assert ">+1 ~1 -1</text>" in shown
    assert ">±1</text>" in shown


def test_a_page_of_5_000_changes_stays_small_enough_to_open() -> None:
    changes = [change(f"bucket-{n}", "update", CHANGED) for n in range(5_000)]
    shown = page(preview(stack(*changes)), counts={})
    assert len(shown) < 2_500_000
    assert shown.count("data-row") == 5_000 + shown.count("[data-row]") + shown.count("<tr data-row>")


# -- terminal ----------------------------------------------------------------------------------------------------------


def test_the_terminal_says_the_same_shortly() -> None:
    shown = summary(FULL)
    assert shown.splitlines()[0] == "Preview prod at 1a2b3c4d5e (2026-11-25 14:02 UTC): STOP: 1 data risk and 1 more"
    assert "RISK data: lake aws:s3:Bucket raw: replace: bucket changed [lake-team + typed confirmation]" in shown
    assert "± replace  aws:s3:Bucket raw: bucket" in shown
    assert "cost a month: 312.00 US dollars, +212.00" in shown
    assert "also differs live: api aws:iam:Role role: policy" in shown
