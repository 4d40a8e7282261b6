"""A pull request's environment in the cloud: the declarations of a deployed environment, renamed into a slice of it.

It shares what is dear and slow: network, cluster, buckets, databases' server. Its own are namespaces, roles, secrets,
the prefix in the lake, and on Snowflake clones of the databases, roles, a small warehouse and a resource monitor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ci.programs import Program, Resource

_SNOWFLAKE = "snowflake:index/"
_ON_SNOWFLAKE = frozenset(
    {
        *("AccountRole", "Database", "FileFormatParquet", "FunctionPython", "GrantAccountRole"),
        *("GrantOwnership", "Schema"),
        *("GrantPrivilegesToAccountRole", "ResourceMonitor", "ServiceUser", "StageExternalS3", "Warehouse"),
    }
)
_NAMED_ON_SNOWFLAKE = frozenset({"AccountRole", "Database", "ResourceMonitor", "ServiceUser", "Warehouse"})
_ON_AWS = ("aws:iam/role:", "aws:iam/rolePolicy:", "aws:eks/podIdentityAssociation:", "aws:secretsmanager/secret:")
_NAMED_ON_AWS = ("aws:iam/role:", "aws:secretsmanager/secret:")
_WHOLE = frozenset({"airflow", "api", "dash", "dask", "warehouse"})
_NAMESPACES = "cluster"
_SMALL = {"warehouseSize": "XSMALL", "autoSuspend": 60, "initiallySuspended": True}
_CREDITS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Which pull request, and until when it lives; `name` is what everything of it is called by."""

    number: int
    until: datetime

    @property
    def name(self) -> str:
        return f"pr-{self.number}"

    @property
    def prefix(self) -> str:
        """What names on Snowflake begin with."""
        return f"PR_{self.number}_"

    @property
    def tags(self) -> dict[str, str]:
        """What every resource carries, where its kind can: the sweeper needs nothing else."""
        return {"leandata.io/pr": str(self.number), "leandata.io/until": f"{self.until.astimezone(UTC):%Y-%m-%dT%H%MZ}"}


def sliced(programs: Mapping[str, Program], part: Slice) -> dict[str, Program]:
    """What the pull request's environment declares, by stack (`pr-7-api`), from those of the environment it is part of.

    Same programs, same text: names are changed wherever they stand, nothing is added but tags, and sizes are small.
    """
    kept = {
        stack: [one for one in program.resources.values() if _belongs(stack, one)]
        for stack, program in programs.items()
    }
    names = _names([one for many in kept.values() for one in many], part)
    made: dict[str, Program] = {}
    for stack, many in sorted(kept.items()):
        if any(one.custom for one in many):
            resources = [_renamed(one, stack, names, part) for one in many]
            made[f"{part.name}-{stack}"] = Program(resources={one.urn: one for one in resources})
    return made


def _belongs(stack: str, one: Resource) -> bool:
    """Whether a resource is the slice's own; what is shared stays where it is."""
    if one.type.startswith(_SNOWFLAKE):
        return one.type.rpartition(":")[2] in _ON_SNOWFLAKE
    if stack == _NAMESPACES:
        metadata = one.properties.get("metadata") or {}
        named = metadata.get("namespace") if one.type != "kubernetes:core/v1:Namespace" else metadata.get("name")
        return one.type.startswith("kubernetes:") and str(named).rpartition("-")[2] in _WHOLE
    return stack in _WHOLE and (one.type.startswith(("kubernetes:", "machine:", *_ON_AWS)) or not one.custom)


def _names(resources: list[Resource], part: Slice) -> dict[str, str]:
    """Every name that the slice's own resources have, and what it becomes."""
    found: dict[str, str] = {}
    for one in resources:
        kind = one.type.rpartition(":")[2]
        name = str(one.properties.get("name") or "")
        if one.type.startswith(_SNOWFLAKE) and kind in _NAMED_ON_SNOWFLAKE:
            found[name] = f"{part.prefix}{name}"
        elif one.type.startswith(_NAMED_ON_AWS) and name:
            found[name] = _marked(name, part)
        elif one.type == "kubernetes:core/v1:Namespace":
            found[str(one.properties["metadata"]["name"])] = _marked(str(one.properties["metadata"]["name"]), part)
    return found


def _marked(name: str, part: Slice) -> str:
    """`leandata-dev-api` is `pr-7-api`, and `leandata-dev/api/key` is `pr-7/api/key`: short, as names have limits."""
    made, ours = re.subn(r"^leandata(-[a-z]+(?=[-/]))?(?=[-/])", part.name, name)
    return made if ours else f"{part.name}-{name}"


def _renamed(one: Resource, stack: str, names: Mapping[str, str], part: Slice) -> Resource:
    text = json.dumps(one.properties, sort_keys=True)
    if names:
        longest = sorted(names, key=lambda name: (-len(name), name))
        pattern = re.compile(rf"(?<![A-Za-z0-9_-])({'|'.join(map(re.escape, longest))})(?![A-Za-z0-9_-])")
        text = pattern.sub(lambda match: names[match[1]], text)
    text = re.sub(r"(s3://[a-z0-9.-]+)(?=/|\"|\\)", rf"\1/{part.name}", text)
    text = re.sub(r"(arn:aws:s3:::[a-z0-9.-]+)/", rf"\1/{part.name}/", text)
    properties: dict[str, Any] = json.loads(text)
    return replace(
        one,
        urn=one.urn.replace(f"::{stack}::", f"::{part.name}-{stack}::", 1),
        parent=one.parent.replace(f"::{stack}::", f"::{part.name}-{stack}::", 1),
        needs=tuple(need.replace(f"::{stack}::", f"::{part.name}-{stack}::", 1) for need in one.needs),
        properties={**properties, **dict(_changed(one, properties, part))},
        protect=False,
        retain=False,
    )


def _changed(one: Resource, properties: Mapping[str, Any], part: Slice) -> Iterator[tuple[str, Any]]:
    """Tags, labels, comments; and small sizes."""
    kind = one.type.rpartition(":")[2]
    if one.type.startswith("aws:") and "tags" in properties:
        yield "tags", {**properties["tags"], **part.tags}
    elif one.type.startswith("kubernetes:") and isinstance(properties.get("metadata"), dict):
        metadata = properties["metadata"]
        yield "metadata", {**metadata, "labels": {**(metadata.get("labels") or {}), **part.tags}}
    elif one.type.startswith(_SNOWFLAKE) and kind in ("AccountRole", "Database", "ServiceUser", "Warehouse"):
        yield "comment", json.dumps(part.tags, sort_keys=True)
    if one.type.startswith(_SNOWFLAKE) and kind == "Warehouse":
        yield from _SMALL.items()
    elif one.type.startswith(_SNOWFLAKE) and kind == "ResourceMonitor":
        yield "creditQuota", min(int(properties.get("creditQuota") or _CREDITS), _CREDITS)
