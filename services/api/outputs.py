"""What other stacks may know of the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class ApiOutputs(StackOutputs):
    """`url` is where the API answers, `key_file` the file that holds the key clients send."""

    STACK: ClassVar[str] = "api"

    url: pulumi.Input[str]
    key_file: pulumi.Input[str]
