"""The ground of an AWS account: network, keys, images, logs."""

from __future__ import annotations

from infra.components.stack import Stack

ONLY_ON = "aws"


def program() -> None:
    """Declare the ground that everything on AWS stands on."""
    Stack.begin("foundation")


if __name__ == "__main__":
    program()
