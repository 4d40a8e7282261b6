"""What is posted on a pull request: which comments are made or changed, which labels and which status it gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.comment.body import OUTCOMES, Outcome, Section, body, is_quiet, is_quiet_of, outdated, quiet, remembered
from ci.preview.markdown import marker

BOT = "github-actions[bot]"
SIGN_OFF = "sign-off"
_LABELS = "preview:"
_KNOWN = frozenset(f"{_LABELS}{name}" for name in (*OUTCOMES, "data-risk", "own-maker"))
_MAKERS = (".github/", "Makefile", "ci/", "infra/policy/", "owners.toml", "pyproject.toml", "uv.lock")
"""Where the code lies that makes previews: a request that changes it makes its own preview with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One call of GitHub's API that changes something, below the repository, and what it does in words."""

    method: str
    path: str
    says: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """A comment of ours."""

    id: int
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The pull request: its number, the commit at its head, who made it."""

    number: int
    commit: str
    author: str


def ours(found: Any) -> Comment | None:
    """The comment in GitHub's answer, when this poster wrote it: nobody else's is ever touched."""
    if not isinstance(found, dict) or (found.get("user") or {}).get("login") != BOT:
        return None
    text = str(found.get("body") or "").replace("\r\n", "\n")
    return Comment(id=int(found["id"]), body=text) if text.startswith("<!-- preview:") else None


def begun(request: Request, comments: Sequence[Comment]) -> list[Action]:
    """A push was made: every preview of another commit is marked as outdated."""
    actions: list[Action] = []
    for comment in comments:
        shown = remembered(comment.body)
        current = shown[0].commit == request.commit if shown else is_quiet_of(comment.body, request.commit)
        if not current:
            actions.append(_edit(comment, outdated(comment.body, commit=request.commit), "marks as outdated"))
    return actions


def ended(
    request: Request,
    sections: Sequence[Section],
    comments: Sequence[Comment],
    *,
    run: str,
    files: Collection[str],
) -> list[Action]:
    """Previews were made, or failed: each environment's comment is edited, or made where there is something to say.

    `sections` are those of this commit, `run` is the address of the run, `files` are what the request changes.
    """
    notes = _notes(files)
    actions: list[Action] = []
    silent: list[str] = []
    for section in sections:
        mine = _of(comments, marker(section.environment))
        if mine is None and section.shown(request.commit).outcome == "no-change":
            silent.append(section.environment)
            continue
        before = remembered(mine.body) if mine else ()
        text = body(section, commit=request.commit, run=run, notes=notes, before=before)
        actions.append(_post(request, mine, text, f"the preview of {section.environment}"))
    old = next((one for one in comments if is_quiet(one.body)), None)
    if silent or old is not None:
        text = quiet(silent, commit=request.commit, run=run, notes=notes)
        actions.append(_post(request, old, text, "where nothing changes"))
    return actions


def labels(
    request: Request, sections: Sequence[Section], there: Collection[str], files: Collection[str]
) -> list[Action]:
    """One label for the gravest outcome, one for data at risk, one for a change of what makes previews; ours only."""
    found: list[Outcome] = [section.shown(request.commit).outcome for section in sections]
    wanted = {f"{_LABELS}{_worst(found)}"} if found else set()
    risks = [risk for section in sections if section.preview for risk in section.preview.risks]
    wanted |= {f"{_LABELS}data-risk"} if any(risk.kind == "data" for risk in risks) else set()
    wanted |= {f"{_LABELS}own-maker"} if _makers(files) else set()
    path = f"issues/{request.number}/labels"
    new = sorted(wanted - set(there))
    actions = (
        [Action(method="POST", path=path, says=f"adds the labels {', '.join(new)}", body={"labels": new})]
        if new
        else []
    )
    actions += [
        Action(method="DELETE", path=f"{path}/{label}", says=f"removes the label {label}")
        for label in sorted(_KNOWN & set(there) - wanted)
    ]
    return actions


def status(request: Request, *, missing: Sequence[str], failed: str, run: str) -> Action:
    """The status of the commit: red until every team that a risk names has approved this very commit."""
    if failed:
        state, said = "error", failed
    elif missing:
        state, said = "failure", f"missing: {', '.join(missing)}"
    else:
        state, said = "success", "every team that is needed has approved"
    sent = {"state": state, "context": SIGN_OFF, "description": said[:140], "target_url": run}
    return Action(method="POST", path=f"statuses/{request.commit}", says=f"{SIGN_OFF}: {said}", body=sent)


def _worst(found: Sequence[Outcome]) -> Outcome:
    return next(one for one in OUTCOMES if one in found)


def _makers(files: Collection[str]) -> list[str]:
    return sorted({place for place in _MAKERS for file in files if file == place or file.startswith(place)})


def _notes(files: Collection[str]) -> list[str]:
    places = _makers(files)
    if not places:
        return []
    return [f"**This request changes code that makes previews** ({', '.join(places)}): read that before this table."]


def _of(comments: Sequence[Comment], mark: str) -> Comment | None:
    return next((one for one in comments if one.body.startswith(mark)), None)


def _post(request: Request, mine: Comment | None, text: str, what: str) -> Action:
    if mine is not None:
        return _edit(mine, text, f"edits {what}")
    path = f"issues/{request.number}/comments"
    return Action(method="POST", path=path, says=f"comments {what}", body={"body": text})


def _edit(mine: Comment, text: str, says: str) -> Action:
    return Action(method="PATCH", path=f"issues/comments/{mine.id}", says=says, body={"body": text})
