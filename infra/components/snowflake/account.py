"""What holds for the whole account: its parameters (CIS Snowflake 1.0), from where and how people and programs log in.

The policies of authentication and passwords lie in PLATFORM.POLICIES, which holds nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_snowflake as snowflake

from infra.components.snowflake import provider
from infra.components.stack import Stack
from infra.parts.snowflake import Snowflake

DATABASE, SCHEMA = "PLATFORM", "POLICIES"
ACCOUNT_POLICY = "LEANDATA_ACCOUNT"
_LONGEST_STATEMENT = 14_400


def parameters(said: Snowflake) -> dict[str, str]:
    """The account's parameters by name.

    CIS Snowflake 1.0, 4.2 and 4.4 to 4.7: data is encrypted anew every year, and leaves only through integrations.
    """
    return {
        "MIN_DATA_RETENTION_TIME_IN_DAYS": str(min(said.retention_days, 7)),
        "PERIODIC_DATA_REKEYING": "true",
        "PREVENT_UNLOAD_TO_INLINE_URL": "true",
        "REQUIRE_STORAGE_INTEGRATION_FOR_STAGE_CREATION": "true",
        "REQUIRE_STORAGE_INTEGRATION_FOR_STAGE_OPERATION": "true",
        "STATEMENT_TIMEOUT_IN_SECONDS": str(_LONGEST_STATEMENT),
        "TIMEZONE": "UTC",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What users of ours refer to: the network policy of programs."""

    programs: snowflake.NetworkPolicy


def make_account(parent: pulumi.Resource, *, stack: Stack) -> Account:
    """Parameters, network policies, and policies of logging in."""
    said = provider.table(stack.environment)
    options = provider.options(stack, admin="ACCOUNTADMIN", parent=parent)
    for key, value in sorted(parameters(said).items()):
        snowflake.AccountParameter(key, key=key, value=value, opts=options)
    everybody = _network(
        ACCOUNT_POLICY, sorted({*said.networks, *said.offices}), "Everybody", stack=stack, parent=parent
    )
    programs = _network("LEANDATA_PROGRAMS", said.networks, "Programs", stack=stack, parent=parent)
    snowflake.AccountParameter("NETWORK_POLICY", key="NETWORK_POLICY", value=everybody.name, opts=options)
    _logins(parent, stack=stack)
    return Account(programs=programs)


def _network(
    name: str, networks: list[str], who: str, *, stack: Stack, parent: pulumi.Resource
) -> snowflake.NetworkPolicy:
    return snowflake.NetworkPolicy(
        name,
        name=name,
        comment=f"{who}: from where",
        allowed_ip_lists=networks,
        opts=provider.options(stack, admin="SECURITYADMIN", parent=parent),
    )


def _logins(parent: pulumi.Resource, *, stack: Stack) -> None:
    """Programs by key pairs only; people with a second factor, and where they have a password, a long one."""
    said = provider.table(stack.environment)
    owned = provider.options(stack, admin="SYSADMIN", parent=parent, protect=True)
    database = snowflake.Database(
        DATABASE,
        name=DATABASE,
        comment="Policies of the account, no data",
        data_retention_time_in_days=said.retention_days,
        drop_public_schema_on_creation=True,
        opts=owned,
    )
    schema = snowflake.Schema(
        f"{DATABASE}.{SCHEMA}",
        name=SCHEMA,
        database=database.name,
        comment="Who logs in, and how",
        with_managed_access="true",
        opts=owned,
    )
    options = provider.options(stack, admin="ACCOUNTADMIN", parent=parent, needs=[schema])
    programs = snowflake.AuthenticationPolicy(
        "PROGRAMS",
        name="PROGRAMS",
        database=database.name,
        schema=schema.name,
        authentication_methods=["KEYPAIR"],
        client_types=["DRIVERS", "SNOWFLAKE_CLI"],
        comment="Key pairs only",
        opts=options,
    )
    people = snowflake.AuthenticationPolicy(
        "PEOPLE",
        name="PEOPLE",
        database=database.name,
        schema=schema.name,
        authentication_methods=["PASSWORD", "SAML"],
        mfa_enrollment="REQUIRED",
        comment="A second factor for everybody",
        opts=options,
    )
    passwords = snowflake.PasswordPolicy(
        "PASSWORDS",
        name="PASSWORDS",
        database=database.name,
        schema=schema.name,
        min_length=14,
        history=5,
        max_retries=5,
        lockout_time_mins=30,
        comment="CIS Snowflake 1.0, 1.7: at least 14 characters",
        opts=options,
    )
    snowflake.AccountAuthenticationPolicyAttachment(
        "PROGRAMS", authentication_policy=programs.fully_qualified_name, for_all_service_users=True, opts=options
    )
    snowflake.AccountAuthenticationPolicyAttachment(
        "PEOPLE", authentication_policy=people.fully_qualified_name, for_all_person_users=True, opts=options
    )
    snowflake.AccountPasswordPolicyAttachment("PASSWORDS", password_policy=passwords.fully_qualified_name, opts=options)
