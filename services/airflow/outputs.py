"""What other stacks may know of the orchestrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class AirflowOutputs(StackOutputs):
    """`url` is where Airflow's pages are, `password_file` the file with the password of the user `admin`."""

    STACK: ClassVar[str] = "airflow"

    url: pulumi.Input[str]
    password_file: pulumi.Input[str]
