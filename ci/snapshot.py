"""A snapshot of what an environment declares: one line a resource, small enough to review, without secrets or paths."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ci.masking import masked, stable_name
from ci.programs import Program, Resource, declared
from infra.environment import ROOT
from leandata.settings import foreign

FOLDER = Path("infra", "tests", "snapshots")
UPDATE = "LEANDATA_UPDATE_SNAPSHOTS"
_DIGEST_LENGTH = 8
# Machines and environments lie in other places: programs run as if theirs lay here.
STATE = "/leandata-state"


def take(environment: str, *, root: Path = ROOT, **environ: str) -> dict[str, Program]:
    """What the environment declares with nothing of this machine's settings in it; `environ` is added."""
    return declared(environment, root=root, environ={**foreign(os.environ), "LEANDATA_STATE": STATE, **environ})


def text(environment: str, programs: Mapping[str, Program], *, root: Path = ROOT) -> str:
    """The snapshot: stack, type, name, options such as `protect`, and a short digest of the properties; sorted."""
    rows = sorted(
        _row(stack, resource, root=root)
        for stack, program in programs.items()
        for resource in program.resources.values()
        if resource.custom
    )
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = ["  ".join(value.ljust(width) for value, width in zip(row, [*widths, 0, 0], strict=True)) for row in rows]
    head = f"# {environment}: {len(rows)} resources in {len(programs)} stacks; `make snapshot` writes this file"
    return "\n".join([head, *(line.rstrip() for line in lines), ""])


def path(environment: str, *, root: Path = ROOT) -> Path:
    """Where the reviewed snapshot lies."""
    return root / FOLDER / f"{environment}.txt"


def differences(before: str, after: str) -> list[str]:
    """The lines that went (`-`) and that came (`+`), by their text; none when the same resources are declared."""
    old, new = set(before.splitlines()[1:]), set(after.splitlines()[1:])
    found = [(line, "-") for line in old - new] + [(line, "+") for line in new - old]
    return [f"{sign} {line}" for line, sign in sorted(found)]


def _row(stack: str, resource: Resource, *, root: Path) -> tuple[str, str, str, str, str]:
    options = [name for name in ("protect", "retain") if getattr(resource, name)]
    options += [f"ignore={','.join(sorted(resource.ignore))}"] if resource.ignore else []
    properties = masked(resource.properties, root=root, state=Path(STATE))
    whole = json.dumps(_names_masked(properties), sort_keys=True).encode()
    digest = hashlib.sha256(whole).hexdigest()[:_DIGEST_LENGTH]
    return stack, short(resource.type), stable_name(resource.name), digest, " ".join(options)


def _names_masked(value: Any) -> Any:
    if isinstance(value, str):
        return stable_name(value)
    if isinstance(value, dict):
        return {key: _names_masked(found) for key, found in value.items()}
    return [_names_masked(found) for found in value] if isinstance(value, list) else value


def short(type_: str) -> str:
    """A type as people say it: `aws:s3/bucket:Bucket` is `aws:s3:Bucket`, `machine:index:File` is `machine:File`."""
    package, _, rest = type_.partition(":")
    module, _, kind = rest.rpartition(":")
    where = module.partition("/")[0] if package != "kubernetes" else module
    return ":".join(part for part in (package, "" if where == "index" else where, kind) if part)


# -- properties of a whole graph ---------------------------------------------------------------------------------------


def dangling(programs: Mapping[str, Program]) -> Iterator[str]:
    """A sentence for every reference to a resource that the stack does not declare: parents and needs."""
    for stack, program in sorted(programs.items()):
        for urn, resource in sorted(program.resources.items()):
            for other in (resource.parent, *resource.needs):
                if other and other not in program.resources and not _of_another_stack(other, programs):
                    yield f"{stack}: {urn} refers to {other}, which is not declared"


def _of_another_stack(urn: str, programs: Mapping[str, Program]) -> bool:
    """Whether the URN is a reference to a stack that the environment has."""
    type_, name = urn.split("::")[-2:] if "::" in urn else ("", "")
    return type_.endswith("pulumi:pulumi:StackReference") and name.split("/")[1] in programs


def doubled(programs: Mapping[str, Program]) -> Iterator[str]:
    """A sentence for every name that two real things of one type would share in the place where they lie."""
    seen: dict[tuple[str, ...], str] = {}
    for _, program in sorted(programs.items()):
        for urn, resource in sorted(program.resources.items()):
            key = identity(resource)
            if key and seen.setdefault(key, urn) != urn:
                yield f"{urn} and {seen[key]} are both called {' '.join(key)}"


def identity(resource: Resource) -> tuple[str, ...]:
    """What a thing is called where it lies; () where its type has no name of its own."""
    properties = resource.properties
    if resource.type.startswith("kubernetes:"):
        metadata = properties.get("metadata") or {}
        return (resource.type, str(metadata.get("namespace", "")), str(metadata.get("name", resource.name)))
    if resource.type.startswith("machine:"):
        name = properties.get("path") or properties.get("name")
        place = [str(properties.get(key, "")) for key in ("schema", "database", "address")]
        return (resource.type, *place, str(name)) if name else ()
    for key in ("bucket", "identifier", "name"):
        if isinstance(properties.get(key), str) and resource.type.rpartition(":")[2].lower() in _NAMED:
            place = [str(properties.get(other, "")) for other in ("database", "schema")]
            return (resource.type, *place, properties[key])
    return ()


_NAMED = frozenset(
    {
        *("accountrole", "bucket", "cluster", "database", "databaserole", "instance", "key", "loggroup", "repository"),
        *("resourcemonitor", "role", "schema", "secret", "serviceuser", "topic", "warehouse"),
    }
)
