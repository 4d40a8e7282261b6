"""What a month may cost, and who hears of it: before it is spent, and as soon as it is going to be."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import provider
from infra.components.aws.place import table
from infra.components.stack import Stack

_WHOLE = 100


class Money(pulumi.ComponentResource):
    """The budget of the whole account, which is the environment's own."""

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:Money", name)
        environment = stack.environment
        said = table(environment)
        told = [("ACTUAL", share) for share in said.budget.told_at] + [("FORECASTED", _WHOLE)]
        aws.budgets.Budget(
            name,
            name=naming.account_wide(environment),
            account_id=said.account,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(said.budget.monthly),
            limit_unit="USD",
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    subscriber_email_addresses=list(said.alerts),
                    threshold=share,
                    threshold_type="PERCENTAGE",
                )
                for kind, share in told
            ],
            tags=naming.tags(environment, stack=stack.name),
            opts=provider.options(stack, parent=self),
        )
        self.register_outputs({})
