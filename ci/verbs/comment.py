"""`comment`: say on a pull request what its previews found; trusted code, started after the request's own runs."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from ci.cli import Options, emit
from ci.comment import event
from ci.comment.github import GitHub
from ci.comment.posting import act, actions
from infra.environment import ROOT, names
from leandata.errors import LeandataError


def comment(options: Options) -> int:
    """Do what the event asks for, or with --dry only say it."""
    place = options.event or os.environ.get("GITHUB_EVENT_PATH", "")
    if not place:
        raise LeandataError("no event", hint="EVENT names the file with the event; in a workflow GITHUB_EVENT_PATH")
    found = event.read(Path(place))
    github = GitHub.of(found.repository.full_name)
    todo = actions(found, github, environments=names(root=ROOT), root=ROOT)
    said: list[str] = []
    if options.dry:
        said += [f"would do: {action.says}" for action in todo]
    else:
        act(github, todo, said.append)
    if options.json:
        emit({"actions": [asdict(action) for action in todo], "done": not options.dry})
    else:
        print("\n".join(said) or "Nothing to say: the run belongs to no open request, or not to its newest commit.")
    return 0
