"""What an environment's file may say of managed services: mistakes are said by key, before anything is asked of AWS."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from infra.environment import Environment
from infra.parts.base import Part
from infra.parts.managed import Login, ManagedCluster, ManagedDatabase, ManagedLake

GOOD: dict[type[Part], dict[str, Any]] = {
    ManagedCluster: {
        "version": "1.35", "open_to": ["192.0.2.0/24"], "admins": ["arn:aws:iam::111111111111:role/people/admins"],
    },
    ManagedDatabase: {
        "instance": "db.t4g.micro", "version": "17", "storage": 20, "storage_at_most": 50, "standby": False,
        "backup_days": 7,
    },
    ManagedLake: {"seldom_after": 30, "archived_after": 90, "versions": 30, "logs": 30},
    Login: {
        "issuer": "https://login.example", "authorization": "https://login.example/authorize",
        "token": "https://login.example/token", "user_info": "https://login.example/me",
        "certificate": "arn:aws:acm:eu-central-1:111111111111:certificate/0-1",
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_well_formed_is_read(kind: type[Part]) -> None:
    assert kind.model_validate(GOOD[kind]).model_dump() == GOOD[kind]


@pytest.mark.parametrize("kind", GOOD)
def test_every_key_has_to_be_there_and_no_other(kind: type[Part]) -> None:
    for key in GOOD[kind]:
        rest = {name: value for name, value in GOOD[kind].items() if name != key}
        with pytest.raises(ValidationError, match=rf"{key}\n  Field required"):
            kind.model_validate(rest)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind.model_validate({**GOOD[kind], "colour": "blue"})


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (ManagedCluster, {"open_to": ["0.0.0.0/0"]}),
        (ManagedCluster, {"open_to": ["10.0.0.0/7"]}),
        (ManagedCluster, {"open_to": ["192.0.2.0/33"]}),
        (ManagedCluster, {"admins": []}),
        (ManagedCluster, {"admins": ["arn:aws:iam::111111111111:user/anna"]}),
        (ManagedCluster, {"admins": ["arn:aws:iam::111111111111:root"]}),
        (ManagedCluster, {"version": "latest"}),
        (ManagedDatabase, {"instance": "t4g.micro"}),
        (ManagedDatabase, {"version": "17.2"}),
        (ManagedDatabase, {"backup_days": 0}),
        (ManagedDatabase, {"backup_days": 36}),
        (ManagedDatabase, {"storage": 100, "storage_at_most": 50}),
        (ManagedDatabase, {"standby": "yes"}),
        (ManagedLake, {"seldom_after": 29}),
        (ManagedLake, {"archived_after": 45, "seldom_after": 30}),
        (ManagedLake, {"versions": 6}),
        (ManagedLake, {"logs": "30"}),
        (Login, {"issuer": "http://login.example"}),
        (Login, {"token": "https://login.example/token?secret=1"}),
        (Login, {"certificate": "arn:aws:iam::111111111111:server-certificate/x"}),
    ],
)
def test_what_would_be_unsafe_or_refused_by_aws_is_refused_here(kind: type[Part], changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate({**GOOD[kind], **changed})


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_no_environment_opens_its_cluster_to_everybody(name: str) -> None:
    aws = Environment.load(name, environ={}).file.aws
    assert aws is not None
    assert not any(block.endswith("/0") for block in aws.cluster.open_to)
    assert aws.cluster.admins


def test_production_keeps_a_second_server_and_backups_for_five_weeks() -> None:
    aws = Environment.load("prod", environ={}).file.aws
    assert aws is not None
    assert aws.database.standby
    assert aws.database.backup_days == 35
    assert aws.protected
