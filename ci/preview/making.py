"""Previews from their parts: graphs, changes, risks, money, live state; secrets hidden before anything is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ci.affected.changes import changes
from ci.affected.stacks import Question
from ci.owners.teams import Teams
from ci.preview.changes import compare
from ci.preview.graphs import Cache, Pair, Say, Wanted, demand, pairs
from ci.preview.model import Risk, StackChanges
from ci.preview.money import money, over_budget
from ci.preview.redacting import Redactor
from ci.preview.report import Commits, Live, Preview, ordered
from ci.preview.risks import assess
from ci.preview.running import CHECKOUT
from ci.preview.sources import Repository, Sources
from ci.prices import Prices
from ci.programs import Program
from ci.release.plan import Plan
from ci.render import counts
from infra.components.manifest import ServiceManifest
from leandata.errors import LeandataError

LiveLook = Callable[[tuple[StackChanges, ...]], Live]
Planner = Callable[[str, Mapping[str, Program], tuple[str, ...]], Plan]
NOT_LIVE = Live(compared=False, why="LIVE=yes adds it, where the environment is deployed and its state can be read")


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A preview, the resources of each stack at head by substrate, and the plan where there is one to deploy by."""

    preview: Preview
    counts: Mapping[str, Mapping[str, int]]
    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What all previews of one run have in common: who owns what, the prices, the manifests of the services."""

    teams: Teams
    prices: Prices
    manifests: Mapping[str, ServiceManifest]


def make(
    repository: Repository,
    environments: Collection[str],
    *,
    base: str = "",
    given: Given,
    store: Cache,
    reasons: Reasons | None = None,
    live: Callable[[str], Live | LiveLook] | None = None,
    plan: Planner | None = None,
    say: Say = print,
) -> dict[str, Made]:
    """The preview of every environment. One that cannot be made is a preview that says why, and the others are made.

    `reasons` gives the stacks of an environment that can differ between base and head, and why; None where all can.
    `live` gives the look at the live state of an environment, or why there is none; `plan` makes the plan of a head
    without uncommitted changes, from the environment, its programs and the teams that have to agree.
    """
    sources = repository.sources(base)
    commits = said(sources)
    why: dict[str, Mapping[str, Collection[str]]] = {}
    if reasons is not None:
        told = {name: reasons(sources, name) for name in environments}
        why = {name: found for name, found in told.items() if found is not None}
    wanted = Wanted(
        environments=tuple(environments),
        affected={name: tuple(found) for name, found in why.items()},
        unsure={name: reasons.unsure(sources, name) for name in why} if reasons is not None else {},
    )
    both = pairs(repository, sources, wanted, store=store, say=say)
    found: dict[str, Made] = {}
    for name, pair in both.items():
        try:
            made = _one(name, pair, commits=commits, given=given, reasons=why.get(name, {}), live=live)
            if plan is not None and not sources.dirty:
                teams = tuple(one.team for one in made.preview.sign_off())
                made = _planned(made, plan(name, pair.head.programs, teams))
            found[name] = made
        except LeandataError as error:
            found[name] = failed(name, commits, str(error))
    return found


def _planned(made: Made, plan: Plan) -> Made:
    return replace(made, plan=plan, preview=replace(made.preview, fingerprint=plan.fingerprint))


class Reasons:
    """The stacks that can differ, by what changed in the checkout at `root`: one change, asked for each environment."""

    def __init__(self, *, root: Path) -> None:
        self._root = root
        self._questions: dict[str, Question] = {}

    def __call__(self, sources: Sources, environment: str) -> Mapping[str, Collection[str]] | None:
        question = self._question(sources)
        return question.stacks(environment) if question else None

    def unsure(self, sources: Sources, environment: str) -> Mapping[str, Collection[str]]:
        """Of these stacks those that differ only where they read one of these keys, or where outputs differ."""
        question = self._question(sources)
        return question.unsure(environment) if question else {}

    def _question(self, sources: Sources) -> Question | None:
        if sources.base is None or sources.behind:
            return None
        base = sources.base.id
        if base not in self._questions:
            self._questions[base] = Question(changes(self._root, base))
        return self._questions[base]


def said(sources: Sources) -> Commits:
    """The commits as a preview says them."""
    base, head = sources.base, sources.head
    return Commits(base=base.id if base else "", how=sources.how, head=head.id, time=head.time, dirty=sources.dirty)


def unknown(repository: Repository) -> Commits:
    """The commits of a preview that could not even find them."""
    head = repository.commit("HEAD")
    if head is None:
        return Commits(base="", how="not found", head="", time=datetime.fromtimestamp(0, tz=UTC), dirty=False)
    return Commits(base="", how="not found", head=head.id, time=head.time, dirty=False)


def failed(environment: str, commits: Commits, why: str) -> Made:
    """The preview of what could not be previewed: it replaces the totals of an earlier one."""
    live = Live(compared=False, why="the preview failed")
    preview = Preview(environment=environment, commits=commits, needs={}, live=live, failure=Redactor().text(why))
    return Made(preview=preview, counts={})


def _one(
    name: str,
    pair: Pair,
    *,
    commits: Commits,
    given: Given,
    reasons: Mapping[str, Collection[str]],
    live: Callable[[str], Live | LiveLook] | None,
) -> Made:
    demand(pair.head, name)
    base, head = pair.base.programs, pair.head.programs
    told = {stack: tuple(sorted(found)) for stack, found in reasons.items()}
    differing = compare(base, head, base_root=CHECKOUT, head_root=CHECKOUT, reasons=told)
    risks: list[Risk] = list(assess(differing, base=base, head=head, teams=given.teams))
    cost = money(name, base, head, prices=given.prices, manifests=given.manifests)
    risks += over_budget(cost, teams=given.teams)
    seen = live(name) if live is not None else NOT_LIVE
    redactor = Redactor.learned(differing)
    preview = Preview(
        environment=name,
        commits=commits,
        stacks=tuple(map(redactor.stack, differing)),
        needs={**pair.base.needs, **pair.head.needs},
        risks=ordered([redactor.risk(risk) for risk in risks]),
        money=cost if cost.lines or cost.not_priced else None,
        live=seen if isinstance(seen, Live) else seen(differing),
        notes=tuple(map(redactor.text, pair.notes)),
    )
    return Made(preview=preview, counts={stack: counts(program) for stack, program in head.items()})


def only(made: Made, stacks: Collection[str]) -> Made:
    """The part of a preview that is about these stacks. Raises LeandataError for a name that is no stack."""
    if not stacks or made.preview.failure:
        return made
    known = {*made.preview.needs, *(stack.stack for stack in made.preview.stacks)}
    strange = sorted(set(stacks) - known)
    if strange:
        raise LeandataError(f"unknown stack {strange[0]!r}", hint=f"STACK is one of: {', '.join(sorted(known))}")
    kept = replace(
        made.preview,
        stacks=tuple(stack for stack in made.preview.stacks if stack.stack in stacks),
        risks=tuple(risk for risk in made.preview.risks if risk.stack in stacks),
        notes=(*made.preview.notes, f"only these stacks are shown: {', '.join(sorted(stacks))}"),
    )
    return replace(made, preview=kept)


def given(root: Path) -> Given:
    """What the checkout at `root` says. Raises SettingsError that names file and key."""
    from infra.components.naming import services

    return Given(teams=Teams.load(root), prices=Prices.load(), manifests=services(root))
