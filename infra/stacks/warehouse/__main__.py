"""The warehouse: RAW, STAGING and MARTS, and the stages through which it reads the lake."""

from __future__ import annotations

from infra.components.stack import Stack
from infra.components.warehouse import Warehouse
from infra.stacks.lake.outputs import LakeOutputs
from infra.stacks.warehouse.outputs import WarehouseOutputs


def program() -> None:
    """Declare the warehouse and its layout."""
    stack = Stack.begin("warehouse")
    lake = LakeOutputs.of(stack)
    warehouse = Warehouse("warehouse", stack=stack, zones={"raw": lake.raw, "curated": lake.curated})
    WarehouseOutputs(address=warehouse.address).export()


if __name__ == "__main__":
    program()
