"""What lies on Snowflake, as SQL: sorted, complete for roles, users and grants, and able to be run in its order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ci.programs import Program
from ci.snowflake_sql import SECTIONS, identifier, sql, text
from ci.tests.graphs import graph, resource


def made(class_: str, properties: dict[str, Any], name: str = "it") -> Any:
    return resource(f"snowflake:index/{class_[0].lower()}{class_[1:]}:{class_}", name, properties)


def written(class_: str, properties: dict[str, Any]) -> list[str]:
    """The statements that one resource becomes."""
    text = sql(graph(made(class_, properties)))
    return [line for line in text.splitlines() if line and not line.startswith("--")]


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("RAW", '"RAW"'),
        ('"RAW"', '"RAW"'),
        ('"RAW"."SHOP"', '"RAW"."SHOP"'),
        ("RAW.SHOP.ORDERS", '"RAW"."SHOP"."ORDERS"'),
        ("lower", '"lower"'),
    ],
)
def test_every_part_of_a_name_is_quoted_once(name: str, quoted: str) -> None:
    assert identifier(name) == quoted


def test_a_quote_in_a_text_is_doubled_and_a_backslash_too() -> None:
    assert text("it's a \\") == "'it''s a \\\\'"


def test_a_function_in_python_is_one_line_whose_text_keeps_its_lines() -> None:
    said = {
        "name": "F", "database": "STAGING", "schema": "SHOP", "returnType": "VARCHAR", "handler": "f",
        "arguments": [{"argName": "X", "argDataType": "NUMBER(38, 0)"}], "runtimeVersion": "3.11",
        "nullInputBehavior": "RETURNS NULL ON NULL INPUT", "returnResultsBehavior": "IMMUTABLE",
        "functionDefinition": "def f(x):\n    return 'it'\n",
    }  # fmt: skip
    [line] = written("FunctionPython", said)
    assert line == (
        'CREATE FUNCTION "STAGING"."SHOP"."F" ("X" NUMBER(38, 0)) RETURNS VARCHAR LANGUAGE PYTHON'
        " RETURNS NULL ON NULL INPUT IMMUTABLE RUNTIME_VERSION = '3.11' HANDLER = 'f'"
        r" AS 'def f(x):\n    return ''it''\n';"
    )


def test_a_comment_cannot_end_its_statement() -> None:
    [role] = written("AccountRole", {"name": "READER", "comment": "'; DROP DATABASE RAW; --"})
    assert role == """CREATE ROLE "READER" COMMENT = '''; DROP DATABASE RAW; --';"""


@pytest.mark.parametrize(
    ("class_", "properties", "statement"),
    [
        (
            "GrantAccountRole",
            {"roleName": "READER", "parentRoleName": "SYSADMIN"},
            'GRANT ROLE "READER" TO ROLE "SYSADMIN";',
        ),
        ("GrantAccountRole", {"roleName": "READER", "userName": '"BOT"'}, 'GRANT ROLE "READER" TO USER "BOT";'),
        (
            "GrantPrivilegesToAccountRole",
            {
                "accountRoleName": "READER",
                "privileges": ["USAGE"],
                "onAccountObject": {"objectType": "DATABASE", "objectName": "RAW"},
            },
            'GRANT USAGE ON DATABASE "RAW" TO ROLE "READER";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {"accountRoleName": "R", "privileges": ["USAGE", "CREATE VIEW"], "onSchema": {"schemaName": '"RAW"."S"'}},
            'GRANT CREATE VIEW, USAGE ON SCHEMA "RAW"."S" TO ROLE "R";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {"accountRoleName": "R", "privileges": ["USAGE"], "onSchema": {"futureSchemasInDatabase": "RAW"}},
            'GRANT USAGE ON FUTURE SCHEMAS IN DATABASE "RAW" TO ROLE "R";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {"accountRoleName": "R", "privileges": ["USAGE"], "onSchema": {"allSchemasInDatabase": "RAW"}},
            'GRANT USAGE ON ALL SCHEMAS IN DATABASE "RAW" TO ROLE "R";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {
                "accountRoleName": "R",
                "privileges": ["SELECT"],
                "onSchemaObject": {"future": {"objectTypePlural": "TABLES", "inSchema": '"RAW"."S"'}},
            },
            'GRANT SELECT ON FUTURE TABLES IN SCHEMA "RAW"."S" TO ROLE "R";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {
                "accountRoleName": "R",
                "privileges": ["SELECT"],
                "onSchemaObject": {"all": {"objectTypePlural": "TABLES", "inDatabase": "RAW"}},
            },
            'GRANT SELECT ON ALL TABLES IN DATABASE "RAW" TO ROLE "R";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {
                "accountRoleName": "R",
                "privileges": ["USAGE"],
                "onSchemaObject": {"objectType": "STAGE", "objectName": "RAW.LAKE.FILES"},
            },
            'GRANT USAGE ON STAGE "RAW"."LAKE"."FILES" TO ROLE "R";',
        ),
        (
            "GrantPrivilegesToAccountRole",
            {"accountRoleName": "R", "allPrivileges": True, "onAccount": True, "withGrantOption": True},
            'GRANT ALL PRIVILEGES ON ACCOUNT TO ROLE "R" WITH GRANT OPTION;',
        ),
        (
            "GrantOwnership",
            {
                "accountRoleName": "R",
                "on": {"future": {"objectTypePlural": "TABLES", "inSchema": "RAW.S"}},
                "outboundPrivileges": "COPY",
            },
            'GRANT OWNERSHIP ON FUTURE TABLES IN SCHEMA "RAW"."S" TO ROLE "R" COPY CURRENT GRANTS;',
        ),
        (
            "AccountParameter",
            {"key": "PERIODIC_DATA_REKEYING", "value": "true"},
            "ALTER ACCOUNT SET PERIODIC_DATA_REKEYING = TRUE;",
        ),
        ("AccountParameter", {"key": "TIMEZONE", "value": "UTC"}, "ALTER ACCOUNT SET TIMEZONE = 'UTC';"),
        (
            "UserAuthenticationPolicyAttachment",
            {"userName": "BOT", "authenticationPolicyName": "P.S.KEYS"},
            'ALTER USER "BOT" SET AUTHENTICATION POLICY "P"."S"."KEYS";',
        ),
    ],
)
def test_what_is_declared_becomes_the_statement_that_does_it(
    class_: str, properties: dict[str, Any], statement: str
) -> None:
    assert written(class_, properties) == [statement]


def test_a_service_user_has_its_type_its_role_and_both_slots() -> None:
    both = {"name": "BOT", "defaultRole": "R", "rsaPublicKey": "MIIA", "rsaPublicKey2": "MIIB"}
    [user] = written("ServiceUser", both)
    assert user.startswith('CREATE USER "BOT" TYPE = SERVICE DEFAULT_ROLE = "R"')
    assert "RSA_PUBLIC_KEY = 'MIIA' RSA_PUBLIC_KEY_2 = 'MIIB'" in user


def test_a_user_without_a_key_has_no_word_of_one() -> None:
    [user] = written("ServiceUser", {"name": "BOT"})
    assert user == 'CREATE USER "BOT" TYPE = SERVICE;'


def test_a_monitor_says_when_it_tells_and_when_it_stops() -> None:
    [monitor] = written(
        "ResourceMonitor",
        {"name": "M", "creditQuota": 10, "notifyTriggers": [50, 80], "suspendTrigger": 100, "frequency": "MONTHLY"},
    )
    assert monitor.endswith("ON 50 PERCENT DO NOTIFY ON 80 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND;")


def test_a_schema_without_managed_access_is_seen_to_have_none() -> None:
    assert "MANAGED" not in written("Schema", {"name": "S", "database": "RAW"})[0]
    assert "WITH MANAGED ACCESS" in written("Schema", {"name": "S", "database": "RAW", "withManagedAccess": "true"})[0]


def test_a_database_loses_the_schema_that_everybody_could_use() -> None:
    lines = written("Database", {"name": "RAW", "dropPublicSchemaOnCreation": True})
    assert lines == ['CREATE DATABASE "RAW";', 'DROP SCHEMA IF EXISTS "RAW"."PUBLIC";']


def test_other_peoples_resources_are_no_business_of_snowflake() -> None:
    assert sql(graph(resource("aws:iam/role:Role", "r", {"name": "r"}))) == ""
    assert sql({}) == ""


def test_what_is_unknown_to_the_writer_is_left_out_and_the_rest_is_written() -> None:
    found = sql(graph(made("Pipe", {"name": "P"}, name="pipe"), made("AccountRole", {"name": "R"})))
    assert found == '-- Roles\nCREATE ROLE "R";\n'


def things() -> list[Any]:
    roles = [made("AccountRole", {"name": f"R{number}"}, name=f"role{number}") for number in range(9)]
    grants = [
        made("GrantAccountRole", {"roleName": f"R{number}", "parentRoleName": "SYSADMIN"}, name=f"grant{number}")
        for number in range(9)
    ]
    return [*roles, *grants, made("Database", {"name": "RAW"})]


def test_the_same_things_in_any_order_give_the_same_text() -> None:
    first = sql(graph(*things()))
    for seed in range(20):
        mixed = things()
        random.Random(seed).shuffle(mixed)
        assert sql(graph(*mixed)) == first


def test_roles_come_before_the_grants_that_name_them() -> None:
    found = sql(graph(*things()))
    assert found.index('CREATE ROLE "R8"') < found.index('GRANT ROLE "R0"')
    assert found.index("CREATE DATABASE") < found.index("CREATE ROLE")


def test_the_same_statement_of_two_stacks_stands_there_once() -> None:
    role = made("AccountRole", {"name": "R"})
    twice = {name: Program(resources={role.urn: role}) for name in ("a", "b")}
    assert sql(twice).count("CREATE ROLE") == 1


def test_no_two_sections_write_the_same_class() -> None:
    classes = [name for _, writers in SECTIONS for name in writers]
    assert len(set(classes)) == len(classes)


@pytest.mark.parametrize("class_", sorted(name for _, writers in SECTIONS for name in writers))
def test_a_resource_that_says_nothing_gives_no_traceback(class_: str) -> None:
    assert written(class_, {})
