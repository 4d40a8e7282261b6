"""What the bootstrap tells: where state lies, and which roles CI takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class BootstrapOutputs(StackOutputs):
    """The state's bucket and its key (an ARN), and the ARNs of the roles."""

    STACK: ClassVar[str] = "bootstrap"

    bucket: pulumi.Input[str]
    key: pulumi.Input[str]
    role_deploy: pulumi.Input[str]
    role_drift: pulumi.Input[str]
    role_preview: pulumi.Input[str]
