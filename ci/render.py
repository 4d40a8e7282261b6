"""What will exist in an environment, as files that a person reads: manifests, resources, SQL, a diagram, who may what.

Pure: from the graph that the programs declare. The same programs give the same bytes; no credentials are needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ci.graph import StackInfo
from ci.masking import masked
from ci.programs import Program, Resource
from ci.render_svg import Box, diagram
from infra.components.manifest import ServiceManifest
from infra.environment import Environment
from leandata.datasets import CATALOG

SUBSTRATES = ("kubernetes", "aws", "snowflake", "machine")
# What others live in or refer to is applied before them.
_FIRST = (
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "StorageClass",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "SecretProviderClass",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Service",
)


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: texts of several lines as blocks, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


def substrate(type_: str) -> str:
    """Where a resource of this type lies ("aws", "kubernetes", "snowflake", "machine"); "" for what only groups."""
    first = type_.partition(":")[0]
    return first if first in SUBSTRATES else ""


def counts(program: Program) -> dict[str, int]:
    """How many resources a stack has on each substrate, only those that it has, in the order of SUBSTRATES."""
    found = Counter(substrate(resource.type) for resource in program.resources.values())
    return {name: found[name] for name in SUBSTRATES if found[name]}


def files(
    environment: Environment,
    *,
    stacks: Mapping[str, StackInfo],
    programs: Mapping[str, Program],
    manifests: Mapping[str, ServiceManifest],
) -> dict[str, str]:
    """Every file by its path in the folder, sorted."""
    found: dict[str, str] = {}
    for name, program in programs.items():
        kept = _masked(program, environment)
        if documents := manifests_of(kept):
            found[f"{name}/kubernetes.yaml"] = to_yaml(documents)
        for place in SUBSTRATES[1:]:
            if resources := [record(one) for one in kept if substrate(one.type) == place]:
                found[f"{name}/{place}.json"] = to_json(resources)
    if any(substrate(one.type) == "snowflake" for program in programs.values() for one in program.resources.values()):
        found["snowflake.sql"] = snowflake_sql(programs)
    found["access.md"] = access(environment, manifests)
    boxes = [Box(name=name, needs=info.needs, counts=counts(programs[name])) for name, info in sorted(stacks.items())]
    found["stacks.svg"] = diagram(boxes, title=f"Stacks of {environment.name}")
    return dict(sorted(found.items()))


def _masked(program: Program, environment: Environment) -> list[Resource]:
    """The stack's resources, by type and name, without the paths of this machine."""
    ordered = sorted(program.resources.values(), key=lambda one: (one.type, one.name, one.urn))
    return [_without_paths(one, environment) for one in ordered]


def _without_paths(resource: Resource, environment: Environment) -> Resource:
    if substrate(resource.type) != "machine":
        return resource
    properties = masked(resource.properties, root=environment.root, state=environment.state)
    return Resource(**{**{name: getattr(resource, name) for name in Resource.__slots__}, "properties": properties})


def manifests_of(resources: list[Resource]) -> list[dict[str, Any]]:
    """The Kubernetes manifests among the resources, in an order in which they can be applied."""
    found = [manifest(one) for one in resources if substrate(one.type) == "kubernetes"]
    return sorted(found, key=_rank)


def manifest(resource: Resource) -> dict[str, Any]:
    """The manifest of a Kubernetes resource, without a status; API version and kind from its type where it has none."""
    group, _, kind = resource.type.removeprefix("kubernetes:").rpartition(":")
    version = group.removeprefix("core/")
    body = {key: value for key, value in resource.properties.items() if key != "status" and value is not None}
    return {"apiVersion": version, "kind": kind, **body}


def _rank(found: Mapping[str, Any]) -> tuple[int, str, str, str]:
    metadata = found.get("metadata") or {}
    kind = str(found["kind"])
    place = _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
    return place, kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def record(resource: Resource) -> dict[str, Any]:
    """A resource as JSON shows it: its options only where they say something."""
    options = {"protect": resource.protect, "retainOnDelete": resource.retain, "ignoreChanges": list(resource.ignore)}
    shown = {name: value for name, value in options.items() if value}
    return {"type": resource.type, "name": resource.name, **shown, "properties": resource.properties}


def to_yaml(documents: list[dict[str, Any]]) -> str:
    """The documents as one YAML stream with sorted keys."""
    return "".join(
        f"---\n{yaml.dump(one, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=120)}" for one in documents
    )


def to_json(value: Any) -> str:
    """Sorted, indented JSON that ends in a line break."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def snowflake_sql(programs: Mapping[str, Program]) -> str:
    """The SQL equivalent of the roles and grants."""
    if importlib.util.find_spec("ci.snowflake_sql") is None:
        return "-- Not written: ci.snowflake_sql is missing.\n"
    return str(importlib.import_module("ci.snowflake_sql").sql(programs))


def access(environment: Environment, manifests: Mapping[str, ServiceManifest]) -> str:
    """A Markdown page: who may read and write what, from the services' manifests."""
    rows = [row for name in sorted(manifests) for row in _rows(manifests[name])]
    network = [
        f"| {name} | {', '.join(sorted(found.network.calls)) or '-'} | {found.network.open_to} |"
        for name, found in sorted(manifests.items())
    ]
    return "\n".join(
        [
            f"# Who may do what in {environment.name}",
            "",
            "From the `service.toml` of each service; what is not in the table is refused.",
            "",
            "| service | owner | store | object | may |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "| service | opens connections to | open to |",
            "| --- | --- | --- |",
            *network,
            "",
        ]
    )


def _rows(manifest: ServiceManifest) -> Iterator[str]:
    lake, warehouse = manifest.data.lake, manifest.data.warehouse
    for store, datasets in (("lake", lake), ("warehouse", warehouse)):
        for name in sorted({*datasets.reads, *datasets.writes}):
            may = [word for word, names in (("read", datasets.reads), ("write", datasets.writes)) if name in names]
            yield _row(manifest, store, place(store, name), ", ".join(may))
    for role in sorted(manifest.data.database.roles):
        yield _row(manifest, "database", f"role {role}", "what the role may")


def _row(manifest: ServiceManifest, store: str, thing: str, may: str) -> str:
    return f"| {manifest.name} | {manifest.owner} | {store} | {thing} | {may} |"


def place(store: str, dataset: str) -> str:
    """Where a dataset lies: its prefix in the lake, or its table in the warehouse."""
    found = CATALOG.get(dataset)
    if found is None:
        return dataset
    if store == "warehouse":
        return found.warehouse_table
    zone = "curated" if found.layer == "MARTS" else "raw"
    return f"{zone}/{dataset.replace('.', '/')}/"


def write(found: Mapping[str, str], folder: Path) -> None:
    """Write the files; what an earlier rendering left in the folder and is none of them is removed."""
    for path in sorted(folder.glob("*/*")) if folder.exists() else []:
        name = path.relative_to(folder).as_posix()
        if path.name in {f"{place}.json" for place in SUBSTRATES} | {"kubernetes.yaml"} and name not in found:
            path.unlink()
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
