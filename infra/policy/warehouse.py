"""Snowflake: the items of CIS 1.0 that a program can promise, and the roles that lead nowhere they should not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.policy.cases import snowflake
from infra.policy.graph import Graph, Object, Resource, at, items, true
from infra.policy.rule import Hit, Rule

CIS = "CIS Snowflake 1.0"
ADMINS = frozenset({"ACCOUNTADMIN", "GLOBALORGADMIN", "ORGADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN"})
_TOP = frozenset({"ACCOUNTADMIN", "GLOBALORGADMIN", "ORGADMIN", "SECURITYADMIN"})
_LONGEST_IDLE = 60
_WORLD = ("0.0.0.0/0",)
PARAMETERS = {
    "PERIODIC_DATA_REKEYING": "true",
    "PREVENT_UNLOAD_TO_INLINE_URL": "true",
    "REQUIRE_STORAGE_INTEGRATION_FOR_STAGE_CREATION": "true",
    "REQUIRE_STORAGE_INTEGRATION_FOR_STAGE_OPERATION": "true",
}
_GRANTS = (
    "GrantPrivilegesToAccountRole", "GrantPrivilegesToDatabaseRole", "GrantOwnership", "GrantDatabaseRole",
    "GrantAccountRole",
)  # fmt: skip


def token(name: str) -> str:
    """The type of a resource of Snowflake, from how its class is called."""
    return f"snowflake:index/{name[0].lower()}{name[1:]}:{name}"


def plain(name: Any) -> str:
    """An identifier without its quotes."""
    return str(name or "").replace('"', "")


def _all(graph: Graph, *names: str) -> Iterator[Resource]:
    yield from graph.every(*(token(name) for name in names))


def _warehouses(graph: Graph) -> Iterator[Hit]:
    for one in _all(graph, "Warehouse", "WarehouseAdaptive"):
        idle = one.properties.get("autoSuspend")
        if not isinstance(idle, int) or not 0 < idle <= _LONGEST_IDLE:
            yield Hit(resource=one, property="autoSuspend", said=str(idle))
        if not true(one.properties.get("autoResume", "true")):
            yield Hit(resource=one, property="autoResume", said="it stays off")
        if not one.properties.get("statementTimeoutInSeconds"):
            yield Hit(resource=one, property="statementTimeoutInSeconds", said="two days")


def _monitors(graph: Graph) -> Iterator[Hit]:
    """Every warehouse names a monitor that there is, and every monitor warns and then stops."""
    monitors = {plain(one.properties.get("name")): one for one in _all(graph, "ResourceMonitor")}
    for one in _all(graph, "Warehouse", "WarehouseAdaptive"):
        if plain(one.properties.get("resourceMonitor")) not in monitors:
            yield Hit(resource=one, property="resourceMonitor", said=plain(one.properties.get("resourceMonitor")))
    for one in monitors.values():
        for key in ("creditQuota", "notifyTriggers"):
            if not one.properties.get(key):
                yield Hit(resource=one, property=key, said="missing")
        if not one.properties.get("suspendTrigger") and not one.properties.get("suspendImmediateTrigger"):
            yield Hit(resource=one, property="suspendTrigger", said="it only warns")


def _schemas(graph: Graph) -> Iterator[Hit]:
    for one in _all(graph, "Schema"):
        if not true(one.properties.get("withManagedAccess")):
            yield Hit(resource=one, property="withManagedAccess", said="not true")


def _networks(graph: Graph) -> Iterator[Hit]:
    """The account has a policy, every service user has one of its own, and none of them is open to the world."""
    attached = list(_all(graph, "NetworkPolicyAttachment"))
    of_users = {plain(user) for one in attached for user in items(one.properties, "users")}
    of_account = any(true(one.properties.get("setForAccount")) for one in attached)
    if not of_account and "NETWORK_POLICY" not in parameters(graph):
        for one in list(_all(graph, "Warehouse", "ServiceUser"))[:1]:
            yield Hit(resource=one, property="networkPolicy", said="the account has none")
    for one in _all(graph, "LegacyServiceUser", "ServiceUser"):
        if not one.properties.get("networkPolicy") and plain(one.properties.get("name")) not in of_users:
            yield Hit(resource=one, property="networkPolicy", said="none of its own")
    for one in _all(graph, "NetworkPolicy"):
        if any(cidr in _WORLD for cidr in items(one.properties, "allowedIpLists")):
            yield Hit(resource=one, property="allowedIpLists", said="from anywhere")
        if not items(one.properties, "allowedIpLists") and not items(one.properties, "allowedNetworkRuleLists"):
            yield Hit(resource=one, property="allowedIpLists", said="it names nobody: everybody may come")
    for one in _all(graph, "NetworkRule"):
        if one.properties.get("mode") == "INGRESS" and any(c in _WORLD for c in items(one.properties, "valueLists")):
            yield Hit(resource=one, property="valueLists", said="from anywhere")


def _users(graph: Graph) -> Iterator[Hit]:
    """Programs are service users with a key pair or an identity of their cloud; nobody's password lies in a program."""
    for one in _all(graph, "LegacyServiceUser", "User"):
        yield Hit(resource=one, property="type", said="may hold a password")
    for one in _all(graph, "ServiceUser"):
        if not any(one.properties.get(key) for key in ("rsaPublicKey", "rsaPublicKey2", "defaultWorkloadIdentity")):
            yield Hit(resource=one, property="rsaPublicKey", said="no key pair")
        if plain(one.properties.get("defaultRole")) in ADMINS:
            yield Hit(resource=one, property="defaultRole", said=plain(one.properties.get("defaultRole")))
    for one in _all(graph, "UserProgrammaticAccessToken"):
        yield Hit(resource=one, property="name", said="a token that is as good as a password")


def parents(graph: Graph) -> dict[str, set[str]]:
    """Whom each role is granted to: roles by name, users with `user:` before it."""
    found: dict[str, set[str]] = {}
    for one in _all(graph, "GrantAccountRole", "GrantDatabaseRole"):
        role = plain(one.properties.get("roleName") or one.properties.get("databaseRoleName"))
        to = plain(one.properties.get("parentRoleName") or one.properties.get("parentDatabaseRoleName"))
        user = plain(one.properties.get("userName"))
        found.setdefault(role, set()).update({f"user:{user}"} if user else {to})
    return found


def above(role: str, granted: Mapping[str, set[str]]) -> set[str]:
    """Everybody who has what the role has, directly or through other roles."""
    found: set[str] = set()
    ahead = [role]
    while ahead:
        for parent in granted.get(ahead.pop(), set()) - found:
            found.add(parent)
            ahead.append(parent)
    return found


def _admins(graph: Graph) -> Iterator[Hit]:
    """No role of ours and no user of ours comes to an administrator's role, and nothing is owned by one."""
    for one in _all(graph, "GrantAccountRole"):
        role = plain(one.properties.get("roleName"))
        to = plain(one.properties.get("parentRoleName") or one.properties.get("userName"))
        if role in ADMINS and not (role == "SYSADMIN" and to == "ACCOUNTADMIN"):
            yield Hit(resource=one, property="roleName", said=f"{role} to {to}")
        if to in _TOP:
            yield Hit(resource=one, property="parentRoleName", said=f"{role} to {to}")
    for one in _all(graph, "GrantOwnership"):
        owner = plain(one.properties.get("accountRoleName"))
        if owner in _TOP:
            yield Hit(resource=one, property="accountRoleName", said=f"owned by {owner}")


def _hierarchy(graph: Graph) -> Iterator[Hit]:
    """Every role of ours is under SYSADMIN, so that what it owns can be managed."""
    granted = parents(graph)
    for one in _all(graph, "AccountRole"):
        if "SYSADMIN" not in above(plain(one.properties.get("name")), granted):
            yield Hit(resource=one, property="name", said="no way up to SYSADMIN")


def _grants(graph: Graph) -> Iterator[Hit]:
    """Rights are named, handed on by nobody, given to no role that everybody has."""
    for one in _all(graph, *_GRANTS):
        for key in ("accountRoleName", "parentRoleName", "databaseRoleName"):
            if plain(one.properties.get(key)) == "PUBLIC":
                yield Hit(resource=one, property=key, said="PUBLIC")
        for key in ("allPrivileges", "withGrantOption"):
            if true(one.properties.get(key)):
                yield Hit(resource=one, property=key, said="true")
        strong = {"MANAGE GRANTS", "OWNERSHIP"} & {str(found).upper() for found in items(one.properties, "privileges")}
        if strong:
            yield Hit(resource=one, property="privileges", said=", ".join(sorted(strong)))


def _future(graph: Graph) -> Iterator[Hit]:
    """What is granted on all that is there is granted on all that will be."""
    types = (token("GrantPrivilegesToAccountRole"), token("GrantPrivilegesToDatabaseRole"))
    for one in graph.every(*types):
        what = _scope(one.properties, "all")
        if what and not any(_scope(other.properties, "future") == what for other in graph.every(*types)):
            yield Hit(resource=one, property="onSchemaObject.all", said="no future grant beside it")


def _scope(properties: Object, when: str) -> tuple[str, ...]:
    found = at(properties, f"onSchemaObject.{when}")
    if not isinstance(found, Mapping):
        return ()
    where = plain(found.get("inSchema") or found.get("inDatabase"))
    privileges = sorted(map(str, items(properties, "privileges")))
    role = plain(properties.get("accountRoleName") or properties.get("databaseRoleName"))
    return role, str(found.get("objectTypePlural")), where, *privileges


_SETS = re.compile(r"(?i)\bALTER\s+ACCOUNT\s+SET\b(?P<what>[^;]*)")
_SET = re.compile(r"(?i)\b(?P<key>[A-Z_]+)\s*=\s*'?(?P<value>[\w.-]+)'?")


def parameters(graph: Graph) -> dict[str, str]:
    """What the programs set of the account, by name: its parameters, or SQL that alters it."""
    found = {
        str(one.properties.get("key")).upper(): str(one.properties.get("value")).lower()
        for one in _all(graph, "AccountParameter")
    }
    for one in _all(graph, "CurrentAccount"):
        for key, value in one.properties.items():
            found[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).upper()] = str(value).lower()
    for one in _all(graph, "Execute"):
        for match in _SETS.finditer(str(one.properties.get("execute", ""))):
            found |= {pair["key"].upper(): pair["value"].lower() for pair in _SET.finditer(match["what"])}
    return found


def _account(graph: Graph) -> Iterator[Hit]:
    places = [*_all(graph, "AccountParameter", "CurrentAccount", "Execute"), *_all(graph, "Database", "Warehouse")]
    found = parameters(graph)
    for key, value in PARAMETERS.items() if places else ():
        if found.get(key) != value:
            yield Hit(resource=places[0], property=key, said=found.get(key, "not set"))


def _kept(graph: Graph) -> Iterator[Hit]:
    least = 7 if graph.setting.production else 1
    for one in _all(graph, "Database"):
        days = one.properties.get("dataRetentionTimeInDays")
        if not isinstance(days, int) or days < least:
            yield Hit(resource=one, property="dataRetentionTimeInDays", said=f"{days}, at least {least}")
        if true(one.properties.get("isTransient")):
            yield Hit(resource=one, property="isTransient", said="nothing can be taken back")


def _stages(graph: Graph) -> Iterator[Hit]:
    """Files come from places that an integration names, and no key lies in a stage."""
    for one in _all(graph, "StageExternalS3", "Stage", "StageExternalS3Compatible"):
        if not one.properties.get("storageIntegration"):
            yield Hit(resource=one, property="storageIntegration", said="missing")
        if one.properties.get("credentials"):
            yield Hit(resource=one, property="credentials", said="keys in a stage")
    for one in _all(graph, "StorageIntegrationAws"):
        places = [str(place) for place in items(one.properties, "storageAllowedLocations")]
        if not places or any(place in ("*", "s3://") or not place.startswith("s3://") for place in places):
            yield Hit(resource=one, property="storageAllowedLocations", said=", ".join(places) or "missing")


def _warehouse(**changes: Any) -> Any:
    good = {"autoSuspend": 60, "resourceMonitor": "IT", "statementTimeoutInSeconds": 3600}
    return snowflake("Warehouse", {**good, **changes})


def _on(when: str) -> Any:
    what = {when: {"objectTypePlural": "TABLES", "inSchema": '"RAW"."SHOP"'}}
    return snowflake(
        "GrantPrivilegesToAccountRole",
        {"accountRoleName": "READER", "privileges": ["SELECT"], "onSchemaObject": what}, name=when,
    )  # fmt: skip


def _granted(role: str, to: str) -> Any:
    return snowflake("GrantAccountRole", {"roleName": role, "parentRoleName": to})


_MONITOR = snowflake("ResourceMonitor", {"creditQuota": 10, "notifyTriggers": [75], "suspendTrigger": 100})
_PLACES = snowflake("StorageIntegrationAws", {"storageAllowedLocations": ["s3://lake/shop/"]})
_USER = snowflake("ServiceUser", {"networkPolicy": "IT", "rsaPublicKey": "MII"})
_ACCOUNT = snowflake("NetworkPolicyAttachment", {"setForAccount": True})
_SETTINGS = tuple(
    snowflake("AccountParameter", {"key": key, "value": value}, name=key) for key, value in PARAMETERS.items()
)
_READ = {"accountRoleName": "READER", "privileges": ["SELECT"]}

RULES: tuple[Rule, ...] = (
    Rule(
        id="warehouse-idle", title="Warehouses end when nothing is asked", check=_warehouses, severity="medium",
        source="Snowflake, cost as reliability", reason="They are paid by the second, asked or not",
        remedy="Set autoSuspend to at most 60, autoResume, and statementTimeoutInSeconds",
        good=(_warehouse(),), bad=(_warehouse(autoSuspend=600),),
    ),
    Rule(
        id="warehouse-monitor", title="Every warehouse has a monitor that stops it", check=_monitors, severity="high",
        source="Snowflake, resource monitors", reason="One query in a loop costs a month's budget in a night",
        remedy="Name a ResourceMonitor with creditQuota, notifyTriggers and suspendTrigger",
        good=(_warehouse(), _MONITOR), bad=(_warehouse(),),
    ),
    Rule(
        id="schema-managed", title="Only the owner of a schema grants rights in it", check=_schemas, severity="high",
        source=f"{CIS}, managed access", reason="Whoever makes a table shows it to whom he likes",
        remedy='Set withManagedAccess to "true"', good=(snowflake("Schema", {"withManagedAccess": "true"}),),
        bad=(snowflake("Schema"),),
    ),
    Rule(
        id="snowflake-network", title="Snowflake is reached from where we said", check=_networks, severity="high",
        source=f"{CIS} 3.1, 3.2", reason="A stolen key works from everywhere",
        remedy="Attach a NetworkPolicy to the account, and one to every service user",
        good=(_USER, _ACCOUNT), bad=(_USER,),
    ),
    Rule(
        id="snowflake-users", title="Programs log in by key pairs", check=_users, severity="high",
        source=f"{CIS} 1.5, 1.6, 1.7", reason="Passwords are guessed, and copied",
        remedy="Use a ServiceUser with rsaPublicKey: make rotate ENV=... USER=...",
        good=(_USER,), bad=(snowflake("User", {"password": "[secret]"}),),
    ),
    Rule(
        id="snowflake-admins", title="Nobody of ours is an administrator", check=_admins, severity="high",
        source=f"{CIS} 1.10 to 1.13", reason="One service's key opens the whole account",
        remedy="Grant to a functional role under SYSADMIN",
        good=(_granted("READER", "SYSADMIN"),), bad=(_granted("ACCOUNTADMIN", "READER"),),
    ),
    Rule(
        id="snowflake-hierarchy", title="All roles are under SYSADMIN", check=_hierarchy, severity="medium",
        source="Snowflake, access control best practices", reason="What the role owns, nobody can manage",
        remedy="Grant the role, or the one above it, to SYSADMIN",
        good=(snowflake("AccountRole", {"name": "READER"}), _granted("READER", "SYSADMIN")),
        bad=(snowflake("AccountRole", {"name": "READER"}),),
    ),
    Rule(
        id="snowflake-grants", title="Rights are named, and not handed on", check=_grants, severity="high",
        source=f"{CIS}, least privilege", reason="Rights spread where nobody looks",
        remedy="List the privileges, without grant option, to a role of ours",
        good=(snowflake("GrantPrivilegesToAccountRole", _READ),),
        bad=(snowflake("GrantPrivilegesToAccountRole", {**_READ, "accountRoleName": "PUBLIC"}),),
    ),
    Rule(
        id="snowflake-future", title="What is made later is granted as well", check=_future, severity="medium",
        source="Snowflake, future grants", reason="The next table is read by nobody, until somebody grants too much",
        remedy="Add the same grant with `future`", good=(_on("all"), _on("future")), bad=(_on("all"),),
    ),
    Rule(
        id="snowflake-account", title="The account's parameters are those of CIS", check=_account, severity="medium",
        source=f"{CIS} 4.2, 4.4 to 4.7", reason="Whoever may write a stage carries the data away",
        remedy="Set it by AccountParameter", good=_SETTINGS, bad=(_warehouse(),),
    ),
    Rule(
        id="snowflake-retention", title="Data can be taken back", check=_kept, severity="high",
        source=f"{CIS} 4.3", reason="A wrong DELETE is for ever", remedy="Set dataRetentionTimeInDays",
        good=(snowflake("Database", {"dataRetentionTimeInDays": 7}),), bad=(snowflake("Database"),),
    ),
    Rule(
        id="snowflake-stages", title="Files come and go through an integration", check=_stages, severity="high",
        source=f"{CIS} 4.5, 4.6", reason="Data is copied to any bucket of the world",
        remedy="Name a StorageIntegrationAws with the prefixes that are read",
        good=(_PLACES, snowflake("StageExternalS3", {"storageIntegration": "IT"})), bad=(snowflake("StageExternalS3"),),
    ),
)  # fmt: skip
