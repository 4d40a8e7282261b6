"""The settings that a service is given: environment variables by the names that `leandata.settings` reads."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pulumi

from infra.components.service import Texts
from infra.components.stack import Stack


def service_settings(stack: Stack, service: str, parts: Texts) -> dict[str, pulumi.Input[str]]:
    """What every process of `service` is told: environment, service, commit, links, and its own `parts`.

    `parts` are named without the prefix: {"SERVING": address} becomes LEANDATA_SERVING.
    """
    common: Mapping[str, pulumi.Input[str]] = {
        "ENVIRONMENT": stack.environment.name,
        "SERVICE": service,
        "COMMIT": commit(stack.environment.root),
        "LOG": "json",
        "AIRFLOW_URL": stack.page("airflow-api"),
        "API_URL": stack.page("api"),
        "DASH_URL": stack.page("dash"),
        "MAIL_URL": stack.page("mail-web"),
    }
    if stack.environment.today:
        common = {**common, "TODAY": stack.environment.today}
    return {f"LEANDATA_{name}": value for name, value in sorted({**common, **parts}.items())}


def commit(root: Path) -> str:
    """The commit that is checked out at `root`; "" where git does not know."""
    found = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()
