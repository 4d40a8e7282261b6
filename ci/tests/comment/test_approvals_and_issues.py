"""Who approved a deployment, and the issues that tell of drift: asked of and written to a GitHub of this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ci import cli
from ci.comment.approvals import people, teams_of
from ci.drift.model import Difference, StackDrift
from ci.owners.teams import Teams
from ci.release.plan import Plan
from ci.tests.comment.fake_github import COMMIT, NAME, OLDER, TOKEN, Store, github
from ci.verbs.drift_issues import read
from infra.environment import ROOT
from leandata.errors import LeandataError

APPROVED = {"user": {"login": "leandata-engineer"}, "state": "APPROVED", "commit_id": OLDER}
OF_JOB = [{"state": "approved", "environments": [{"name": "prod-deploy"}], "user": {"login": "leandata-guard"}}]


def merged(**more: Any) -> Store:
    store = Store(reviews=[APPROVED])
    store.request(12, commit=OLDER, merge_commit_sha=COMMIT, merged_at="2026-11-25T10:00:00Z", **more)
    return store


def found(store: Store, *, run: str = "7") -> set[str]:
    with github(store) as client:
        return people(client, commit=COMMIT, run=run, environment="prod-deploy")


def test_reviews_of_the_merged_request_and_approvals_of_the_job_count():
    store = merged()
    store.approvals = OF_JOB
    assert found(store) == {"leandata-engineer", "leandata-guard"}
    assert teams_of(found(store), Teams.load(ROOT)) == ["data-team", "security-team"]


@pytest.mark.parametrize(
    "job",
    [
        {**OF_JOB[0], "state": "rejected"},
        {**OF_JOB[0], "environments": [{"name": "dev-deploy"}]},
        {**OF_JOB[0], "environments": None},
        {**OF_JOB[0], "user": None},
    ],
    ids=["rejected", "another environment", "no environment", "nobody"],
)
def test_what_is_no_approval_of_this_environment_does_not_count(job: dict[str, Any]):
    store = Store()
    store.approvals = [job]
    assert found(store) == set()


@pytest.mark.parametrize(
    "more", [{"merged_at": None}, {"merge_commit_sha": OLDER}, {"user": {"login": "leandata-engineer"}}],
    ids=["not merged", "merged as another commit", "the author's own"],
)  # fmt: skip
def test_reviews_of_another_request_or_of_its_author_do_not_count(more: dict[str, Any]):
    store = Store(reviews=[APPROVED])
    store.request(12, commit=OLDER, **{"merge_commit_sha": COMMIT, "merged_at": "2026-11-25T10:00:00Z", **more})
    assert found(store, run="") == set()


def test_a_commit_of_two_requests_is_of_none():
    store = merged()
    store.requests.append({**store.requests[0], "number": 13})
    assert found(store, run="") == set()


def test_the_verb_writes_the_teams_into_the_plan(tmp_path: Path, capsys: Any, monkeypatch: Any):
    plan = Plan(
        commit=COMMIT, environment="prod", graph={}, images={}, serials={}, tools={}, needs=("data-team", "platform-team"),
        made="2026-11-25T10:00:00+00:00",
    )  # fmt: skip
    plan.write(tmp_path / "plan.json")
    with github(merged()) as client:
        monkeypatch.setenv("GITHUB_API_URL", client.api)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", NAME)
        monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
        assert cli.run(["approve", "--plan", str(tmp_path / "plan.json")]) == 0
    assert capsys.readouterr().out == "approved by: data-team; missing: platform-team\n"
    read_again = Plan.load(tmp_path / "plan.json")
    assert [one.team for one in read_again.approvals] == ["data-team"]
    assert read_again.fingerprint == plan.fingerprint


def drifted(stack: str = "lake", *sorts: str) -> StackDrift:
    rest = {
        "type": "t",
        "name": "n",
        "kind": "changed",
        "before": "1",
        "after": "2",
        "why": "w",
        "adopt": "a",
        "revert": "r",
    }
    differences = tuple(Difference(stack=stack, property=f"p{sort}", sort=sort, **rest) for sort in sorts)  # type: ignore[arg-type]
    return StackDrift(stack=stack, looked_at=3, differences=differences)


def told(store: Store, place: Path, monkeypatch: Any, *stacks: StackDrift, words: tuple[str, ...] = ()) -> int:
    place.write_text(json.dumps({"environment": "prod", "stacks": [asdict(one) for one in stacks]}))
    with github(store) as client:
        monkeypatch.setenv("GITHUB_API_URL", client.api)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", NAME)
        return cli.run(["drift-issues", "--env", "prod", "--from", str(place), *words])


def test_an_issue_is_opened_kept_and_closes_itself(tmp_path: Path, monkeypatch: Any):
    store, place = Store(), tmp_path / "drift.json"
    assert told(store, place, monkeypatch, drifted("lake", "dangerous"), drifted("mail", "noise")) == 0
    assert [(one["title"], one["labels"], one["state"]) for one in store.issues.values()] == [
        ("Drift of prod: lake", ["drift"], "open")
    ]
    writes = len(store.writes)
    told(store, place, monkeypatch, drifted("lake", "dangerous"))
    assert len(store.writes) == writes, "who was told is not told again"
    told(store, place, monkeypatch, drifted("lake"))
    assert (store.issues[1]["state"], store.issues[1]["state_reason"]) == ("closed", "completed")
    assert store.on(1) == ["prod is as declared again."]


def test_one_issue_a_stack_among_many_and_none_of_a_stranger(tmp_path: Path, monkeypatch: Any):
    store, place = Store(), tmp_path / "drift.json"
    for number in range(1, 131):
        mark = "<!-- drift:prod:lake -->\nold" if number in (5, 128) else "text"
        login = "stranger" if number == 5 else "github-actions[bot]"
        store.issues[number] = {"number": number, "state": "open", "user": {"login": login}, "body": mark}
    store.issues[129]["pull_request"] = {}
    told(store, place, monkeypatch, drifted("lake", "harmless"))
    assert [path for _, path in store.writes] == [f"/repos/{NAME}/issues/128"]


def test_a_dry_run_writes_nothing(tmp_path: Path, monkeypatch: Any, capsys: Any):
    store = Store()
    assert told(store, tmp_path / "drift.json", monkeypatch, drifted("lake", "dangerous"), words=("--dry",)) == 0
    assert capsys.readouterr().out == "create lake\n"
    assert store.writes == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no answer of `drift`"),
        ("no JSON", "no answer of `drift`"),
        ('{"environment": "prod", "stacks": [{}]}', "no answer of `drift`"),
        ('{"environment": "dev", "stacks": []}', "of dev, not of prod"),
    ],
)
def test_what_is_no_drift_of_the_environment_is_refused(text: str, said: str, tmp_path: Path):
    (tmp_path / "drift.json").write_text(text)
    with pytest.raises(LeandataError, match=said):
        read(tmp_path / "drift.json", "prod")


@pytest.mark.parametrize("verb", [["approve", "--plan", "x"], ["drift-issues"], ["comment"], ["approve"]])
def test_what_is_missing_is_one_clear_line(verb: list[str], monkeypatch: Any, capsys: Any):
    for name in ("GITHUB_EVENT_PATH", "GITHUB_REPOSITORY", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert cli.run(verb) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
