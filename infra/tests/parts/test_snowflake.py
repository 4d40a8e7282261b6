"""What an environment's file may say of Snowflake, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.environment import Environment
from infra.parts.snowflake import Snowflake

SIZE: dict[str, Any] = {
    "serves": "services",
    "size": "XSMALL",
    "credits": 10,
    "auto_suspend": 60,
    "statement_timeout": 60,
}
GOOD: dict[str, Any] = {
    "organization": "EXAMPLE", "account": "LEANDATA_PROD", "region": "eu-central-1", "deployer": "LEANDATA_DEPLOY",
    "networks": ["203.0.113.30/32"], "offices": ["198.51.100.0/24"], "retention_days": 7,
    "warehouses": {"PIPELINES": SIZE, "ANALYSIS": {**SIZE, "serves": "teams"}},
}  # fmt: skip


def problem(**changes: Any) -> str:
    """What is said of the table with these changes."""
    with pytest.raises(ValidationError) as told:
        Snowflake.model_validate({**GOOD, **changes})
    found = told.value.errors()[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"


def sized(**changes: Any) -> dict[str, Any]:
    return {**GOOD["warehouses"], "PIPELINES": {**SIZE, **changes}}


def test_a_good_table_is_taken() -> None:
    found = Snowflake.model_validate(GOOD)
    assert (found.serving("services"), found.serving("teams")) == ("PIPELINES", "ANALYSIS")


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_environments_are_reached_from_few_addresses_and_end_when_idle(name: str) -> None:
    said = Environment.load(name, environ={}).file.snowflake
    assert said is not None
    assert all(not network.endswith("/0") for network in (*said.networks, *said.offices))
    assert all(size.auto_suspend <= 60 for size in said.warehouses.values())
    assert all(network.endswith("/32") for network in said.networks)


def test_production_keeps_data_the_longest_and_dev_costs_the_least() -> None:
    tables = {name: Environment.load(name, environ={}).file.snowflake for name in ("dev", "staging", "prod")}
    kept = {name: said.retention_days for name, said in tables.items() if said is not None}
    money = {
        name: sum(w.credits for w in said.warehouses.values()) for name, said in tables.items() if said is not None
    }
    assert kept["prod"] == max(kept.values()) == 90
    assert money["dev"] == min(money.values())


@pytest.mark.parametrize("seconds", [-1, 0, 61, 600])
def test_a_warehouse_ends_after_at_most_a_minute(seconds: int) -> None:
    assert problem(warehouses=sized(auto_suspend=seconds)).startswith("warehouses.PIPELINES.auto_suspend")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"networks": ["0.0.0.0/0"]}, "wider than a /8"),
        ({"offices": ["10.0.0.0/7"]}, "wider than a /8"),
        ({"networks": []}, "networks"),
        ({"networks": ["203.0.113.30"]}, None),
        ({"networks": ["b", "a"]}, "networks"),
        ({"networks": ["203.0.113.31/32", "203.0.113.30/32"]}, "not sorted"),
        ({"networks": ["203.0.113.30/32", "203.0.113.30/32"]}, "named twice"),
        ({"networks": ["203.0.113.30/24"]}, "host bits"),
        ({"networks": ["2001:db8::/32"]}, "networks"),
        ({"retention_days": 0}, "retention_days"),
        ({"retention_days": 91}, "retention_days"),
        ({"deployer": "lower"}, "deployer"),
        ({"deployer": 'X"; DROP'}, "deployer"),
        ({"account": "leandata"}, "account"),
        ({"region": "Frankfurt"}, "region"),
        ({"warehouses": {}}, "warehouses"),
        ({"warehouses": {"pipelines": SIZE}}, "warehouses"),
        ({"warehouses": {"PIPELINES": SIZE}}, "none of them serves teams"),
        ({"warehouses": sized(serves="teams")}, "none of them serves services"),
        ({"warehouses": sized(size="X6LARGE")}, "size"),
        ({"warehouses": sized(credits=0)}, "credits"),
        ({"warehouses": sized(statement_timeout=0)}, "statement_timeout"),
        ({"warehouses": sized(always_on=True)}, "always_on"),
        ({"password": "x"}, "password"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert Snowflake.model_validate({**GOOD, **changes}).networks == changes["networks"]
        return
    assert said in problem(**changes)


@given(
    st.dictionaries(st.sampled_from(sorted(GOOD)), st.one_of(st.none(), st.integers(), st.text(max_size=9)), min_size=1)
)
def test_whatever_it_says_the_problem_is_one_of_the_model(changes: dict[str, Any]) -> None:
    try:
        Snowflake.model_validate({**GOOD, **changes})
    except ValidationError as error:
        told = error.error_count()
    else:
        told = 0
    assert told <= len(GOOD)
