"""A plan: what a preview looked at, so that a deployment can refuse to do anything else.

The fingerprint binds the commit, the environment, the graph that the programs declare, the images, the state that it
was compared with and the tools. It is no signature: who can write the file can write another. What makes it safe is
that every part is looked at again before anything is changed, and that the fingerprint which people approved can be
given beside the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from ci.masking import masked, stable_name
from ci.programs import Program, Resource
from leandata.errors import LeandataError

SCHEMA = 1
LIFETIME = timedelta(days=7)
UNSEEN = "unseen"
"""The serial of a state that nobody looked at: a preview without credentials."""
_PARTS = ("commit", "environment", "graph", "images", "serials", "tools", "schema")
_AGAIN = "Make a new preview, and have that approved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """A team's approval of one commit."""

    team: str
    commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What was previewed: `graph` and `serials` by stack, `images` and `tools` by name; `made` is UTC, ISO 8601.

    `needs` are the teams that must approve, `approvals` those that did. Neither they nor `made` are part of the
    fingerprint: the same commit, compared with the same state by the same tools, has the same one.
    """

    commit: str
    environment: str
    graph: Mapping[str, str]
    images: Mapping[str, str]
    serials: Mapping[str, str]
    tools: Mapping[str, str]
    schema: int = SCHEMA
    made: str = ""
    needs: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()

    @classmethod
    def of(
        cls,
        programs: Mapping[str, Program],
        *,
        commit: str,
        environment: str,
        root: Path,
        state: Path,
        images: Mapping[str, str],
        serials: Mapping[str, str],
        tools: Mapping[str, str],
        needs: Sequence[str] = (),
        made: datetime | None = None,
    ) -> Self:
        """The plan of `programs`, that were run in the checkout `root` for the state folder `state`."""
        return cls(
            commit=commit,
            environment=environment,
            graph={name: graph_digest(programs[name], root=root, state=state) for name in sorted(programs)},
            images=dict(sorted(images.items())),
            serials=dict(sorted(serials.items())),
            tools=dict(sorted(tools.items())),
            made=(made or datetime.now(UTC)).isoformat(timespec="seconds"),
            needs=tuple(sorted(set(needs))),
        )

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the digest of the parts as canonical JSON."""
        return f"sha256:{_digest({name: getattr(self, name) for name in _PARTS})}"

    def approved(self, approvals: Sequence[Approval]) -> Self:
        """The same plan with these approvals."""
        return replace(self, approvals=tuple(sorted(approvals, key=lambda one: (one.team, one.commit))))

    def write(self, path: Path) -> None:
        """Write the plan, its fingerprint and a seal over all of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_sealed(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """The plan in the file. Raises LeandataError for one that was edited, or that another version wrote."""
        try:
            read: Any = json.loads(path.read_text(encoding="utf-8"))
            schema = read["schema"]
        except OSError as error:
            raise LeandataError(f"the plan cannot be read: {error.strerror}", where=str(path)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise LeandataError("this is no plan", where=str(path), hint="make preview ENV=... OUT=folder") from error
        if schema != SCHEMA:
            what = f"the plan has the schema version {schema!r}, this is version {SCHEMA}"
            raise LeandataError(what, where=str(path), hint=_AGAIN)
        try:
            plan = cls._read(read)
        except (KeyError, TypeError, ValueError) as error:
            raise LeandataError("the plan was edited: it is not whole", where=str(path), hint=_AGAIN) from error
        if _sealed(plan) != read:
            raise LeandataError("the plan was edited after it was made", where=str(path), hint=_AGAIN)
        return plan

    @classmethod
    def _read(cls, read: dict[str, Any]) -> Self:
        datetime.fromisoformat(read["made"])
        return cls(
            commit=str(read["commit"]),
            environment=str(read["environment"]),
            graph=dict(read["graph"]),
            images=dict(read["images"]),
            serials=dict(read["serials"]),
            tools=dict(read["tools"]),
            schema=read["schema"],
            made=read["made"],
            needs=tuple(read["needs"]),
            approvals=tuple(Approval(**one) for one in read["approvals"]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What a deployment finds: the plan that a preview would make now, uncommitted files, the time (UTC)."""

    plan: Plan
    uncommitted: tuple[str, ...]
    now: datetime


def refusals(plan: Plan, world: World, *, fingerprint: str = "") -> list[str]:
    """A sentence for every reason not to deploy `plan` now; none when it is what was approved.

    `fingerprint` is what people approved, where it is known from elsewhere than the file.
    """
    return [
        *_other_plan(plan, fingerprint),
        *_other_place(plan, world),
        *_differing("the programs declare something else in", plan.graph, world.plan.graph),
        *_differing("another image would run for", plan.images, world.plan.images),
        *_moved(plan, world),
        *_differing("the plan was made with another version of", plan.tools, world.plan.tools, shown=True),
        *_approvals(plan),
        *_age(plan, world.now),
    ]


def graph_digest(program: Program, *, root: Path, state: Path) -> str:
    """A digest of what a program declares, wherever the checkout and the state lie."""
    resources = [_row(one) for _, one in sorted(program.resources.items())]
    return _digest(masked({"outputs": program.outputs, "resources": resources}, root=root, state=state))


def serial(state: Mapping[str, Any]) -> str:
    """The serial of a stack's state: a digest of what it holds, "" for a stack that was never deployed.

    State in a folder or a bucket has no counter; when it was written, and by which CLI, is left out.
    """
    kept = {name: state[name] for name in ("pending_operations", "resources") if state.get(name)}
    return _digest(kept)[:16] if kept else ""


def _row(resource: Resource) -> dict[str, Any]:
    row = asdict(resource)
    return {**row, "urn": stable_name(resource.urn), "name": stable_name(resource.name)}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _sealed(plan: Plan) -> dict[str, Any]:
    whole = {**asdict(plan), "fingerprint": plan.fingerprint}
    whole = json.loads(json.dumps(whole))
    return {**whole, "seal": _digest(whole)}


def _other_plan(plan: Plan, fingerprint: str) -> list[str]:
    if fingerprint and fingerprint != plan.fingerprint:
        return [f"the plan is not the approved one: its fingerprint is {plan.fingerprint}, approved was {fingerprint}"]
    return []


def _other_place(plan: Plan, world: World) -> list[str]:
    found: list[str] = []
    if plan.environment != world.plan.environment:
        found.append(f"the plan is for the environment {plan.environment}, not for {world.plan.environment}")
    if plan.commit != world.plan.commit:
        found.append(f"the plan is for the commit {plan.commit[:12]}, and {world.plan.commit[:12]} is checked out")
    for name in world.uncommitted[:1]:
        more = f" (and {len(world.uncommitted) - 1} more)" if len(world.uncommitted) > 1 else ""
        found.append(f"there is uncommitted work in {name}{more}")
    return found


def _moved(plan: Plan, world: World) -> list[str]:
    unseen = sorted(name for name, found in plan.serials.items() if found == UNSEEN)
    if unseen:
        return [f"the plan was made without looking at the state of {unseen[0]}"]
    return _differing("the state was changed since the preview in", plan.serials, world.plan.serials)


def _differing(said: str, before: Mapping[str, str], now: Mapping[str, str], *, shown: bool = False) -> list[str]:
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if not names:
        return []
    first = names[0]
    values = f" ({before.get(first, 'none')}, here {now.get(first, 'none')})" if shown else ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"{said} {first}{values}{more}"]


def _approvals(plan: Plan) -> list[str]:
    found: list[str] = []
    for team in plan.needs:
        commits = {one.commit for one in plan.approvals if one.team == team}
        if not commits:
            found.append(f"the approval of {team} is missing")
        elif plan.commit not in commits:
            found.append(f"{team} approved another commit: {min(commits)[:12]}, the plan is for {plan.commit[:12]}")
    return found


def _age(plan: Plan, now: datetime) -> list[str]:
    made = datetime.fromisoformat(plan.made)
    if made.tzinfo is None or made > now + timedelta(minutes=5):
        return [f"the plan says that it was made at {plan.made}, which is not yet"]
    if now - made > LIFETIME:
        return [f"the plan is from {made:%Y-%m-%d %H:%M} UTC: plans are good for {LIFETIME.days} days"]
    return []
