"""What other stacks may know of the ground that everything on AWS stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class FoundationOutputs(StackOutputs):
    """The network, the keys by the class of what they encrypt (ARNs), the registry's host, the topic of alarms."""

    STACK: ClassVar[str] = "foundation"

    vpc: pulumi.Input[str]
    vpc_cidr: pulumi.Input[str]
    private_subnets: pulumi.Input[list[str]]
    public_subnets: pulumi.Input[list[str]]
    key_database: pulumi.Input[str]
    key_lake: pulumi.Input[str]
    key_logs: pulumi.Input[str]
    key_secrets: pulumi.Input[str]
    registry: pulumi.Input[str]
    alarms: pulumi.Input[str]
