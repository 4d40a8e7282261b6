"""Previews by hand, for tests of what shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ci.preview.model import Change, Op, PropertyChange, Risk, RiskKind, StackChanges
from ci.preview.report import Commits, Live, Preview, ordered

COMMITS = Commits(
    base="a" * 40, how="where this branch left origin/main", head="1a2b3c4d5e" + "0" * 30,
    time=datetime(2026, 11, 25, 14, 2, tzinfo=UTC), dirty=False,
)  # fmt: skip
NOT_LIVE = Live(compared=False, why="no credentials")


def change(
    name: str,
    op: Op = "update",
    *properties: PropertyChange,
    stack: str = "lake",
    type_: str = "aws:s3/bucket:Bucket",
    **more: Any,
) -> Change:
    urn = f"urn:pulumi:prod::{stack}::{type_}::{name}"
    return Change(stack=stack, urn=urn, type=type_, name=name, op=op, properties=properties, **more)


def risk(
    name: str, kind: RiskKind = "data", why: str = "would be replaced", *, stack: str = "lake", **more: Any
) -> Risk:
    type_ = "aws:s3/bucket:Bucket"
    urn = f"urn:pulumi:prod::{stack}::{type_}::{name}"
    whole = {"teams": ("lake-team",), **more}
    return Risk(kind=kind, stack=stack, urn=urn, type=type_, name=name, why=why, **whole)


def stack(*changes: Change, name: str = "lake", same: int = 0, reasons: tuple[str, ...] = ()) -> StackChanges:
    return StackChanges(stack=name, reasons=reasons, changes=changes, same=same)


def preview(*stacks: StackChanges, risks: tuple[Risk, ...] = (), **more: Any) -> Preview:
    whole: dict[str, Any] = {"environment": "prod", "commits": COMMITS, "live": NOT_LIVE, **more}
    whole.setdefault("needs", {one.stack: () for one in stacks})
    return Preview(stacks=stacks, risks=ordered(risks), **whole)
