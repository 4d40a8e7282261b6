"""A program run by itself under mocks, in an environment, with outputs of other stacks that a test says."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from ci import programs
from ci.graph import StackInfo, discover
from ci.programs import Program, Resource
from ci.snapshot import take
from infra.components.stack import Stack
from infra.environment import ROOT, Environment

_KEY = "arn:aws:kms:eu-central-1:333333333333:key/"
ON_AWS: dict[str, dict[str, Any]] = {
    "cluster": {"kubeconfig": "{}", "security_group": "sg-pods"},
    "foundation": {
        "alarms": "arn:aws:sns:eu-central-1:333333333333:alarms",
        "key_database": f"{_KEY}database",
        "key_lake": f"{_KEY}lake",
        "key_logs": f"{_KEY}logs",
        "key_secrets": f"{_KEY}secrets",
        "private_subnets": ["subnet-a", "subnet-b", "subnet-c"],
        "public_subnets": ["subnet-x", "subnet-y", "subnet-z"],
        "registry": "333333333333.dkr.ecr.eu-central-1.amazonaws.com",
        "vpc": "vpc-1",
        "vpc_cidr": "10.0.0.0/16",
    },
}
"""The outputs of the stacks that everything on AWS stands on."""


@functools.cache
def graph(name: str) -> dict[str, Program]:
    """What every stack of the environment `name` declares; its programs run once a test session."""
    return take(name)


@contextmanager
def environment(name: str) -> Generator[Environment]:
    """This process deploys the environment `name`."""
    before = os.environ.get("LEANDATA_ENV")
    os.environ["LEANDATA_ENV"] = name
    Environment.current.cache_clear()
    try:
        yield Environment.current()
    finally:
        Environment.current.cache_clear()
        os.environ.pop("LEANDATA_ENV")
        if before is not None:
            os.environ["LEANDATA_ENV"] = before


def stack_of(name: str, stack: str, outputs: Mapping[str, Mapping[str, Any]]) -> Program:
    """What the stack `stack` of the environment `name` declares, when others have these outputs."""
    with environment(name):
        info = discover(ROOT, name, by_hand=False)[stack]
        return programs.run(info, environment=name, before=_before(outputs))


def declared_by(
    name: str, declare: Callable[[Stack], None], *, stack: str, outputs: Mapping[str, Mapping[str, Any]]
) -> Program:
    """What `declare` declares when it is called with a Stack of that name in the environment `name`."""

    def program() -> None:
        declare(Stack.begin(stack))

    with environment(name):
        info = StackInfo(name=stack, module="ci.testing", folder=ROOT, needs=())
        return programs.run(info, environment=name, before=_before(outputs), program=program)


def manifests(program: Program, kind: str) -> dict[str, dict[str, Any]]:
    """The Kubernetes objects of this kind, by name: what would be applied."""
    found = [one for one in program.resources.values() if one.type.startswith("kubernetes:")]
    wanted = [one.properties for one in found if one.properties.get("kind") == kind]
    return {one["metadata"]["name"]: json.loads(json.dumps(one)) for one in wanted}


def of_kind(program: Program, kind: str) -> dict[str, Resource]:
    """The resources of our own provider of this kind, by name."""
    return program.of(f"machine:index:{kind}")


def _before(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Program]:
    return {name: Program(outputs=dict(found)) for name, found in outputs.items()}
