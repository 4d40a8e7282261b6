"""Snowflake: what CIS asks and a program can promise."""

from __future__ import annotations

from typing import Any

import pytest

from infra.policy.cases import Node, snowflake
from infra.policy.graph import PRODUCTION, Graph
from infra.policy.warehouse import PARAMETERS, above, parameters, parents
from infra.tests.policy.verdicts import DEV, hits, passes, places

MONITOR = snowflake("ResourceMonitor", {"creditQuota": 10, "notifyTriggers": [75], "suspendTrigger": 100})


def warehouse(**changes: Any) -> Node:
    good = {"autoSuspend": 60, "resourceMonitor": "IT", "statementTimeoutInSeconds": 3600}
    return snowflake("Warehouse", {**good, **changes})


@pytest.mark.parametrize(
    ("seconds", "allowed"), [(60, True), (1, True), (61, False), (0, False), (-1, False), (None, False)]
)
def test_a_warehouse_ends_within_a_minute(seconds: int | None, allowed: bool):
    assert passes("warehouse-idle", warehouse(autoSuspend=seconds)) is allowed


@pytest.mark.parametrize(("value", "allowed"), [("true", True), (True, True), ("false", False), (False, False)])
def test_a_warehouse_comes_back_by_itself(value: Any, allowed: bool):
    assert passes("warehouse-idle", warehouse(autoResume=value)) is allowed


def test_no_statement_runs_for_days():
    assert places("warehouse-idle", warehouse(statementTimeoutInSeconds=None)) == ["statementTimeoutInSeconds"]


@pytest.mark.parametrize("name", ["OTHER", "", None, "[unknown]"])
def test_a_warehouse_names_a_monitor_that_there_is(name: str | None):
    assert places("warehouse-monitor", warehouse(resourceMonitor=name), MONITOR) == ["resourceMonitor"]


def test_quotes_around_a_monitor_s_name_do_not_matter():
    assert passes("warehouse-monitor", warehouse(resourceMonitor='"IT"'), MONITOR)


@pytest.mark.parametrize("key", ["creditQuota", "notifyTriggers", "suspendTrigger"])
def test_a_monitor_warns_and_then_stops(key: str):
    less = {name: value for name, value in MONITOR.properties.items() if name != key}
    assert places("warehouse-monitor", snowflake("ResourceMonitor", less)) == [key]


def test_a_monitor_may_stop_at_once():
    less = {"creditQuota": 1, "notifyTriggers": [50], "suspendImmediateTrigger": 110}
    assert passes("warehouse-monitor", snowflake("ResourceMonitor", less))


@pytest.mark.parametrize(("value", "allowed"), [("true", True), (True, True), ("default", False), (None, False)])
def test_schemas_are_managed(value: Any, allowed: bool):
    assert passes("schema-managed", snowflake("Schema", {"withManagedAccess": value})) is allowed


USER = snowflake("ServiceUser", {"networkPolicy": "IT", "rsaPublicKey": "MII"})


def attached(**properties: Any) -> Node:
    return snowflake("NetworkPolicyAttachment", properties, name="attached")


def test_the_account_has_a_network_policy():
    assert passes("snowflake-network", USER, attached(setForAccount=True))
    setting = snowflake("AccountParameter", {"key": "NETWORK_POLICY", "value": "IT"})
    assert passes("snowflake-network", USER, setting)
    assert [said for _, _, said in hits("snowflake-network", USER)] == ["the account has none"]


def test_every_service_user_has_a_network_policy_of_its_own():
    bare = snowflake("ServiceUser", {"rsaPublicKey": "MII"})
    account = attached(setForAccount=True)
    assert [said for _, _, said in hits("snowflake-network", bare, account)] == ["none of its own"]
    assert passes("snowflake-network", bare, attached(setForAccount=True, users=["IT"]))


@pytest.mark.parametrize("ranges", [["0.0.0.0/0"], ["10.0.0.0/8", "0.0.0.0/0"], [], None])
def test_no_network_policy_lets_everybody_in(ranges: Any):
    assert not passes("snowflake-network", snowflake("NetworkPolicy", {"allowedIpLists": ranges}))
    assert passes("snowflake-network", snowflake("NetworkPolicy", {"allowedIpLists": ["203.0.113.0/24"]}))
    assert passes("snowflake-network", snowflake("NetworkPolicy", {"allowedNetworkRuleLists": ["IT"]}))


def test_no_network_rule_lets_everybody_in():
    rule = {"mode": "INGRESS", "type": "IPV4", "valueLists": ["0.0.0.0/0"]}
    assert not passes("snowflake-network", snowflake("NetworkRule", rule))
    assert passes("snowflake-network", snowflake("NetworkRule", {**rule, "mode": "EGRESS"}))


@pytest.mark.parametrize("kind", ["User", "LegacyServiceUser", "UserProgrammaticAccessToken"])
def test_programs_have_no_password(kind: str):
    assert len(places("snowflake-users", snowflake(kind))) == 1


@pytest.mark.parametrize("key", ["rsaPublicKey", "rsaPublicKey2", "defaultWorkloadIdentity"])
def test_a_program_logs_in_by_a_key_or_by_its_cloud(key: str):
    assert passes("snowflake-users", snowflake("ServiceUser", {key: "it"}))
    assert places("snowflake-users", snowflake("ServiceUser")) == ["rsaPublicKey"]


@pytest.mark.parametrize("role", ["ACCOUNTADMIN", "SECURITYADMIN", "SYSADMIN", '"ACCOUNTADMIN"'])
def test_no_program_is_an_administrator_by_default(role: str):
    made = snowflake("ServiceUser", {"rsaPublicKey": "MII", "defaultRole": role})
    assert places("snowflake-users", made) == ["defaultRole"]


def grant(role: str, to: str = "", *, user: str = "") -> Node:
    found = {"userName": user} if user else {"parentRoleName": to}
    return snowflake("GrantAccountRole", {"roleName": role, **found}, name=f"{role}-{to}{user}")


@pytest.mark.parametrize("role", ["ACCOUNTADMIN", "SECURITYADMIN", "ORGADMIN", "USERADMIN", "SYSADMIN"])
def test_no_administrator_s_role_is_granted(role: str):
    assert not passes("snowflake-admins", grant(role, "READER"))
    assert not passes("snowflake-admins", grant(role, user="SOMEBODY"))


@pytest.mark.parametrize("to", ["ACCOUNTADMIN", "SECURITYADMIN"])
def test_roles_of_ours_end_at_sysadmin(to: str):
    assert not passes("snowflake-admins", grant("READER", to))
    assert passes("snowflake-admins", grant("READER", "SYSADMIN"))


def test_nothing_is_owned_by_an_administrator():
    made = snowflake("GrantOwnership", {"accountRoleName": "ACCOUNTADMIN"})
    assert [said for _, _, said in hits("snowflake-admins", made)] == ["owned by ACCOUNTADMIN"]


def role(name: str) -> Node:
    return snowflake("AccountRole", {"name": name}, name=name)


def test_every_role_leads_to_sysadmin_through_others_too():
    chain = [role("A"), role("B"), grant("A", "B"), grant("B", "SYSADMIN")]
    assert passes("snowflake-hierarchy", *chain)
    assert [name for name, _, _ in hits("snowflake-hierarchy", *chain[:3])] == ["A", "B"]


def test_roles_in_a_circle_lead_nowhere():
    found = hits("snowflake-hierarchy", role("A"), role("B"), grant("A", "B"), grant("B", "A"))
    assert [name for name, _, _ in found] == ["A", "B"]


def test_who_has_a_role_has_what_is_below_it():
    graph = Graph.from_resources([grant("A", "B"), grant("B", "C"), grant("B", user="U")], PRODUCTION)
    assert above("A", parents(graph)) == {"B", "C", "user:U"}
    assert above("C", parents(graph)) == set()


def privileges(**properties: Any) -> Node:
    return snowflake(
        "GrantPrivilegesToAccountRole", {"accountRoleName": "READER", "privileges": ["SELECT"], **properties}
    )


@pytest.mark.parametrize(
    ("change", "property_"),
    [
        ({"accountRoleName": "PUBLIC"}, "accountRoleName"),
        ({"accountRoleName": '"PUBLIC"'}, "accountRoleName"),
        ({"allPrivileges": True}, "allPrivileges"),
        ({"withGrantOption": True}, "withGrantOption"),
        ({"privileges": ["MANAGE GRANTS"]}, "privileges"),
        ({"privileges": ["SELECT", "OWNERSHIP"]}, "privileges"),
    ],
)
def test_rights_are_named_and_not_handed_on(change: dict[str, Any], property_: str):
    assert places("snowflake-grants", privileges(**change)) == [property_]


def on(
    when: str,
    *,
    privileges_: tuple[str, ...] = ("SELECT",),
    schema: str = "RAW.SHOP",
    to: str = "READER",
    plural: str = "TABLES",
) -> Node:
    what = {when: {"objectTypePlural": plural, "inSchema": schema}}
    properties = {"accountRoleName": to, "privileges": list(privileges_), "onSchemaObject": what}
    return snowflake("GrantPrivilegesToAccountRole", properties, name=f"{when}-{schema}-{to}-{plural}")


def test_what_is_made_later_is_granted_as_well():
    assert passes("snowflake-future", on("all"), on("future"))
    assert passes("snowflake-future", on("future"))


@pytest.mark.parametrize(
    "other",
    [
        on("future", to="WRITER"),
        on("future", schema="RAW.EVENTS"),
        on("future", plural="VIEWS"),
        on("future", privileges_=("INSERT",)),
    ],
)
def test_another_future_grant_is_not_the_one_that_is_missing(other: Node):
    assert places("snowflake-future", on("all"), other) == ["onSchemaObject.all"]


SETTINGS = [snowflake("AccountParameter", {"key": key, "value": value}, name=key) for key, value in PARAMETERS.items()]


@pytest.mark.parametrize("key", sorted(PARAMETERS))
def test_each_parameter_of_the_account_is_set(key: str):
    less = [one for one in SETTINGS if one.name != key]
    assert places("snowflake-account", *less) == [key]
    wrong = snowflake("AccountParameter", {"key": key, "value": "false"}, name="wrong")
    assert [said for _, _, said in hits("snowflake-account", *less, wrong)] == ["false"]


def test_sql_may_set_the_parameters():
    pairs = " ".join(f"{key} = {value.upper()}" for key, value in PARAMETERS.items())
    made = snowflake("Execute", {"execute": f"ALTER ACCOUNT SET {pairs};"})
    assert passes("snowflake-account", made)


def test_the_account_s_own_resource_may_set_the_parameters():
    made = snowflake("CurrentAccount", {"periodicDataRekeying": "true", "dataRetentionTimeInDays": 7})
    found = parameters(Graph.from_resources([made], PRODUCTION))
    assert found["PERIODIC_DATA_REKEYING"] == "true"


def test_without_snowflake_no_parameter_is_asked_for():
    assert passes("snowflake-account")


@pytest.mark.parametrize(
    ("days", "prod", "dev"),
    [(0, False, False), (1, False, True), (6, False, True), (7, True, True), (None, False, False)],
)
def test_data_can_be_taken_back(days: int | None, prod: bool, dev: bool):
    made = snowflake("Database", {"dataRetentionTimeInDays": days})
    assert passes("snowflake-retention", made) is prod
    assert passes("snowflake-retention", made, setting=DEV) is dev


def test_no_database_forgets_at_once():
    made = snowflake("Database", {"dataRetentionTimeInDays": 7, "isTransient": True})
    assert places("snowflake-retention", made) == ["isTransient"]


@pytest.mark.parametrize("kind", ["StageExternalS3", "Stage", "StageExternalS3Compatible"])
def test_stages_hold_no_keys(kind: str):
    assert places("snowflake-stages", snowflake(kind)) == ["storageIntegration"]
    both = {"storageIntegration": "IT", "credentials": {"awsKeyId": "[secret]"}}
    assert places("snowflake-stages", snowflake(kind, both)) == ["credentials"]


@pytest.mark.parametrize("locations", [["*"], ["s3://"], ["https://lake"], ["s3://lake/", "*"], [], None])
def test_an_integration_names_the_places(locations: Any):
    made = snowflake("StorageIntegrationAws", {"storageAllowedLocations": locations})
    assert places("snowflake-stages", made) == ["storageAllowedLocations"]
