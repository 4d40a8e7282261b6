"""Which resources of two declarations are the same thing, and how much work it is to find out."""

from __future__ import annotations

from collections import Counter
from collections.abc import ItemsView
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.changes import compare
from ci.preview.model import ABSENT, Change, StackChanges
from ci.programs import Program, Resource
from ci.tests.graphs import graph, resource

BUCKET, TOPIC, ROLE = "aws:s3/bucket:Bucket", "aws:sns/topic:Topic", "aws:iam/role:Role"
SCHEMA = "snowflake:index/schema:Schema"
ATTACHED = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
MAP, CLAIM = "kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:PersistentVolumeClaim"
FILE = "machine:index:File"


def compared(before: list[Resource], after: list[Resource]) -> StackChanges:
    (found,) = compare(
        graph(*before), graph(*after), base_root=Path("/checkouts/base"), head_root=Path("/checkouts/head"), reasons={}
    )
    return found


def ops(before: list[Resource], after: list[Resource]) -> list[tuple[str, str]]:
    """What happens to which resource, by its name."""
    return [(one.op, one.name) for one in compared(before, after).changes]


def only(before: list[Resource], after: list[Resource]) -> Change:
    (change,) = compared(before, after).changes
    return change


# -- the same real thing under another name ----------------------------------------------------------------------------

REAL = [
    (BUCKET, {"bucket": "raw"}),
    (ROLE, {"name": "api"}),
    (TOPIC, {"name": "alarms"}),
    (SCHEMA, {"name": "SALES", "database": "MARTS"}),
    (MAP, {"metadata": {"name": "settings", "namespace": "api"}}),
    (FILE, {"path": "/state/a"}),
    ("machine:index:PostgresRole", {"name": "reader", "address": "a:1"}),
    (ATTACHED, {"role": "api", "policyArn": "p"}),
]


@pytest.mark.parametrize(("type_", "said"), REAL, ids=[type_.rpartition(":")[2] for type_, _ in REAL])
def test_another_name_in_the_program_is_one_replacement_and_never_a_creation_beside_a_deletion(
    type_: str, said: dict[str, Any]
) -> None:
    old = resource(type_, "old", said)
    change = only([old], [resource(type_, "new", said)])
    (moved,) = change.properties
    assert (change.op, change.name, change.deletes_first) == ("replace", "new", False)
    assert (moved.path, moved.before, moved.after, moved.replaces) == ("urn", old.urn, change.urn, True)


@pytest.mark.parametrize(("type_", "said"), REAL, ids=[type_.rpartition(":")[2] for type_, _ in REAL])
def test_with_an_alias_it_is_no_change(type_: str, said: dict[str, Any]) -> None:
    old = resource(type_, "old", said)
    found = compared([old], [resource(type_, "new", said, aliases=("urn:of:nobody", old.urn))])
    assert (found.changes, found.same) == ((), 1)


def test_what_changes_on_the_way_is_said_beside_the_other_urn() -> None:
    before = resource(BUCKET, "old", {"bucket": "raw", "tags": {"owner": "a"}})
    after = resource(BUCKET, "new", {"bucket": "raw", "tags": {"owner": "b"}})
    assert [one.path for one in only([before], [after]).properties] == ["tags.owner", "urn"]


def test_an_alias_and_another_property_are_an_update_in_place() -> None:
    old = resource(BUCKET, "old", {"bucket": "raw", "tags": {"owner": "a"}})
    new = resource(BUCKET, "new", {"bucket": "raw", "tags": {"owner": "b"}}, aliases=(old.urn,))
    change = only([old], [new])
    assert (change.op, change.name, [one.path for one in change.properties]) == ("update", "new", ["tags.owner"])


def test_a_resource_that_keeps_its_urn_is_not_also_what_an_alias_says() -> None:
    kept = resource(BUCKET, "a", {"bucket": "a"})
    claims = resource(BUCKET, "b", {"bucket": "b"}, aliases=(kept.urn,))
    assert ops([kept], [kept, claims]) == [("create", "b")]
    assert ops([kept], [claims, kept]) == [("create", "b")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((BUCKET, {"bucket": "a"}), (BUCKET, {"bucket": "b"})),
        ((BUCKET, {"bucket": "a"}), (TOPIC, {"name": "a"})),
        ((SCHEMA, {"name": "S", "database": "A"}), (SCHEMA, {"name": "S", "database": "B"})),
        ((MAP, {"metadata": {"name": "a", "namespace": "x"}}), (MAP, {"metadata": {"name": "a", "namespace": "y"}})),
        ((FILE, {"path": "/a"}), (FILE, {"path": "/b"})),
        ((ATTACHED, {"role": "a"}), (ATTACHED, {"role": "b"})),
        (("aws:ec2/eip:Eip", {}), ("aws:ec2/eip:Eip", {})),
    ],
    ids=["another name", "another type", "another database", "another namespace", "another path", "another link",
         "nothing to know it by"],
)  # fmt: skip
def test_what_is_not_the_same_comes_and_goes(before: tuple[str, Any], after: tuple[str, Any]) -> None:
    found = ops([resource(before[0], "old", before[1])], [resource(after[0], "new", after[1])])
    assert sorted(found) == [("create", "new"), ("delete", "old")]


def test_two_that_are_called_the_same_are_not_guessed_at() -> None:
    old = [resource(ATTACHED, name, {"role": "a"}) for name in ("one", "two")]
    found = ops(old, [resource(ATTACHED, "new", {"role": "a"})])
    assert sorted(found) == [("create", "new"), ("delete", "one"), ("delete", "two")]


def test_a_twin_that_stays_leaves_the_other_to_be_known_by_its_name() -> None:
    stays, old = resource(ATTACHED, "stays", {"role": "a"}), resource(ATTACHED, "old", {"role": "a"})
    assert ops([stays, old], [stays, resource(ATTACHED, "new", {"role": "a"})]) == [("replace", "new")]


def test_two_names_that_are_swapped_are_two_changes_where_they_lie() -> None:
    before = [resource(BUCKET, "a", {"bucket": "x"}), resource(BUCKET, "b", {"bucket": "y"})]
    after = [resource(BUCKET, "a", {"bucket": "y"}), resource(BUCKET, "b", {"bucket": "x"})]
    assert ops(before, after) == [("replace", "a"), ("replace", "b")]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("migrate-7ab70f3d", "migrate-1f8f3bcb", True),
        ("migrate-7ab70f3d", "migrate", False),
        ("migrate-7ab70f3d", "seed-7ab70f3d", False),
        ("year-2025", "year-2026", False),
        ("feedface", "deadbeef", False),
    ],
)
def test_only_a_digest_in_the_end_of_a_name_is_overlooked(old: str, new: str, *, same: bool) -> None:
    sides = [[resource(MAP, name, {"metadata": {"name": name, "namespace": "a"}})] for name in (old, new)]
    assert [op for op, _ in sorted(ops(*sides))] == (["replace"] if same else ["create", "delete"])


# -- options and what is ignored ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ignore", "seen"),
    [
        ((), ["spec.replicas", "spec.replicasMax"]),
        (("spec.replicas",), ["spec.replicasMax"]),
        (("spec",), []),
        (("spec.replicas.deep",), ["spec.replicas", "spec.replicasMax"]),
        (("replicas",), ["spec.replicas", "spec.replicasMax"]),
    ],
)
def test_ignoring_a_path_ignores_it_and_what_lies_in_it_and_no_neighbour(ignore: Any, seen: list[str]) -> None:
    before, after = ({"spec": {"replicas": n, "replicasMax": n}} for n in (1, 2))
    found = compared([resource(MAP, "a", before, ignore=ignore)], [resource(MAP, "a", after, ignore=ignore)])
    assert [one.path for change in found.changes for one in change.properties] == seen


def test_what_the_engine_newly_ignores_is_said_as_an_option() -> None:
    change = only([resource(MAP, "a")], [resource(MAP, "a", ignore=("spec.a", "spec.b"))])
    (one,) = change.properties
    assert (one.path, one.before, one.after) == ("options.ignore", [], ["spec.a", "spec.b"])
    assert change.op == "update"


def test_an_option_never_makes_a_new_resource() -> None:
    change = only([resource(BUCKET, "a", {"bucket": "a"}, protect=True)], [resource(BUCKET, "a", {"bucket": "a"})])
    assert (change.op, change.may_replace) == ("update", False)


# -- replacements ------------------------------------------------------------------------------------------------------


def test_a_certain_replacement_is_not_also_a_possible_one() -> None:
    unsure = only([resource(BUCKET, "a", {"odd": 1})], [resource(BUCKET, "a", {"odd": 2})])
    assert (unsure.op, unsure.may_replace) == ("update", True)
    sure = only([resource(BUCKET, "a", {"odd": 1, "bucket": "a"})], [resource(BUCKET, "a", {"odd": 2, "bucket": "b"})])
    assert (sure.op, sure.may_replace) == ("replace", False)


def test_a_claim_on_a_disk_is_replaced_by_any_change_of_what_it_asks_for() -> None:
    meta = {"metadata": {"name": "a", "namespace": "b"}}
    change = only(
        [resource(CLAIM, "a", {**meta, "spec": {"resources": {"requests": {"storage": "1Gi"}}}})],
        [resource(CLAIM, "a", {**meta, "spec": {"resources": {"requests": {"storage": "2Gi"}}}})],
    )
    assert (change.op, change.deletes_first) == ("replace", True)


def test_a_property_that_appears_or_goes_replaces_as_one_that_changes_does() -> None:
    bare, said = resource(ROLE, "a", {"name": "a"}), resource(ROLE, "a", {"name": "a", "path": "/x/"})
    for sides, before, after in (((bare, said), ABSENT, "/x/"), ((said, bare), "/x/", ABSENT)):
        change = only([sides[0]], [sides[1]])
        (one,) = change.properties
        assert (change.op, one.path, one.before, one.after) == ("replace", "path", before, after)


# -- the whole ---------------------------------------------------------------------------------------------------------

SAID = st.dictionaries(st.sampled_from(["bucket", "tags", "odd"]), st.sampled_from(["a", "b", "c"]), max_size=3)
SIDE = st.dictionaries(st.sampled_from(["one", "two", "three", "four"]), SAID, max_size=4)


@given(SIDE, SIDE)
def test_every_resource_of_either_side_is_accounted_for_once(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = ([resource(BUCKET, name, said) for name, said in side.items()] for side in (before, after))
    counts = compared(old, new).counts()
    assert counts["create"] + counts["update"] + counts["replace"] + counts["same"] == len(after)
    assert counts["delete"] + counts["update"] + counts["replace"] + counts["same"] == len(before)


@given(SIDE, SIDE)
def test_there_and_back_names_the_same_resources_the_other_way(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = ([resource(BUCKET, name, said) for name, said in side.items()] for side in (before, after))
    there, back = (compared(*sides).counts() for sides in ((old, new), (new, old)))
    assert (there["create"], there["delete"]) == (back["delete"], back["create"])
    assert (there["update"], there["replace"], there["same"]) == (back["update"], back["replace"], back["same"])


@given(SIDE)
def test_nothing_differs_from_itself(side: dict[str, Any]) -> None:
    found = compared(*([resource(BUCKET, name, said) for name, said in side.items()] for _ in range(2)))
    assert (found.changes, found.same) == ((), len(side))


class Counted(dict[str, Any]):
    """Properties that count how often they are read whole."""

    def __init__(self, said: dict[str, Any], seen: Counter[str]) -> None:
        super().__init__(said)
        self._seen = seen

    def items(self) -> ItemsView[str, Any]:
        self._seen["read"] += 1
        return super().items()


def reads(number: int, *, renamed: bool) -> int:
    """How often the properties of this many resources are read, of which each is another one afterwards."""
    seen: Counter[str] = Counter()

    def side(prefix: str, tag: str) -> dict[str, Program]:
        return graph(
            *(resource(BUCKET, f"{prefix}{n}", Counted({"bucket": f"b{n}", "tags": tag}, seen)) for n in range(number))
        )

    compare(side("a", "x"), side("b" if renamed else "a", "y"), base_root=Path("/b"), head_root=Path("/h"), reasons={})
    return seen["read"]


@pytest.mark.parametrize("renamed", [False, True], ids=["the same names", "all renamed"])
def test_work_grows_with_the_number_of_resources_and_no_faster(*, renamed: bool) -> None:
    ten = reads(10, renamed=renamed)
    assert ten > 0
    assert reads(100, renamed=renamed) == 10 * ten
