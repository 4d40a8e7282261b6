"""What the programs declare on Snowflake, as the SQL that would do the same: sections that can be run in their order.

For people to read and to compare. Roles, users and grants are complete; of other objects what matters for rights.
Pure: the same programs give the same text, every statement in one line, each section sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ci.programs import Program, Resource

Properties = Mapping[str, Any]
_PREFIX = "snowflake:index/"


def sql(programs: Mapping[str, Program]) -> str:
    """All statements, by section; "" where nothing lies on Snowflake."""
    found = [one for program in programs.values() for one in program.resources.values() if one.type.startswith(_PREFIX)]
    lines: list[str] = []
    for title, writers in SECTIONS:
        made = sorted({f"{statement};" for one in found for statement in _statements(one, writers)})
        if made:
            lines += [f"-- {title}", *made, ""]
    return "\n".join(lines)


def identifier(name: Any) -> str:
    """A name of one or more parts, each quoted, whether it came with quotes or without."""
    return ".".join(f'"{part}"' for part in str(name).replace('"', "").split("."))


def text(value: Any) -> str:
    """A text constant."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _statements(resource: Resource, writers: Mapping[str, Writer]) -> Iterator[str]:
    writer = writers.get(resource.type.rpartition(":")[2])
    if writer is not None:
        yield from writer(resource.properties)


def _options(properties: Properties, known: Mapping[str, str]) -> str:
    """`NAME = value` for each of the properties that is there; `known` maps their wire names, in this order."""
    found = [f" {name} = {_value(properties[key])}" for key, name in known.items() if properties.get(key) is not None]
    return "".join(found)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"({', '.join(_value(one) for one in value)})"
    return str(value).upper() if str(value).lower() in ("true", "false") else text(value)


def _parameter(one: Properties) -> Iterator[str]:
    yield f"ALTER ACCOUNT SET {one.get('key')} = {_value(_number(one.get('value')))}"


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _monitor(one: Properties) -> Iterator[str]:
    said = _options(one, {"creditQuota": "CREDIT_QUOTA"})
    said += (
        f" FREQUENCY = {one.get('frequency', 'MONTHLY')} START_TIMESTAMP = {one.get('startTimestamp', 'IMMEDIATELY')}"
    )
    shares = [(share, "NOTIFY") for share in one.get("notifyTriggers") or []]
    for key, action in (("suspendTrigger", "SUSPEND"), ("suspendImmediateTrigger", "SUSPEND_IMMEDIATE")):
        shares += [(one[key], action)] if one.get(key) else []
    triggers = " ".join(f"ON {share} PERCENT DO {action}" for share, action in shares)
    yield f"CREATE RESOURCE MONITOR {identifier(one.get('name'))} WITH{said} TRIGGERS {triggers}"


def _warehouse(one: Properties) -> Iterator[str]:
    known = {
        "warehouseSize": "WAREHOUSE_SIZE",
        "autoSuspend": "AUTO_SUSPEND",
        "autoResume": "AUTO_RESUME",
        "initiallySuspended": "INITIALLY_SUSPENDED",
        "statementTimeoutInSeconds": "STATEMENT_TIMEOUT_IN_SECONDS",
        "statementQueuedTimeoutInSeconds": "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS",
    }
    watched = f" RESOURCE_MONITOR = {identifier(one['resourceMonitor'])}" if one.get("resourceMonitor") else ""
    yield f"CREATE WAREHOUSE {identifier(one.get('name'))} WITH{_options(one, known)}{watched}"


def _database(one: Properties) -> Iterator[str]:
    kept = _options(one, {"dataRetentionTimeInDays": "DATA_RETENTION_TIME_IN_DAYS"})
    yield f"CREATE DATABASE {identifier(one.get('name'))}{kept}"
    if one.get("dropPublicSchemaOnCreation"):
        yield f'DROP SCHEMA IF EXISTS {identifier(one.get("name"))}."PUBLIC"'


def _schema(one: Properties) -> Iterator[str]:
    managed = " WITH MANAGED ACCESS" if str(one.get("withManagedAccess")).lower() == "true" else ""
    kept = _options(one, {"dataRetentionTimeInDays": "DATA_RETENTION_TIME_IN_DAYS"})
    yield f"CREATE SCHEMA {_place(one, 'database')}{managed}{kept}"


def _place(one: Properties, *parts: str) -> str:
    """The full name of something that lies in something else."""
    return ".".join(identifier(one.get(part)) for part in (*parts, "name"))


def _network(one: Properties) -> Iterator[str]:
    lists = {"allowedIpLists": "ALLOWED_IP_LIST", "blockedIpLists": "BLOCKED_IP_LIST"}
    yield f"CREATE NETWORK POLICY {identifier(one.get('name'))}{_options(one, lists)}"


def _authentication(one: Properties) -> Iterator[str]:
    known = {
        "authenticationMethods": "AUTHENTICATION_METHODS",
        "clientTypes": "CLIENT_TYPES",
        "mfaEnrollment": "MFA_ENROLLMENT",
    }
    yield f"CREATE AUTHENTICATION POLICY {_place(one, 'database', 'schema')}{_options(one, known)}"


def _password(one: Properties) -> Iterator[str]:
    known = {
        "minLength": "PASSWORD_MIN_LENGTH",
        "maxRetries": "PASSWORD_MAX_RETRIES",
        "lockoutTimeMins": "PASSWORD_LOCKOUT_TIME_MINS",
        "history": "PASSWORD_HISTORY",
        "maxAgeDays": "PASSWORD_MAX_AGE_DAYS",
    }
    yield f"CREATE PASSWORD POLICY {_place(one, 'database', 'schema')}{_options(one, known)}"


def _of_account(kind: str, key: str) -> Writer:
    def write(one: Properties) -> Iterator[str]:
        groups = {"forAllPersonUsers": " FOR ALL PERSON USERS", "forAllServiceUsers": " FOR ALL SERVICE USERS"}
        whom = "".join(words for name, words in groups.items() if one.get(name))
        yield f"ALTER ACCOUNT SET {kind} POLICY {identifier(one.get(key))}{whom}"

    return write


def _of_user(one: Properties) -> Iterator[str]:
    policy = identifier(one.get("authenticationPolicyName"))
    yield f"ALTER USER {identifier(one.get('userName'))} SET AUTHENTICATION POLICY {policy}"


def _integration(one: Properties) -> Iterator[str]:
    known = {
        "enabled": "ENABLED",
        "storageProvider": "STORAGE_PROVIDER",
        "storageAwsRoleArn": "STORAGE_AWS_ROLE_ARN",
        "storageAwsExternalId": "STORAGE_AWS_EXTERNAL_ID",
        "storageAllowedLocations": "STORAGE_ALLOWED_LOCATIONS",
    }
    yield f"CREATE STORAGE INTEGRATION {identifier(one.get('name'))} TYPE = EXTERNAL_STAGE{_options(one, known)}"


def _format(one: Properties) -> Iterator[str]:
    yield f"CREATE FILE FORMAT {_place(one, 'database', 'schema')} TYPE = PARQUET"


def _stage(one: Properties) -> Iterator[str]:
    named = (one.get("fileFormat") or {}).get("formatName")
    said = f" FILE_FORMAT = (FORMAT_NAME = {text(named)})" if named else ""
    through = f" STORAGE_INTEGRATION = {identifier(one['storageIntegration'])}" if one.get("storageIntegration") else ""
    yield f"CREATE STAGE {_place(one, 'database', 'schema')} URL = {text(one.get('url'))}{through}{said}"


def _function(one: Properties) -> Iterator[str]:
    said = one.get("arguments") or []
    arguments = ", ".join(f"{identifier(each['argName'])} {each['argDataType']}" for each in said)
    known = {"runtimeVersion": "RUNTIME_VERSION", "handler": "HANDLER", "comment": "COMMENT"}
    how = f"LANGUAGE PYTHON {one.get('nullInputBehavior')} {one.get('returnResultsBehavior')}{_options(one, known)}"
    body = text(one.get("functionDefinition")).replace("\n", "\\n")
    place = _place(one, "database", "schema")
    yield f"CREATE FUNCTION {place} ({arguments}) RETURNS {one.get('returnType')} {how} AS {body}"


def _role(one: Properties) -> Iterator[str]:
    yield f"CREATE ROLE {identifier(one.get('name'))}{_options(one, {'comment': 'COMMENT'})}"


def _user(one: Properties) -> Iterator[str]:
    known = {"rsaPublicKey": "RSA_PUBLIC_KEY", "rsaPublicKey2": "RSA_PUBLIC_KEY_2"}
    named = {"defaultRole": "DEFAULT_ROLE", "defaultWarehouse": "DEFAULT_WAREHOUSE", "networkPolicy": "NETWORK_POLICY"}
    said = "".join(f" {name} = {identifier(one[key])}" for key, name in named.items() if one.get(key))
    yield f"CREATE USER {identifier(one.get('name'))} TYPE = SERVICE{said}{_options(one, known)}"


def _granted_role(one: Properties) -> Iterator[str]:
    user = one.get("userName")
    to = f"USER {identifier(user)}" if user else f"ROLE {identifier(one.get('parentRoleName'))}"
    yield f"GRANT ROLE {identifier(one.get('roleName'))} TO {to}"


def _granted_database_role(one: Properties) -> Iterator[str]:
    role, to = identifier(one.get("databaseRoleName")), identifier(one.get("parentRoleName"))
    yield f"GRANT DATABASE ROLE {role} TO ROLE {to}"


def _granted(one: Properties) -> Iterator[str]:
    privileges = ", ".join(sorted(map(str, one.get("privileges") or []))) or "ALL PRIVILEGES"
    more = " WITH GRANT OPTION" if one.get("withGrantOption") else ""
    yield f"GRANT {privileges} ON {target(one)} TO ROLE {identifier(one.get('accountRoleName'))}{more}"


def _owned(one: Properties) -> Iterator[str]:
    kept = f" {one['outboundPrivileges']} CURRENT GRANTS" if one.get("outboundPrivileges") else ""
    where = _things(one.get("on") or {})
    yield f"GRANT OWNERSHIP ON {where} TO ROLE {identifier(one.get('accountRoleName'))}{kept}"


def target(one: Properties) -> str:
    """What a grant of privileges is about, as SQL says it."""
    if one.get("onAccount"):
        return "ACCOUNT"
    if found := one.get("onAccountObject"):
        return f"{found.get('objectType')} {identifier(found.get('objectName'))}"
    if found := one.get("onSchema"):
        if found.get("schemaName"):
            return f"SCHEMA {identifier(found['schemaName'])}"
        word, key = ("FUTURE", "futureSchemasInDatabase")
        if found.get("allSchemasInDatabase"):
            word, key = "ALL", "allSchemasInDatabase"
        return f"{word} SCHEMAS IN DATABASE {identifier(found.get(key))}"
    return _things(one.get("onSchemaObject") or {})


def _things(found: Properties) -> str:
    """One thing, or all of a kind that are or will be in a schema or a database."""
    for key in ("all", "future"):
        if many := found.get(key):
            kind, name = ("SCHEMA", many["inSchema"]) if many.get("inSchema") else ("DATABASE", many.get("inDatabase"))
            return f"{key.upper()} {many.get('objectTypePlural')} IN {kind} {identifier(name)}"
    return f"{found.get('objectType')} {identifier(found.get('objectName'))}"


Writer = Callable[[Properties], Iterator[str]]
SECTIONS: tuple[tuple[str, Mapping[str, Writer]], ...] = (
    ("Resource monitors", {"ResourceMonitor": _monitor}),
    ("Warehouses", {"Warehouse": _warehouse}),
    ("Databases", {"Database": _database}),
    ("Schemas", {"Schema": _schema}),
    ("Roles", {"AccountRole": _role}),
    ("Network policies", {"NetworkPolicy": _network}),
    (
        "Policies of logging in",
        {"AuthenticationPolicy": _authentication, "PasswordPolicy": _password},
    ),
    ("Users", {"ServiceUser": _user}),
    (
        "The account",
        {
            "AccountAuthenticationPolicyAttachment": _of_account("AUTHENTICATION", "authenticationPolicy"),
            "AccountParameter": _parameter,
            "AccountPasswordPolicyAttachment": _of_account("PASSWORD", "passwordPolicy"),
            "UserAuthenticationPolicyAttachment": _of_user,
        },
    ),
    ("Who may read the lake", {"StorageIntegrationAws": _integration}),
    ("File formats", {"FileFormatParquet": _format}),
    ("Stages", {"StageExternalS3": _stage}),
    ("Functions", {"FunctionPython": _function}),
    ("Who has which role", {"GrantAccountRole": _granted_role, "GrantDatabaseRole": _granted_database_role}),
    ("What roles own", {"GrantOwnership": _owned}),
    ("What roles may do", {"GrantPrivilegesToAccountRole": _granted}),
)
