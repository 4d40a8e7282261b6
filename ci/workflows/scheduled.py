"""What the clock starts: drift by night, the sweeper of environments of requests, the weekly drill of a restore."""

from __future__ import annotations

from collections.abc import Mapping

from ci.workflows.model import Job, Right, Workflow
from ci.workflows.steps import (
    ASK_AWS,
    ENVIRONMENT,
    READ_CODE,
    checkout,
    fetch,
    hand_on,
    matrix,
    take_role,
    verb,
)
from infra.environment import Environment

_DRIFT = "build/drift"


def workflows(on_aws: Mapping[str, Environment]) -> list[Workflow]:
    """The workflows that nobody starts."""
    return [_drift(on_aws), _sweep(), _drill()]


def _drift(on_aws: Mapping[str, Environment]) -> Workflow:
    compare = Job(
        name=f"Drift of {ENVIRONMENT}",
        minutes=45,
        environment=f"{ENVIRONMENT}-drift",
        rights=(READ_CODE, ASK_AWS),
        env={"ENVIRONMENT": ENVIRONMENT},
        matrix=matrix(on_aws, "drift"),
        steps=(
            checkout(history=True),
            take_role("drift"),
            verb("drift", says="Compare", ENV="$ENVIRONMENT", OUT=_DRIFT, SOFT="yes"),
            hand_on(f"drift-{ENVIRONMENT}", folder=_DRIFT, always=True),
        ),
    )
    tell = Job(
        name=f"Issues of {ENVIRONMENT}",
        minutes=15,
        needs=("compare",),
        only="!cancelled()",
        rights=(READ_CODE, Right(scope="issues", access="write", why="one issue a stack, which closes itself")),
        env={"ENVIRONMENT": ENVIRONMENT},
        matrix=tuple({"environment": name} for name in sorted(on_aws)),
        steps=(
            checkout(),
            fetch(f"drift-{ENVIRONMENT}", folder=_DRIFT),
            verb(
                "drift-issues",
                says="Open, change or close the issues",
                env={"GITHUB_TOKEN": "${{ github.token }}"},
                ENV="$ENVIRONMENT",
                FROM=f"{_DRIFT}/drift.json",
            ),
        ),
    )
    return Workflow(
        name="drift",
        why="Every night: what runs against what is declared, by roles that only read.",
        on={"schedule": [{"cron": "17 2 * * *"}], "workflow_dispatch": {}},
        group="drift",
        jobs={"compare": compare, "tell": tell},
    )


def _sweep() -> Workflow:
    sweep = Job(
        name="Sweep",
        minutes=60,
        runner="self-hosted",
        only="vars.PR_ENV_STATE != ''",
        rights=(READ_CODE,),
        env={"LEANDATA_STATE": "${{ vars.PR_ENV_STATE }}"},
        steps=(checkout(), verb("pr-env", says="Remove what has expired", ENV="local", SWEEP="yes")),
    )
    return Workflow(
        name="sweep",
        why="Every hour, on the machine that holds them: environments of requests that have expired are removed.",
        on={"schedule": [{"cron": "41 * * * *"}], "workflow_dispatch": {}},
        group="sweep",
        jobs={"sweep": sweep},
    )


def _drill() -> Workflow:
    drill = Job(
        name="Restore drill",
        minutes=90,
        rights=(READ_CODE,),
        steps=(
            checkout(),
            verb("deploy", says="Deploy", ENV="local"),
            verb("status", says="Wait until there is something to keep", ENV="local", WAIT="900"),
            verb("backup", says="Back up", ENV="local"),
            verb("drill", says="Restore into a throwaway environment", ENV="local"),
        ),
    )
    return Workflow(
        name="restore-drill",
        why="Every week: a backup is restored and looked at, with the time that it took.",
        on={"schedule": [{"cron": "23 4 * * 6"}], "workflow_dispatch": {}},
        group="restore-drill",
        jobs={"drill": drill},
    )
