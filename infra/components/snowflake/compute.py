"""Warehouses: what computes. Each ends when idle, and has a monitor that warns and then stops it."""

from __future__ import annotations

import pulumi
import pulumi_snowflake as snowflake

from infra.components.snowflake import provider
from infra.components.snowflake.plan import Plan
from infra.components.snowflake.roles import Roles
from infra.components.stack import Stack

# Shares of the credits of a month (percent): people are told; no new statement begins; running ones are ended.
TOLD_AT = (50, 80, 95)
STOPPED_AT, ENDED_AT = 100, 110
_QUEUED_AT_MOST = 600


def make_warehouses(
    parent: pulumi.Resource, *, stack: Stack, plan: Plan, roles: Roles
) -> dict[str, snowflake.Warehouse]:
    """Every warehouse of the environment's file with its monitor, and who may use it."""
    said = provider.table(stack.environment)
    made: dict[str, snowflake.Warehouse] = {}
    for name, size in sorted(said.warehouses.items()):
        monitor = snowflake.ResourceMonitor(
            name,
            name=name,
            credit_quota=size.credits,
            frequency="MONTHLY",
            start_timestamp="IMMEDIATELY",
            notify_triggers=list(TOLD_AT),
            suspend_trigger=STOPPED_AT,
            suspend_immediate_trigger=ENDED_AT,
            opts=provider.options(stack, admin="ACCOUNTADMIN", parent=parent),
        )
        made[name] = snowflake.Warehouse(
            name,
            name=name,
            comment=f"For {size.serves}",
            warehouse_size=size.size,
            auto_suspend=size.auto_suspend,
            auto_resume="true",
            initially_suspended=True,
            resource_monitor=monitor.name,
            statement_timeout_in_seconds=size.statement_timeout,
            statement_queued_timeout_in_seconds=_QUEUED_AT_MOST,
            # Only ACCOUNTADMIN puts a warehouse under a monitor.
            opts=provider.options(stack, admin="ACCOUNTADMIN", parent=parent),
        )
        for one in plan.functional:
            if bool(one.service) == (size.serves == "services"):
                snowflake.GrantPrivilegesToAccountRole(
                    f"{one.role}-on-{name}",
                    account_role_name=roles[one.role].name,
                    privileges=["USAGE"],
                    on_account_object=snowflake.GrantPrivilegesToAccountRoleOnAccountObjectArgs(
                        object_type="WAREHOUSE", object_name=made[name].name
                    ),
                    opts=provider.options(stack, admin="SECURITYADMIN", parent=parent, replaced=True),
                )
    return made
