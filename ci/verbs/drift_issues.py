"""`drift-issues`: one issue on GitHub for each stack with drift, that is kept up to date and closed by itself."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ci.cli import Options, emit
from ci.comment.deciding import BOT
from ci.comment.github import GitHub
from ci.drift.issues import LABEL, Action, Issue, decide
from ci.drift.model import StackDrift
from leandata.errors import LeandataError


def drift_issues(options: Options) -> int:
    """Do what the file of `drift` asks for, or with --dry only say it."""
    place = Path(getattr(options, "from") or "drift.json")
    found = read(place, options.env)
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1:
        raise LeandataError("no repository", hint="Export GITHUB_REPOSITORY=owner/name")
    github = GitHub.of(repository)
    actions = decide(opened(github), found, environment=options.env, author=BOT)
    for action in [] if options.dry else actions:
        act(github, action)
    if options.json:
        emit({"actions": [asdict(action) for action in actions], "done": not options.dry})
    else:
        print(
            "\n".join(f"{one.act} {f'#{one.number} ' if one.number else ''}{one.stack}" for one in actions)
            or "nothing to do"
        )
    return 0


def read(place: Path, environment: str) -> list[StackDrift]:
    """The stacks of the file. Raises LeandataError when it is another environment's, or no answer of `drift`."""
    try:
        whole = json.loads(place.read_text(encoding="utf-8"))
        if whole["environment"] != environment:
            raise LeandataError(f"the drift is of {whole['environment']}, not of {environment}", where=str(place))
        return TypeAdapter(list[StackDrift]).validate_python(whole["stacks"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError, RecursionError):
        raise LeandataError("this is no answer of `drift`", where=str(place), hint="make drift OUT=folder") from None


def opened(github: GitHub) -> list[Issue]:
    """The open issues with our label; requests are issues too, and none of them is meant."""
    return [
        Issue(
            number=int(one["number"]), author=str((one["user"] or {}).get("login") or ""), body=str(one["body"] or "")
        )
        for one in github.pages("issues", state="open", labels=LABEL)
        if "pull_request" not in one
    ]


def act(github: GitHub, action: Action) -> None:
    """Create, change or close the issue."""
    if action.act == "create":
        github.send("POST", "issues", {"title": action.title, "body": action.body, "labels": [LABEL]})
    elif action.act == "update":
        github.send("PATCH", f"issues/{action.number}", {"body": action.body})
    else:
        github.send("POST", f"issues/{action.number}/comments", {"body": action.body})
        github.send("PATCH", f"issues/{action.number}", {"state": "closed", "state_reason": "completed"})
