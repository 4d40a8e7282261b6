"""What other stacks may know of mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class MailOutputs(StackOutputs):
    """`mail` is where programs send mail to (smtp://...), `mail_url` where people read it."""

    STACK: ClassVar[str] = "mail"

    mail: pulumi.Input[str]
    mail_url: pulumi.Input[str]
