"""What other stacks may know of the compute cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class DaskOutputs(StackOutputs):
    """`scheduler` is the address that clients connect to (tcp://...)."""

    STACK: ClassVar[str] = "dask"

    scheduler: pulumi.Input[str]
