"""The poster on a GitHub of this machine: finds its comments on every page, edits them, and keeps to its request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci import cli
from ci.comment import event as events
from ci.comment.body import remembered
from ci.comment.deciding import Action
from ci.comment.event import Event
from ci.comment.github import GitHub
from ci.comment.posting import act, actions, request_of
from ci.tests.comment.artifacts import changing, unchanged, zipped
from ci.tests.comment.fake_github import BOT, COMMIT, FORK, NAME, OLDER, TOKEN, Store, event, github
from infra.environment import ROOT
from leandata.errors import LeandataError

PROD = ("prod",)


def requested(*, head: int = 1, **artifacts: bytes) -> Store:
    store = Store()
    store.request(12, head=head)
    store.run(7, head=head)
    for environment, data in artifacts.items():
        store.artifact(7, environment, data)
    return store


def post(store: Store, environments: tuple[str, ...] = PROD, **more: Any) -> list[str]:
    said: list[str] = []
    with github(store) as client:
        act(
            client,
            actions(Event.model_validate(event(**more)), client, environments=environments, root=ROOT),
            said.append,
        )
    return said


@pytest.mark.parametrize("place", [0, 99, 100, 199, 249])
def test_the_comment_is_found_among_two_hundred_and_fifty_and_edited(place: int):
    store = requested(prod=zipped(changing()))
    for number in range(250):
        store.comment(
            12,
            "<!-- preview:prod -->\nold" if number == place else f"person {number}",
            by=BOT if number == place else "person",
        )
    assert "edits the preview of prod" in post(store)
    assert len(store.on(12)) == 250
    assert store.on(12)[place].startswith("<!-- preview:prod -->\n### Preview prod at aaaaaaaaaa")
    assert sum("/comments?" in path for _, path, _ in store.seen) == 3


def test_a_comment_of_a_person_with_our_mark_is_left_alone():
    store = requested(prod=zipped(changing()))
    store.comment(12, "<!-- preview:prod -->\nmine", by="person")
    assert "comments the preview of prod" in post(store)
    assert store.on(12)[0] == "<!-- preview:prod -->\nmine"


def test_posting_twice_leaves_one_comment():
    store = requested(prod=zipped(changing()))
    post(store)
    post(store)
    assert len(store.on(12)) == 1


def test_a_failed_run_replaces_the_totals_and_the_history_keeps_them():
    store = requested(prod=zipped(changing()))
    post(store)
    store.requests[0]["head"]["sha"] = OLDER
    store.run(8, commit=OLDER, conclusion="failure")
    post(store, commit=OLDER)
    (text,) = store.on(12)
    assert "### Preview prod at bbbbbbbbbb · FAILED" in text
    assert "- <code>aaaaaaaaaa</code> create 0 · update 0 · replace 1 · delete 0 · same 3" in text
    assert "**create 0" not in text
    assert [one.commit for one in remembered(text)] == [OLDER, COMMIT]
    assert store.labels[12] == ["preview:failed"]


def test_a_push_marks_the_comment_as_outdated_at_once_and_its_preview_clears_that():
    store = requested(prod=zipped(changing()))
    post(store)
    store.requests[0]["head"]["sha"] = OLDER
    for _ in range(2):
        post(store, action="requested", commit=OLDER)
    (text,) = store.on(12)
    assert text.count("> **Outdated**: a preview of bbbbbbbbbb is under way") == 1
    assert text.startswith("<!-- preview:prod -->\n> **Outdated**")
    store.requests[0]["head"]["sha"] = COMMIT
    post(store)
    assert "Outdated" not in store.on(12)[0]


def test_a_preview_of_the_newest_commit_is_not_outdated_when_its_run_starts_again():
    store = requested(prod=zipped(changing()))
    post(store)
    assert post(store, action="requested") == []


def test_environments_in_which_nothing_changes_share_one_comment():
    environments = ("dev", "prod", "staging")
    store = requested(**{name: zipped(unchanged(name)) for name in environments})
    post(store, environments)
    (text,) = store.on(12)
    assert "**No infrastructure change** in **dev**, **prod**, **staging**." in text
    assert store.labels[12] == ["preview:no-change"]


def test_an_environment_that_changed_before_says_that_it_no_longer_does():
    store = requested(prod=zipped(changing()))
    post(store)
    store.requests[0]["head"]["sha"] = COMMIT
    store.artifacts[7].clear()
    store.artifact(7, "prod", zipped(unchanged()))
    post(store)
    (text,) = store.on(12)
    assert "**No infrastructure change**: 4 resources stay as they are." in text


def test_a_fork_is_found_by_its_branch_and_its_commit():
    store = requested(head=FORK, prod=zipped(changing()))
    assert "comments the preview of prod" in post(store, head=FORK)


@pytest.mark.parametrize(
    "more",
    [
        {"commit": OLDER},
        {"head_branch": "another"},
        {"head_branch": None},
        {"head_repository": None},
        {"event": "push"},
        {"event": "workflow_dispatch"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_run_of_no_open_request_or_of_an_older_commit_posts_nothing(more: dict[str, Any]):
    store = requested(prod=zipped(changing()))
    assert post(store, **more) == []
    assert store.writes == []


def test_a_branch_of_a_fork_with_the_name_of_ours_posts_nothing_to_ours():
    store = requested(prod=zipped(changing()))
    assert post(store, head=FORK) == []
    assert store.writes == []


def test_a_branch_that_is_offered_to_two_requests_is_none():
    store = requested(prod=zipped(changing()))
    store.request(13)
    with github(store) as client:
        assert request_of(Event.model_validate(event()), client) is None


@pytest.mark.parametrize("conclusion", ["cancelled", "skipped"])
def test_a_run_without_a_result_replaces_nothing(conclusion: str):
    store = Store()
    store.request(12)
    store.run(7, conclusion=conclusion)
    assert post(store) == []
    assert store.writes == []


def test_a_run_of_another_workflow_event_or_source_hands_in_nothing():
    store = Store()
    store.request(12)
    store.run(7, path="evil")
    store.run(8, event="push")
    store.run(9, head=FORK)
    store.run(10, status="in_progress", conclusion=None)
    for number in (7, 8, 9, 10):
        store.artifact(number, "prod", zipped(changing()))
    assert post(store) == []


def test_the_comparison_with_what_runs_stands_before_the_offline_one():
    store = requested(prod=zipped(changing()))
    store.run(6, path="live-preview")
    store.artifact(6, "prod", zipped(unchanged()))
    post(store)
    assert "No infrastructure change" in store.on(12)[0]


def test_an_artifact_that_has_expired_is_as_none():
    store = requested()
    store.artifact(7, "prod", zipped(changing()), expired=True)
    post(store)
    assert "the run made no preview of it" in store.on(12)[0]


@pytest.mark.parametrize(
    ("reviews", "state"),
    [
        ([], "failure"),
        ([{"user": {"login": "leandata-engineer"}, "state": "APPROVED", "commit_id": COMMIT}], "success"),
        ([{"user": {"login": "leandata-engineer"}, "state": "APPROVED", "commit_id": OLDER}], "failure"),
        ([{"user": {"login": "stranger"}, "state": "APPROVED", "commit_id": COMMIT}], "failure"),
    ],
    ids=["nobody", "the team", "the team, an older commit", "a stranger"],
)
def test_the_commit_is_red_until_each_team_has_approved_it(reviews: list[dict[str, Any]], state: str):
    store = requested(prod=zipped(changing()))
    store.reviews = [{"user": {"login": "person"}, "state": "COMMENTED", "commit_id": COMMIT}] * 150 + reviews
    post(store)
    assert [(one["sha"], one["state"], one["context"]) for one in store.statuses] == [(COMMIT, state, "sign-off")]


def test_a_risk_of_a_stack_that_the_default_branch_does_not_know_cannot_be_signed():
    found = changing()
    whole = json.loads(json.dumps({"stack": "unheard"}))
    from dataclasses import replace

    store = requested(prod=zipped(replace(found, risks=tuple(replace(one, **whole) for one in found.risks))))
    post(store)
    assert [one["state"] for one in store.statuses] == ["error"]


def test_labels_are_ours_and_the_gravest_stands_alone():
    store = requested(prod=zipped(changing()))
    store.labels[12] = [
        "bug",
        "preview:no-change",
        "preview:of-a-person",
        *(f"label {number}" for number in range(100)),
    ]
    store.files = ["services/api/serving/app.py"] * 120 + ["ci/preview/risks.py"]
    post(store)
    assert {"bug", "preview:data-risk", "preview:of-a-person", "preview:own-maker", "preview:sign-off"} <= set(
        store.labels[12]
    )
    assert "preview:no-change" not in store.labels[12]
    assert "**This request changes code that makes previews** (ci/)" in store.on(12)[0]


def test_a_label_that_somebody_removed_meanwhile_is_no_error():
    said: list[str] = []
    with github(Store()) as client:
        act(client, [Action(method="DELETE", path="issues/12/labels/preview:failed", says="removes it")], said.append)
    assert said == ["removes it"]


def test_the_token_goes_to_its_own_host_and_not_where_a_download_leads():
    store = requested(prod=zipped(changing()))
    post(store)
    assert {told for _, path, told in store.seen if path.startswith("/repos/")} == {True}
    assert [told for _, path, told in store.seen if path.startswith("/blob/")] == [False]


def test_a_next_page_on_another_host_is_not_asked_for():
    store = requested()
    store.next_host = "http://evil.example"
    for number in range(101):
        store.comment(12, f"{number}")
    with github(store) as client, pytest.raises(LeandataError, match=r"another host \(evil\.example\)"):
        list(client.pages("issues/12/comments"))


def test_an_answer_that_is_no_success_is_one_clear_line():
    with github(Store()) as client, pytest.raises(LeandataError, match=r"GitHub answers 404 \(GET /repos/.*/nothing\)"):
        client.get("nothing")


def test_a_download_ends_at_its_limit():
    store = Store(blobs={1000: b"x" * 101})
    with github(store) as client, pytest.raises(LeandataError, match="more than 100 bytes"):
        client.download("actions/artifacts/1000/zip", at_most=100)


def test_who_cannot_be_reached_is_told():
    nobody = GitHub(api="http://127.0.0.1:9", repository=NAME, token=TOKEN)
    with pytest.raises(LeandataError, match="GitHub cannot be reached"):
        nobody.get("pulls")


def test_the_token_is_in_no_text():
    assert TOKEN not in repr(GitHub(api="http://127.0.0.1:9", repository=NAME, token=TOKEN))
    with pytest.raises(LeandataError, match="no token for GitHub"):
        GitHub.of(NAME, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "action"),
        ("no JSON", "no JSON"),
        ('{"action": "deleted"}', "action"),
        (json.dumps(event(commit="A" * 40)), "workflow_run.head_sha"),
        (json.dumps({**event(), "repository": {"id": 1, "full_name": "a/b/../c"}}), "repository.full_name"),
    ],
)
def test_what_is_no_event_is_one_clear_line(text: str, said: str, tmp_path: Path):
    (tmp_path / "event.json").write_text(text)
    with pytest.raises(LeandataError, match=said):
        events.read(tmp_path / "event.json")


def test_the_verb_says_what_it_would_do_and_posts_nothing(tmp_path: Path, capsys: Any, monkeypatch: Any):
    store = requested(prod=zipped(changing()))
    (tmp_path / "event.json").write_text(json.dumps(event()))
    with github(store) as client:
        monkeypatch.setenv("GITHUB_API_URL", client.api)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        assert cli.run(["comment", "--event", str(tmp_path / "event.json"), "--dry"]) == 0
        out = capsys.readouterr().out
        assert "would do: comments the preview of prod" in out
        assert store.writes == []
        assert cli.run(["comment", "--event", str(tmp_path / "event.json"), "--json"]) == 0
        whole = json.loads(capsys.readouterr().out)
        assert (whole["version"], whole["done"]) == (1, True)
        assert TOKEN not in out + json.dumps(whole)
    assert any(path.endswith("/issues/12/comments") for _, path in store.writes)
