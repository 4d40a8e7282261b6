"""What is to be built, decided from what is noted; and what dbt's manifest says of a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import built
from pipelines.built import Note, Plan
from pipelines.graph import Graph, Node, read, state

ORDERS, DAYS, STAGED = "source.p.shop.orders", "model.p.days", "model.p.staged"
SALES, WEEKS, ALONE = "model.p.sales", "model.p.weeks", "model.p.alone"


def node(kind: str = "table", *reads: str, **more: Any) -> Node:
    return Node(**{"kind": kind, "select": "s", "relation": "D.S.T", "reads": reads, "code": "1", **more})


GRAPH = Graph(
    state="1",
    nodes={
        ORDERS: node("source"),
        DAYS: node("view", ORDERS, dated=True),
        STAGED: node("view", ORDERS),
        SALES: node("table", STAGED),
        WEEKS: node("table", DAYS, SALES),
        ALONE: node("table"),
    },
)
ROWS = {ORDERS: "10", DAYS: "there", STAGED: "there", SALES: "5", WEEKS: "6", ALONE: "7"}


def decided(
    graph: Graph = GRAPH,
    rows: Mapping[str, str] = ROWS,
    *,
    notes: Mapping[str, Note] | None = None,
    until: str = "2026-11-23",
    now: str = "noon",
    full: bool = False,
) -> Plan:
    return built.decide(graph, NOTES if notes is None else notes, rows, until=until, now=now, full=full)


NOTES: dict[str, Note] = {}
NOTES |= {name: Note(inputs=said, content=ROWS[name], build="b") for name, said in decided().inputs.items()}


def with_node(name: str, **changes: Any) -> Graph:
    return replace(GRAPH, nodes={**GRAPH.nodes, name: replace(GRAPH.nodes[name], **changes)})


def test_what_is_as_it_was_noted_is_not_built() -> None:
    assert decided().reasons == {}
    assert decided(now="midnight").reasons == {}


def test_what_is_not_noted_is_built_and_all_where_that_is_asked_for() -> None:
    assert list(decided(notes={}).reasons) == list(GRAPH.nodes), "what is read before what reads it"
    assert set(decided(full=True).reasons.values()) == {"all is asked for"}


@pytest.mark.parametrize(
    ("plan", "reasons"),
    [
        (
            decided(rows={**ROWS, ORDERS: "11"}),
            {
                ORDERS: "it holds other rows", DAYS: "it reads shop.orders", STAGED: "it reads shop.orders",
                SALES: "it reads staged", WEEKS: "it reads days, sales",
            },
        ),
        (
            decided(with_node(SALES, code="2")),
            {
                DAYS: "weeks reads it", STAGED: "sales reads it", SALES: "its code has changed",
                WEEKS: "it reads sales",
            },
        ),
        (
            decided(until="2026-11-24"),
            {DAYS: "the data goes until 2026-11-24", STAGED: "", SALES: "", WEEKS: "it reads days"},
        ),
        (decided(rows={**ROWS, ALONE: ""}), {ALONE: "it is gone from the warehouse"}),
        (decided(rows={**ROWS, ALONE: "8"}), {ALONE: "it holds other rows than were built"}),
        (decided(with_node(ALONE, momentary=True)), {ALONE: "it depends on the moment"}),
        (decided(with_node(ALONE, reads=(ORDERS,))), {ALONE: "it reads something else"}),
        (decided(notes={name: note for name, note in NOTES.items() if name != ALONE}),
         {ALONE: "it is not noted that it was built"}),
    ],
    ids=["rows", "code", "day", "gone", "edited", "moment", "reads", "not noted"],
)  # fmt: skip
def test_what_has_changed_is_built_with_what_reads_it_and_says_why(plan: Plan, reasons: dict[str, str]) -> None:
    assert plan.reasons == {name: why for name, why in reasons.items() if why}


def test_what_depends_on_the_moment_is_built_at_each_one() -> None:
    graph = with_node(ALONE, momentary=True)
    noted = {**NOTES, ALONE: replace(NOTES[ALONE], inputs=decided(graph, now="noon").inputs[ALONE])}
    assert list(decided(graph, notes=noted, now="midnight").reasons) == [ALONE]


@given(st.sampled_from(sorted(GRAPH.nodes)), st.sampled_from(["code", "gone", "not noted"]))
def test_whatever_reads_what_is_built_is_built(name: str, what: str) -> None:
    graph = with_node(name, code="2") if what == "code" else GRAPH
    rows = {**ROWS, name: ""} if what == "gone" else ROWS
    notes = {one: note for one, note in NOTES.items() if one != name} if what == "not noted" else NOTES
    reasons = decided(graph, rows, notes=notes).reasons
    assert name in reasons
    views = {one for one, why in reasons.items() if why.endswith("reads it")}
    for one in set(reasons) - views:
        assert {reader for reader, said in graph.nodes.items() if one in said.reads} <= set(reasons)
        assert {read for read in graph.nodes[one].reads if graph.nodes[read].kind == "view"} <= set(reasons)


def test_a_graph_is_kept_as_text_and_read_again() -> None:
    assert Graph.of(GRAPH.text()) == GRAPH
    assert list(Graph.of(GRAPH.text()).nodes) == list(GRAPH.nodes)


# -- dbt's manifest ----------------------------------------------------------------------------------------------------


def made(name: str, code: str, *reads: str, kind: str = "model", macros: tuple[str, ...] = (), **more: Any) -> Any:
    return {
        "resource_type": kind, "fqn": ["p", name], "raw_code": code, "relation_name": f'"D"."S"."{name}"',
        "config": {"materialized": "table"}, "depends_on": {"nodes": list(reads), "macros": list(macros)},
        "original_file_path": f"seeds/{name}.csv", **more,
    }  # fmt: skip


def manifest(**models: Any) -> dict[str, Any]:
    macros = {
        "macro.p.used": {"package_name": "p", "macro_sql": "1", "depends_on": {"macros": ["macro.dbt.inner"]}},
        "macro.dbt.inner": {"package_name": "dbt", "macro_sql": "current_timestamp", "depends_on": {"macros": []}},
        "macro.p.hidden": {"package_name": "p", "macro_sql": "2", "depends_on": {"macros": []}},
    }
    base = {"model.p.a": made("a", "select 1"), "model.p.b": made("b", "select 2", "model.p.a")}
    base |= {f"{one['resource_type']}.p.{name}": one for name, one in models.items()}
    return {"metadata": {"project_name": "p"}, "macros": macros, "sources": {}, "nodes": base}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "functions").mkdir()
    (tmp_path / "project" / "dbt_project.yml").write_text("name: p\n")
    (tmp_path / "functions" / "segment.py").write_text("def segment(): ...\n")
    return tmp_path / "project"


def nodes(project: Path, found: dict[str, Any]) -> Mapping[str, Node]:
    return read(found, project=project, functions=project.parent / "functions").nodes


def changed(project: Path, before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    one, two = nodes(project, before), nodes(project, after)
    return {name.removeprefix("model.p.") for name in one if one[name].code != two[name].code}


def test_a_node_is_its_code_its_macros_its_tests_and_its_settings(project: Path) -> None:
    plain = manifest()
    assert changed(project, plain, manifest()) == set()
    assert changed(project, plain, manifest(a=made("a", "select 3"))) == {"a"}
    assert changed(project, plain, manifest(b=made("b", "select 2", "model.p.a", tags=["x"]))) == set()
    settings = made("b", "select 2", "model.p.a", config={"materialized": "view"})
    assert changed(project, plain, manifest(b=settings)) == {"b"}
    assert changed(project, plain, manifest(t=made("t", "select 0", "model.p.b", kind="test"))) == {"b"}


def test_a_macro_counts_for_those_that_call_it_and_one_that_dbt_itself_calls_for_all(project: Path) -> None:
    before, after = (manifest(a=made("a", "select 1", macros=("macro.p.used",))) for _ in range(2))
    after["macros"]["macro.dbt.inner"]["macro_sql"] = "3"
    assert changed(project, before, after) == {"a"}
    after = manifest(a=made("a", "select 1", macros=("macro.p.used",)))
    after["macros"]["macro.p.hidden"]["macro_sql"] = "3"
    assert changed(project, before, after) == {"a", "b"}


def test_a_function_of_the_warehouse_and_the_project_s_file_count(project: Path) -> None:
    found = manifest(a=made("a", "select STAGING.SHOP.SEGMENT(1)"))
    before = nodes(project, found)
    (project.parent / "functions" / "segment.py").write_text("def segment(): return 1\n")
    after = nodes(project, found)
    assert [name for name in before if before[name].code != after[name].code] == ["model.p.a"]
    (project / "dbt_project.yml").write_text("name: p\nvars: {x: 1}\n")
    last = nodes(project, found)
    assert all(after[name].code != last[name].code for name in last)


def test_a_seed_too_large_for_dbt_s_checksum_is_read_itself(project: Path) -> None:
    (project / "seeds").mkdir()
    seed = made("s", "", kind="seed", root_path="/x", checksum={"name": "path", "checksum": "seeds/s.csv"})
    codes: list[str] = []
    for text in ("a\n1\n", "a\n2\n"):
        (project / "seeds" / "s.csv").write_text(text)
        codes.append(nodes(project, manifest(s=seed))["seed.p.s"].code)
    assert codes[0] != codes[1]


@pytest.mark.parametrize(
    ("code", "dated", "momentary"),
    [
        ("select '{{ var(\"until\") }}'", True, False),
        ("select current_date", False, True),
        ("select {{ run_started_at }}", False, True),
        ("select {{ env_var('X') }}", False, True),
        ("select GETDATE()", False, True),
        ("select variance(x), knows(y) from unknown", False, False),
    ],
)
def test_what_depends_on_the_day_or_the_moment_is_seen(project: Path, code: str, dated: bool, momentary: bool) -> None:
    for found in (
        made("a", code),
        made("a", "select 1", config={"materialized": "table", "pre-hook": [{"sql": code}]}),
    ):
        one = nodes(project, manifest(a=found))["model.p.a"]
        assert (one.dated, one.momentary) == (dated, momentary)


def test_the_state_of_a_project_is_that_of_its_files_and_of_nothing_that_dbt_writes(project: Path) -> None:
    functions = project.parent / "functions"
    before = state(project, functions=functions)
    (project / "target").mkdir()
    (project / "target" / "manifest.json").write_text("{}")
    assert state(project, functions=functions) == before
    (project / "model.sql").write_text("select 1")
    assert state(project, functions=functions) != before
