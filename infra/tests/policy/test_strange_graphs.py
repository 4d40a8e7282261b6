"""Whatever a graph holds, rules give findings and no traceback: what is not known is a text where a mapping should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.policy import RULES, judge
from infra.policy.cases import Node
from infra.policy.graph import PRODUCTION, Graph, Resource

DAY = date(2026, 11, 25)


@dataclass
class Whole:
    resources: dict[str, Resource]


def programs(nodes: Sequence[Resource]) -> dict[str, Whole]:
    return {"it": Whole({one.urn: one for one in nodes})}


STRANGE = ["[unknown]", None, [{}], {"": ""}]


def variants(value: Any, put: Any) -> Iterator[Any]:
    """The value with `put` in the place of each of its parts, one at a time."""
    yield put
    if isinstance(value, dict):
        for key, part in value.items():
            for variant in variants(part, put):
                yield {**value, key: variant}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            for variant in variants(part, put):
                yield [*value[:place], variant, *value[place + 1 :]]


def everything(case: tuple[Resource, ...], put: Any) -> Iterator[list[Node]]:
    for place, one in enumerate(case):
        assert isinstance(one, Node)
        for properties in variants(dict(one.properties), put):
            if isinstance(properties, dict):
                yield [*case[:place], replace(one, properties=properties), *case[place + 1 :]]  # type: ignore[list-item]


@pytest.mark.parametrize("put", STRANGE, ids=repr)
def test_a_strange_value_anywhere_breaks_no_rule(put: Any):
    for rule in RULES:
        for case in (rule.good, rule.bad):
            for resources in everything(case, put):
                graph = Graph.from_resources(resources, PRODUCTION)
                list(rule.check(graph))


KEYS = st.sampled_from(
    ["spec", "template", "containers", "volumes", "name", "metadata", "labels", "rules", "policy", "Statement", "Action",
     "Resource", "Condition", "Principal", "ingress", "from", "to", "data", "securityContext", "tags", "notifications"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 70_000)
    | st.sampled_from(["[unknown]", "*", "it", "0.0.0.0/0", "Allow"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
TYPES = sorted({one.type for rule in RULES for one in (*rule.good, *rule.bad)})


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(KEYS, VALUES, max_size=5)), max_size=4))
def test_whole_graphs_of_nonsense_are_judged(found: list[tuple[str, dict[str, Any]]]):
    nodes = [Node(type=type_, name=str(number), properties=made) for number, (type_, made) in enumerate(found)]
    verdict = judge(programs(nodes), waivers=[], today=DAY)
    assert verdict == sorted(verdict)
    assert all(one.remedy and one.rule and one.resource for one in verdict)


def test_the_same_graph_gives_the_same_verdict():
    every = [replace(one, name=f"{rule.id}-{one.name}") for rule in RULES for one in rule.bad if isinstance(one, Node)]
    first = judge(programs(every), waivers=[], today=DAY)
    assert first == judge(programs(every[::-1]), waivers=[], today=DAY)
    assert len({one.rule for one in first}) > len(RULES) / 2
