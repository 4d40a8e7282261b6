"""Risks as rows: grouped ever more coarsely, and none, nor anybody who signs, is lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.model import RISKS, Risk
from ci.preview.risk_rows import LEVELS, general, rows
from ci.tests.preview.previews import risk

NAMES = st.sampled_from(["a", "b", "c", "d"])
RISK = st.builds(
    risk,
    NAMES,
    st.sampled_from(RISKS),
    st.sampled_from(["deleted", "kept 7 days", "kept 30 days", "a is gone"]),
    stack=st.sampled_from(["lake", "api"]),
    teams=st.sets(st.sampled_from(["x", "y", "z"])).map(lambda found: tuple(sorted(found))),
    confirm=st.booleans(),
)
MANY = st.lists(RISK, max_size=12, unique=True)


@given(MANY, st.integers(0, LEVELS - 1))
def test_the_counts_of_every_level_are_all_risks(found: list[Risk], level: int) -> None:
    assert sum(row.count for row in rows(found, level)) == len(found)


@given(MANY, st.integers(0, LEVELS - 1))
def test_whoever_signs_and_whatever_is_confirmed_stays(found: list[Risk], level: int) -> None:
    made = rows(found, level)
    for one in found:
        mine = [row for row in made if row.kind == one.kind and row.stack in ("", one.stack)]
        assert any(set(one.teams) <= set(row.teams) and row.confirm >= one.confirm for row in mine)


@given(MANY)
def test_a_coarser_level_never_has_more_rows(found: list[Risk]) -> None:
    lengths = [len(rows(found, level)) for level in range(LEVELS)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == len({one.kind for one in found})


@given(MANY)
def test_the_first_level_says_each_risk_by_itself_in_its_order(found: list[Risk]) -> None:
    assert [(row.kind, row.names, row.why, row.count) for row in rows(found, 0)] == [
        (one.kind, (one.name,), one.why, 1) for one in found
    ]


def test_risks_of_one_cause_are_one_row_that_names_them_all() -> None:
    found = [risk(name, why=f"{name} is kept {days} days") for name, days in (("b", 7), ("a", 30), ("c", 1))]
    (row,) = rows(found, 1)
    assert (row.count, row.names, row.why) == (3, ("a", "b", "c"), "b is kept 7 days")
    (shorter,) = rows(found, 2)
    assert (shorter.count, shorter.names) == (3, ("a", "c"))


def test_risks_of_several_causes_say_how_many() -> None:
    found = [risk("a", why="deleted"), risk("b", why="replaced")]
    assert [len(rows(found, level)) for level in (0, 1, 2)] == [2, 2, 2]
    (row,) = rows(found, 3)
    assert (row.why, row.stack, row.type) == ("2 reasons, among them: deleted", "lake", "aws:s3/bucket:Bucket")


def test_a_row_of_several_stacks_names_none() -> None:
    (row,) = rows([risk("a", stack="lake"), risk("a", stack="api")], LEVELS - 1)
    assert (row.stack, row.names, row.count) == ("", ("a",), 2)


def test_those_that_other_teams_sign_are_rows_of_their_own_while_there_is_room() -> None:
    found = [risk("a", teams=("x",)), risk("b", teams=("y",)), risk("c", teams=("x",), confirm=True)]
    assert [row.names for row in rows(found, 1)] == [("a",), ("b",), ("c",)]
    (whole,) = rows(found, 3)
    assert (whole.teams, whole.confirm) == (("x", "y"), True)


@pytest.mark.parametrize(
    ("name", "why", "expected"),
    [
        ("raw", "raw is kept 7 days", "NAME is kept N days"),
        ("raw", "kept 30 days", "kept N days"),
        ("a1", "a1 -> a12", "NAME -> aN"),
        ("a", "a has data", "NAME has data"),
        ("", "kept 7 days", "kept N days"),
        ("raw", "deleted", "deleted"),
    ],
)
def test_a_cause_is_the_same_without_name_and_numbers(name: str, why: str, expected: str) -> None:
    assert general(risk(name, why=why)) == expected


def test_no_risks_are_no_rows() -> None:
    assert [rows([], level) for level in range(LEVELS)] == [[]] * LEVELS
