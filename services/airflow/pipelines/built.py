"""What has to be built, and what was: noted in the warehouse, beside the tables that it tells of.

A note says what a model was built from: its code, the last day of data where it depends on it, and the same of all that
it reads, down to a checksum of the rows of RAW; and it has a checksum of the rows that came of it. A model is built
again when any of this is not as it was noted, or when something that it reads is built again. Notes are taken away
before a build and written after it, so that whatever ends a build leaves none and the next one builds again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from leandata.errors import WarehouseError
from leandata.warehouse import Warehouse
from pipelines.graph import Graph, Node, checksum

TABLE = "STAGING.SHOP.BUILT"
_PROJECT = "project"
_CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (NODE VARCHAR NOT NULL, RELATION VARCHAR NOT NULL,
INPUTS VARCHAR NOT NULL, CONTENT VARCHAR NOT NULL, BUILD VARCHAR NOT NULL)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What a node was built from, what its rows were then, and by which build."""

    inputs: Mapping[str, Any]
    content: str
    build: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """All that is noted: the project, the last day of data that was built, and the note of each node."""

    graph: Graph | None = None
    until: str = ""
    nodes: Mapping[str, Note] = field(default_factory=dict[str, Note])


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be built, each with the reason, and what every node is built from."""

    reasons: Mapping[str, str]
    inputs: Mapping[str, Mapping[str, Any]] = field(repr=False)


def decide(
    graph: Graph, notes: Mapping[str, Note], contents: Mapping[str, str], *, until: str, now: str, full: bool = False
) -> Plan:
    """What is to be built by what is noted and what the warehouse holds (`contents`); everything where it is `full`.

    `until` is the last day of data, `now` the moment, which no other build has. A view is built again with what reads
    it, so that the two are of one code.
    """
    reasons: dict[str, str] = {}
    inputs: dict[str, dict[str, Any]] = {}
    for name, node in graph.nodes.items():
        said: dict[str, Any] = {"code": node.code}
        said |= {"reads": {one: checksum(json.dumps(inputs[one], sort_keys=True)) for one in node.reads}}
        said |= {"until": until} if node.dated else {}
        said |= {"now": now} if node.momentary else {}
        said |= {"rows": contents[name]} if node.kind == "source" else {}
        inputs[name] = said
        why = "all is asked for" if full else _why(node, said, notes.get(name), contents[name], reasons)
        if why:
            reasons[name] = why
    for name in list(reasons):
        _with_views(graph, name, reasons)
    return Plan(reasons={name: reasons[name] for name in graph.nodes if name in reasons}, inputs=inputs)


def short(name: str) -> str:
    """A node as people call it: "daily_sales" for model.leandata.daily_sales, "shop.orders" for a source."""
    return ".".join(name.split(".")[2:])


def _why(node: Node, said: Mapping[str, Any], note: Note | None, content: str, reasons: Collection[str]) -> str:
    """Why the node is to be built, "" where it is not."""
    if note is None:
        return "it is not noted that it was built"
    changed = {key for key in {*said, *note.inputs} if said.get(key) != note.inputs.get(key)}
    sentences = {
        "code": "its code has changed",
        "rows": "it holds other rows",
        "now": "it depends on the moment",
        "until": f"the data goes until {said.get('until')}",
    }
    for key, sentence in sentences.items():
        if key in changed:
            return sentence
    again = [short(one) for one in node.reads if one in reasons]
    if again or changed:
        return f"it reads {', '.join(again) or 'something else'}"
    if node.relation and not content:
        return "it is gone from the warehouse"
    return "it holds other rows than were built" if node.stored and content != note.content else ""


def _with_views(graph: Graph, name: str, reasons: dict[str, str]) -> None:
    for one in graph.nodes[name].reads:
        if graph.nodes[one].kind == "view" and one not in reasons:
            reasons[one] = f"{short(name)} reads it"
            _with_views(graph, one, reasons)


# -- the warehouse -----------------------------------------------------------------------------------------------------


def noted(warehouse: Warehouse) -> Noted:
    """What is noted; nothing where no build was, or what another release wrote in another way."""
    warehouse.retried(lambda: warehouse.execute(_CREATE))
    graph, until = None, ""
    notes: dict[str, Note] = {}
    for row in warehouse.query(f"SELECT node, inputs, content, build FROM {TABLE}"):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            if row["node"] == _PROJECT:
                graph, until = Graph.of(row["inputs"]), row["content"]
            else:
                inputs = json.loads(row["inputs"])
                notes[row["node"]] = Note(inputs=inputs, content=row["content"], build=row["build"])
    return Noted(graph=graph, until=until, nodes=notes)


def forget(warehouse: Warehouse, names: Iterable[str]) -> None:
    """Take the notes of these nodes away, before they are built."""
    told = sorted(names)
    marks = ", ".join(["%s"] * len(told))
    warehouse.retried(lambda: warehouse.execute(f"DELETE FROM {TABLE} WHERE node IN ({marks})", told))


def note(
    warehouse: Warehouse, graph: Graph, plan: Plan, contents: Mapping[str, str], *, until: str, build: str
) -> None:
    """Note that what was planned is built with data until that day, and the project, in one transaction; notes of what
    is no more are removed. `build` names this build as no other is named.
    """
    rows = [[_PROJECT, "", graph.text(), until, build]]
    for name in plan.reasons:
        inputs = json.dumps(plan.inputs[name], sort_keys=True)
        rows.append([name, graph.nodes[name].relation, inputs, contents[name], build])
    kept = sorted(set(graph.nodes) - set(plan.reasons))
    gone = f" WHERE node NOT IN ({', '.join(['%s'] * len(kept))})" if kept else ""
    values = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))

    def put() -> None:
        warehouse.execute("BEGIN")
        try:
            warehouse.execute(f"DELETE FROM {TABLE}{gone}", kept)
            warehouse.execute(f"INSERT INTO {TABLE} VALUES {values}", [value for row in rows for value in row])
            warehouse.execute("COMMIT")
        except WarehouseError:
            with contextlib.suppress(WarehouseError):
                warehouse.execute("ROLLBACK")
            raise

    warehouse.retried(put)


def contents(warehouse: Warehouse, nodes: Mapping[str, Node]) -> dict[str, str]:
    """A checksum of the rows of each node, of a view only that it is there; "" for what the warehouse does not hold."""
    views = {node.relation for node in nodes.values() if node.relation and not node.stored}
    found = _contents(warehouse, [node.relation for node in nodes.values() if node.relation], views=views)
    return {name: found.get(node.relation, "") for name, node in nodes.items()}


def whole(warehouse: Warehouse, relations: Iterable[str]) -> dict[str, str]:
    """Of tables that are built and tested, and hold what they held then: by which build. As long as that is the same,
    the table is the same. What a build has begun, and not ended well, is not among them.
    """
    wanted = sorted(relations)
    places = ", ".join(["%s"] * len(wanted))
    rows = warehouse.query(f"SELECT relation, build, content FROM {TABLE} WHERE relation IN ({places})", wanted)
    held = _contents(warehouse, [row["relation"] for row in rows], views=())
    return {row["relation"]: row["build"] for row in rows if held[row["relation"]] == row["content"]}


def _contents(warehouse: Warehouse, relations: Iterable[str], *, views: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    columns = _columns(warehouse, relations)
    for relation in relations:
        has = columns.get(relation, [])
        if relation in views or not has:
            found[relation] = "there" if has else ""
            continue
        names = ", ".join(f'"{name}"' for name, _ in has)
        # A sum and not HASH_AGG: the stand-in has no such aggregate.
        rows = warehouse.query(f"SELECT COUNT(*) AS n, CAST(SUM(HASH({names})) AS VARCHAR) AS rows_ FROM {relation}")[0]
        found[relation] = f"{rows['n']} {rows['rows_']} {checksum(json.dumps(has))[:16]}"
    return found


def _columns(warehouse: Warehouse, relations: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Name and type of the columns of these tables and views, as far as they are there."""
    found: dict[str, list[tuple[str, str]]] = {}
    for database in sorted({relation.split(".")[0] for relation in relations}):
        for row in warehouse.query(
            "SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale"
            f" FROM {database}.INFORMATION_SCHEMA.COLUMNS ORDER BY table_schema, table_name, ordinal_position"
        ):
            said = f"{row['data_type']} {row['numeric_precision']} {row['numeric_scale']}"
            relation = f"{database}.{row['table_schema']}.{row['table_name']}".upper()
            found.setdefault(relation, []).append((row["column_name"], said))
    return found
