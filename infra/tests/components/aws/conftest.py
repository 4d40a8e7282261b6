"""Programs on AWS run by themselves, on a ground that a test can read: keys named by their class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import declared_by
from infra.components.stack import Stack

KEY = "arn:aws:kms:eu-central-1:333333333333:key/"
GROUND: dict[str, dict[str, Any]] = {
    "cluster": {"kubeconfig": "{}", "security_group": "sg-pods"},
    "foundation": {
        "alarms": "arn:aws:sns:eu-central-1:333333333333:alarms",
        "key_database": f"{KEY}database",
        "key_lake": f"{KEY}lake",
        "key_logs": f"{KEY}logs",
        "key_secrets": f"{KEY}secrets",
        "private_subnets": ["subnet-a", "subnet-b", "subnet-c"],
        "public_subnets": ["subnet-x", "subnet-y", "subnet-z"],
        "registry": "333333333333.dkr.ecr.eu-central-1.amazonaws.com",
        "vpc": "vpc-1",
        "vpc_cidr": "10.0.0.0/16",
    },
}
Run = Callable[..., Program]


@pytest.fixture(scope="session")
def ground() -> dict[str, dict[str, Any]]:
    """The outputs of the stacks that everything on AWS stands on."""
    return GROUND


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a function that declares; what it declares in `environment`, as part of the stack of that name."""

    def declared(declare: Callable[[Stack], None], *, stack: str, environment: str = "prod") -> Program:
        return declared_by(environment, declare, stack=stack, outputs=GROUND)

    return declared


@pytest.fixture(scope="session")
def told() -> Callable[..., Stack]:
    """The stack as it is when the environment's file says something else: `told(stack, "cluster", open_to=[...])`."""

    def changed(stack: Stack, table: str, **values: object) -> Stack:
        aws = stack.environment.file.aws
        assert aws is not None
        part = getattr(aws, table)
        other = type(part).model_validate({**part.model_dump(), **values})
        file = stack.environment.file.model_copy(update={"aws": aws.model_copy(update={table: other})})
        return replace(stack, environment=replace(stack.environment, file=file))

    return changed
