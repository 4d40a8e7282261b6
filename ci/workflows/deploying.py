"""What a merge starts: images and the first environment by themselves, the others by approval, each in its queue."""

from __future__ import annotations

from collections.abc import Mapping

from ci.workflows.model import Job, Right, Workflow
from ci.workflows.steps import (
    ASK_AWS,
    LOGIN,
    READ_CODE,
    checkout,
    fetch,
    github_environment,
    hand_on,
    take_role,
    verb,
)
from infra.environment import Environment

_PLAN = "build/preview"
_ORDER = ("dev", "staging", "prod")
_CANARY = "dash"
"""The service that is deployed and looked at before the others: nobody's data goes through it."""


def workflows(on_aws: Mapping[str, Environment]) -> list[Workflow]:
    """The workflows that change an environment."""
    return [_deploy(on_aws), _images(on_aws)]


def _deploy(on_aws: Mapping[str, Environment]) -> Workflow:
    jobs: dict[str, Job] = {"test": _tested()}
    before: tuple[str, ...] = ("test",)
    for name in sorted(on_aws, key=lambda one: (_ORDER.index(one) if one in _ORDER else len(_ORDER), one)):
        preview, deploy = f"preview-{name}", f"deploy-{name}"
        jobs[preview] = _planned(on_aws[name], before)
        jobs[deploy] = _deployed(on_aws[name], (preview,))
        before = (deploy,)
    return Workflow(
        name="deploy",
        why="Each environment is previewed, approved (by GitHub's environments) and given just what was previewed.",
        on={"push": {"branches": ["main"]}},
        group="deploy-${{ github.sha }}",
        jobs=jobs,
    )


def _tested() -> Job:
    """A request ran what it can affect (docs/adr/0005); what is merged is deployed after all checks and tests."""
    return Job(
        name="Test all",
        minutes=90,
        rights=(READ_CODE,),
        steps=(checkout(history=True), verb("check", says="Check all"), verb("test", says="Test all")),
    )


def _planned(environment: Environment, before: tuple[str, ...]) -> Job:
    return Job(
        name=f"Preview {environment.name}",
        minutes=30,
        needs=before,
        environment=github_environment(environment, "preview"),
        rights=(READ_CODE, ASK_AWS),
        steps=(
            checkout(history=True),
            take_role("preview", environment),
            verb("preview", says="Preview", ENV=environment.name, LIVE="yes", OUT=_PLAN, SOFT="yes"),
            hand_on(f"plan-{environment.name}", folder=_PLAN),
        ),
    )


def _deployed(environment: Environment, before: tuple[str, ...]) -> Job:
    name = environment.name
    plan = f"{_PLAN}/plan.json"
    asks = (
        Right(scope="actions", access="read", why="who approved this job"),
        Right(scope="pull-requests", access="read", why="who approved the request that was merged"),
    )
    return Job(
        name=f"Deploy {name}",
        minutes=120,
        needs=before,
        environment=github_environment(environment, "deploy"),
        queue=f"deploy-{name}",
        rights=(asks[0], READ_CODE, ASK_AWS, asks[1]),
        steps=(
            checkout(history=True),
            fetch(f"plan-{name}", folder=_PLAN),
            verb("approve", says="Note who approved", env={"GITHUB_TOKEN": "${{ github.token }}"}, PLAN=plan),
            take_role("deploy", environment),
            verb("deploy", says="Deploy what was previewed", env=LOGIN, ENV=name, PLAN=plan, CANARY=_CANARY),
            verb("smoke", says="Look at all of it", ENV=name),
        ),
    )


def _images(on_aws: Mapping[str, Environment]) -> Workflow:
    jobs = {
        name: Job(
            name=f"Images of {name}",
            minutes=60,
            only=f"inputs.environment == '{name}'",
            environment=github_environment(found, "deploy"),
            queue=f"images-{name}",
            rights=(READ_CODE, ASK_AWS),
            steps=(
                checkout(),
                take_role("deploy", found),
                verb("images", says="Build and push what changed", ENV=name),
                hand_on(f"release-{name}", folder=f"infra/releases/{name}.json"),
            ),
        )
        for name, found in sorted(on_aws.items())
    }
    asked = {"description": "for which environment", "required": True, "type": "choice", "options": sorted(on_aws)}
    return Workflow(
        name="images",
        why="Builds images on demand; the file of digests that it keeps is committed by a request, and so previewed.",
        on={"workflow_dispatch": {"inputs": {"environment": asked}}},
        group="images-${{ inputs.environment }}",
        jobs=jobs,
    )
