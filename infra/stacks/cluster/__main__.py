"""The cluster: on AWS Kubernetes itself; then a closed namespace for every service, and the operator of Dask."""

from __future__ import annotations

from infra.components.cluster import Cluster
from infra.components.kubernetes import operator, provider
from infra.components.kubernetes.spaces import Spaces
from infra.components.stack import Stack
from infra.stacks.cluster.outputs import ClusterOutputs

ONLY_ON = "kubernetes"


def program() -> None:
    """Declare the cluster where it is ours to make, and what every service finds in it."""
    stack = Stack.begin("cluster")
    cluster = Cluster("cluster", stack=stack)
    stack.provider_of(provider.NAME, lambda: provider.provider_for(cluster.kubeconfig))
    spaces = Spaces("spaces", stack=stack)
    if stack.environment.has("aws"):
        from infra.components.aws import ingress

        ingress.make_ingress_class(spaces, stack=stack)
    operator.make_operator(spaces, stack=stack, needs=spaces.made)
    ClusterOutputs(kubeconfig=cluster.kubeconfig, security_group=cluster.security_group).export()


if __name__ == "__main__":
    program()
