"""The poster: asks GitHub for the request, its runs and its comments, and does what was decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.comment import artifact, reading
from ci.comment.artifact import RefusedError
from ci.comment.body import Section
from ci.comment.deciding import Action, Comment, Request, begun, ended, labels, ours, status
from ci.comment.event import Event
from ci.comment.github import GitHub
from ci.owners.signing import approving, decide, reviews, rows
from ci.owners.teams import Teams
from ci.preview.document import text
from leandata.errors import LeandataError

OFFLINE, LIVE = ".github/workflows/pull-request.yml", ".github/workflows/live-preview.yml"
_NO_RESULT = ("cancelled", "skipped", "stale")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run that has ended: its number, and the artifacts that it left, by name."""

    id: int
    artifacts: dict[str, int]


def actions(event: Event, github: GitHub, *, environments: Sequence[str], root: Path) -> list[Action]:
    """What is to be done about the event; nothing when it concerns no open request, or not its newest commit."""
    request = request_of(event, github)
    if request is None:
        return []
    comments = list(_comments(github, request))
    if event.action != "completed":
        return begun(request, comments) if event.workflow_run.path in (LIVE, OFFLINE) else []
    found = {path: run for path in (LIVE, OFFLINE) if (run := _latest(event, github, path)) is not None}
    sections = [one for name in environments if (one := _section(github, found, name, request.commit)) is not None]
    if not sections:
        return []
    page = f"https://github.com/{github.repository}/actions/runs/{max(run.id for run in found.values())}"
    files = _names(github.pages(f"pulls/{request.number}/files"), "filename")
    there = _names(github.pages(f"issues/{request.number}/labels"), "name")
    made = ended(request, sections, comments, run=page, files=files)
    made += labels(request, sections, there, files)
    missing, failed = _signatures(github, request, sections, root)
    return [*made, status(request, missing=missing, failed=failed, run=page)]


def act(github: GitHub, found: Sequence[Action], say: Callable[[str], None]) -> None:
    """Do it. A label that somebody removed meanwhile is no error."""
    for action in found:
        try:
            github.send(action.method, action.path, action.body)
        except LeandataError as error:
            if action.method != "DELETE" or "answers 404" not in error.what:
                raise
        say(action.says)


def request_of(event: Event, github: GitHub) -> Request | None:
    """The open request that the event's run belongs to, by its branch and its newest commit; None when there is none.

    The event of a fork names no request, and a branch may be offered to several: then none is taken.
    """
    run = event.workflow_run
    if not run.event.startswith("pull_request") or run.head_repository is None or not run.head_branch:
        return None
    head = f"{run.head_repository.owner.login}:{run.head_branch}"
    found = [
        one
        for one in github.pages("pulls", state="open", head=head)
        if one["head"]["sha"] == run.head_sha
        and (one["head"]["repo"] or {}).get("id") == run.head_repository.id
        and one["base"]["repo"]["id"] == event.repository.id
    ]
    if len(found) != 1:
        return None
    (one,) = found
    return Request(number=int(one["number"]), commit=run.head_sha, author=str((one["user"] or {}).get("login") or ""))


def _comments(github: GitHub, request: Request) -> Iterator[Comment]:
    for found in github.pages(f"issues/{request.number}/comments"):
        if (comment := ours(found)) is not None:
            yield comment


def _latest(event: Event, github: GitHub, path: str) -> Run | None:
    """The newest run of this workflow for the commit that has ended with a result."""
    source = event.workflow_run.head_repository
    runs = [
        one
        for one in github.pages("actions/runs", inside="workflow_runs", head_sha=event.workflow_run.head_sha)
        if one["path"] == path
        and one["event"] == "pull_request"
        and one["head_sha"] == event.workflow_run.head_sha
        and source is not None
        and (one["head_repository"] or {}).get("id") == source.id
        and one["status"] == "completed"
        and one["conclusion"] not in _NO_RESULT
    ]
    if not runs:
        return None
    number = max(int(one["id"]) for one in runs)
    kept: dict[str, int] = {}
    for one in github.pages(f"actions/runs/{number}/artifacts", inside="artifacts"):
        if not one["expired"]:
            kept[str(one["name"])] = int(one["id"])
    return Run(id=number, artifacts=kept)


def _section(github: GitHub, runs: dict[str, Run], environment: str, commit: str) -> Section | None:
    """What the runs say of the environment: the comparison with what runs where there is one, else the offline one."""
    failure = ""
    name = f"preview-{environment}"
    for path in (LIVE, OFFLINE):
        if path not in runs:
            continue
        number = runs[path].artifacts.get(name)
        if number is None:
            failure = failure or ("" if path == LIVE else "the run made no preview of it")
            continue
        try:
            data = github.download(f"actions/artifacts/{number}/zip", at_most=artifact.ZIPPED)
            found = artifact.preview_file(data)
            return Section(
                environment=environment, preview=reading.preview(found, environment=environment, commit=commit)
            )
        except RefusedError as error:
            failure = f"{error.what}, so nothing of it is shown"
        except LeandataError as error:
            failure = f"its artifact cannot be had: {error.what}"
    return Section(environment=environment, failure=failure) if failure else None


def _signatures(github: GitHub, request: Request, sections: Sequence[Section], root: Path) -> tuple[list[str], str]:
    """The teams whose approval of this commit is missing, and why that cannot be said where it cannot."""
    if lacking := [section.environment for section in sections if section.preview is None or section.preview.failure]:
        return [], f"no preview of {', '.join(lacking)}"
    owners = [Teams.load(root)]
    given = approving(
        reviews(list(github.pages(f"pulls/{request.number}/reviews"))), commit=request.commit, author=request.author
    )
    try:
        needed = [row for one in sections if one.preview for row in rows(json.loads(text(one.preview)), owners=owners)]
    except LeandataError:
        return [], "a risk names a stack or a team that the default branch does not know"
    return sorted({team for one in decide(needed, approvals=given, owners=owners) for team in one.missing}), ""


def _names(found: Iterator[Any], key: str) -> set[str]:
    return {str(one[key]) for one in found}
