"""What rules look at: every resource that the programs declare, by type, and what lies in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from infra.environment import Environment

Object = Mapping[str, Any]
UNKNOWN = "[unknown]"
_REFERENCES = ("arn", "bucket", "identifier", "keyId", "name")


class Resource(Protocol):
    """One resource as its program registered it: properties by their wire names, and its options."""

    @property
    def urn(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def properties(self) -> Object: ...
    @property
    def needs(self) -> Sequence[str]: ...
    @property
    def protect(self) -> bool: ...
    @property
    def retain(self) -> bool: ...


class Program(Protocol):
    """What one stack declares, by URN."""

    @property
    def resources(self) -> Mapping[str, Resource]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What rules know of the environment: its name, whether it is the one that counts, whether it has a registry.

    Where it is `protected`, what holds data is not deleted by any deployment; production always is.
    """

    name: str = "prod"
    production: bool = True
    registry: bool = True
    protected: bool = True

    @classmethod
    def of(cls, environment: Environment) -> Setting:
        """The setting of an environment, from its file."""
        table = environment.file.kubernetes
        registry = environment.has("aws") or bool(table and table.registry)
        production = environment.name == "prod"
        aws = environment.file.aws
        protected = production or bool(aws and aws.protected)
        return cls(name=environment.name, production=production, registry=registry, protected=protected)


PRODUCTION = Setting()


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """The resources of all stacks in the order of their URNs, and by type."""

    setting: Setting
    resources: tuple[Resource, ...]
    types: Mapping[str, Sequence[Resource]]

    @classmethod
    def of(cls, programs: Mapping[str, Program], *, setting: Setting) -> Graph:
        """The graph of these programs."""
        return cls.from_resources([one for program in programs.values() for one in program.resources.values()], setting)

    @classmethod
    def from_resources(cls, resources: Sequence[Resource], setting: Setting) -> Graph:
        """The graph of just these resources."""
        ordered = tuple(sorted(resources, key=lambda one: one.urn))
        types: dict[str, list[Resource]] = {}
        for one in ordered:
            types.setdefault(one.type, []).append(one)
        return cls(setting=setting, resources=ordered, types=types)

    def every(self, *types: str) -> Iterator[Resource]:
        """The resources of these types, such as `aws:s3/bucket:Bucket`."""
        for type_ in types:
            yield from self.types.get(type_, ())

    def kinds(self, *kinds: str) -> Iterator[Resource]:
        """The Kubernetes objects of these kinds, such as `Deployment`, of whatever API version."""
        for type_, found in sorted(self.types.items()):
            if type_.startswith("kubernetes:") and type_.rpartition(":")[2] in kinds:
                yield from found

    def of_package(self, package: str) -> Iterator[Resource]:
        """The resources of a provider: `aws`, `kubernetes`, `snowflake`."""
        for type_, found in sorted(self.types.items()):
            if type_.startswith(f"{package}:"):
                yield from found

    def beside(self, target: Resource, type_: str, property_: str) -> Iterator[Resource]:
        """The resources of `type_` whose property names `target`: its public access block, its policy, ..."""
        called = names(target)
        for one in self.types.get(type_, ()):
            if str(one.properties.get(property_)) in called or target.urn in one.needs:
                yield one


def names(resource: Resource) -> set[str]:
    """What other resources call this one by: its name, and what it is called where it lies."""
    return {resource.name, *(str(resource.properties[key]) for key in _REFERENCES if resource.properties.get(key))}


def at(value: Any, path: str, default: Any = None) -> Any:
    """What lies at a dotted path of a nested value; `default` where the path ends early. Lists of one count as it."""
    for key in path.split("."):
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
            value = value[0]
        if not isinstance(value, Mapping) or value.get(key) is None:
            return default
        value = value[key]
    return value


def items(value: Any, path: str = "") -> list[Any]:
    """The list at the path; a single thing counts as a list of it, and nothing as an empty one."""
    found = at(value, path) if path else value
    if found is None:
        return []
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]


def objects(value: Any, path: str = "") -> list[Object]:
    """The mappings in the list at the path: what is not known, or no mapping, is left out."""
    return [one for one in items(value, path) if isinstance(one, Mapping)]


def texts(value: Any, path: str = "") -> list[str]:
    """The list at the path, each thing as text."""
    return [str(one) for one in items(value, path)]


def number(value: Any, default: int = 0) -> int:
    """The whole number that the value is; `default` for what is none, or is not known."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def mapping(value: Any, path: str) -> Object:
    """The mapping at the path, an empty one where there is none or it is not known."""
    found = at(value, path)
    return found if isinstance(found, Mapping) else {}


def true(value: Any) -> bool:
    """Whether a switch is on: Snowflake's are texts."""
    return value is True or str(value).lower() == "true"


def metadata(resource: Resource) -> Object:
    """The metadata of a Kubernetes object."""
    return mapping(resource.properties, "metadata")


def namespace(resource: Resource) -> str:
    """The namespace of a Kubernetes object, "" for what has none."""
    return str(metadata(resource).get("namespace", ""))


def called(resource: Resource) -> str:
    """The name of a Kubernetes object."""
    return str(metadata(resource).get("name", resource.name))


def document(text: Any) -> Object | None:
    """A JSON document that a property holds, as text or already parsed; None for what is none."""
    if isinstance(text, Mapping):
        return text
    try:
        found = json.loads(str(text))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
