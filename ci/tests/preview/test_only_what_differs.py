"""Which stacks are run at head: those that are sure to differ, and those that follow from what these put out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from ci.graph import StackInfo, order
from ci.preview.graphs import Wanted, pairs
from ci.programs import Program, Some
from ci.tests.preview.test_base_and_head import Small, small  # noqa: F401 - a fixture

NEEDS = {"lake": (), "warehouse": ("lake",), "airflow": ("warehouse",), "api": ()}
INFOS = {name: StackInfo(name=name, module="m", folder=Path(), needs=needs) for name, needs in NEEDS.items()}
BEFORE = {name: Program(outputs={"said": name}) for name in NEEDS}


def ran(surely: Collection[str], *, differ: Collection[str] = (), before: Mapping[str, Program] = BEFORE) -> list[str]:
    """The stacks that are run, where those of `differ` put out something else than before."""
    some = Some(surely=frozenset(surely), before=before)
    done: dict[str, Program] = {}
    for name in order(INFOS):
        if some.wanted(INFOS[name], done):
            done[name] = Program(outputs={"said": f"{name}{' anew' if name in differ else ''}"})
    return sorted(done)


@pytest.mark.parametrize(
    ("surely", "differ", "expected"),
    [
        ((), (), []),
        (("lake",), (), ["lake"]),
        (("lake",), ("lake",), ["lake", "warehouse"]),
        (("lake",), ("lake", "warehouse"), ["airflow", "lake", "warehouse"]),
        (("lake", "api"), ("api",), ["api", "lake"]),
        (("airflow",), ("lake",), ["airflow"]),
    ],
)
def test_a_stack_is_run_when_one_that_it_needs_puts_out_something_else(
    surely: tuple[str, ...], differ: tuple[str, ...], expected: list[str]
) -> None:
    assert ran(surely, differ=differ) == expected


def test_what_a_stack_put_out_before_is_unknown_so_what_needs_it_is_run() -> None:
    known = {name: found for name, found in BEFORE.items() if name != "lake"}
    assert ran(("lake",), before=known) == ["lake", "warehouse"]


def test_outputs_are_compared_in_the_form_that_they_are_kept_in() -> None:
    def form(outputs: Any) -> Any:
        return {key: str(value).replace("/head", "/checkout") for key, value in outputs.items()}

    before = {"lake": Program(outputs={"at": "/checkout/lake"})}
    some = Some(surely=frozenset(), before=before, form=form)
    assert not some.wanted(INFOS["warehouse"], {"lake": Program(outputs={"at": "/head/lake"})})
    assert some.wanted(INFOS["warehouse"], {"lake": Program(outputs={"at": "/head/other"})})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"read": ["api.process", "api.process[0].memory"]}, {"sure", "unsure"}),
        ({"read": ["api.*"]}, {"sure", "unsure"}),
        ({"read": ["api.process", "dash.process[0].memory"]}, {"sure"}),
        ({"read": []}, {"sure"}),
        ({}, {"sure", "unsure"}),
        (None, {"sure", "unsure"}),
    ],
)
def test_a_stack_that_read_the_changed_key_or_does_not_say_is_sure_to_differ(
    answer: dict[str, Any] | None, expected: set[str]
) -> None:
    unsure = {"local": {"unsure": {"api.process[0].memory"}}}
    wanted = Wanted(environments=("local",), affected={"local": ("sure", "unsure")}, unsure=unsure)
    assert wanted.surely("local", {"unsure": answer} if answer is not None else {}) == expected


def test_nothing_is_run_at_head_where_no_program_has_read_what_changed(small: Small) -> None:  # noqa: F811
    base = small.commit({"a": "1", "b": "1"})
    small.pairs("one", base=base)
    known = small.store.load(small.repository.sources(base).base.tree, "one")  # pyright: ignore[reportOptionalMemberAccess]
    assert known is not None
    read = {name: {**found, "read": ["api.owner"]} for name, found in known["stacks"].items()}
    small.store.keep(small.git("rev-parse", f"{base}^{{tree}}"), "one", {"stacks": read})
    small.commit({"a": "2", "b": "1"})
    small.seen()
    found: dict[str, dict[str, str]] = {}
    for key in ("api.process[0].cpu", "api.owner"):
        wanted = Wanted(environments=("one",), affected={"one": ("a",)}, unsure={"one": {"a": {key}}})
        pair = pairs(small.repository, small.repository.sources(base), wanted, store=small.store, say=small.said.append)
        programs = pair["one"].head.programs
        found[key] = {name: one.resources[next(iter(one.resources))].properties["v"] for name, one in programs.items()}
    assert small.seen() == [("head", ["a"])]
    assert found == {"api.process[0].cpu": {"a": "1", "b": "1"}, "api.owner": {"a": "2", "b": "1"}}
