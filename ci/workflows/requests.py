"""What a pull request starts: checks and previews that hold no secret, and the trusted poster of what they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ci.workflows.model import Job, Right, Step, Workflow
from ci.workflows.steps import (
    ASK_AWS,
    BASE,
    ENVIRONMENT,
    HEAD,
    READ_CODE,
    checkout,
    hand_on,
    matrix,
    take_role,
    verb,
)
from infra.environment import Environment

_PREVIEW = "build/preview"
_ONE_A_REQUEST = "${{ github.workflow }}-${{ github.event.pull_request.number }}"
_OWN_BRANCH = "github.event.pull_request.head.repo.full_name == github.repository"


def workflows(everywhere: Sequence[str], on_aws: Mapping[str, Environment]) -> list[Workflow]:
    """The workflows of pull requests; `everywhere` are the names of all environments, `on_aws` those with a role."""
    return [_request(everywhere), _live(on_aws), _review(), _comment()]


def _request(everywhere: Sequence[str]) -> Workflow:
    base = {"BASE": BASE}

    def job(says: str, minutes: int, *steps: Step) -> Job:
        return Job(name=says, minutes=minutes, rights=(READ_CODE,), env=base, steps=(_head(), *steps))

    preview = Job(
        name=f"Preview {ENVIRONMENT}",
        minutes=15,
        rights=(READ_CODE,),
        env={**base, "ENVIRONMENT": ENVIRONMENT},
        matrix=tuple({"environment": name} for name in everywhere),
        steps=(
            _head(),
            verb("preview", says="Preview", ENV="$ENVIRONMENT", BASE="$BASE", OUT=_PREVIEW, SOFT="yes"),
            hand_on(f"preview-{ENVIRONMENT}", folder=_PREVIEW, always=True),
        ),
    )
    return Workflow(
        name="pull-request",
        why="Runs the code of the request, also of forks: its token only reads, and it holds no secret.",
        on={"pull_request": {}},
        group=_ONE_A_REQUEST,
        cancels=True,
        jobs={
            "affected": job("Affected", 10, verb("affected", says="What the change touches", BASE="$BASE")),
            "check": job(
                "Check",
                30,
                verb("check", says="Check what the change can affect", CHANGED="yes", BASE="$BASE"),
                verb("workflows", says="Workflows are as described", CHECK="yes"),
                verb("owners", says="CODEOWNERS is as owned", CHECK="yes"),
                verb("scan", says="Scan", ENV="prod"),
            ),
            "test": job("Test", 90, verb("test", says="Test what the change can affect", CHANGED="yes", BASE="$BASE")),
            "preview": preview,
        },
    )


def _head() -> Step:
    return checkout(ref=HEAD, history=True)


def _live(on_aws: Mapping[str, Environment]) -> Workflow:
    preview = Job(
        name=f"Preview {ENVIRONMENT}",
        minutes=30,
        only=_OWN_BRANCH,
        environment=f"{ENVIRONMENT}-preview",
        rights=(READ_CODE, ASK_AWS),
        env={"BASE": BASE, "ENVIRONMENT": ENVIRONMENT},
        matrix=matrix(on_aws, "preview"),
        steps=(
            _head(),
            take_role("preview"),
            verb("preview", says="Preview", ENV="$ENVIRONMENT", BASE="$BASE", LIVE="yes", OUT=_PREVIEW, SOFT="yes"),
            hand_on(f"preview-{ENVIRONMENT}", folder=_PREVIEW, always=True),
        ),
    )
    return Workflow(
        name="live-preview",
        why="Compares branches of this repository with what runs, by a role that only reads; never a fork.",
        on={"pull_request": {}},
        group=_ONE_A_REQUEST,
        cancels=True,
        jobs={"preview": preview},
    )


def _review() -> Workflow:
    told = Job(
        name="Tell the poster",
        minutes=5,
        rights=(READ_CODE,),
        steps=(checkout(), verb("help", says="Nothing else is done here")),
    )
    return Workflow(
        name="review",
        why="Somebody approved or took it back: that this ran makes the poster decide about sign-off again.",
        on={"pull_request_review": {"types": ["submitted", "dismissed"]}},
        group=_ONE_A_REQUEST,
        cancels=True,
        jobs={"told": told},
    )


def _comment() -> Workflow:
    rights = (
        Right(scope="actions", access="read", why="the artifacts of the request's runs"),
        READ_CODE,
        Right(scope="pull-requests", access="write", why="comments and labels"),
        Right(scope="statuses", access="write", why="the status sign-off"),
    )
    post = Job(
        name="Comment",
        minutes=15,
        # What runs on another event than a request has nothing to post.
        only="startsWith(github.event.workflow_run.event, 'pull_request')",
        rights=rights,
        steps=(
            checkout(),
            verb("comment", says="Comment", env={"GITHUB_TOKEN": "${{ github.token }}"}, EVENT="$GITHUB_EVENT_PATH"),
        ),
    )
    return Workflow(
        name="comment",
        why="Runs code of the default branch only, and takes what requests made as hostile (docs/ci.md).",
        on={
            "workflow_run": {
                "workflows": ["live-preview", "pull-request", "review"],
                "types": ["completed", "requested"],
            }
        },
        # One after the other for each commit of a request: two at once would both create a comment.
        group="comment-${{ github.event.workflow_run.head_sha }}",
        accepted=("dangerous-triggers",),
        jobs={"comment": post},
    )
