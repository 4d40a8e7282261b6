"""What there is now, for a plan: the checkout, the programs, the state, the tools. Everything here only looks."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ci import git
from ci.bootstrap import PULUMI
from ci.engine import Engine
from ci.graph import StackInfo, discover
from ci.programs import Program
from ci.release.plan import UNSEEN, Plan, World, serial
from ci.snapshot import STATE, take
from infra.components import images
from infra.environment import Environment

_PROVIDERS = {"aws": "pulumi-aws", "kubernetes": "pulumi-kubernetes", "snowflake": "pulumi-snowflake"}


def look(engine: Engine) -> World:
    """What a deployment on `engine` would find. Raises LeandataError."""
    environment = engine.environment
    return World(
        plan=plan_now(environment, take(environment.name, root=environment.root), engine=engine),
        uncommitted=uncommitted(environment.root),
        now=datetime.now(UTC),
    )


def plan_now(
    environment: Environment,
    programs: Mapping[str, Program],
    *,
    engine: Engine | None = None,
    needs: Sequence[str] = (),
    root: Path | None = None,
) -> Plan:
    """The plan for `programs` (as `ci.snapshot.take` gives them) at the commit that is checked out.

    `root` is the place of the checkout that the programs speak of, where that is not the environment's.

    Without an `engine` the state is not looked at, and nothing can be deployed by that plan. Raises LeandataError.
    """
    stacks = discover(environment.root, environment.name)
    return Plan.of(
        programs,
        commit=git.commit(environment.root),
        environment=environment.name,
        root=root or environment.root,
        state=Path(STATE),
        images=image_digests(environment),
        serials=serials(engine, stacks) if engine is not None else dict.fromkeys(sorted(stacks), UNSEEN),
        tools=tools(environment),
        needs=needs,
    )


def uncommitted(root: Path) -> tuple[str, ...]:
    """Uncommitted files, without those that say which images run: they are a part of the plan by themselves."""
    return tuple(name for name in git.uncommitted(root) if not name.startswith("infra/releases/"))


def serials(engine: Engine, stacks: Mapping[str, StackInfo]) -> dict[str, str]:
    """The serial of each stack's state, from its backend."""
    engine.fetch(stacks.values())
    return {name: serial(engine.state(name)) for name in sorted(stacks)}


def tools(environment: Environment) -> dict[str, str]:
    """The versions of what previews and deploys: Python, the engine, its SDK, and the providers that are used."""
    used = [package for place, package in sorted(_PROVIDERS.items()) if environment.has(place)]
    found = {"pulumi": PULUMI, "python": platform.python_version()}
    for package in ("pulumi", *used):
        try:
            found[package if package != "pulumi" else "pulumi-sdk"] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def image_digests(environment: Environment) -> dict[str, str]:
    """The image of each service by digest (or by tag where there is no registry); none on one machine."""
    if not environment.has("kubernetes"):
        return {}
    found = images.releases(environment)
    return {name: one.get("digest") or one.get("tag") or "" for name, one in sorted(found.items())}
