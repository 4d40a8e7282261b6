"""The settings that a service is given: environment variables by the names that `leandata.settings` reads."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pulumi

from infra.components import naming
from infra.components.service import Texts
from infra.components.stack import Stack

_NOT_RUN = (":(exclude,glob)**/tests/**", ":(exclude,glob)**/*.md")


def service_settings(stack: Stack, service: str, parts: Texts) -> dict[str, pulumi.Input[str]]:
    """What every process of `service` is told: environment, service, commit, links, and its own `parts`.

    `parts` are named without the prefix: {"SERVING": address} becomes LEANDATA_SERVING.
    """
    common: Mapping[str, pulumi.Input[str]] = {
        "ENVIRONMENT": stack.environment.name,
        "SERVICE": service,
        "COMMIT": code_commit(stack.environment.root, service),
        "LOG": "json",
        "AIRFLOW_URL": stack.page("airflow-api"),
        "API_URL": stack.page("api"),
        "DASH_URL": stack.page("dash"),
        "MAIL_URL": stack.page("mail-web"),
    }
    if stack.environment.today:
        common = {**common, "TODAY": stack.environment.today}
    return {f"LEANDATA_{name}": value for name, value in sorted({**common, **parts}.items())}


def health_pages(stack: Stack, service: str) -> str:
    """Where the services that `service` calls say how they are: name=url by comma, by name.

    A service is asked where its process of the same name is ready for requests; one that this environment has not, or
    whose process says nothing, is left out.
    """
    known = naming.services(stack.environment.root)
    pages: list[str] = []
    for name in sorted(known[service].network.calls):
        if name in known and name in stack.environment.file.ports.offsets:
            process = known[name].one(name)
            if page := process.ready or process.health:
                pages.append(f"{name}={stack.listen(name).url}{page}")
    return ",".join(pages)


def code_commit(root: Path, service: str) -> str:
    """The last commit of the checkout at `root` that changed the code which `service` runs; "" where git knows none.

    Its own folder, the shared library and the locked libraries count; tests and documents do not. So a commit that
    changes another service restarts nothing here.
    """
    command = ["git", "-C", str(root), "log", "-1", "--format=%h", "--abbrev=12", "--"]
    places = [f"services/{service}", "shared/leandata", "uv.lock", *_NOT_RUN]
    found = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    return found.stdout.strip()
