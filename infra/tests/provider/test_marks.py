"""A secret is marked the same way wherever it lies: the mark changes with it and does not tell it."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ci.programs import Program, Resource
from ci.verbs.deploy import totals
from infra.provider.kinds.files import MAKERS, fingerprint, mark


@given(secret=st.binary(min_size=1, max_size=200))
def test_a_mark_is_short_and_says_nothing(secret: bytes) -> None:
    found = mark(secret)
    assert re.fullmatch(r"[0-9a-f]{16}", found)
    assert len(secret) < 4 or secret.hex() not in found


@given(one=st.binary(max_size=50), other=st.binary(max_size=50))
def test_another_secret_has_another_mark(one: bytes, other: bytes) -> None:
    assert (mark(one) == mark(other)) == (one == other)


def test_a_file_has_the_mark_of_what_it_holds(tmp_path: Path) -> None:
    for kind, make in sorted(MAKERS.items()):
        path, secret = tmp_path / kind, make()
        path.write_text(secret)
        assert fingerprint(path) == mark(secret.encode())


def resource(type_: str, name: str) -> Resource:
    return Resource(
        urn=f"urn:pulumi:local::it::{type_}::{name}", type=type_, name=name, parent="", custom=True, properties={},
        needs=(), protect=False, retain=False, ignore=(),
    )  # fmt: skip


def test_what_is_counted_of_a_deployment_is_what_any_provider_makes() -> None:
    ours = [resource("machine:index:Secret", "a"), resource("machine:index:Process", "b")]
    theirs = [resource("leandata:index:Service", "c"), resource("aws:s3/bucket:Bucket", "d")]
    programs = {
        "api": Program(resources={one.urn: one for one in [*ours, *theirs]}),
        "lake": Program(),
    }
    assert totals(programs) == {"api": 3, "lake": 0}
    assert totals({}) == {}
