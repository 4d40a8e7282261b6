"""What other stacks may know of the databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class DatabaseOutputs(StackOutputs):
    """One address per use (postgresql://ROLE@host:port/database?password_file=...), each with its own role.

    `airflow_password` is the path of the file with the password of Airflow's role and `airflow_identity` is new when
    its database is; `source_note` says of the shop's data what a reader of its figures must know.
    """

    STACK: ClassVar[str] = "database"

    airflow_identity: pulumi.Input[str]
    airflow_password: pulumi.Input[str]
    serving_writer: pulumi.Input[str]
    serving_reader: pulumi.Input[str]
    events_writer: pulumi.Input[str]
    events_reader: pulumi.Input[str]
    shop_replica: pulumi.Input[str]
    source_note: pulumi.Input[str]
