"""`approve`, `drift-issues`, `comment` and `workflows` as they are called: what they print, write and refuse."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ci import cli
from ci.drift.issues import Action, Issue
from ci.drift.model import Difference, StackDrift
from ci.release.plan import Plan
from ci.tests.comment.fake_github import BOT, COMMIT, NAME, OLDER, TOKEN, Store, event, github
from ci.verbs.drift_issues import act, opened, read
from ci.workflows.described import described
from infra.environment import ROOT
from leandata.errors import LeandataError

APPROVED = {"user": {"login": "leandata-engineer"}, "state": "APPROVED", "commit_id": OLDER}
CHANGED = Difference(
    stack="lake", type="t", name="n", kind="changed", property="p", before="1", after="2", sort="dangerous", why="w",
    adopt="a", revert="r",
)  # fmt: skip
Said = tuple[int, str, str]


def said(words: list[str], monkeypatch: Any, capsys: Any, *, store: Store | None = None, **environ: str) -> Said:
    """What the verb answers, prints and complains of, with GitHub as it is held in `store`."""
    for name in ("GITHUB_EVENT_PATH", "GITHUB_RUN_ID", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    with github(store or Store()) as client:
        for name, value in {"GITHUB_API_URL": client.api, "GITHUB_TOKEN": TOKEN, **environ}.items():
            monkeypatch.setenv(name, value)
        code = cli.run(words)
    found = capsys.readouterr()
    return code, found.out, found.err


def planned(folder: Path, *needs: str, environment: str = "prod") -> Path:
    plan = Plan(
        commit=COMMIT, environment=environment, graph={}, images={}, serials={}, tools={}, needs=needs,
        made="2026-11-25T10:00:00+00:00",
    )  # fmt: skip
    plan.write(folder / "plan.json")
    return folder / "plan.json"


def merged(*reviews: dict[str, Any]) -> Store:
    store = Store(reviews=list(reviews))
    store.request(12, commit=OLDER, merge_commit_sha=COMMIT, merged_at="2026-11-25T10:00:00Z")
    return store


@pytest.mark.parametrize(
    ("reviews", "needs", "out"),
    [
        ([], (), "approved by: nobody\n"),
        ([], ("data-team",), "approved by: nobody; missing: data-team\n"),
        ([APPROVED], ("data-team",), "approved by: data-team\n"),
        ([APPROVED], (), "approved by: data-team\n"),
        ([APPROVED, {**APPROVED, "state": "DISMISSED"}], ("data-team",), "approved by: nobody; missing: data-team\n"),
        ([{**APPROVED, "state": "COMMENTED"}], (), "approved by: nobody\n"),
        ([{**APPROVED, "user": None}], (), "approved by: nobody\n"),
    ],
    ids=[
        "nothing needed",
        "nobody",
        "the team",
        "more than needed",
        "taken back",
        "only a comment",
        "a deleted account",
    ],
)
def test_approvals_are_told_and_kept_in_the_plan(
    reviews: Any, needs: Any, out: str, tmp_path: Path, monkeypatch: Any, capsys: Any
):
    place = planned(tmp_path, *needs)
    words = ["approve", "--plan", str(place)]
    assert said(words, monkeypatch, capsys, store=merged(*reviews), GITHUB_REPOSITORY=NAME) == (0, out, "")
    kept = [(one.team, one.commit) for one in Plan.load(place).approvals]
    assert kept == ([("data-team", COMMIT)] if "by: data-team" in out else [])


def test_approvals_as_json_name_teams_people_and_what_is_missing(tmp_path: Path, monkeypatch: Any, capsys: Any):
    words = ["approve", "--plan", str(planned(tmp_path, "data-team", "security-team")), "--json"]
    code, out, _ = said(words, monkeypatch, capsys, store=merged(APPROVED), GITHUB_REPOSITORY=NAME)
    assert (code, json.loads(out)) == (
        0,
        {"version": 1, "approved": ["data-team"], "missing": ["security-team"], "people": ["leandata-engineer"]},
    )


def test_an_approval_that_was_taken_back_is_taken_out_of_the_plan_too(tmp_path: Path, monkeypatch: Any, capsys: Any):
    place = planned(tmp_path)
    words = ["approve", "--plan", str(place)]
    for store, teams in ((merged(APPROVED), ["data-team"]), (merged(), [])):
        said(words, monkeypatch, capsys, store=store, GITHUB_REPOSITORY=NAME)
        assert [one.team for one in Plan.load(place).approvals] == teams


@pytest.mark.parametrize(("environment", "teams"), [("prod", ["security-team"]), ("dev", [])])
def test_an_approval_of_the_job_counts_for_its_own_environment(
    environment: str, teams: list[str], tmp_path: Path, monkeypatch: Any, capsys: Any
):
    store = Store(
        approvals=[
            {"state": "approved", "environments": [{"name": "prod-deploy"}], "user": {"login": "Leandata-Guard"}}
        ]
    )
    words = ["approve", "--plan", str(planned(tmp_path, environment=environment)), "--json"]
    _, out, _ = said(words, monkeypatch, capsys, store=store, GITHUB_REPOSITORY=NAME, GITHUB_RUN_ID="7")
    assert json.loads(out)["approved"] == teams


@pytest.mark.parametrize("repository", ["", "owner", "a/b/c"])
@pytest.mark.parametrize("verb", ["approve", "drift-issues"])
def test_a_repository_is_an_owner_and_a_name(verb: str, repository: str, tmp_path: Path, monkeypatch: Any, capsys: Any):
    place = tmp_path / "drift.json"
    place.write_text('{"environment": "prod", "stacks": []}')
    more = ["--plan", str(planned(tmp_path))] if verb == "approve" else ["--env", "prod", "--from", str(place)]
    code, out, err = said([verb, *more], monkeypatch, capsys, GITHUB_REPOSITORY=repository)
    assert (code, out, err) == (1, "", "error: no repository. Export GITHUB_REPOSITORY=owner/name\n")


def test_without_a_plan_nothing_can_be_approved(monkeypatch: Any, capsys: Any):
    found = said(["approve"], monkeypatch, capsys, GITHUB_REPOSITORY=NAME)
    assert found == (1, "", "error: no plan. PLAN names the plan.json of a preview\n")


def test_a_plan_that_was_edited_is_not_approved(tmp_path: Path, monkeypatch: Any, capsys: Any):
    place = planned(tmp_path, "data-team")
    place.write_text(place.read_text().replace("data-team", "nobody"))
    code, out, err = said(["approve", "--plan", str(place)], monkeypatch, capsys, GITHUB_REPOSITORY=NAME)
    assert (code, out) == (1, "")
    assert err.startswith("error: the plan was edited after it was made")


def test_without_an_event_there_is_nothing_to_comment(monkeypatch: Any, capsys: Any):
    hint = "EVENT names the file with the event; in a workflow GITHUB_EVENT_PATH"
    assert said(["comment"], monkeypatch, capsys) == (1, "", f"error: no event. {hint}\n")


@pytest.mark.parametrize("words", [[], ["--dry"]], ids=["in earnest", "dry"])
def test_a_run_of_no_open_request_is_told_to_be_none(words: list[str], tmp_path: Path, monkeypatch: Any, capsys: Any):
    (tmp_path / "event.json").write_text(json.dumps(event()))
    store = Store()
    found = said(["comment", *words], monkeypatch, capsys, store=store, GITHUB_EVENT_PATH=str(tmp_path / "event.json"))
    out = "Nothing to say: the run belongs to no open request, or not to its newest commit.\n"
    assert found == (0, out, "")
    assert store.writes == []


def told(place: Path, monkeypatch: Any, capsys: Any, store: Store, *stacks: StackDrift, words: Any = ()) -> Said:
    place.write_text(json.dumps({"environment": "prod", "stacks": [asdict(one) for one in stacks]}))
    whole = ["drift-issues", "--env", "prod", "--from", str(place), *words]
    return said(whole, monkeypatch, capsys, store=store, GITHUB_REPOSITORY=NAME)


def issue(store: Store, stack: str, **more: Any) -> int:
    number = len(store.issues) + 1
    body = f"<!-- drift:prod:{stack} -->\nold"
    store.issues[number] = {"number": number, "state": "open", "user": {"login": BOT}, "body": body, **more}
    return number


def test_an_issue_is_made_changed_and_closed_each_with_its_line(tmp_path: Path, monkeypatch: Any, capsys: Any):
    store = Store()
    issue(store, "mail")
    issue(store, "lake")
    found = (StackDrift(stack="lake", looked_at=1, differences=(CHANGED,)), StackDrift(stack="mail", looked_at=2),
             StackDrift(stack="warehouse", looked_at=0, error="no credentials"))  # fmt: skip
    code, out, _ = told(tmp_path / "d.json", monkeypatch, capsys, store, *found)
    assert (code, out) == (0, "update #2 lake\nclose #1 mail\ncreate warehouse\n")
    assert [(one["number"], one["state"]) for one in store.issues.values()] == [(1, "closed"), (2, "open"), (3, "open")]
    assert store.issues[3]["title"] == "Drift of prod: warehouse"
    assert told(tmp_path / "d.json", monkeypatch, capsys, store, *found)[1] == "nothing to do\n"


@pytest.mark.parametrize("dry", [True, False], ids=["dry", "in earnest"])
def test_as_json_it_says_what_and_whether_it_was_done(dry: bool, tmp_path: Path, monkeypatch: Any, capsys: Any):
    store = Store()
    words = ["--json", *(["--dry"] if dry else [])]
    drift = StackDrift(stack="lake", looked_at=1, differences=(CHANGED,))
    code, out, _ = told(tmp_path / "d.json", monkeypatch, capsys, store, drift, words=words)
    whole = json.loads(out)
    assert (code, whole["version"], whole["done"], bool(store.issues)) == (0, 1, not dry, not dry)
    assert [(one["act"], one["stack"]) for one in whole["actions"]] == [("create", "lake")]


def test_requests_and_texts_of_nobody_are_no_issues_of_ours():
    store = Store()
    issue(store, "lake", pull_request={})
    issue(store, "lake", user=None, body=None)
    issue(store, "mail")
    issue(store, "mail", state="closed")
    with github(store) as client:
        assert opened(client) == [
            Issue(number=2, author="", body=""),
            Issue(number=3, author=BOT, body="<!-- drift:prod:mail -->\nold"),
        ]


def test_closing_says_why_before_it_closes():
    store = Store()
    number = issue(store, "lake")
    with github(store) as client:
        act(client, Action(act="close", stack="lake", number=number, body="It is as declared."))
    assert [path for _, path in store.writes] == [f"/repos/{NAME}/issues/1/comments", f"/repos/{NAME}/issues/1"]
    assert store.on(number) == ["It is as declared."]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '"prod"',
        '{"environment": "prod"}',
        '{"environment": "prod", "stacks": {}}',
        '{"environment": "prod", "stacks": null}',
        '{"environment": "prod", "stacks": [{"stack": "lake"}]}',
        '{"environment": "prod", "stacks": [{"stack": "lake", "looked_at": "many"}]}',
        '{"environment": "prod", "stacks": [{"stack": "lake", "looked_at": 1, "differences": [{"sort": "x"}]}]}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_what_is_no_answer_of_drift_is_refused_in_one_line(text: str, tmp_path: Path):
    place = tmp_path / "drift.json"
    place.write_text(text)
    with pytest.raises(LeandataError) as raised:
        read(place, "prod")
    assert str(raised.value) == f"this is no answer of `drift` ({place}). make drift OUT=folder"


def test_an_answer_that_is_missing_or_no_text_is_refused_too(tmp_path: Path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    for name in ("none.json", "bytes.json"):
        with pytest.raises(LeandataError, match="this is no answer of `drift`"):
            read(tmp_path / name, "prod")


def test_drift_is_read_as_it_was_written(tmp_path: Path):
    drift = [
        StackDrift(stack="lake", looked_at=1, differences=(CHANGED,)),
        StackDrift(stack="x", looked_at=0, error="e"),
    ]
    (tmp_path / "d.json").write_text(json.dumps({"environment": "prod", "stacks": [asdict(one) for one in drift]}))
    assert read(tmp_path / "d.json", "prod") == drift
    with pytest.raises(LeandataError, match=r"the drift is of prod, not of dev \(.*d\.json\)"):
        read(tmp_path / "d.json", "dev")


@pytest.mark.parametrize("words", [[], ["--check"]], ids=["write", "check"])
def test_the_workflows_of_the_checkout_are_as_described(words: list[str], monkeypatch: Any, capsys: Any):
    count = len(described(ROOT))
    assert said(["workflows", *words], monkeypatch, capsys)[:2] == (0, f"{count} workflows, all as described\n")
    whole = json.loads(said(["workflows", *words, "--json"], monkeypatch, capsys)[1])
    assert (whole["version"], len(whole["files"]), whole["written"]) == (1, count, [])


def test_what_a_shell_has_set_does_not_change_the_workflows(monkeypatch: pytest.MonkeyPatch):
    before = described(ROOT)
    monkeypatch.setenv("LEANDATA_PORT_BASE", "30000")
    monkeypatch.setenv("LEANDATA_ENV", "prod")
    assert described(ROOT) == before
