"""What is decided about a request, without a GitHub: which comment, which labels, which status, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.comment.body import Section, body, is_quiet, outdated, quiet, remembered
from ci.comment.deciding import BOT, Action, Comment, Request, begun, ended, labels, ours, status
from ci.tests.comment.artifacts import changing, unchanged
from ci.tests.comment.fake_github import COMMIT, OLDER
from ci.tests.preview.previews import change, preview, risk, stack

RUN = "https://github.com/leandata-example/leandata/actions/runs/7"
REQUEST = Request(number=12, commit=COMMIT, author="somebody")
FAILED = Section(environment="prod", failure="no artifact")
SIGNED = Section(environment="prod", preview=changing())
SAME = Section(environment="prod", preview=unchanged())
CHANGED = Section(environment="prod", preview=preview(stack(change("raw"))))
NETWORK = Section(environment="prod", preview=preview(stack(), risks=(risk("raw", "network"),)))


def written(section: Section, *, commit: str = COMMIT, number: int = 1) -> Comment:
    """The comment that a section had at a commit."""
    return Comment(id=number, body=body(section, commit=commit, run=RUN, notes=(), before=()))


def silence(*environments: str, commit: str = COMMIT, number: int = 9) -> Comment:
    return Comment(id=number, body=quiet(environments, commit=commit, run=RUN, notes=()))


def done(*sections: Section, comments: tuple[Comment, ...] = (), files: tuple[str, ...] = ()) -> list[Action]:
    return ended(REQUEST, sections, comments, run=RUN, files=files)


def labelled(*sections: Section, there: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> dict[str, Any]:
    """The labels that are added, and those that are removed."""
    found: dict[str, Any] = {"POST": [], "DELETE": []}
    for action in labels(REQUEST, sections, there, files):
        found[action.method] += action.body["labels"] if action.body else [action.path.rpartition("/")[2]]
    return found


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        "text",
        {},
        {"id": 1, "user": None, "body": "<!-- preview:prod -->"},
        {"id": 1, "user": {"login": "person"}, "body": "<!-- preview:prod -->"},
        {"id": 1, "user": {"login": "github-actions"}, "body": "<!-- preview:prod -->"},
        {"id": 1, "user": {"login": BOT}, "body": None},
        {"id": 1, "user": {"login": BOT}, "body": ""},
        {"id": 1, "user": {"login": BOT}, "body": "Hello <!-- preview:prod -->"},
        {"id": 1, "user": {"login": BOT}, "body": "<!-- drift:prod:lake -->"},
    ],
    ids=repr,
)
def test_what_this_poster_did_not_write_is_not_its_own(found: Any):
    assert ours(found) is None


def test_a_comment_of_this_poster_is_its_own_whatever_line_ends_github_gives_it():
    found = ours({"id": "7", "user": {"login": BOT}, "body": "<!-- preview:prod -->\r\none\r\n"})
    assert found == Comment(id=7, body="<!-- preview:prod -->\none\n")


def test_a_push_outdates_every_comment_of_another_commit_and_no_other():
    comments = (
        written(SIGNED, commit=OLDER, number=1),
        written(SIGNED, commit=COMMIT, number=2),
        Comment(id=3, body="<!-- preview:dev -->\ndamaged"),
    )
    found = begun(REQUEST, comments)
    assert [(one.method, one.path) for one in found] == [
        ("PATCH", "issues/comments/1"),
        ("PATCH", "issues/comments/3"),
    ]
    assert [one.body for one in found] == [
        {"body": outdated(one.body, commit=COMMIT)} for one in (comments[0], comments[2])
    ]


@pytest.mark.parametrize(("commit", "said"), [(OLDER, ["PATCH"]), (COMMIT, [])], ids=["another commit", "this commit"])
def test_the_quiet_comment_is_outdated_by_another_commit_only(commit: str, said: list[str]):
    assert [one.method for one in begun(REQUEST, [silence("dev", commit=commit)])] == said


def test_a_push_to_a_request_without_comments_does_nothing():
    assert begun(REQUEST, []) == []


@pytest.mark.parametrize("section", [FAILED, SIGNED, CHANGED, NETWORK], ids=["failed", "signed", "changed", "network"])
def test_what_there_is_to_say_is_a_comment_of_its_own(section: Section):
    (found,) = done(section)
    assert (found.method, found.path, found.says) == (
        "POST",
        "issues/12/comments",
        "comments the preview of prod",
    )
    assert found.body
    assert found.body["body"].startswith("<!-- preview:prod -->\n")


def test_environments_without_a_change_share_one_new_comment():
    found = done(*(Section(environment=name, preview=unchanged(name)) for name in ("prod", "dev")))
    assert [one.says for one in found] == ["comments where nothing changes"]
    assert found[0].body
    assert is_quiet(found[0].body["body"])
    assert "**dev**, **prod**" in found[0].body["body"]


def test_the_quiet_comment_is_edited_and_not_made_again():
    found = done(SAME, comments=(silence("dev", commit=OLDER),))
    assert [(one.method, one.path) for one in found] == [("PATCH", "issues/comments/9")]


def test_a_quiet_comment_whose_environment_changes_now_points_to_the_other():
    found = done(SIGNED, comments=(silence("prod", commit=OLDER),))
    assert [(one.method, one.says) for one in found] == [
        ("POST", "comments the preview of prod"),
        ("PATCH", "edits where nothing changes"),
    ]
    assert found[1].body
    assert "See the other comments." in found[1].body["body"]


def test_an_environment_that_has_a_comment_keeps_it_also_when_nothing_changes_any_more():
    (found,) = done(SAME, comments=(written(SIGNED, commit=OLDER, number=4),))
    assert (found.method, found.path) == ("PATCH", "issues/comments/4")
    assert found.body
    assert [(one.commit, one.outcome) for one in remembered(found.body["body"])] == [
        (COMMIT, "no-change"),
        (OLDER, "sign-off"),
    ]


def test_the_comment_of_an_environment_whose_name_begins_alike_is_another():
    other = Section(environment="prod-eu", preview=changing("prod-eu"))
    found = done(SIGNED, comments=(written(other, commit=OLDER, number=5),))
    assert [(one.method, one.path) for one in found] == [("POST", "issues/12/comments")]


def test_of_two_comments_for_one_environment_the_first_is_kept_up_to_date():
    found = done(SIGNED, comments=(written(SIGNED, number=3), written(SIGNED, number=8)))
    assert [one.path for one in found] == ["issues/comments/3"]


def test_without_a_section_nothing_is_said():
    assert done() == []


@pytest.mark.parametrize(
    ("files", "places"),
    [
        (("ci/preview/risks.py",), "ci/"),
        ((".github/workflows/comment.yml",), ".github/"),
        (("Makefile",), "Makefile"),
        (("infra/policy/waivers.toml", "uv.lock", "ci/a", "ci/b"), "ci/, infra/policy/, uv.lock"),
        (("owners.toml", "pyproject.toml"), "owners.toml, pyproject.toml"),
    ],
    ids=lambda found: found if isinstance(found, str) else "",
)
@pytest.mark.parametrize("section", [SIGNED, SAME, FAILED], ids=["changes", "no change", "failed"])
def test_a_request_that_changes_its_own_maker_says_so_in_every_comment(
    files: tuple[str, ...], places: str, section: Section
):
    (found,) = done(section, files=files)
    assert found.body
    warning = f"> **This request changes code that makes previews** ({places}): read that before this table.\n"
    assert found.body["body"].count(warning) == 1
    assert labelled(section, files=files)["POST"].count("preview:own-maker") == 1


@pytest.mark.parametrize("name", ["services/ci/app.py", "docs/ci.md", "cinema.py", "infra/policy.md", "README.md"])
def test_another_file_is_no_maker(name: str):
    (found,) = done(SIGNED, files=(name,))
    assert found.body
    assert "code that makes previews" not in found.body["body"]
    assert "preview:own-maker" not in labelled(SIGNED, files=(name,))["POST"]


@pytest.mark.parametrize(
    ("sections", "added"),
    [
        ((SAME,), ["preview:no-change"]),
        ((SAME, CHANGED), ["preview:changes"]),
        ((CHANGED, NETWORK, SAME), ["preview:sign-off"]),
        ((SAME, SIGNED), ["preview:data-risk", "preview:sign-off"]),
        ((SIGNED, FAILED), ["preview:data-risk", "preview:failed"]),
        ((FAILED, SAME), ["preview:failed"]),
        ((), []),
    ],
    ids=["no change", "changes", "another risk", "data", "data and a failure", "a failure", "nothing"],
)
def test_the_gravest_outcome_is_the_one_label_and_data_at_risk_another(sections: Any, added: list[str]):
    assert labelled(*sections) == {"POST": added, "DELETE": []}


def test_labels_that_hold_no_longer_are_removed_and_others_are_left():
    there = ("bug", "preview:mine", "preview:failed", "preview:data-risk", "preview:changes", "preview:own-maker")
    assert labelled(CHANGED, there=there) == {
        "POST": [],
        "DELETE": ["preview:data-risk", "preview:failed", "preview:own-maker"],
    }


OUTCOMES = st.lists(st.sampled_from([FAILED, SIGNED, SAME, CHANGED, NETWORK]), min_size=1, max_size=4)
LABELS = st.sets(
    st.sampled_from(["bug", "preview:x"] + [f"preview:{one}" for one in ("failed", "sign-off", "changes", "data-risk")])
)


@given(OUTCOMES, LABELS, st.booleans())
@settings(max_examples=60)
def test_labels_that_were_set_once_are_not_set_again_and_strangers_stay(
    sections: list[Section], there: set[str], own: bool
):
    files = ("ci/x",) if own else ()
    change_ = labelled(*sections, there=tuple(there), files=files)
    after = (there | set(change_["POST"])) - set(change_["DELETE"])
    assert labelled(*sections, there=tuple(after), files=files) == {"POST": [], "DELETE": []}
    assert {"bug", "preview:x"} & there == {"bug", "preview:x"} & after
    assert len(after & {f"preview:{one}" for one in ("failed", "sign-off", "changes", "no-change")}) == 1


@pytest.mark.parametrize(
    ("missing", "failed", "state", "said"),
    [
        ([], "", "success", "every team that is needed has approved"),
        (["data-team"], "", "failure", "missing: data-team"),
        (["a", "b"], "", "failure", "missing: a, b"),
        ([], "no preview of prod", "error", "no preview of prod"),
        (["a"], "no preview of prod", "error", "no preview of prod"),
    ],
    ids=["all", "one", "two", "unknown", "unknown before missing"],
)
def test_the_status_is_green_only_when_nothing_is_missing_or_unknown(
    missing: list[str], failed: str, state: str, said: str
):
    found = status(REQUEST, missing=missing, failed=failed, run=RUN)
    assert (found.method, found.path, found.says) == ("POST", f"statuses/{COMMIT}", f"sign-off: {said}")
    assert found.body == {"state": state, "context": "sign-off", "description": said, "target_url": RUN}


@given(st.lists(st.text("abc-", min_size=1, max_size=30), min_size=1, max_size=20))
def test_the_description_of_a_status_keeps_to_what_github_takes(missing: list[str]):
    found = status(REQUEST, missing=missing, failed="", run=RUN)
    assert found.body
    assert len(found.body["description"]) <= 140
    assert f"missing: {', '.join(missing)}".startswith(found.body["description"])
    assert found.body["state"] == "failure"
