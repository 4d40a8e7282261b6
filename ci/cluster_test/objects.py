"""What an environment's programs want in a cluster: one item each, and what each waits for. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci.graph import StackInfo
from ci.programs import Program, Resource
from ci.render import manifest
from leandata.errors import LeandataError

SECRET = "ClusterSecret"  # noqa: S105 - the kind's name
_SECRET_TYPE = f"machine:index:{SECRET}"
_PROVIDERS = "pulumi:providers:"
_REFERENCE = "pulumi:pulumi:StackReference"
OURS = "leandata.io/environment"
_NOTHING_BUILT = "@sha256:" + "0" * 64


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Key:
    """What one object of a cluster is found by; `namespace` is "" for what has none."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing to be made: its manifest (or the inputs of our own kind) and the URNs of the items it waits for.

    `makes` are the objects that then exist: itself, or the v1 Secrets that our own kind makes.
    """

    urn: str
    stack: str
    key: Key
    makes: tuple[Key, ...]
    body: Mapping[str, Any]
    needs: frozenset[str]
    protect: bool = False
    retain: bool = False


def items(programs: Mapping[str, Program], stacks: Mapping[str, StackInfo], *, environment: str) -> dict[str, Item]:
    """Every item of all stacks by URN, each after those it needs; a stack begins after the stacks that it needs.

    Raises LeandataError for a resource that lies in no cluster, for two items of one name, and for needs in a circle.
    """
    found: dict[str, Item] = {}
    for stack, program in programs.items():
        before = {one.urn for one in found.values() if one.stack in stacks[stack].needs}
        for resource in program.resources.values():
            if resource.custom and not resource.type.startswith(_PROVIDERS) and resource.type != _REFERENCE:
                needs = before | _needs(resource, program)
                found[resource.urn] = _item(resource, stack=stack, needs=needs, environment=environment)
    known = {urn: _within(item, found) for urn, item in found.items()}
    _distinct(known)
    return {urn: known[urn] for urn in order(known)}


def order(wanted: Mapping[str, Item]) -> list[str]:
    """The URNs so that each comes after those it needs, otherwise as they were. Raises LeandataError for a circle."""
    done: dict[str, None] = {}
    while len(done) < len(wanted):
        free = [urn for urn, item in wanted.items() if urn not in done and item.needs <= done.keys()]
        if not free:
            left = sorted(str(item.key) for urn, item in wanted.items() if urn not in done)
            raise LeandataError(f"these need each other in a circle: {', '.join(left)}")
        done |= dict.fromkeys(free)
    return list(done)


def key_of(body: Mapping[str, Any]) -> Key:
    """What the object with this manifest is found by."""
    metadata: Mapping[str, Any] = body.get("metadata") or {}
    return Key(
        api_version=str(body["apiVersion"]),
        kind=str(body["kind"]),
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata["name"]),
    )


def images(wanted: Mapping[str, Item]) -> list[str]:
    """The images that the items name, sorted."""
    return sorted({image for item in wanted.values() for image in _images(item.body)})


def built(wanted: Mapping[str, Item], *, environment: str) -> None:
    """Raises LeandataError with the command that mends it when an image was never built."""
    missing = sorted(image.removesuffix(_NOTHING_BUILT) for image in images(wanted) if image.endswith(_NOTHING_BUILT))
    if missing:
        raise LeandataError(f"not built: {', '.join(missing)}", hint=f"make images ENV={environment}")


def _item(resource: Resource, *, stack: str, needs: set[str], environment: str) -> Item:
    body = dict(resource.properties)
    if resource.type == _SECRET_TYPE:
        name = str(body["secret"])
        body["labels"] = {**body["labels"], OURS: environment}
        key = Key(api_version="machine", kind=SECRET, namespace="", name=name)
        homes = sorted(map(str, body["namespaces"]))
        makes = tuple(Key(api_version="v1", kind="Secret", namespace=home, name=name) for home in homes)
    elif resource.type.startswith("kubernetes:"):
        body = _labelled(manifest(resource), resource.name, environment)
        key = key_of(body)
        makes = (key,)
    else:
        raise LeandataError(f"{resource.type} lies in no cluster", where=f"stack {stack}, {resource.name}")
    return Item(
        urn=resource.urn,
        stack=stack,
        key=key,
        makes=makes,
        body=body,
        needs=frozenset(needs),
        protect=resource.protect,
        retain=resource.retain,
    )


def _labelled(body: dict[str, Any], name: str, environment: str) -> dict[str, Any]:
    metadata = dict(body.get("metadata") or {})
    labels = {**(metadata.get("labels") or {}), OURS: environment}
    return {**body, "metadata": {"name": name, **metadata, "labels": labels}}


def _needs(resource: Resource, program: Program) -> set[str]:
    """The URNs it waits for: its parent, as with the engine, and what it needs; for a component all that lies under."""
    above = program.resources.get(resource.parent)
    found = {resource.parent} if above is not None and above.custom else set[str]()
    for urn in resource.needs:
        needed = program.resources.get(urn)
        found |= {urn} if needed is None or needed.custom else set(_under(urn, program))
    return found - {resource.urn}


def _under(urn: str, program: Program) -> Iterator[str]:
    for other in program.resources.values():
        if other.parent == urn:
            yield from [other.urn] if other.custom else _under(other.urn, program)


def _within(item: Item, known: Mapping[str, Item]) -> Item:
    return dataclasses.replace(item, needs=frozenset(item.needs & known.keys()))


def _distinct(found: Mapping[str, Item]) -> None:
    seen: dict[Key, str] = {}
    for item in found.values():
        if item.key in seen:
            raise LeandataError(f"two resources are {item.key}", where=f"{seen[item.key]} and {item.urn}")
        seen[item.key] = item.urn


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "image" and isinstance(inner, str):
                yield inner
            else:
                yield from _images(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _images(inner)
