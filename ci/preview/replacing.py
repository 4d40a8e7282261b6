"""Whether a change of a property makes a new resource, by the reviewed table beside this module."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.programs import Resource
from ci.snapshot import identity
from infra.provider.servicer import KINDS

_TABLE = Path(__file__).with_name("replacing.toml")
_OF_ALL_OBJECTS = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
_NAMES = ("name", "bucket", "identifier")  # what a thing is called where it lies; given, and not made up
_BRACKETS = re.compile(r"\[.*?\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What is known of a type: whether it holds data, whether it is a link, what replaces it, what is changed in place.

    `complete` says that what is not in `replaces` is changed in place.
    """

    stateful: bool = False
    link: bool = False
    replaces: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()
    complete: bool = True


@functools.cache
def table() -> Mapping[str, Row]:
    """The rows by type; Kubernetes objects are under `kubernetes:KIND`, whatever their API version."""
    raw: dict[str, dict[str, Any]] = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    found: dict[str, Row] = {}
    for package, rows in raw.items():
        for name, said in rows.items():
            type_ = f"{package}:{name}" if package in ("aws", "kubernetes") else f"{package}:index/{name}"
            if package == "machine":
                type_ = f"machine:index:{name}"
            found[type_] = _row(type_, said)
    for type_, kind in KINDS.items():
        stateful = found[type_].stateful if type_ in found else False
        found[type_] = Row(stateful=stateful, replaces=tuple(sorted(kind.replaced_by)))
    return found


def _row(type_: str, said: Mapping[str, Any]) -> Row:
    replaces = tuple(said.get("replaces", ()))
    if type_.startswith("kubernetes:"):
        return Row(stateful=said.get("stateful", False), replaces=(*replaces, *_OF_ALL_OBJECTS))
    stateful = said.get("stateful", False)
    return Row(
        stateful=stateful,
        link=said.get("link", False),
        replaces=replaces,
        updates=tuple(said.get("updates", ())),
        complete=not stateful,
    )


def row(type_: str) -> Row | None:
    """What is known of a type; None for one that nobody has looked at."""
    if type_.startswith("kubernetes:"):
        return table().get(f"kubernetes:{type_.rpartition(':')[2]}", Row(replaces=_OF_ALL_OBJECTS))
    if type_.startswith("pulumi:providers:"):
        return Row()
    return table().get(type_)


def replaces(type_: str, path: str) -> bool | None:
    """Whether a change at this path makes a new resource; None where nobody knows."""
    found = row(type_)
    if found is None:
        return None
    plain = _BRACKETS.sub("", path)
    if any(_within(plain, one) for one in found.replaces):
        return True
    return False if found.complete or any(_within(plain, one) for one in found.updates) else None


def stateful(type_: str) -> bool:
    """Whether a resource of this type holds what nothing else can make again."""
    found = row(type_)
    return found is not None and found.stateful


def collides(one: Resource) -> bool:
    """Whether a second resource like this would be the same real thing: it has a name of its own, or is a link."""
    found = row(one.type)
    return bool(identity(one)) or (found is not None and found.link)


def deletes_first(before: Resource, after: Resource) -> bool:
    """Whether a replacement deletes the old one before the new one is there.

    So it is where the program says so, with every kind of our own provider, and where the name is fixed and stays.
    """
    if after.deletes_first or after.type.startswith("machine:"):
        return True
    same = identity(after)
    if same and same == identity(before):
        return True
    found = row(after.type)
    fixed = [key for key in _NAMES if found and key in found.replaces and after.properties.get(key)]
    return any(after.properties[key] == before.properties.get(key) for key in fixed)


def _within(path: str, start: str) -> bool:
    """Whether the path is `start`, lies in it, or is the whole in which `start` lies."""
    return path == start or path.startswith(f"{start}.") or start.startswith(f"{path}.")
