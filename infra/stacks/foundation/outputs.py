"""What other stacks may know of the foundation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class FoundationOutputs(StackOutputs):
    """`mail` is where programs send mail to (smtp://...), `mail_url` where people read it."""

    STACK: ClassVar[str] = "foundation"

    mail: pulumi.Input[str]
    mail_url: pulumi.Input[str]
