"""`approve`: write into a plan which teams approved its commit on GitHub."""

from __future__ import annotations

import os
from pathlib import Path

from ci.cli import Options, emit
from ci.comment.approvals import people, teams_of
from ci.comment.github import GitHub
from ci.owners.teams import Teams
from ci.release.plan import Approval, Plan
from infra.environment import ROOT
from leandata.errors import LeandataError


def approve(options: Options) -> int:
    """Ask GitHub, and write the approvals into the plan; `deploy` refuses it when one is missing."""
    if not options.plan:
        raise LeandataError("no plan", hint="PLAN names the plan.json of a preview")
    place = Path(options.plan)
    plan = Plan.load(place)
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1:
        raise LeandataError("no repository", hint="Export GITHUB_REPOSITORY=owner/name")
    github = GitHub.of(repository)
    found = people(
        github, commit=plan.commit, run=os.environ.get("GITHUB_RUN_ID", ""), environment=f"{plan.environment}-deploy"
    )
    teams = teams_of(found, Teams.load(ROOT))
    plan.approved([Approval(team=team, commit=plan.commit) for team in teams]).write(place)
    missing = sorted(set(plan.needs) - set(teams))
    if options.json:
        emit({"approved": teams, "missing": missing, "people": sorted(found)})
    else:
        print(f"approved by: {', '.join(teams) or 'nobody'}" + (f"; missing: {', '.join(missing)}" if missing else ""))
    return 0
