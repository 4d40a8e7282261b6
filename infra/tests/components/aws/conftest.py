"""Programs on AWS run by themselves, on a ground that a test can read: keys named by their class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import ON_AWS, declared_by
from infra.components.stack import Stack

Run = Callable[..., Program]


@pytest.fixture(scope="session")
def ground() -> dict[str, dict[str, Any]]:
    """The outputs of the stacks that everything on AWS stands on."""
    return ON_AWS


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a function that declares; what it declares in `environment`, as part of the stack of that name."""

    def declared(declare: Callable[[Stack], None], *, stack: str, environment: str = "prod") -> Program:
        return declared_by(environment, declare, stack=stack, outputs=ON_AWS)

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
