"""The bench of comparing does compare: what it generates changes, and is risky, in the share that it says."""

from __future__ import annotations

from pathlib import Path

from ci.bench import comparing
from ci.preview.changes import compare


def test_every_tenth_resource_differs() -> None:
    base, head = (comparing.declared(400, changed=changed) for changed in (False, True))
    (found,) = compare(base, head, base_root=Path("/checkout"), head_root=Path("/checkout"), reasons={})
    assert len(found.changes) == 40
    assert found.same == 360
    assert {one.op for one in found.changes} == {"update", "replace"}


def test_the_figures_are_those_that_have_a_target() -> None:
    assert comparing.once(40) > 0
    assert set(comparing.TARGETS) == {f"compare_ms_at_{comparing.SIZES[-1]}_to_at_{comparing.SIZES[0]}"}
