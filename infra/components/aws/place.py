"""Where an environment's things lie on AWS."""

from __future__ import annotations

from infra.components.aws.documents import Place
from infra.environment import Environment
from infra.parts.aws import Aws
from leandata.errors import SettingsError


def table(environment: Environment) -> Aws:
    """The table [aws] of the environment's file. Raises SettingsError when it has none."""
    if environment.file.aws is None:
        place = f"infra/environments/{environment.name}.toml"
        raise SettingsError("the environment has no AWS account", where=place, hint="Add the table [aws]")
    return environment.file.aws


def place_of(environment: Environment) -> Place:
    """Account and region. Raises SettingsError without the table [aws]."""
    found = table(environment)
    return Place(account=found.account, region=found.region)
