"""The ground of an AWS account: network, keys, images, logs, alarms."""

from __future__ import annotations

from infra.components.aws.alarms import Alarms
from infra.components.aws.keys import Keys
from infra.components.aws.logs import Logs
from infra.components.aws.network import Network
from infra.components.aws.place import table
from infra.components.aws.registry import Registry
from infra.components.stack import Stack
from infra.stacks.foundation.outputs import FoundationOutputs

ONLY_ON = "aws"


def program() -> None:
    """Declare the ground that everything on AWS stands on."""
    stack = Stack.begin("foundation")
    keys = Keys("keys", stack=stack).arns
    logs = Logs("logs", stack=stack, key=keys["logs"])
    network = Network("network", stack=stack, logs=logs)
    registry = Registry("registry", stack=stack, key=keys["images"])
    alarms = Alarms("alarms", stack=stack, key=keys["logs"])
    FoundationOutputs(
        vpc=network.vpc,
        vpc_cidr=table(stack.environment).cidr,
        private_subnets=network.private_subnets,
        public_subnets=network.public_subnets,
        key_database=keys["database"],
        key_lake=keys["lake"],
        key_logs=keys["logs"],
        key_secrets=keys["secrets"],
        registry=registry.host,
        alarms=alarms.topic,
    ).export()


if __name__ == "__main__":
    program()
