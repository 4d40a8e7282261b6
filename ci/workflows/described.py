"""All workflows of the repository, of the environments that it has."""

from __future__ import annotations

import os
from pathlib import Path

from ci.workflows import deploying, requests, scheduled
from ci.workflows.model import Workflow
from infra.environment import Environment, names
from leandata.settings import foreign

FOLDER = ".github/workflows"


def described(root: Path) -> list[Workflow]:
    """The workflows, sorted by name. Raises SettingsError for an environment's file that is not well formed."""
    environ = foreign(os.environ)
    everything = {name: Environment.load(name, environ=environ, root=root) for name in names(root=root)}
    on_aws = {name: found for name, found in everything.items() if found.file.aws is not None}
    found = [
        *requests.workflows(sorted(everything), on_aws),
        *deploying.workflows(on_aws),
        *scheduled.workflows(on_aws),
    ]
    return sorted(found, key=lambda workflow: workflow.name)
