"""The graphs of base and head: from the cache where a tree was run before, else from its programs, side by side."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.bootstrap import cache
from ci.graph import everything
from ci.kept import keep
from ci.preview.running import Asked, Graph, ask, read
from ci.preview.sources import Repository, Sources
from infra.components.observed import was_read
from leandata.errors import LeandataError

_FORM = 4  # of what is kept; another number, and nothing that was kept is read
_KEPT = 60
_PROCESSES = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One environment's graphs, and sentences about what could not be compared."""

    base: Graph
    head: Graph
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """Answers of whole trees, a file each; a file that cannot be read is as good as none."""

    folder: Path
    packages: str

    @classmethod
    def of(cls, root: Path) -> Cache:
        """The machine's cache, for the packages that are locked in the checkout at `root`, which runs the programs."""
        lock = root / "uv.lock"
        packages = hashlib.sha256(lock.read_bytes() if lock.exists() else b"").hexdigest()
        return cls(folder=cache() / "previews", packages=packages)

    def file(self, tree: str, environment: str) -> Path:
        """Where the answer of `tree` for `environment` is kept."""
        key = json.dumps([_FORM, tree, environment, self.packages, sys.version, sys.prefix])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def load(self, tree: str, environment: str) -> dict[str, Any] | None:
        """The answer; None when it is not kept."""
        path = self.file(tree, environment)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            os.utime(path)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("stacks"), dict) else None

    def keep(self, tree: str, environment: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer that is no error, and forget those that were not asked for the longest time."""
        if "stacks" not in answer:
            return
        path = self.file(tree, environment)
        if keep(path, json.dumps(answer)):
            with contextlib.suppress(OSError):  # another preview forgets at the same time
                for old in sorted(self.folder.glob("*.json"), key=lambda file: -file.stat().st_mtime)[_KEPT:]:
                    old.unlink(missing_ok=True)


Say = Callable[[str], None]
Affected = Mapping[str, Collection[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is compared: the environments, and for each the stacks that can differ (all where it is not named).

    Of those that can differ `unsure` names the ones that do only where their program has read one of these keys of a
    manifest, or where the outputs of a stack that they need differ.
    """

    environments: tuple[str, ...]
    affected: Affected = field(default_factory=dict[str, Collection[str]])
    unsure: Mapping[str, Mapping[str, Collection[str]]] = field(
        default_factory=dict[str, Mapping[str, Collection[str]]]
    )

    def surely(self, environment: str, known: Mapping[str, Any]) -> set[str]:
        """The stacks that have to be run, where those in `known` answered for the base."""
        unsure = self.unsure.get(environment, {})
        return {
            name for name in self.affected[environment] if name not in unsure or _read(unsure[name], known.get(name))
        }


def _read(keys: Collection[str], answer: Mapping[str, Any] | None) -> bool:
    """Whether a program has read one of these keys; one that does not say what it read may have."""
    if answer is None or "read" not in answer:
        return True
    read = set(answer["read"])
    return any(was_read(key, read) for key in keys)


def pairs(repository: Repository, sources: Sources, wanted: Wanted, *, store: Cache, say: Say) -> dict[str, Pair]:
    """Both graphs of every environment. A base that cannot answer leaves its side empty and says so in a note.

    Raises LeandataError when head's programs cannot be run at all; one environment's error is in its graph.
    """
    base = {name: store.load(sources.base.tree, name) if sources.base else None for name in wanted.environments}
    head = {name: None if sources.dirty else store.load(sources.head.tree, name) for name in wanted.environments}
    missing = tuple(name for name in wanted.environments if base[name] is None and sources.base is not None)
    notes: dict[str, list[str]] = {name: [] for name in wanted.environments}
    if missing and sources.base is not None:
        with repository.checkout(sources.base) as place:
            _both(repository.root, place, missing, wanted, base=base, head=head, notes=notes, say=say)
            for name in missing:
                store.keep(sources.base.tree, name, base[name] or {})
    _rest(repository.root, wanted, base=base, head=head, say=say)
    found: dict[str, Pair] = {}
    for name in wanted.environments:
        if not sources.dirty and name not in wanted.affected:
            store.keep(sources.head.tree, name, head[name] or {})
        before, after = (read(side[name] or {"stacks": {}}) for side in (base, head))
        if before.error:
            notes[name].append(f"the base cannot be run, so everything counts as created: {before.error}")
            before = Graph()
        found[name] = Pair(base=before, head=after, notes=tuple(notes[name]))
    return found


Answers = dict[str, dict[str, Any] | None]


def _both(
    root: Path,
    place: Path,
    missing: tuple[str, ...],
    wanted: Wanted,
    *,
    base: Answers,
    head: Answers,
    notes: dict[str, list[str]],
    say: Say,
) -> None:
    """Run the base where it is not kept, and head at the same time where nothing is known of what can differ."""
    there: list[str] = []
    for name in missing:
        said = _silent(place, name)
        if said:
            notes[name].append(said)
            base[name] = {"stacks": {}}
        else:
            there.append(name)
    anew = tuple(name for name in missing if head[name] is None and name not in wanted.affected)
    asked = [Asked(root=root, environments=anew)] if anew else []
    weights = {name: len(everything(place, name)) for name in there}
    asked += [Asked(root=place, environments=names) for names in shares(weights, count=_PROCESSES - len(asked) or 1)]
    say(f"running the programs of the base{' and of head' if anew else ''}: {', '.join(missing)}")
    answers = ask(*asked)
    if anew:
        head |= answers.pop(0)
    for answer in answers:
        base |= answer


def _silent(place: Path, environment: str) -> str:
    """Why the base cannot be asked for this environment; "" where it can."""
    if not (place / "infra" / "environments" / f"{environment}.toml").exists():
        return "the base has no such environment: everything is created"
    if not (place / "ci" / "programs.py").exists():
        return "the base is too old to say what it declares: everything counts as created"
    return ""


def _rest(root: Path, wanted: Wanted, *, base: Answers, head: Answers, say: Say) -> None:
    """Run what is still missing at head: where the base is known, only the stacks that differ from it."""
    asked: dict[str, _Run] = {}
    for name in (name for name in wanted.environments if head[name] is None):
        known = (base[name] or {}).get("stacks") or {}
        present = everything(root, name)
        some = wanted.surely(name, known) & present.keys() if name in wanted.affected else set[str]()
        if name not in wanted.affected or not known or not present.keys() - some <= known.keys():
            say(f"running the programs of head: {name}")
            asked[name] = _Run(stacks=tuple(sorted(present)))
            continue
        asked[name] = _Run(
            stacks=tuple(sorted(some)), known={stack: known[stack] for stack in present if stack in known}
        )
        if some:
            say(f"running the stacks of {name} that differ: {', '.join(sorted(some))}")
    answers = {name: {"stacks": {}} for name, run in asked.items() if not run.stacks} | _side_by_side(root, asked)
    for name, answer in answers.items():
        head[name] = answer if "error" in answer else {"stacks": {**(asked[name].known or {}), **answer["stacks"]}}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """The stacks of one environment to run: all there are without `known`, the answers of those that may not be run."""

    stacks: tuple[str, ...]
    known: Mapping[str, Any] | None = None


def _side_by_side(root: Path, runs: Mapping[str, _Run]) -> dict[str, dict[str, Any]]:
    """Run these stacks of each environment, in as many processes as there are cores."""
    outputs = {
        name: {stack: one["outputs"] for stack, one in run.known.items()}
        for name, run in runs.items()
        if run.known is not None
    }
    asked = [
        Asked(
            root=root,
            environments=names,
            stacks={name: runs[name].stacks for name in names if name in outputs},
            outputs={name: outputs[name] for name in names if name in outputs},
        )
        for names in shares({name: len(run.stacks) for name, run in runs.items() if run.stacks}, count=_PROCESSES)
    ]
    return {name: found for answers in ask(*asked) for name, found in answers.items()}


def shares(weights: Mapping[str, int], *, count: int) -> list[tuple[str, ...]]:
    """The names in at most `count` groups of about the same weight, heaviest first; no group is empty."""
    groups: list[tuple[int, tuple[str, ...]]] = [(0, ())] * min(count, len(weights))
    for name, weight in sorted(weights.items(), key=lambda one: (-one[1], one[0])):
        lightest = min(range(len(groups)), key=lambda place: groups[place][0])
        total, names = groups[lightest]
        groups[lightest] = (total + weight, (*names, name))
    return [names for _, names in groups]


def demand(graph: Graph, environment: str) -> None:
    """Raises LeandataError with the programs' own reason where they could not be run."""
    if graph.error:
        raise LeandataError(f"the programs of {environment} fail: {graph.error}")
