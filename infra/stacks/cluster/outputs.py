"""What other stacks may know of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class ClusterOutputs(StackOutputs):
    """`kubeconfig` is how the cluster is reached: it holds no credential; "" stands for the one KUBECONFIG names.

    `security_group` is the group of the nodes and pods, "" without AWS.
    """

    STACK: ClassVar[str] = "cluster"

    kubeconfig: pulumi.Input[str]
    security_group: pulumi.Input[str]
