"""What people and programs are shown: secrets never, long texts cut, issues opened, kept and closed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ci.drift.hiding import Hider
from ci.drift.issues import Action, Issue, body, decide
from ci.drift.model import Difference, Kind, Sort, StackDrift
from ci.drift.report import answer, cell, lines, markdown, summary
from ci.tests.release.made import release
from ci.verbs.drift import beyond

BOT = "bot"


def difference(name: str = "x", sort: Sort = "harmless", kind: Kind = "changed", **changed: Any) -> Difference:
    known = {
        "stack": "lake", "type": "machine:index:File", "property": "content", "before": "a", "after": "b",
        "why": "nothing depends on it", "adopt": "change the line", "revert": "make deploy ENV=prod STACK=lake",
    }  # fmt: skip
    return Difference(**{**known, "name": name, "sort": sort, "kind": kind, **changed})


def drift(*differences: Difference, stack: str = "lake", error: str = "") -> StackDrift:
    return StackDrift(stack=stack, looked_at=3, differences=differences, error=error)


SECRET = "Tr0ub4dor&3-horse"
FORMS = [
    SECRET,
    f"value is {SECRET}!",
    base64.b64encode(SECRET.encode()).decode(),
    json.dumps({"a": [SECRET]}),
    f"postgresql://user:{SECRET}@host/db",
    f"multi\nline {SECRET}\n",
]
LOOKS = [
    "password = hunter2",
    'api_key: "abcdef"',
    "AWS_SECRET_ACCESS_KEY=abc/def+1",
    "token: 'xyz'",
    "smtp://mailer:letmein@relay:25",
    "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
    '{"client_secret": "hunter2"}',
    "fernet_key = hunter2",
]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_known_secret_is_never_shown(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "one").write_text(SECRET + "\n")
    hider = Hider.of(tmp_path)
    shown = hider.pair(text, "", property="content") if place == "before" else hider.pair("", text)
    assert SECRET not in "".join(shown)
    assert base64.b64encode(SECRET.encode()).decode() not in "".join(shown)
    assert "[secret]" in "".join(shown)


@pytest.mark.parametrize("text", LOOKS)
def test_what_looks_like_a_secret_is_not_shown(text: str) -> None:
    shown = "".join(Hider().pair("before", text))
    assert "[secret]" in shown
    for value in ("hunter2", "abcdef", "abc/def", "xyz", "letmein"):
        assert value not in shown


@pytest.mark.parametrize("property_", ["password", "env.API_TOKEN", "settings.client_secret", "privateKey"])
def test_a_property_with_the_name_of_a_secret_shows_no_value(property_: str) -> None:
    assert Hider().pair("one", "two", property=property_) == ("[secret]", "[secret]")


@pytest.mark.parametrize("property_", ["role_password_file", "secret_files", "colour"])
def test_the_place_of_a_secret_is_none(property_: str) -> None:
    assert Hider().pair("/a", "/b", property=property_) == ("/a", "/b")


def test_of_long_texts_only_the_lines_that_differ_are_shown() -> None:
    before = "\n".join(f"line {number}" for number in range(1000))
    assert Hider().pair(before, before.replace("line 500\n", "line five\n")) == ("line 500", "line five")
    long, _ = Hider().pair("x" * 1000, "y")
    assert len(long) == 303


def test_values_that_are_no_texts_are_json() -> None:
    assert Hider().pair({"b": 1, "a": [True]}, 7) == ('{"a": [true], "b": 1}', "7")


def test_lines_name_stack_resource_property_values_and_ways_out() -> None:
    told = lines([drift(difference(), difference("y", "dangerous", "gone", property="", before="/y"))])
    assert told[0] == "dangerous lake: File y: gone (/y)"
    assert "harmless  lake: File x content: a -> b" in told
    assert any(line.endswith("adopt:  change the line") for line in told)
    assert any(line.endswith("revert: make deploy ENV=prod STACK=lake") for line in told)
    assert told[-1] == "3 resources in 1 stacks: 1 dangerous, 1 harmless"


def test_an_untouched_environment_is_one_line() -> None:
    assert lines([drift()]) == ["3 resources in 1 stacks: no differences"]


def test_a_stack_that_failed_is_told_and_counted() -> None:
    told = lines([drift(error="the engine failed")])
    assert told[0] == "error: lake: the engine failed"
    assert summary([drift(error="x")]).endswith("1 stacks could not be looked at")


def test_the_answer_for_programs_has_everything_in_a_fixed_order() -> None:
    found = answer("prod", [drift(stack="b"), drift(difference(), stack="a")])
    assert [stack["stack"] for stack in found["stacks"]] == ["a", "b"]
    assert (found["code"], found["counts"]) == (2, {"dangerous": 0, "harmless": 1, "noise": 0})
    assert found["stacks"][0]["differences"][0]["property"] == "content"
    json.dumps(found)


HOSTILE = ["@everyone", "`x` | y", "<img src=x>", "[a](http://x)", "a\nb | c\n# head", "<!-- drift:prod:lake -->"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_cannot_become_markup(text: str) -> None:
    shown = cell(text)
    assert shown.startswith("`")
    assert shown.endswith("`")
    assert "`" not in shown[1:-1]
    assert "\n" not in shown
    assert "|" not in shown.replace("\\|", "")


def test_markdown_is_never_too_long_and_the_dangerous_are_first() -> None:
    many = [difference(f"f{number}", before="x" * 290) for number in range(500)]
    text = markdown("prod", drift(*many, difference("first", "dangerous")))
    assert len(text) <= 60_000
    assert text.index("lake: File first") < text.index("lake: File f0")
    assert "more are in the run's `drift.json`" in text
    assert "500 harmless" in text, "the counts are never cut"


def issue(number: int, stack: StackDrift, **changed: Any) -> Issue:
    return Issue(**{"number": number, "author": BOT, "body": body("prod", stack), **changed})


def decided(issues: list[Issue], *stacks: StackDrift) -> list[tuple[str, str, int]]:
    return [(one.act, one.stack, one.number) for one in decide(issues, stacks, environment="prod", author=BOT)]


def test_drift_opens_one_issue_a_stack() -> None:
    found = decide([], [drift(difference()), drift(stack="api")], environment="prod", author=BOT)
    assert found == [
        Action(act="create", stack="lake", title="Drift of prod: lake", body=body("prod", drift(difference())))
    ]


def test_the_same_drift_is_not_told_again_and_another_one_is() -> None:
    one, other = drift(difference()), drift(difference("y"))
    assert decided([issue(5, one)], one) == []
    assert decided([issue(5, one)], other) == [("update", "lake", 5)]


def test_an_issue_closes_itself_when_nothing_differs() -> None:
    assert decided([issue(5, drift(difference()))], drift()) == [("close", "lake", 5)]


def test_noise_alone_opens_nothing_and_closes_what_is_open() -> None:
    assert decided([], drift(difference(sort="noise"))) == []
    assert decided([issue(5, drift(difference()))], drift(difference(sort="noise"))) == [("close", "lake", 5)]


def test_a_stack_that_could_not_be_looked_at_keeps_its_issue() -> None:
    assert decided([issue(5, drift(difference()))], drift(error="failed")) == [("update", "lake", 5)]
    assert decided([], drift(error="failed")) == [("create", "lake", 0)]


def test_two_issues_of_one_stack_become_one() -> None:
    one = drift(difference())
    assert decided([issue(9, one), issue(5, one)], one) == [("close", "lake", 9)]


def test_the_issue_of_a_stack_that_is_no_more_is_closed() -> None:
    assert decided([issue(5, drift(difference(), stack="old"))], drift()) == [("close", "old", 5)]


@pytest.mark.parametrize(
    "changed",
    [
        {"author": "somebody"},
        {"body": "look: <!-- drift:prod:lake -->"},
        {"body": "<!-- drift:staging:lake -->\n"},
        {"body": "<!-- drift:prod:../x -->\n"},
        {"body": ""},
    ],
)
def test_issues_of_others_are_never_touched(changed: dict[str, str]) -> None:
    assert decided([issue(5, drift(difference()), **changed)], drift()) == []


def test_another_checkout_than_the_deployed_release_is_said_first() -> None:
    newest = release(3, commit="b" * 40)
    said = beyond([release(1), newest], commit="c" * 40)
    assert said.startswith(f"Deployed is release {newest.id} (commit {'b' * 12}), checked out is {'c' * 12}:")
    assert "checked out is no commit" in beyond([newest], commit="")


def test_the_deployed_checkout_and_an_environment_without_releases_need_no_word() -> None:
    assert beyond([release(1, commit="b" * 40)], commit="b" * 40) == ""
    assert beyond([], commit="c" * 40) == ""
