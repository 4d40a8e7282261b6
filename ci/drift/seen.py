"""What the engine tells while it looks: the live state of each resource, and what a deployment would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.drift.model import ABSENT, Found, Kind
from ci.events import SHOWN, op_of, ours

_MISSING: Any = object()
_OURS = "machine:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """A resource's outputs in the state, and as its provider read them now; None when it is gone."""

    type: str
    before: Mapping[str, Any]
    after: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What a deployment would do to a resource: `properties` are those it would change."""

    type: str
    op: str
    properties: frozenset[str]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(slots=True)
class Seen:
    """The events of one look, as far as they matter: by URN, without the engine's own resources and components."""

    live: dict[str, Live] = field(default_factory=dict[str, Live])
    planned: dict[str, Planned] = field(default_factory=dict[str, Planned])

    def take(self, event: Any) -> None:
        """Note one engine event."""
        if event.res_outputs_event is not None:
            self._read(event.res_outputs_event.metadata)
        elif event.resource_pre_event is not None:
            self._plan(event.resource_pre_event.metadata)

    def _read(self, metadata: Any) -> None:
        if op_of(metadata) != "refresh" or ours(metadata.type) or metadata.old is None:
            return
        before = dict(metadata.old.outputs or {})
        after = dict(metadata.new.outputs or {}) if metadata.new is not None else None
        if not metadata.type.startswith(_OURS):
            # Clouds answer with hundreds of properties that nobody declared: counters, versions, times.
            declared = set(metadata.old.inputs or {})
            before = {name: value for name, value in before.items() if name in declared}
            after = None if after is None else {name: value for name, value in after.items() if name in declared}
        self.live[metadata.urn] = Live(type=metadata.type, before=before, after=after)

    def _plan(self, metadata: Any) -> None:
        op = op_of(metadata)
        if op not in SHOWN or ours(metadata.type):
            return
        self.planned[metadata.urn] = Planned(
            type=metadata.type,
            op=op,
            properties=frozenset(str(name).split(".")[0].split("[")[0] for name in metadata.detailed_diff or {}),
            before=dict(metadata.old.outputs or {}) if metadata.old is not None else {},
            after=dict(metadata.new.inputs or {}) if metadata.new is not None else {},
        )


def found(seen: Seen, *, stack: str, sources: Mapping[str, str]) -> list[Found]:
    """Every difference: of live from state, and of the program from what is live; `sources` by URN."""
    differences: list[Found] = []
    for urn, live in sorted(seen.live.items()):
        planned = seen.planned.get(urn)
        base = _base(stack, urn, live.type, sources)
        if live.after is None:
            mended = planned is not None and planned.op == "create"
            differences.append(Found(**base, kind="gone", before=_identity(live.before), mended=mended))
            continue
        mending = planned.properties if planned is not None else frozenset[str]()
        for path, before, after in walk(live.before, live.after):
            mended = _top(path) in mending or (planned is not None and planned.op == "replace")
            differences.append(Found(**base, kind="changed", property=path, before=before, after=after, mended=mended))
    return differences + list(_undeployed(seen, stack=stack, sources=sources))


def _undeployed(seen: Seen, *, stack: str, sources: Mapping[str, str]) -> Iterator[Found]:
    """What a deployment would do although nobody has touched it: the program has changed since."""
    kind: Kind = "undeployed"
    for urn, planned in sorted(seen.planned.items()):
        live = seen.live.get(urn)
        base = _base(stack, urn, planned.type, sources)
        if planned.op == "create" and live is None:
            yield Found(**base, kind=kind, after="declared")
        elif planned.op == "delete":
            yield Found(**base, kind=kind, before="deployed")
        elif live is not None and live.after is not None:
            touched = {_top(path) for path, _, _ in walk(live.before, live.after)}
            for name in sorted(planned.properties - touched):
                before, after = planned.before.get(name, ABSENT), planned.after.get(name, ABSENT)
                yield Found(**base, kind=kind, property=name, before=before, after=after)


def walk(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The innermost places where two values differ, as (path, before, after), sorted; lists are compared by place."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*map(str, before), *map(str, after)}):
            inner = f"{path}.{key}" if path else key
            yield from walk(before.get(key, _MISSING), after.get(key, _MISSING), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            one = before[place] if place < len(before) else _MISSING
            other = after[place] if place < len(after) else _MISSING
            yield from walk(one, other, f"{path}[{place}]")
    elif before != after:
        yield path, ABSENT if before is _MISSING else before, ABSENT if after is _MISSING else after


def _base(stack: str, urn: str, type_: str, sources: Mapping[str, str]) -> dict[str, Any]:
    """What every difference of a resource says of it."""
    return {"stack": stack, "urn": urn, "type": type_, "name": urn.rpartition("::")[2], "source": sources.get(urn, "")}


def _identity(properties: Mapping[str, Any]) -> str:
    """What a resource is known by where it lies."""
    for key in ("path", "name", "bucket", "arn", "id"):
        if properties.get(key):
            return str(properties[key])
    return "there"


def _top(path: str) -> str:
    return path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
