"""What a workflow is made of: jobs with their rights, and steps that are verbs of the Makefile or pinned actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Access = Literal["read", "write"]
RUNNER = "ubuntu-24.04"


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """Somebody else's step, by the full id of one commit; `version` is the tag that the commit had."""

    name: str
    commit: str
    version: str


# The newest releases; each id was found with its version in several public workflows that pin it.
CHECKOUT = Action(name="actions/checkout", commit="3d3c42e5aac5ba805825da76410c181273ba90b1", version="v7.0.1")
UPLOAD = Action(name="actions/upload-artifact", commit="043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", version="v7.0.1")
DOWNLOAD = Action(name="actions/download-artifact", commit="3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", version="v8.0.1")
AWS = Action(
    name="aws-actions/configure-aws-credentials",
    commit="e7f100cf4c008499ea8adda475de1042d6975c7b",
    version="v6.2.0",
)
ACTIONS = (CHECKOUT, UPLOAD, DOWNLOAD, AWS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A command (`run`) or an action (`uses` with `given`), and when it is done (`only`, an expression)."""

    name: str
    run: str = ""
    uses: Action | None = None
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    only: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """What a job's token may do with one part of GitHub, and what for."""

    scope: str
    access: Access
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Steps on one machine. `queue` is a concurrency group in which nothing is cancelled and all wait their turn.

    `environment` is one of GitHub's, with its own approvals and secrets; `matrix` are values that the job is run for.
    """

    name: str
    minutes: int
    runner: str = RUNNER
    steps: tuple[Step, ...]
    rights: tuple[Right, ...] = ()
    needs: tuple[str, ...] = ()
    only: str = ""
    environment: str = ""
    queue: str = ""
    matrix: tuple[Mapping[str, str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class Workflow:
    """One file. `why` is its first comment; `group` is what runs one at a time, where `cancels` ends the older run.

    `accepted` are rules of zizmor that what starts it breaks, and is meant to.
    """

    name: str
    why: str
    on: Mapping[str, Any]
    jobs: Mapping[str, Job]
    group: str
    cancels: bool = False
    accepted: tuple[str, ...] = ()
