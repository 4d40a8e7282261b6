"""Events of the engine become differences; lines of programs are found; what nobody declared is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ci.drift.beside import files, processes
from ci.drift.model import ABSENT, Found
from ci.drift.seen import Seen, found, walk
from ci.drift.sources import line_of

URN = "urn:pulumi:prod::lake::leandata:index:Lake$machine:index:File::thing"


def state(outputs: dict[str, Any] | None, inputs: dict[str, Any] | None = None) -> Any:
    return None if outputs is None else SimpleNamespace(outputs=outputs, inputs=outputs if inputs is None else inputs)


def event(
    op: str, old: Any, new: Any, *, planned: bool, type_: str = "machine:index:File", diff: tuple[str, ...] = ()
) -> Any:
    metadata = SimpleNamespace(op=op, urn=URN, type=type_, old=old, new=new, detailed_diff=dict.fromkeys(diff))
    inner = SimpleNamespace(metadata=metadata)
    return SimpleNamespace(resource_pre_event=inner if planned else None, res_outputs_event=None if planned else inner)


def read(before: dict[str, Any], after: dict[str, Any] | None, **more: Any) -> Any:
    return event("refresh", state(before), state(after), planned=False, **more)


def told(*events: Any) -> list[tuple[str, str, Any, Any, bool]]:
    seen = Seen()
    for one in events:
        seen.take(one)
    return [
        (one.kind, one.property, one.before, one.after, one.mended) for one in found(seen, stack="lake", sources={})
    ]


def test_the_same_is_no_difference() -> None:
    assert told(read({"a": 1}, {"a": 1})) == []


def test_a_changed_property_is_named_by_its_path_and_mended_when_a_deployment_changes_it() -> None:
    live = read({"env": {"A": "1", "B": "2"}}, {"env": {"A": "1", "B": "3"}})
    step = event("update", state({"env": {}}), state({}), planned=True, diff=("env.B",))
    assert told(live, step) == [("changed", "env.B", "2", "3", True)]
    assert told(live) == [("changed", "env.B", "2", "3", False)]


def test_what_is_gone_is_named_by_where_it_lay() -> None:
    live = read({"path": "/x/y"}, None)
    assert told(live, event("create", None, state({}), planned=True)) == [("gone", "", "/x/y", ABSENT, True)]
    assert told(live) == [("gone", "", "/x/y", ABSENT, False)], "the program does not declare it any more"


def test_what_the_program_has_changed_is_not_deployed_yet() -> None:
    same = read({"a": 1, "b": 2}, {"a": 1, "b": 2})
    step = event("update", state({"a": 1, "b": 2}), state({"a": 5, "b": 2}), planned=True, diff=("a",))
    assert told(same, step) == [("undeployed", "a", 1, 5, True)]
    assert told(event("create", None, state({}), planned=True)) == [("undeployed", "", ABSENT, "declared", True)]
    assert told(same, event("delete", state({}), None, planned=True)) == [("undeployed", "", "deployed", ABSENT, True)]


def test_of_a_clouds_answer_only_what_was_declared_counts() -> None:
    old = state({"name": "n", "lastUsed": "monday"}, inputs={"name": "n"})
    new = state({"name": "m", "lastUsed": "tuesday"})
    live = event("refresh", old, new, planned=False, type_="aws:s3/bucket:Bucket")
    assert told(live) == [("changed", "name", "n", "m", False)]


@pytest.mark.parametrize("type_", ["pulumi:pulumi:Stack", "pulumi:providers:machine", "leandata:index:Lake"])
def test_the_engines_own_resources_and_components_are_not_looked_at(type_: str) -> None:
    assert told(read({"a": 1}, {"a": 2}, type_=type_)) == []


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {}, ["a"]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ["a.b.c"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["a[1]", "a[2]"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a[0].b"]),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, ["a", "b"]),
        ({"a": {}}, {"a": []}, ["a"]),
        ({"a": None}, {"a": ""}, ["a"]),
    ],
)
def test_two_values_differ_at_their_innermost_places(before: Any, after: Any, paths: list[str]) -> None:
    assert [path for path, _, _ in walk(before, after)] == paths


def trace(*frames: str) -> dict[str, Any]:
    return {
        "urn": URN,
        "sourcePosition": "project:///../../.venv/x.py#1",
        "stackTrace": [{"sourcePosition": one} for one in frames],
    }


@pytest.mark.parametrize(
    ("frames", "place"),
    [
        ((), ""),
        (
            (
                "project:///../../../infra/components/machine/lake.py#20",
                "project:///../../../infra/stacks/lake/__main__.py#16",
            ),
            "infra/stacks/lake/__main__.py:16",
        ),
        (("project:///../../h/x/services/api/deploy.py#9",), "services/api/deploy.py:9"),
        (("project:///../infra/components/machine/lake.py#20",), "infra/components/machine/lake.py:20"),
        (("project:///../infra/components/stack.py#20", "project:///../infra/provider/resources.py#3"), ""),
        (("nonsense", "project:///x.py#y"), ""),
    ],
)
def test_the_line_that_declares_a_resource_is_found(frames: tuple[str, ...], place: str) -> None:
    assert line_of(trace(*frames)) == place


def resource(kind: str, id_: str) -> dict[str, Any]:
    return {"type": f"machine:index:{kind}", "id": id_, "urn": f"urn:{id_}"}


def names(many: Any) -> list[tuple[str, str, str]]:
    return [(one.stack, one.type, one.name) for one in many if isinstance(one, Found)]


def test_a_process_that_nobody_declared_is_told() -> None:
    resources = {"api": [resource("Process", "api")], "mail": [resource("Process", "mail"), {"type": "x", "urn": ""}]}
    assert names(processes(["api", "mail", "stray"], resources)) == [("api", "process", "stray")]
    assert names(processes(["api"], resources)) == []


def test_a_secret_and_a_zone_of_the_lake_that_nobody_declared_are_told(tmp_path: Path) -> None:
    for place in ("secrets", "lake/raw", "lake/stray"):
        (tmp_path / place).mkdir(parents=True)
    for name in ("key", "stray"):
        (tmp_path / "secrets" / name).write_text("x")
    resources = {
        "lake": [resource("Directory", str(tmp_path / "lake" / "raw"))],
        "api": [resource("Secret", str(tmp_path / "secrets" / "key"))],
    }
    assert names(files(tmp_path, resources)) == [("api", "secret", "stray"), ("lake", "folder", "stray")]
    assert names(files(tmp_path / "elsewhere", {"lake": []})) == []
