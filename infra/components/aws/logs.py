"""Log groups: made before those who write into them, because AWS would make them open-ended and without our key."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import provider
from infra.components.aws.place import table
from infra.components.stack import Stack
from infra.environment import Environment

DATABASE = "postgres"
_CLUSTER = ("application", "dataplane", "host", "performance")
_DATABASE = ("postgresql", "upgrade")


def groups(environment: Environment) -> dict[str, str]:
    """The name of every log group by the name of its resource: the network's, and those that AWS' services write to.

    Their names are AWS' own: of the control plane of EKS, of Container Insights, of RDS.
    """
    cluster = naming.account_wide(environment)
    database = naming.account_wide(environment, DATABASE)
    found = {"control-plane": f"/aws/eks/{cluster}/cluster", "flow": f"/leandata/{environment.name}/flow"}
    found |= {f"pods-{kind}": f"/aws/containerinsights/{cluster}/{kind}" for kind in _CLUSTER}
    found |= {f"database-{kind}": f"/aws/rds/instance/{database}/{kind}" for kind in _DATABASE}
    return dict(sorted(found.items()))


class Logs(pulumi.ComponentResource):
    """All log groups of the environment, kept for its days, encrypted with `key`; `flow` is the network's."""

    flow: aws.cloudwatch.LogGroup

    def __init__(self, name: str, *, stack: Stack, key: pulumi.Input[str]) -> None:
        super().__init__("leandata:index:Logs", name)
        environment = stack.environment
        said = table(environment)
        made = {
            short: aws.cloudwatch.LogGroup(
                f"logs-{short}",
                name=full,
                kms_key_id=key,
                retention_in_days=said.flow_log_days if short == "flow" else said.log_days,
                tags={**naming.tags(environment, stack=stack.name), "data": "logs"},
                opts=provider.options(stack, parent=self),
            )
            for short, full in groups(environment).items()
        }
        self.flow = made["flow"]
        self.register_outputs({})
