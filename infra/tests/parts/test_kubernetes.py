"""What an environment's file may say of its cluster."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from infra.environment import Environment, names
from infra.parts.kubernetes import Kubernetes

GOOD: dict[str, Any] = {"prefix": "leandata-", "replicas": 2, "replicas_at_most": 4}


def test_what_is_left_out_has_a_sensible_default() -> None:
    assert Kubernetes.model_validate(GOOD).registry == ""


@pytest.mark.parametrize("prefix", ["", "leandata-", "team-a-", "x"])
def test_a_prefix_begins_names_that_dns_takes(prefix: str) -> None:
    assert Kubernetes.model_validate({**GOOD, "prefix": prefix}).prefix == prefix


@pytest.mark.parametrize("prefix", ["-", "Leandata-", "a_b-", "a" * 40, "../", "a b", "kube$"])
def test_a_prefix_that_dns_does_not_take_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError):
        Kubernetes.model_validate({**GOOD, "prefix": prefix})


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 0},
        {"replicas": -1},
        {"replicas": 5},
        {"replicas_at_most": 0},
        {"replicas_at_most": 201},
        {"replicas": "2"},
        {"replicas": 1.5},
        {"colour": "red"},
    ],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Kubernetes.model_validate({**GOOD, **changes})


@pytest.mark.parametrize("name", [name for name in names() if name != "local"])
def test_our_environments_keep_services_through_the_loss_of_a_pod_where_it_counts(name: str) -> None:
    table = Environment.load(name, environ={}).file.kubernetes
    assert table is not None
    assert table.replicas >= (2 if name in ("prod", "staging") else 1)
    assert table.replicas_at_most >= table.replicas
