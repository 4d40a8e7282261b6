"""Tables whose reading is watched: which keys were read, by themselves or with all of a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.components.observed import Observed, was_read, watching


class Inner(Observed):
    """A table in a table."""

    size: int
    names: list[str]


class Outer(Observed):
    """A table with one table, several, and one that may be missing."""

    name: str
    inner: Inner
    many: list[Inner]
    may: Inner | None = None

    @property
    def total(self) -> int:
        return self.inner.size + sum(one.size for one in self.many)


def table(**more: Inner) -> Outer:
    inner = Inner(size=1, names=["a"])
    return Outer(name="n", inner=inner, many=[Inner(size=2, names=[]), Inner(size=3, names=[])], **more).placed("t")


@pytest.mark.parametrize(
    ("read", "keys"),
    [
        (lambda one: one.name, {"t.name"}),
        (lambda one: one.inner.size, {"t.inner", "t.inner.size"}),
        (lambda one: one.many[1].names, {"t.many", "t.many[1].names"}),
        (lambda one: len(one.many), {"t.many"}),
        (lambda one: one.may is None, {"t.may"}),
        (lambda one: one.total, {"t.inner", "t.inner.size", "t.many", "t.many[0].size", "t.many[1].size"}),
        (lambda one: one.model_dump(), {"t.*"}),
        (lambda one: one.inner.model_dump_json(), {"t.inner", "t.inner.*"}),
        (lambda one: one == table(), {"t.*"}),
        (dict, {"t.*"}),
        (repr, {"t.*"}),
        (lambda one: one.model_copy(), {"t.*"}),
    ],
)
def test_what_is_read_is_noted(read: Callable[[Outer], object], keys: set[str]) -> None:
    found = table()
    with watching() as seen:
        read(found)
    assert keys <= seen
    assert seen == keys or "t.*" in keys


def test_nothing_is_noted_of_a_table_that_is_made_or_read_outside() -> None:
    with watching() as seen:
        found = table()
        assert found.flattened()["t.name"] == "n"
    assert seen == set()
    assert found.name == "n"
    assert seen == set()


def test_every_key_has_a_value_and_a_list_of_tables_how_many_they_are() -> None:
    assert table().flattened() == {
        "t.name": "n", "t.inner.size": 1, "t.inner.names": ["a"], "t.many": 2, "t.many[0].size": 2,
        "t.many[0].names": [], "t.many[1].size": 3, "t.many[1].names": [], "t.may": None,
    }  # fmt: skip
    assert "t.may.size" in table(may=Inner(size=1, names=[])).flattened()


@pytest.mark.parametrize(
    ("key", "read", "expected"),
    [
        ("t.many[0].size", {"t.many[0].size"}, True),
        ("t.many[0].size", {"t.*"}, True),
        ("t.many[0].size", {"t.many[0].*"}, True),
        ("t.many[0].size", {"t.many", "t.many[1].*", "t.many[0].names"}, False),
        ("other.size", {"t.*"}, False),
    ],
)
def test_a_key_was_read_by_itself_or_with_its_table(key: str, read: set[str], expected: bool) -> None:
    assert was_read(key, read) is expected
