"""What differs between two declarations of an environment: resource by resource, and property by property.

Programs are compared, not the world: what the engine would do if the world were as `base` declares it. Checkout paths
and commits are no difference; digests of code and of images are one. Time grows with the number of resources.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ci.masking import portable, stable_name
from ci.preview import replacing
from ci.preview.differing import differences, known
from ci.preview.model import Change, Op, PropertyChange, StackChanges
from ci.programs import Program, Resource
from ci.snapshot import identity

_OPTIONS = ("protect", "retain", "ignore")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """One of the two declarations of a stack: its resources by URN, and the properties of each without its paths."""

    resources: Mapping[str, Resource]
    root: Path

    @classmethod
    def of(cls, program: Program | None, root: Path) -> _Side:
        found = program.resources if program else {}
        return cls(resources={urn: one for urn, one in found.items() if one.custom}, root=root)

    def properties(self, urn: str) -> dict[str, Any]:
        return portable(self.resources[urn].properties, root=self.root)


def compare(
    base: Mapping[str, Program],
    head: Mapping[str, Program],
    *,
    base_root: Path,
    head_root: Path,
    reasons: Mapping[str, Sequence[str]],
) -> tuple[StackChanges, ...]:
    """What deploying `head` changes where `base` is deployed, for every stack that either has, sorted by name.

    The two come from checkouts at `base_root` and `head_root`; `reasons` says for each stack why it is looked at.
    """
    found: list[StackChanges] = []
    for stack in sorted({*base, *head}):
        before, after = _Side.of(base.get(stack), base_root), _Side.of(head.get(stack), head_root)
        changes = sorted(_changes(stack, before, after), key=lambda change: change.urn)
        kept = len(after.resources) - sum(change.op != "delete" for change in changes)
        found.append(
            StackChanges(stack=stack, reasons=tuple(reasons.get(stack, ())), changes=tuple(changes), same=kept)
        )
    return tuple(found)


def _changes(stack: str, before: _Side, after: _Side) -> Iterator[Change]:
    pairs = _pairs(before, after)
    gone = set(before.resources) - set(pairs.values())
    for urn, one in after.resources.items():
        if urn not in pairs:
            yield _single(stack, one, "create", after=known(after.properties(urn)))
        elif changed := _changed(stack, before, after, old=pairs[urn], new=urn):
            yield changed
    for urn in gone:
        yield _single(stack, before.resources[urn], "delete", before=known(before.properties(urn)))


def _single(
    stack: str,
    one: Resource,
    op: Op,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Change:
    return Change(stack=stack, urn=one.urn, type=one.type, name=one.name, op=op, before=before, after=after)


def _pairs(before: _Side, after: _Side) -> dict[str, str]:
    """Which resource of before each one of after is, by URN: by its own URN or an alias, else by what it is called."""
    pairs = {urn: urn for urn in after.resources if urn in before.resources}
    for urn, one in after.resources.items():
        # What keeps its URN is itself, whoever else claims to have been it.
        former = (alias for alias in one.aliases if alias in before.resources and alias not in pairs)
        if urn not in pairs and (known_as := next(former, None)):
            pairs[urn] = known_as
    for name in (_called, _alike):
        taken = set(pairs.values())
        gone = _by_name((one for urn, one in before.resources.items() if urn not in taken), before, name)
        come = _by_name((one for urn, one in after.resources.items() if urn not in pairs), after, name)
        pairs |= {come[key]: gone[key] for key in come.keys() & gone.keys()}
    return pairs


def _by_name(found: Iterable[Resource], side: _Side, name: Any) -> dict[tuple[str, ...], str]:
    """URNs by what their resources are called, without those that share a name."""
    named: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in found:
        if key := name(one, side):
            named[key].append(one.urn)
    return {key: urns[0] for key, urns in named.items() if len(urns) == 1}


def _called(one: Resource, side: _Side) -> tuple[str, ...]:
    """What the real thing is called, without a hash of its content in the end."""
    del side
    return tuple(stable_name(part) for part in identity(one))


def _alike(one: Resource, side: _Side) -> tuple[str, ...]:
    """What has no name of its own is known by all that it is."""
    properties = side.properties(one.urn)
    return (one.type, json.dumps(properties, sort_keys=True)) if properties else ()


def _changed(stack: str, before: _Side, after: _Side, *, old: str, new: str) -> Change | None:
    """The change of one resource, None when there is none. What the engine is told to ignore is no change."""
    was, now = before.resources[old], after.resources[new]
    if old == new and replace(was, aliases=now.aliases) == now and before.root == after.root:
        return None
    values, others = before.properties(old), after.properties(new)
    properties = [
        PropertyChange(path=path, before=gone, after=come, replaces=replacing.replaces(now.type, path))
        for path, gone, come in differences(values, others)
        if not _ignored(path, now.ignore)
    ]
    if old != new and old not in now.aliases:
        # The engine knows a thing by its URN: it makes another one, and deletes this one in the end.
        properties.append(PropertyChange(path="urn", before=old, after=new, replaces=True))
    properties += _options(was, now)
    if not properties:
        return None
    replaced = any(one.replaces for one in properties)
    moved = any(one.path == "urn" for one in properties)
    return Change(
        stack=stack,
        urn=new,
        type=now.type,
        name=now.name,
        op="replace" if replaced else "update",
        properties=tuple(properties),
        before=known(values),
        after=known(others),
        may_replace=not replaced and any(one.replaces is None for one in properties),
        deletes_first=replaced and not moved and replacing.deletes_first(was, now),
    )


def _options(was: Resource, now: Resource) -> Iterator[PropertyChange]:
    for name in _OPTIONS:
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            said = [list(value) if isinstance(value, tuple) else value for value in (before, after)]
            yield PropertyChange(path=f"options.{name}", before=said[0], after=said[1])


def _ignored(path: str, ignore: Sequence[str]) -> bool:
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in ignore)
