"""What other stacks may know of the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class LakeOutputs(StackOutputs):
    """The address of each zone: file:///... or s3://..."""

    STACK: ClassVar[str] = "lake"

    curated: pulumi.Input[str]
    models: pulumi.Input[str]
    raw: pulumi.Input[str]
