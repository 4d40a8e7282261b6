"""Steps that repeat: the checkout, a verb, a role on AWS, a folder handed on."""

from __future__ import annotations

from collections.abc import Mapping

from ci.workflows.model import AWS, CHECKOUT, DOWNLOAD, UPLOAD, Right, Step
from infra.components.aws import rights
from infra.components.aws.place import place_of
from infra.environment import Environment

READ_CODE = Right(scope="contents", access="read", why="the checkout")
ASK_AWS = Right(scope="id-token", access="write", why="the role on AWS, without a key")
HEAD = "${{ github.event.pull_request.head.sha }}"
BASE = "${{ github.event.pull_request.base.sha }}"
ENVIRONMENT = "${{ matrix.environment }}"
LOGIN = {"SNOWFLAKE_PRIVATE_KEY": "${{ secrets.SNOWFLAKE_PRIVATE_KEY }}"}


def checkout(*, ref: str = "", history: bool = False) -> Step:
    """The repository at `ref`, by default the commit of the event; no token is left in its settings."""
    given = {**({"ref": ref} if ref else {}), **({"fetch-depth": 0} if history else {}), "persist-credentials": False}
    return Step(name="Check out", uses=CHECKOUT, given=given)


def verb(name: str, *, says: str, env: Mapping[str, str] | None = None, only: str = "", **options: str) -> Step:
    """A verb of the Makefile. An option such as `$BASE` is taken from the environment, never from the event's text."""
    words = [f'{key}="{value}"' if value.startswith("$") else f"{key}={value}" for key, value in options.items()]
    return Step(name=says, run=" ".join(["make", name, *words]), env=env or {}, only=only)


def take_role(role: str, environment: Environment | None = None) -> Step:
    """Take a role of the environment by GitHub's token; without one, what the matrix says."""
    given = _role(role, environment) if environment else {}
    return Step(
        name=f"Take the role {role}",
        uses=AWS,
        given={
            "role-to-assume": given.get("role", "${{ matrix.role }}"),
            "aws-region": given.get("region", "${{ matrix.region }}"),
            "allowed-account-ids": given.get("account", "${{ matrix.account }}"),
        },
    )


def matrix(environments: Mapping[str, Environment], role: str) -> tuple[dict[str, str], ...]:
    """For each environment on AWS its account, its region, and the ARN of its role."""
    return tuple({"environment": name, **_role(role, found)} for name, found in sorted(environments.items()))


def github_environment(environment: Environment, role: str) -> str:
    """The environment of GitHub whose jobs may take the role: what its trust policy asks for."""
    return rights.subject(environment, role).rpartition(":environment:")[2]


def hand_on(name: str, *, folder: str, always: bool = False) -> Step:
    """Keep a folder for other jobs and for people; a missing one is an error, unless the job failed before it."""
    given = {"name": name, "path": folder, "if-no-files-found": "warn" if always else "error", "retention-days": 30}
    return Step(name="Keep it", uses=UPLOAD, given=given, only="!cancelled()" if always else "")


def fetch(name: str, *, folder: str) -> Step:
    """The folder that an earlier job of the same run kept."""
    return Step(name="Fetch it", uses=DOWNLOAD, given={"name": name, "path": folder})


def _role(role: str, environment: Environment) -> dict[str, str]:
    place = place_of(environment)
    return {"account": place.account, "region": place.region, "role": rights.role_arn(environment, role)}
