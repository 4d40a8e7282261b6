"""Who may read and write what in an environment, from what its programs declare, and against what services ask for.

The facts are those of AWS (pod identities, policy documents, secrets) and of Snowflake (users, roles, grants, stages);
the questions are answered by `leandata.access`. Pure: no credentials are needed, and nothing is asked of a network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.programs import Program, Resource
from infra.components import naming
from infra.components.aws import lake
from infra.components.aws.identity import zone
from infra.components.lake import ZONES
from infra.components.manifest import ServiceManifest
from infra.components.snowflake.plan import team_role, user
from infra.components.warehouse import LAYOUT
from infra.environment import Environment
from leandata.access import READ, USE, WRITE, Action, Grant, Link, Model, Right, Stage, Statement, Thing
from leandata.datasets import CATALOG
from leandata.errors import LeandataError

SERVICE, TEAM = "service:", "team:"
_FILES = "LAKE"
_KINDS = {"FILE FORMATS": "FILE FORMAT", "STAGES": "STAGE", "TABLES": "TABLE", "VIEWS": "TABLE"}
_SUFFIX = "-AbCdEf"  # what AWS appends to the name of a secret: six characters, whichever


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """Every service, object and action: how many were asked, and where what is allowed is not what was asked for.

    `unexpected` may be done and no service.toml says so; `missing` is said and may not be done.
    """

    asked: int
    allowed: tuple[Right, ...]
    unexpected: tuple[Right, ...]
    missing: tuple[tuple[str, Action, Thing], ...]

    @property
    def exact(self) -> bool:
        """Whether what is allowed is just what was asked for."""
        return not self.unexpected and not self.missing


def model(programs: Mapping[str, Program], environment: Environment) -> Model:
    """The facts. Raises LeandataError for an environment without AWS and Snowflake: stand-ins know no roles."""
    if not environment.has("aws") or not environment.has("snowflake"):
        hint = f"make access ENV=prod; make render ENV={environment.name} writes who asks for what"
        raise LeandataError(f"{environment.name} stands in for AWS and Snowflake, and knows no roles", hint=hint)
    found = [one for program in programs.values() for one in program.resources.values()]
    manifests = naming.services(environment.root)
    places = _secrets(found)
    links = {*_identities(found, environment), *_logins(places, manifests, found), *_memberships(found)}
    links |= _teams(found, manifests)
    sources = {link.source for link in links}
    return Model(
        links=links,
        grants={*_grants(found)},
        statements=tuple(_statements(found)),
        stages={*_stages(found)},
        things=things(environment),
        people={node for node in sources if node.startswith((SERVICE, TEAM))}
        | {f"{SERVICE}{name}" for name in manifests},
        secrets=places,
    )


def things(environment: Environment) -> list[Thing]:
    """All that there is to read, write or use: tables, folders of the lake, roles of the database; sorted."""
    tables = [
        Thing(store="warehouse", name=one.warehouse_table, place=one.warehouse_table)
        for one in CATALOG.values()
        if one.in_warehouse
    ]
    tables += [Thing(store="warehouse", name=name, place=f"{name}.ANY") for name in workshops()]
    folders = [
        _folder(environment, zone(name), f"{start}{name.replace('.', '/')}/")
        for name in CATALOG
        for start in ("", "_manifest/")
    ]
    used = {zone(name) for name in CATALOG}
    folders += [_folder(environment, name, "") for name in ZONES if name not in used]
    roles = {role for manifest in naming.services(environment.root).values() for role in manifest.data.database.roles}
    return sorted([*tables, *folders, *(_role(role) for role in roles)])


def workshops() -> list[str]:
    """The schemas without contracts and without stages, in which marts are put together."""
    known = {one.warehouse_table.rpartition(".")[0] for one in CATALOG.values() if one.in_warehouse}
    every = [f"{database.name}.{schema}" for database in LAYOUT for schema in database.schemas if schema != _FILES]
    return sorted(set(every) - known)


def matrix(programs: Mapping[str, Program], environment: Environment) -> Matrix:
    """The complete matrix of service, object and action, compared with what every service.toml asks for."""
    facts = model(programs, environment)
    wanted: set[tuple[str, Action, Thing]] = {
        (f"{SERVICE}{name}", action, thing)
        for name, manifest in naming.services(environment.root).items()
        for action, thing in asked_for(manifest, facts.things)
    }
    services = [f"{SERVICE}{name}" for name in naming.services(environment.root)]
    rights = [right for who in services for right in facts.rights(who)]
    found = {(right.who, right.action, right.thing) for right in rights}
    return Matrix(
        asked=len(services) * sum(len(thing.actions) for thing in facts.things),
        allowed=tuple(rights),
        unexpected=tuple(one for one in rights if (one.who, one.action, one.thing) not in wanted),
        missing=tuple(sorted(wanted - found)),
    )


def asked_for(manifest: ServiceManifest, known: Collection[Thing]) -> Iterator[tuple[Action, Thing]]:
    """What a service asks for, by its service.toml. Who writes a table reads it too: a DELETE has a condition.

    Who reads tables of RAW.<schema> and writes marts works in STAGING.<schema> between them.
    """
    data = manifest.data
    tables = {thing.name: thing for thing in known if thing.store == "warehouse"}
    writes = {CATALOG[name].warehouse_table for name in data.warehouse.writes}
    reads = {CATALOG[name].warehouse_table for name in data.warehouse.reads} | writes
    between = {table.split(".")[1] for table in reads if table.startswith("RAW.")}
    if any(table.startswith("MARTS.") for table in writes):
        writes |= {f"STAGING.{schema}" for schema in between} & set(workshops())
    yield from _each(READ, [tables[name] for name in reads | writes])
    yield from _each(WRITE, [tables[name] for name in writes])
    yield from _each(READ, _folders_of(known, data.lake.reads))
    yield from _each(WRITE, _folders_of(known, data.lake.writes))
    yield from _each(USE, [_role(role) for role in data.database.roles])


def who_is(text: str, facts: Model) -> str:
    """The node that a person means: a service, a process, a team, a user or a role. Raises LeandataError for nobody."""
    nodes = {link.source for link in facts.links} | {link.target for link in facts.links} | set(facts.people)
    kinds = ("service", "team", "process", "user", "role", "iam")
    found = [f"{kind}:{name}" for kind in kinds for name in (text, text.upper()) if f"{kind}:{name}" in nodes]
    if text in nodes:
        return text
    if not found:
        known = sorted(node.partition(":")[2] for node in facts.people)
        raise LeandataError(f"nobody is called {text!r}", hint=f"WHO is one of: {', '.join(known)}; or a role, a user")
    return found[0]


def words(right: Right) -> str:
    """The path of a right for people: without who it begins with."""
    return " > ".join(step.replace(":", " ", 1) for step in right.path[1:])


# -- from the graph ----------------------------------------------------------------------------------------------------


def _of(found: Sequence[Resource], *types: str) -> Iterator[Mapping[str, Any]]:
    yield from (one.properties for one in found if one.type in types)


def _plain(name: Any) -> str:
    return str(name or "").replace('"', "")


def _last(arn: Any) -> str:
    return str(arn).rpartition("/")[2]


def _each(action: Action, found: Sequence[Thing]) -> Iterator[tuple[Action, Thing]]:
    for thing in found:
        yield action, thing


def _folders_of(known: Collection[Thing], names: Collection[str]) -> list[Thing]:
    """The folders of these datasets: their files, and their manifests."""
    places = [f"{zone(name)}/{start}{name.replace('.', '/')}/" for name in names for start in ("", "_manifest/")]
    return [thing for thing in known if thing.store == "lake" and thing.name in places]


def _role(role: str) -> Thing:
    return Thing(store="database", name=role, place=f"database:{role}")


def _folder(environment: Environment, place: str, folder: str) -> Thing:
    return Thing(
        store="lake", name=f"{place}/{folder}", place=f"arn:aws:s3:::{lake.bucket(environment, place)}/{folder}"
    )


def _identities(found: Sequence[Resource], environment: Environment) -> Iterator[Link]:
    """The processes of a service, and the cloud role of each; a namespace is that of a service."""
    table = environment.file.kubernetes
    prefix = table.prefix if table else ""
    for one in _of(found, "aws:eks/podIdentityAssociation:PodIdentityAssociation"):
        owner, process = str(one["namespace"]).removeprefix(prefix), str(one["serviceAccount"])
        yield Link(source=f"{SERVICE}{owner}", target=f"process:{process}", how="runs")
        yield Link(source=f"process:{process}", target=f"iam:{_last(one['roleArn'])}", how="takes")


def _statements(found: Sequence[Resource]) -> Iterator[Statement]:
    for one in _of(found, "aws:iam/rolePolicy:RolePolicy"):
        said = json.loads(one["policy"])["Statement"]
        for number, raw in enumerate([said] if isinstance(said, dict) else said):
            yield Statement(
                holder=f"iam:{_last(one['role'])}",
                sid=str(raw.get("Sid", number)),
                effect="Deny" if raw["Effect"] == "Deny" else "Allow",
                actions=tuple(_texts(raw.get("Action"))),
                resources=tuple(_texts(raw.get("Resource"))),
                conditional="Condition" in raw,
            )


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value or ()]


def _secrets(found: Sequence[Resource]) -> dict[str, str]:
    """Where each secret lies, as a document may name it; by our own short name."""
    places: dict[str, str] = {}
    patterns = {text for one in _statements(found) for text in one.resources if ":secretsmanager:" in text}
    for one in _of(found, "aws:secretsmanager/secret:Secret"):
        name = str(one["name"])
        pattern = re.compile(rf"(arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:){re.escape(name)}(-|\*|\?|$)")
        start = next(
            (match[1] for text in sorted(patterns) if (match := pattern.match(text))), "arn:aws:secretsmanager:::"
        )
        places[f"secret:{_last(name)}"] = f"{start}{name}{_SUFFIX}"
    return places


def _logins(
    places: Mapping[str, str], manifests: Mapping[str, ServiceManifest], found: Sequence[Resource]
) -> Iterator[Link]:
    """What a secret opens: a role of the database by its password, a user of the warehouse by its key."""
    users = {_plain(one.get("name")) for one in _of(found, "snowflake:index/serviceUser:ServiceUser")}
    roles = {role for manifest in manifests.values() for role in manifest.data.database.roles}
    opened = {f"secret:{naming.database_secret(role)}": f"database:{role}" for role in roles}
    opened |= {f"secret:warehouse-{name}": f"user:{user(name)}" for name in manifests if user(name) in users}
    yield from (Link(source=secret, target=node, how="opens") for secret, node in opened.items() if secret in places)


def _memberships(found: Sequence[Resource]) -> Iterator[Link]:
    for one in _of(found, "snowflake:index/grantAccountRole:GrantAccountRole"):
        role, holder = _plain(one.get("roleName")), _plain(one.get("parentRoleName"))
        source = f"user:{_plain(one.get('userName'))}" if one.get("userName") else f"role:{holder}"
        yield Link(source=source, target=f"role:{role}", how="has")


def _teams(found: Sequence[Resource], manifests: Mapping[str, ServiceManifest]) -> set[Link]:
    known = {_plain(one.get("name")) for one in _of(found, "snowflake:index/accountRole:AccountRole")}
    teams = {manifest.owner for manifest in manifests.values()} | {one.owner for one in CATALOG.values()}
    return {
        Link(source=f"{TEAM}{team}", target=f"role:{team_role(team)}", how="has")
        for team in teams
        if team_role(team) in known
    }


def _grants(found: Sequence[Resource]) -> Iterator[Grant]:
    for one in _of(found, "snowflake:index/grantPrivilegesToAccountRole:GrantPrivilegesToAccountRole"):
        for privilege in one.get("privileges") or ["ALL"]:
            yield from _granted(f"role:{_plain(one.get('accountRoleName'))}", str(privilege), one)
    owned = {"database": "DATABASE", "schema": "SCHEMA"}
    for one in _of(found, "snowflake:index/grantOwnership:GrantOwnership"):
        target = one.get("on") or {}
        yield Grant(
            role=f"role:{_plain(one.get('accountRoleName'))}", privilege="OWNERSHIP",
            kind=str(target.get("objectType")), place=_plain(target.get("objectName")),
        )  # fmt: skip
    for short, kind in owned.items():
        for one in _of(found, f"snowflake:index/{short}:{short.title()}"):
            parts = [_plain(one.get("database")), _plain(one.get("name"))]
            yield Grant(role="role:SYSADMIN", privilege="OWNERSHIP", kind=kind, place=".".join(filter(None, parts)))


def _granted(role: str, privilege: str, one: Mapping[str, Any]) -> Iterator[Grant]:
    """One privilege as a fact: on an object of the account, a schema, a thing in it, or all things and future ones."""
    account, schema, thing = (one.get(key) or {} for key in ("onAccountObject", "onSchema", "onSchemaObject"))
    if account:
        yield Grant(role=role, privilege=privilege, kind=account["objectType"], place=_plain(account["objectName"]))
    if schema.get("schemaName"):
        yield Grant(role=role, privilege=privilege, kind="SCHEMA", place=_plain(schema["schemaName"]))
    for key in ("allSchemasInDatabase", "futureSchemasInDatabase"):
        if schema.get(key):
            yield Grant(role=role, privilege=privilege, kind="SCHEMA", place=_plain(schema[key]), within=True)
    if thing.get("objectName"):
        kind = _KINDS.get(f"{thing['objectType']}S", str(thing["objectType"]))
        yield Grant(role=role, privilege=privilege, kind=kind, place=_plain(thing["objectName"]))
    for key in ("all", "future"):
        within = thing.get(key) or {}
        if within:
            place, plural = _plain(within.get("inSchema") or within.get("inDatabase")), str(within["objectTypePlural"])
            kind = _KINDS.get(plural, plural)
            yield Grant(role=role, privilege=privilege, kind=kind, place=place, within=True, future=key == "future")


def _stages(found: Sequence[Resource]) -> Iterator[Stage]:
    takes = {
        _plain(one.get("name")): f"iam:{_last(one.get('storageAwsRoleArn'))}"
        for one in _of(found, "snowflake:index/storageIntegrationAws:StorageIntegrationAws")
    }
    for one in _of(found, "snowflake:index/stageExternalS3:StageExternalS3"):
        name = ".".join(_plain(one.get(key)) for key in ("database", "schema", "name"))
        place = str(one.get("url")).replace("s3://", "arn:aws:s3:::", 1)
        yield Stage(name=name, place=place, holder=takes.get(_plain(one.get("storageIntegration")), "iam:"))
