"""How two values differ: by path and name, nothing missed, nothing said of what is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.differing import differences, document, known
from ci.preview.model import ABSENT, LATER

# Whole numbers and texts only: Python holds 1, 1.0 and true for the same.
LEAVES = st.none() | st.integers() | st.text(alphabet="abcdef", max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "port", "a", "b/c"]), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a", "b", [("", "a", "b")]),
        (1, None, [("", 1, None)]),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {}, [("a", 1, ABSENT)]),
        ({}, {"a": 1}, [("a", ABSENT, 1)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, [("a", 1, 2), ("b", 1, 2)]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", 1, 2)]),
        ({"a": 1}, {"a": {"b": 1}}, [("a", 1, {"b": 1})]),
        ({"a": [1]}, {"a": "1"}, [("a", [1], "1")]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", [1, 2], [2, 1])]),
        ({"a": []}, {"a": ["x"]}, [("a", [], ["x"])]),
    ],
)
def test_a_difference_has_the_path_and_both_values(before: Any, after: Any, said: list[Any]) -> None:
    assert list(differences(before, after)) == said


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("days", "x.days"),
        ("max_days", "x.max_days"),
        ("max-days", "x.max-days"),
        ("app.kubernetes.io/name", "x[app.kubernetes.io/name]"),
        ("s3:prefix", "x[s3:prefix]"),
        ("two words", "x[two words]"),
        ("", "x[]"),
    ],
)
def test_a_key_that_could_be_read_as_a_path_is_in_brackets(key: str, path: str) -> None:
    assert list(differences({"x": {key: 1}}, {"x": {key: 2}})) == [(path, 1, 2)]


def test_a_key_in_brackets_needs_no_dot_also_at_the_top() -> None:
    assert [path for path, _, _ in differences({"a/b": {"c": 1}}, {"a/b": {"c": 2}})] == ["[a/b].c"]


# -- lists -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["name", "Sid", "key", "id", "rulePriority", "port", "containerPort", "topologyKey"])
def test_entries_go_by_their_names_and_not_by_their_place(key: str) -> None:
    before = [{key: "a", "v": 1}, {key: "b", "v": 1}]
    after = [{key: "new", "v": 0}, {key: "a", "v": 1}, {key: "b", "v": 2}]
    assert list(differences({"l": before}, {"l": after})) == [
        ("l[b].v", 1, 2),
        ("l[new]", ABSENT, {key: "new", "v": 0}),
    ]


def test_an_entry_that_goes_is_said_by_its_name() -> None:
    before, after = [{"name": "a"}, {"name": "b"}], [{"name": "b"}]
    assert list(differences(before, after, "env")) == [("env[a]", {"name": "a"}, ABSENT)]


def test_all_entries_that_go_are_said_one_by_one() -> None:
    assert list(differences([{"name": "b"}, {"name": "a"}], [], "env")) == [
        ("env[a]", {"name": "a"}, ABSENT),
        ("env[b]", {"name": "b"}, ABSENT),
    ]


def test_another_order_of_the_same_named_entries_is_said_as_their_order() -> None:
    before = [{"name": "a"}, {"name": "b"}]
    assert list(differences({"l": before}, {"l": before[::-1]})) == [("l.order", ["a", "b"], ["b", "a"])]


def test_an_order_is_no_difference_of_its_own_where_entries_come_or_go() -> None:
    before, after = [{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "c"}]
    assert [path for path, _, _ in differences(before, after, "l")] == ["l[a]", "l[c]"]


def test_where_two_entries_share_a_name_the_next_key_tells_them_apart() -> None:
    before = [{"name": "x", "port": 80, "v": 1}, {"name": "x", "port": 90, "v": 1}]
    after = [{"name": "x", "port": 80, "v": 1}, {"name": "x", "port": 90, "v": 2}]
    assert list(differences(before, after, "ports")) == [("ports[90].v", 1, 2)]


def test_a_number_that_becomes_a_text_is_still_the_same_entry() -> None:
    assert list(differences([{"port": 80}], [{"port": "80"}], "ports")) == [("ports[80].port", 80, "80")]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([{"a": 1}, {"b": 1}], [{"a": 1}, {"b": 2}], [("l[1].b", 1, 2)]),
        ([{"a": 1}], [{"a": 1}, {"a": 1}], [("l[1]", ABSENT, {"a": 1})]),
        ([{"a": 1}, {"a": 1}], [{"a": 1}], [("l[1]", {"a": 1}, ABSENT)]),
        ([{"a": 1}, {"b": 1}], [{"b": 1}, {"a": 1}], [("l.order", [{"a": 1}, {"b": 1}], [{"b": 1}, {"a": 1}])]),
        ([{"a": 1}, {"b": 1}, {"c": 1}], [{"b": 1}, {"c": 2}], [("l[1].a", 1, ABSENT), ("l[1].c", ABSENT, 2), ("l[2]", {"c": 1}, ABSENT)]),
    ],
    ids=["changed", "one more of the same", "one less of the same", "order", "moved up"],
)  # fmt: skip
def test_entries_without_names_leave_out_what_both_have(before: Any, after: Any, said: list[Any]) -> None:
    assert list(differences(before, after, "l")) == said


def test_a_list_of_texts_and_objects_is_one_difference() -> None:
    assert list(differences(["a", {"name": "b"}], ["a"], "l")) == [("l", ["a", {"name": "b"}], ["a"])]


# -- documents in texts ------------------------------------------------------------------------------------------------

POLICY = {"Statement": [{"Sid": "Read", "Action": ["s3:GetObject"]}]}


def test_json_in_a_text_is_compared_as_what_it_says() -> None:
    wider = {"Statement": [{"Sid": "Read", "Action": ["s3:GetObject", "s3:PutObject"]}]}
    assert list(differences({"policy": json.dumps(POLICY)}, {"policy": json.dumps(wider)})) == [
        ("policy.Statement[Read].Action", ["s3:GetObject"], ["s3:GetObject", "s3:PutObject"])
    ]


def test_json_that_is_only_written_in_another_way_is_the_same() -> None:
    assert list(differences(json.dumps(POLICY), json.dumps(POLICY, indent=2))) == []


@pytest.mark.parametrize("broken", ["{", "[1,", "{'a': 1}", "{{ template }}", "plain"])
def test_a_text_that_is_no_json_is_compared_as_a_text(broken: str) -> None:
    assert document(broken) is None
    assert list(differences('{"a": 1}', broken, "x")) == [("x", '{"a": 1}', broken)]


@pytest.mark.parametrize("found", [None, 5, ["{"], {"a": 1}, "", '"text"', "12", "true", "null"])
def test_only_objects_and_lists_in_texts_are_documents(found: Any) -> None:
    assert document(found) is None


@pytest.mark.parametrize("found", [{}, [], {"a": [1]}, [{"b": None}]])
def test_an_object_or_a_list_in_a_text_is_a_document(found: Any) -> None:
    assert document(json.dumps(found)) == found


# -- what nobody knows yet ---------------------------------------------------------------------------------------------


def test_what_is_not_known_before_it_is_deployed_is_said_so_wherever_it_lies() -> None:
    assert known({"a": "[unknown]", "b": ["[unknown]", {"c": "[unknown]"}], "d": 1}) == {
        "a": LATER,
        "b": [LATER, {"c": LATER}],
        "d": 1,
    }
    assert list(differences({"arn": "arn:1"}, {"arn": "[unknown]"})) == [("arn", "arn:1", LATER)]
    assert list(differences({}, {"x": ["[unknown]"]})) == [("x", ABSENT, [LATER])]


def test_a_text_that_only_names_the_mark_is_left_as_it_is() -> None:
    assert known("an [unknown] word") == "an [unknown] word"


# -- for all values ----------------------------------------------------------------------------------------------------


@given(VALUES)
def test_nothing_is_said_of_what_is_the_same(value: Any) -> None:
    assert list(differences(value, json.loads(json.dumps(value)))) == []


@given(VALUES, VALUES)
def test_no_difference_is_missed_and_none_is_said_twice(before: Any, after: Any) -> None:
    said = list(differences(before, after))
    assert bool(said) == (before != after)
    paths = [path for path, _, _ in said]
    assert len(set(paths)) == len(paths)


@given(VALUES, VALUES)
def test_going_back_is_the_same_differences_the_other_way(before: Any, after: Any) -> None:
    def sorted_(found: Any) -> list[str]:
        return sorted(map(str, found))

    # Entries without names are numbered by where they are after the change, so only how many there are is the same.
    there, back = list(differences(before, after)), list(differences(after, before))
    assert sorted_((old, new) for _, old, new in there) == sorted_((new, old) for _, old, new in back)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)), st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)))  # fmt: skip
def test_the_differences_are_enough_to_make_the_one_from_the_other(
    before: dict[str, int], after: dict[str, int]
) -> None:
    made: dict[str, Any] = dict(before)
    for path, old, new in differences(before, after):
        assert made.get(path, ABSENT) == old
        made.pop(path, None)
        if new != ABSENT:
            made[path] = new
    assert made == after
