"""The cluster that services run in: made on AWS, elsewhere the one that KUBECONFIG names."""

from __future__ import annotations

import pulumi

from infra.components.stack import Stack


class Cluster(pulumi.ComponentResource):
    """`kubeconfig` is how it is reached, without credential ("" = KUBECONFIG); `security_group` is that of its pods."""

    kubeconfig: pulumi.Input[str]
    security_group: pulumi.Input[str]

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:Cluster", name)
        self.kubeconfig, self.security_group = "", ""
        if stack.environment.has("aws"):
            from infra.components.aws import cluster

            self.kubeconfig, self.security_group = cluster.make_cluster(self, stack=stack)
        self.register_outputs({"kubeconfig": self.kubeconfig, "security_group": self.security_group})
