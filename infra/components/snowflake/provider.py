"""The Snowflake providers of a program: one for each system role, so that what is made is owned as it should be.

SYSADMIN owns databases and what lies in them, USERADMIN users, SECURITYADMIN roles and grants; ACCOUNTADMIN sets what
only it can. The deployer's key comes from SNOWFLAKE_PRIVATE_KEY and enters no program.
"""

from __future__ import annotations

from typing import Literal

import pulumi
import pulumi_snowflake as snowflake

from infra.components.stack import Stack
from infra.environment import Environment
from infra.parts.snowflake import Snowflake
from leandata.errors import SettingsError

Admin = Literal["ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN"]
_PREVIEWS = [
    "snowflake_account_authentication_policy_attachment_resource",
    "snowflake_account_password_policy_attachment_resource",
    "snowflake_function_python_resource",
    "snowflake_password_policy_resource",
]


def table(environment: Environment) -> Snowflake:
    """The table [snowflake] of the environment's file. Raises SettingsError when it has none."""
    if environment.file.snowflake is None:
        place = f"infra/environments/{environment.name}.toml"
        raise SettingsError("the environment has no Snowflake account", where=place, hint="Add the table [snowflake]")
    return environment.file.snowflake


def options(
    stack: Stack,
    *,
    admin: Admin = "SYSADMIN",
    parent: pulumi.Resource | None = None,
    needs: list[pulumi.Resource] | None = None,
    protect: bool = False,
    replaced: bool = False,
) -> pulumi.ResourceOptions:
    """Options of a resource on Snowflake that the role `admin` makes: its parent, what must exist before it.

    With `protect` the engine refuses to delete it, except where the environment's file says that nothing is protected.
    With `replaced` the old one goes before the new one comes: revoking a grant would undo the same grant made anew.
    """
    name = f"snowflake-{admin.lower()}"
    provider = stack.provider_of(name, lambda: _provider(stack, name, admin))
    aws = stack.environment.file.aws
    return pulumi.ResourceOptions(
        parent=parent,
        depends_on=needs,
        provider=provider,
        protect=protect and (aws is None or aws.protected),
        delete_before_replace=replaced,
    )


def _provider(stack: Stack, name: str, role: Admin) -> pulumi.ProviderResource:
    said = table(stack.environment)
    return snowflake.Provider(
        name,
        organization_name=said.organization,
        account_name=said.account,
        user=said.deployer,
        role=role,
        authenticator="SNOWFLAKE_JWT",
        params={"CLIENT_TELEMETRY_ENABLED": "false"},
        preview_features_enabled=_PREVIEWS,
    )
