"""Who approved a deployment: reviews of the request that was merged, and people who approved the job on GitHub."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ci.comment.github import GitHub
from ci.owners.signing import approving, reviews
from ci.owners.teams import Teams


def people(github: GitHub, *, commit: str, run: str, environment: str) -> set[str]:
    """The logins, lower case, that approved the commit: in the one request that it is the merge of, or this run's job.

    The reviews that count are those of the request's last commit. The author's own does not count.
    """
    merged = [
        one
        for one in github.pages(f"commits/{commit}/pulls")
        if one.get("merge_commit_sha") == commit and one.get("merged_at")
    ]
    found: set[str] = set()
    if len(merged) == 1:
        (one,) = merged
        said = reviews(list(github.pages(f"pulls/{int(one['number'])}/reviews")))
        author = str((one["user"] or {}).get("login") or "")
        found |= approving(said, commit=str(one["head"]["sha"]), author=author)
    if run:
        found |= _of_job(github.get(f"actions/runs/{int(run)}/approvals"), environment)
    return found


def _of_job(answer: Any, environment: str) -> set[str]:
    found: set[str] = set()
    for one in answer if isinstance(answer, list) else []:
        names = {str(each.get("name")) for each in one.get("environments") or []}
        if one.get("state") == "approved" and environment in names:
            found.add(str((one.get("user") or {}).get("login") or "").lower())
    return found - {""}


def teams_of(logins: Iterable[str], teams: Teams) -> list[str]:
    """The teams that have one of these people, sorted."""
    known = set(logins)
    return sorted(name for name, team in teams.teams.items() if known & {person.lower() for person in team.people})
