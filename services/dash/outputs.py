"""What other stacks may know of the dashboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class DashOutputs(StackOutputs):
    """`url` is where the dashboards are; the files hold the passwords of the users `analyst` and `editor`."""

    STACK: ClassVar[str] = "dash"

    url: pulumi.Input[str]
    password_file: pulumi.Input[str]
    editor_password_file: pulumi.Input[str]
