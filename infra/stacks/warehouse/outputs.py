"""What other stacks may know of the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class WarehouseOutputs(StackOutputs):
    """`address` is where it is (snowflake://ACCOUNT); `components.connections.address_of` adds who connects."""

    STACK: ClassVar[str] = "warehouse"

    address: pulumi.Input[str]
