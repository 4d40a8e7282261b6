"""What every kind of resource offers, and how two states of one are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from infra.provider.kinds.shapes import Shape
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError

Properties = dict[str, Any]
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what the engine sends for a value that a preview cannot know


class ProviderError(LeandataError):
    """A resource cannot be made, changed or removed."""


class HalfMadeError(ProviderError):
    """A resource exists but is not as it should be; the engine keeps it, and the next update mends it."""

    def __init__(self, id_: str, properties: Properties, reason: str) -> None:
        super().__init__(reason)
        self.id = id_
        self.properties = properties


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Where things are made: the environment's state folder."""

    state: Path

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.state)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A resource that exists: its id, which derives from its inputs, and its properties."""

    id: str
    properties: Properties


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One property that differs; `why` says, for a replacement, why it cannot be changed in place."""

    name: str
    kind: str
    replaces: bool
    why: str = ""


class Kind:
    """One kind of resource. `create` adopts what already exists, so that a killed deployment can be repeated."""

    # Property -> what it must be. `optional` ones may be missing.
    shapes: ClassVar[dict[str, Shape]] = {}
    optional: ClassVar[frozenset[str]] = frozenset()
    # Property -> why a change of it needs a new resource.
    replaced_by: ClassVar[dict[str, str]] = {}
    # Output -> the value it has while the resource is as declared; anything else is drift.
    healthy: ClassVar[dict[str, Any]] = {}

    def check(self, inputs: Properties) -> list[str]:
        """What is wrong with the inputs, one sentence each, sorted; they may hold unknown values.

        A sentence names a property and never its value, which may be a secret.
        """
        given = {name: value for name, value in inputs.items() if value is not None}
        strange = set(given) - set(self.shapes) - self.computed()
        missing = set(self.shapes) - set(given) - self.optional
        wrong = {
            name: said
            for name, value in given.items()
            if name in self.shapes and not unknown(value) and (said := self.shapes[name](value))
        }
        return sorted(
            [f"{name} is no property" for name in strange]
            + [f"{name} is missing" for name in missing]
            + [f"{name} {said}" for name, said in wrong.items()]
        )

    def create(self, world: World, inputs: Properties) -> Made:
        """Make the resource, or adopt the one that is there."""
        raise NotImplementedError

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        """The resource as it is now; None when it is gone."""
        raise NotImplementedError

    def update(self, world: World, id_: str, old: Properties, inputs: Properties) -> Properties:
        """Bring the resource to its new inputs; making it again is enough for most kinds."""
        del id_, old
        return self.create(world, inputs).properties

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        """Remove the resource; no error when it is gone."""
        raise NotImplementedError

    def changes(self, old: Properties, inputs: Properties) -> list[Change]:
        """What differs between the old state and the new inputs, sorted by name."""
        found = [
            Change(
                name=name,
                kind="add" if name not in old else "update",
                replaces=name in self.replaced_by,
                why=self.replaced_by.get(name, ""),
            )
            for name, value in inputs.items()
            if value is not None and old.get(name) != value
        ]
        found += [
            Change(name=name, kind="delete", replaces=name in self.replaced_by, why=self.replaced_by.get(name, ""))
            for name, value in old.items()
            if value is not None and name in inputs and inputs[name] is None and name not in self.computed()
        ]
        found += [
            Change(name=name, kind="update", replaces=False)
            for name, expected in self.healthy.items()
            if old.get(name, expected) != expected
        ]
        return sorted(found, key=lambda change: change.name)

    def computed(self) -> frozenset[str]:
        """Properties that are outputs only."""
        return frozenset({"fingerprint", "identity", "state", "granted", *self.healthy})


def explain(changes: list[Change]) -> str:
    """The changes as one sentence: "replaced because path: a folder cannot be moved; changed: mode"."""
    replacing = [f"{change.name}: {change.why}" for change in changes if change.replaces]
    changing = [change.name for change in changes if not change.replaces]
    parts = ["replaced because " + ", ".join(replacing)] if replacing else []
    return "; ".join(parts + (["changed: " + ", ".join(changing)] if changing else []))


def unknown(value: Any) -> bool:
    """Whether a value, or anything in it, is not known in this preview."""
    if isinstance(value, dict):
        return any(unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(unknown(item) for item in value)
    return value == UNKNOWN
