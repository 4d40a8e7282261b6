"""The lake: raw, curated and models."""

from __future__ import annotations

from infra.components.lake import Lake
from infra.components.stack import Stack
from infra.stacks.lake.outputs import LakeOutputs


def program() -> None:
    """Declare the lake's zones."""
    lake = Lake("lake", stack=Stack.begin("lake"))
    LakeOutputs(**lake.urls).export()


if __name__ == "__main__":
    program()
