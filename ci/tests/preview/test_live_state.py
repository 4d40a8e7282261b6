"""The engine's comparison with what is deployed, beside that of the programs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ci.events import Log
from ci.preview.live import ALREADY_LIVE, ALSO_LIVE, LiveStep, live_steps, reconcile
from ci.preview.model import Op, PropertyChange
from ci.tests.preview.previews import change, stack


def step(name: str, op: str = "update", *properties: str, stack: str = "lake") -> LiveStep:
    type_ = "aws:s3/bucket:Bucket"
    return LiveStep(
        stack=stack, urn=f"urn:pulumi:prod::{stack}::{type_}::{name}", type=type_, op=op, properties=properties
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("update", "update", None),
        ("create", "create", None),
        ("replace", "replace", None),
        ("delete", "delete", None),
        ("update", "", ALREADY_LIVE),
        ("", "update", ALSO_LIVE),
        ("", "delete", ALSO_LIVE),
        ("update", "replace", "the programs say update, the engine says replace"),
        ("create", "update", "the programs say create, the engine says update"),
    ],
)
def test_the_two_comparisons_are_one(ours: Op | str, theirs: str, said: str | None) -> None:
    changes = [change("raw", ours, PropertyChange(path="tags", before=1, after=2))] if ours else []  # type: ignore[arg-type]
    live = reconcile([stack(*changes)], [step("raw", theirs, "tags")] if theirs else [])
    assert live.compared
    assert live.agreed == (said is None)
    assert [(row.said, row.name, row.properties) for row in live.rows] == (
        [] if said is None else [(said, "raw", ("tags",))]
    )


def test_a_name_with_a_digest_is_the_same_resource_under_another_name() -> None:
    ours = change("migrate-0123abcd0123", "replace")
    live = reconcile([stack(ours)], [step("migrate-0123abcd0123", "create"), step("migrate-9876fedc9876", "delete")])
    assert (live.agreed, live.rows) == (1, ())


def test_what_the_engine_keeps_for_itself_is_in_neither() -> None:
    assert reconcile([stack(change("p", "create", type_="pulumi:providers:machine"))], []).rows == ()


def test_rows_are_sorted_whatever_the_order_of_events() -> None:
    steps = [step(name) for name in ("c", "a", "b")]
    assert reconcile([], steps) == reconcile([], steps[::-1])


def event(op: str, type_: str = "machine:index:File", diff: Any = None) -> Any:
    metadata = SimpleNamespace(
        op=SimpleNamespace(value=op), type=type_, urn=f"urn:pulumi:local::api::{type_}::x", detailed_diff=diff
    )
    return SimpleNamespace(
        resource_pre_event=SimpleNamespace(metadata=metadata), res_outputs_event=None, diagnostic_event=None
    )


def test_steps_are_kept_with_their_urns_and_quiet_ones_are_not() -> None:
    log = Log()
    for one in (
        event("update", diff={"b": 1, "a": 1}),
        event("same"),
        event("refresh"),
        event("create", "pulumi:pulumi:Stack"),
        event("read"),
    ):
        log.take(one)
    assert live_steps("api", log) == [
        LiveStep(
            stack="api",
            urn="urn:pulumi:local::api::machine:index:File::x",
            type="machine:index:File",
            op="update",
            properties=("a", "b"),
        )
    ]
    assert log.counts() == {"update": 1}
