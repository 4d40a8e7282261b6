"""What dbt's project is made of: sources, models, seeds and snapshots, what each reads, and a checksum of what it is.

dbt says it once for each state of the project's files (`dbt parse`); the rest is read from what it said.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

FUNCTIONS = Path(__file__).with_name("functions")
_BUILT = ("model", "seed", "snapshot")
_SAID = ("raw_code", "checksum", "config", "columns", "constraints", "contract", "relation_name", "test_metadata")
_OURS = ("dbt-adapters", "dbt-core", "dbt-snowflake")
_PACKAGES_OF_DBT = ("dbt", "dbt_snowflake")
# What depends on `until`, and what on the moment at which it is built.
_DATED = re.compile(r"\bvar\s*\(")
_MOMENT = re.compile(
    r"\b(current_(date|time|timestamp)|local(time|timestamp)|getdate|sysdate|systimestamp|now\s*\(|run_started_at"
    r"|invocation_id|env_var|modules\.datetime)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A source or something that dbt builds.

    `select` is how dbt selects it; `relation` its name in the warehouse, "" for none; `code` the checksum of its code,
    macros, settings, tests, and functions of the warehouse. `dated` depends on the last day of data, `momentary` on the
    moment at which it is built.
    """

    kind: str
    select: str
    relation: str
    reads: tuple[str, ...]
    code: str
    dated: bool = False
    momentary: bool = False

    @property
    def stored(self) -> bool:
        """Whether the warehouse keeps rows of it, and not only a question."""
        return bool(self.relation) and self.kind != "view"


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """All nodes by their names, what is read before what reads it; `state` is the checksum of the project's files."""

    state: str
    nodes: Mapping[str, Node]

    def text(self) -> str:
        """As it is kept."""
        nodes = {name: asdict(node) for name, node in self.nodes.items()}
        return json.dumps({"state": self.state, "nodes": nodes}, sort_keys=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` made. Raises ValueError or TypeError for anything else."""
        found: dict[str, Any] = json.loads(text)
        nodes: dict[str, Node] = {}
        for name, plain in found["nodes"].items():
            said: dict[str, Any] = {**plain, "reads": tuple(plain["reads"])}
            nodes[name] = Node(**said)
        return cls(state=found["state"], nodes=nodes)


def state(project: Path, *, functions: Path = FUNCTIONS) -> str:
    """The checksum of all that dbt reads, and of dbt itself: while it is the same, so is the graph."""
    files = [
        (folder.name, path.relative_to(folder).as_posix(), checksum(path.read_bytes()))
        for folder in (project, functions)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and path.relative_to(folder).parts[0] not in ("logs", "target")
    ]
    return checksum(json.dumps([files, [version(name) for name in _OURS], checksum(Path(__file__).read_bytes())]))


def checksum(data: bytes | str) -> str:
    """SHA-256, of texts in UTF-8."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def read(manifest: Mapping[str, Any], *, project: Path, functions: Path = FUNCTIONS) -> Graph:
    """The graph in dbt's manifest of a project."""
    found = {name: one for name, one in manifest["nodes"].items() if one["resource_type"] in _BUILT}
    found |= manifest["sources"]
    # Sorted: what dbt parses anew, because its file has changed, comes last.
    tests = [one for _, one in sorted(manifest["nodes"].items()) if one["resource_type"] == "test"]
    macros = _Macros(manifest, [*found.values(), *tests])
    common = [
        [version(name) for name in _OURS],
        checksum((project / "dbt_project.yml").read_bytes()),
        macros.of_all,
    ]
    sources = {path.stem: checksum(path.read_bytes()) for path in sorted(functions.glob("*.py"))}
    nodes: dict[str, Node] = {}
    reads = {name: [one for one in _reads(node) if one in found] for name, node in found.items()}
    for name in TopologicalSorter(reads).static_order():
        node = found[name]
        about = [node, *(test for test in tests if name in _reads(test))]
        said = [[{key: one.get(key) for key in _SAID}, macros.of(one)] for one in about]
        text = "\n".join([*(_text(one) for one in about), *macros.own(about)])
        used = {name: code for name, code in sources.items() if re.search(rf"\b{name}\b", text, re.IGNORECASE)}
        large = (
            node.get("root_path") and (node.get("checksum") or {}).get("name") == "path"
        )  # a seed of more than 1 MiB
        seed = checksum((project / node["original_file_path"]).read_bytes()) if large else ""
        source = node["resource_type"] == "source"
        nodes[name] = Node(
            kind="source" if source else str(node["config"]["materialized"]),
            select=f"source:{'.'.join(node['fqn'])}" if source else ".".join(node["fqn"]),
            relation=(node["relation_name"] or "").replace('"', "").upper(),
            reads=tuple(sorted(reads[name])),
            code=checksum(json.dumps([common, said, used, seed], sort_keys=True)),
            dated=bool(_DATED.search(text)),
            momentary=bool(_MOMENT.search(text)),
        )
    return Graph(state=state(project, functions=functions), nodes=nodes)


class _Macros:
    """The macros of a manifest: of each node those that it calls, and those of the project that dbt itself calls."""

    def __init__(self, manifest: Mapping[str, Any], nodes: Collection[Mapping[str, Any]]) -> None:
        self._known: Mapping[str, Any] = manifest["macros"]
        self._project = manifest["metadata"]["project_name"]
        called = {name for node in nodes for name in self._called(node)}
        self.of_all = [
            [name, macro["macro_sql"]]
            for name, macro in sorted(self._known.items())
            if macro["package_name"] == self._project and name not in called
        ]

    def of(self, node: Mapping[str, Any]) -> list[list[str]]:
        """Name and text of each macro that the node calls, itself or through others."""
        return [[name, self._known[name]["macro_sql"]] for name in sorted(set(self._called(node)))]

    def own(self, nodes: Collection[Mapping[str, Any]]) -> list[str]:
        """The texts of the macros that the nodes call and that are not dbt's own."""
        names = sorted({name for node in nodes for name in self._called(node)})
        return [self._known[name]["macro_sql"] for name in names if name.split(".")[1] not in _PACKAGES_OF_DBT]

    def _called(self, node: Mapping[str, Any]) -> Iterator[str]:
        waiting, seen = [*node.get("depends_on", {}).get("macros", ())], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._known:
                continue
            seen.add(name)
            yield name
            waiting += self._known[name]["depends_on"]["macros"]


def _reads(node: Mapping[str, Any]) -> list[str]:
    return node.get("depends_on", {}).get("nodes", [])


def _text(node: Mapping[str, Any]) -> str:
    hooks = [hook["sql"] for when in ("pre-hook", "post-hook") for hook in node.get("config", {}).get(when, ())]
    return "\n".join([node.get("raw_code") or "", *hooks])
