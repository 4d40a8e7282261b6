"""What the stack `warehouse` declares on Snowflake and AWS, in every environment that has both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ci.programs import Program, Resource
from ci.snowflake_sql import sql
from ci.testing import environment, stack_of
from infra.components.functions import functions
from infra.components.snowflake.account import parameters
from infra.components.snowflake.plan import ADMIN
from infra.components.warehouse import LAYOUT
from infra.environment import Environment
from infra.policy import judge
from infra.policy.warehouse import ADMINS
from leandata.datasets import CATALOG

ENVIRONMENTS = ("dev", "prod", "staging")
KEY = "arn:aws:kms:eu-central-1:333333333333:key/lake"


def outputs(name: str) -> dict[str, dict[str, Any]]:
    """What the stacks before it export."""
    ground = ("alarms", "key_database", "key_logs", "key_secrets", "registry", "vpc", "vpc_cidr")
    found: dict[str, Any] = {field: field for field in ground}
    return {
        "cluster": {"kubeconfig": "{}", "security_group": "sg"},
        "foundation": {**found, "key_lake": KEY, "private_subnets": [], "public_subnets": []},
        "lake": {zone: f"s3://leandata-{name}-lake-{zone}-{'3' * 12}" for zone in ("curated", "models", "raw")},
    }


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def where(request: pytest.FixtureRequest) -> tuple[Environment, Program]:
    """The environment, and what the stack declares there."""
    name = request.param
    return Environment.load(name, environ={}), stack_of(name, "warehouse", outputs(name))


@pytest.fixture(scope="module")
def prod() -> Program:
    return stack_of("prod", "warehouse", outputs("prod"))


def all_of(program: Program, class_: str) -> dict[str, Resource]:
    return program.of(f"snowflake:index/{class_[0].lower()}{class_[1:]}:{class_}")


def values(program: Program, class_: str, key: str) -> set[Any]:
    return {one.properties.get(key) for one in all_of(program, class_).values()}


def plain(name: object) -> str:
    return str(name).replace('"', "")


def before(program: Program, urn: str) -> set[str]:
    """All that is made before a resource, through others as well."""
    seen: set[str] = set()
    ahead = [urn]
    while ahead:
        one = program.resources.get(ahead.pop())
        for need in (*one.needs, one.parent) if one is not None else ():
            if need and need not in seen:
                seen.add(need)
                ahead.append(need)
    return seen


# -- everywhere --------------------------------------------------------------------------------------------------------


def test_no_policy_finds_anything(where: tuple[Environment, Program]) -> None:
    found, program = where
    with environment(found.name) as real:
        told = judge({"warehouse": program}, environment=real)
    elsewhere = {"budget-there", "waiver-unused"}
    assert [one for one in told if one.rule not in elsewhere] == []


def test_the_layout_is_there_and_nothing_else_that_holds_data(where: tuple[Environment, Program]) -> None:
    _, program = where
    schemas = {f"{one.properties['database']}.{one.properties['name']}" for one in all_of(program, "Schema").values()}
    assert schemas == {f"{one.name}.{schema}" for one in LAYOUT for schema in one.schemas} | {"PLATFORM.POLICIES"}
    assert values(program, "Database", "name") == {one.name for one in LAYOUT} | {"PLATFORM"}


def test_every_schema_leaves_rights_to_its_owner(where: tuple[Environment, Program]) -> None:
    assert values(where[1], "Schema", "withManagedAccess") == {"true"}


def test_what_is_deleted_can_be_taken_back_as_long_as_the_file_says(where: tuple[Environment, Program]) -> None:
    found, program = where
    assert found.file.snowflake is not None
    assert values(program, "Database", "dataRetentionTimeInDays") == {found.file.snowflake.retention_days}


def test_what_holds_data_is_protected_where_the_file_says_so(where: tuple[Environment, Program]) -> None:
    found, program = where
    assert found.file.aws is not None
    for one in (*all_of(program, "Database").values(), *all_of(program, "Schema").values()):
        assert one.protect == found.file.aws.protected


def test_every_warehouse_ends_when_idle_and_has_a_monitor_of_its_own(where: tuple[Environment, Program]) -> None:
    found, program = where
    assert found.file.snowflake is not None
    monitors = all_of(program, "ResourceMonitor")
    for name, size in found.file.snowflake.warehouses.items():
        made = all_of(program, "Warehouse")[name].properties
        assert 0 < made["autoSuspend"] <= 60
        assert (made["warehouseSize"], made["resourceMonitor"]) == (size.size, name)
        assert monitors[name].properties["creditQuota"] == size.credits
        assert monitors[name].properties["suspendTrigger"] == 100
    assert set(monitors) == set(found.file.snowflake.warehouses)


def test_services_and_teams_do_not_share_a_warehouse(where: tuple[Environment, Program]) -> None:
    found, program = where
    assert found.file.snowflake is not None
    for one in all_of(program, "GrantPrivilegesToAccountRole").values():
        target = one.properties.get("onAccountObject") or {}
        if target.get("objectType") == "WAREHOUSE":
            serves = found.file.snowflake.warehouses[plain(target["objectName"])].serves
            assert (serves == "services") == one.properties["accountRoleName"].startswith("SERVICE_")


def test_programs_come_from_the_networks_of_the_file_alone(where: tuple[Environment, Program]) -> None:
    found, program = where
    said = found.file.snowflake
    assert said is not None
    policies = {one.properties["name"]: one.properties for one in all_of(program, "NetworkPolicy").values()}
    for one in all_of(program, "ServiceUser").values():
        assert policies[one.properties["networkPolicy"]]["allowedIpLists"] == said.networks
    everybody = policies[all_of(program, "AccountParameter")["NETWORK_POLICY"].properties["value"]]
    assert everybody["allowedIpLists"] == sorted({*said.networks, *said.offices})


def test_the_parameters_of_the_account_are_those_of_cis(where: tuple[Environment, Program]) -> None:
    found, program = where
    assert found.file.snowflake is not None
    made = {one.properties["key"]: one.properties["value"] for one in all_of(program, "AccountParameter").values()}
    assert made.items() >= parameters(found.file.snowflake).items()
    assert made["REQUIRE_STORAGE_INTEGRATION_FOR_STAGE_CREATION"] == "true"
    assert made["REQUIRE_STORAGE_INTEGRATION_FOR_STAGE_OPERATION"] == "true"
    assert made["PREVENT_UNLOAD_TO_INLINE_URL"] == "true"


# -- users and roles ---------------------------------------------------------------------------------------------------


def test_a_service_user_has_a_key_one_role_and_no_password(where: tuple[Environment, Program]) -> None:
    users = all_of(where[1], "ServiceUser")
    assert {one.properties["name"] for one in users.values()} == {"LEANDATA_AIRFLOW"}
    for one in users.values():
        assert one.properties.get("rsaPublicKey") or one.properties.get("rsaPublicKey2")
        assert one.properties["defaultRole"] == "SERVICE_AIRFLOW"
        assert one.properties["defaultSecondaryRolesOption"] == "NONE"
        assert "password" not in {key.lower() for key in one.properties}
    assert not all_of(where[1], "User")
    assert not all_of(where[1], "LegacyServiceUser")


def test_the_private_half_is_a_secret_whose_value_no_program_sees(prod: Program) -> None:
    [secret] = [one for one in prod.resources.values() if one.type == "aws:secretsmanager/secret:Secret"]
    assert secret.properties["name"] == "leandata/prod/warehouse-airflow"
    assert "PRIVATE" not in json.dumps([one.properties for one in prod.resources.values()])


def test_no_user_has_two_roles_and_none_an_administrators(prod: Program) -> None:
    held = [one.properties for one in all_of(prod, "GrantAccountRole").values() if one.properties.get("userName")]
    assert [(one["userName"], one["roleName"]) for one in held] == [("LEANDATA_AIRFLOW", "SERVICE_AIRFLOW")]


def test_nothing_of_ours_is_granted_an_administrators_role(prod: Program) -> None:
    assert not values(prod, "GrantAccountRole", "roleName") & ADMINS
    parents = {role for role in values(prod, "GrantAccountRole", "parentRoleName") if role in ADMINS}
    assert parents == {ADMIN}


def test_nothing_is_granted_to_everybody_or_handed_on(prod: Program) -> None:
    for one in all_of(prod, "GrantPrivilegesToAccountRole").values():
        assert one.properties["accountRoleName"] != "PUBLIC"
        assert not one.properties.get("withGrantOption")
        assert not one.properties.get("allPrivileges")


def test_what_is_granted_on_future_things_is_granted_once(prod: Program) -> None:
    seen: set[tuple[str, str, str]] = set()
    for one in all_of(prod, "GrantPrivilegesToAccountRole").values():
        future = (one.properties.get("onSchemaObject") or {}).get("future")
        if future:
            key = (one.properties["accountRoleName"], future["objectTypePlural"], future["inSchema"])
            assert key not in seen
            seen.add(key)
    assert {plain(schema) for _, plural, schema in seen if plural == "TABLES"} == {
        f"{one.name}.{schema}" for one in LAYOUT for schema in one.schemas if schema != "LAKE"
    }


def test_teams_make_and_change_nothing(prod: Program) -> None:
    grants = [one.properties for one in all_of(prod, "GrantPrivilegesToAccountRole").values()]
    teams = [one for one in grants if one["accountRoleName"].startswith("TEAM_")]
    assert {tuple(one["privileges"]) for one in teams} == {("USAGE",)}


# -- functions ---------------------------------------------------------------------------------------------------------


def test_every_function_of_the_folder_is_one_in_python_with_the_same_text(where: tuple[Environment, Program]) -> None:
    found, program = where
    made = all_of(program, "FunctionPython")
    assert sorted(made) == [one.full_name for one in functions(found.root)]
    for one in functions(found.root):
        said = made[one.full_name].properties
        assert (said["database"], said["schema"], said["name"]) == ("STAGING", "SHOP", one.name)
        assert said["functionDefinition"] == one.source
        assert said["handler"] == one.handler
        assert [(each["argName"], each["argDataType"]) for each in said["arguments"]] == [
            (each.name, each.type) for each in one.arguments
        ]
        assert said["returnType"] == one.returns
        assert said["nullInputBehavior"] == "RETURNS NULL ON NULL INPUT"


def test_a_functions_use_is_granted_before_it_is_there_and_to_those_who_transform(prod: Program) -> None:
    grants = {
        name: one
        for name, one in all_of(prod, "GrantPrivilegesToAccountRole").items()
        if ((one.properties.get("onSchemaObject") or {}).get("future") or {}).get("objectTypePlural") == "FUNCTIONS"
    }
    [grant] = grants.values()
    assert grant.properties["accountRoleName"] == "STAGING_SHOP_READ"
    assert grant.properties["privileges"] == ["USAGE"]
    for one in all_of(prod, "FunctionPython").values():
        assert grant.urn in before(prod, one.urn)
    holders = {
        one.properties.get("parentRoleName")
        for one in all_of(prod, "GrantAccountRole").values()
        if str(one.properties["roleName"]).startswith("STAGING_SHOP_")
    }
    assert holders == {"STAGING_SHOP_WRITE", "SERVICE_AIRFLOW", ADMIN}


# -- the way to the lake -----------------------------------------------------------------------------------------------


def test_files_are_reached_by_an_integration_that_names_one_zone(prod: Program) -> None:
    made = {one.properties["name"]: one.properties for one in all_of(prod, "StorageIntegrationAws").values()}
    stages = all_of(prod, "StageExternalS3")
    assert {f"{one.properties['database']}.{one.properties['schema']}" for one in stages.values()} == {
        f"{one.name}.LAKE" for one in LAYOUT if one.stage_zone
    }
    for one in stages.values():
        url = one.properties["url"]
        [allowed] = made[plain(one.properties["storageIntegration"])]["storageAllowedLocations"]
        assert url.startswith(allowed)
        assert url.endswith("/")
        assert not one.properties.get("credentials")


def test_the_circle_of_trust_is_cut_by_names(prod: Program) -> None:
    roles = prod.of("aws:iam/role:Role")
    by_arn = {f"arn:aws:iam::{'3' * 12}:role/{one.properties['name']}": one for one in roles.values()}
    for one in all_of(prod, "StorageIntegrationAws").values():
        role = by_arn[one.properties["storageAwsRoleArn"]]
        trust = json.loads(role.properties["assumeRolePolicy"])
        [statement] = trust["Statement"]
        assert statement["Condition"]["StringEquals"]["sts:ExternalId"] == one.properties["storageAwsExternalId"]
        assert statement["Principal"]["AWS"].endswith(":user/snowflake")
        assert role.urn not in before(prod, one.urn)
        assert role.properties["permissionsBoundary"].endswith("-boundary")


def test_the_role_reads_the_folders_of_datasets_and_writes_nothing(prod: Program) -> None:
    for name, one in prod.of("aws:iam/rolePolicy:RolePolicy").items():
        document = json.loads(one.properties["policy"])
        allowed = [found for found in document["Statement"] if found["Effect"] == "Allow"]
        actions = {action for found in allowed for action in found["Action"]}
        assert not {action for action in actions if action.startswith("s3:Put") or "Delete" in action or "*" in action}
        folders = {
            resource.split(":::")[1].partition("/")[2]
            for found in allowed
            for resource in found["Resource"]
            if "s3:GetObject" in found["Action"]
        }
        zone = name.removeprefix("warehouse-")
        layers = {"raw": "RAW", "curated": "MARTS"}
        known = {f"{key.replace('.', '/')}/*" for key, found in CATALOG.items() if found.layer == layers[zone]}
        assert folders
        assert folders <= known


def test_a_stage_comes_after_the_role_that_reads_it_and_after_what_is_granted_on_what_will_be(prod: Program) -> None:
    grants = all_of(prod, "GrantPrivilegesToAccountRole")
    for one in (*all_of(prod, "StageExternalS3").values(), *all_of(prod, "FileFormatParquet").values()):
        ahead = before(prod, one.urn)
        database = one.properties["database"]
        future = [
            grant
            for grant in grants.values()
            if "LAKE" in plain((grant.properties.get("onSchemaObject") or {}).get("future", {}).get("inSchema"))
            and grant.properties["accountRoleName"].startswith(f"{database}_")
        ]
        assert len(future) == 2
        assert {grant.urn for grant in future} <= ahead
        if one.name.endswith("FILES"):
            assert [urn for urn in ahead if "aws:iam/rolePolicy:RolePolicy" in urn]


# -- how it is deployed ------------------------------------------------------------------------------------------------


def test_a_grant_is_revoked_before_it_is_made_anew_and_names_are_stable(prod: Program) -> None:
    names = sorted([*all_of(prod, "GrantPrivilegesToAccountRole"), *all_of(prod, "GrantAccountRole")])
    assert len(set(names)) == len(names)
    again = stack_of("prod", "warehouse", outputs("prod"))
    assert {urn: one.properties for urn, one in again.resources.items()} == {
        urn: one.properties for urn, one in prod.resources.items()
    }


def test_each_administrator_makes_what_is_his_and_no_key_of_the_deployer_is_declared(prod: Program) -> None:
    providers = prod.of("pulumi:providers:snowflake")
    assert {one.properties["role"] for one in providers.values()} <= ADMINS
    assert {one.properties["user"] for one in providers.values()} == {"LEANDATA_DEPLOY"}
    assert {one.properties["authenticator"] for one in providers.values()} == {"SNOWFLAKE_JWT"}
    assert not [one for one in providers.values() if {"privateKey", "password", "token"} & set(one.properties)]


def test_names_are_in_upper_case_as_given(prod: Program) -> None:
    for one in prod.resources.values():
        if one.type.startswith("snowflake:") and "name" in one.properties:
            assert one.properties["name"] == one.properties["name"].upper()


def test_the_address_is_known_when_all_of_it_is_there(prod: Program) -> None:
    assert prod.outputs == {"address": "snowflake://example-leandata-prod"}


def test_every_resource_belongs_to_the_component(prod: Program) -> None:
    for one in prod.resources.values():
        if one.type.startswith(("snowflake:", "aws:")):
            assert "leandata:index:Warehouse" in one.urn


def test_only_the_pipelines_read_what_was_metered_and_an_administrator_says_so(prod: Program) -> None:
    granted = all_of(prod, "GrantDatabaseRole")
    assert {one.name: one.properties for one in granted.values()} == {
        "SERVICE_AIRFLOW-metering": {
            "databaseRoleName": '"SNOWFLAKE"."USAGE_VIEWER"',
            "parentRoleName": "SERVICE_AIRFLOW",
        }
    }
    said = 'GRANT DATABASE ROLE "SNOWFLAKE"."USAGE_VIEWER" TO ROLE "SERVICE_AIRFLOW";'
    assert said in sql({"warehouse": prod}).splitlines()
