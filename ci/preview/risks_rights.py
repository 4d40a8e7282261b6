"""Rights that somebody has only after the change: roles, grants, bindings and logins, as facts that are compared.

Facts are those of the whole environment, so a grant that another resource makes instead is no risk, and one that is
within another one (all tables of a schema, a wildcard) is none either.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.preview.model import Risk
from ci.preview.risking import View, listed
from ci.programs import Resource
from infra.policy.graph import Object, at, called, mapping, namespace, objects, texts

_Given = tuple[str, str, tuple[str, ...]]
_FUTURE = ("all", "future")
_OPTION = " with grant option"
_ANY_GROUP = "any group"
_LOGIN = "alb.ingress.kubernetes.io/auth-type"
_STRANGERS = "alb.ingress.kubernetes.io/auth-on-unauthenticated-request"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """That somebody may do something on something, all of it within `place` (segments; a shorter place holds more)."""

    who: str
    may: str
    place: tuple[str, ...]
    urn: str

    def said(self) -> str:
        """The fact in words."""
        everywhere = "all namespaces" if self.may.startswith("has ") and self.may.endswith(" in") else ""
        where = ".".join(part for part in self.place if part) or everywhere
        return f"{self.who} {self.may}{' ' if where else ''}{where}"


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    known = defaultdict[tuple[str, str], set[tuple[str, ...]]](set)
    for fact in _facts(view.before):
        known[fact.who, fact.may].add(fact.place)
    found: dict[str, list[str]] = defaultdict(list)
    for fact in _facts(view.after):
        whole = f"*{_OPTION}" if _OPTION in fact.may else "*"
        places = known.get((fact.who, fact.may), set()) | known.get((fact.who, whole), set())
        if not any(place in places for place in _holding(fact.place)):
            found[fact.urn].append(fact.said())
    for urn, said in sorted(found.items()):
        yield from view.risk(urn, "access", f"new: {listed(said)}")
    yield from _logins(view)


def _holding(place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The places that hold this one: its beginnings, and for a kind of one API group the kind of all groups."""
    yield from (place[:length] for length in range(len(place) + 1))
    if place and place[0].startswith("group "):
        yield from ((_ANY_GROUP, *place[1:length]) for length in range(2, len(place) + 1))


def _facts(found: Sequence[Resource]) -> Iterator[Fact]:
    for one in found:
        if one.type.startswith("snowflake:"):
            yield from _snowflake(one)
        elif one.type.startswith("kubernetes:"):
            yield from _kubernetes(one)
        elif one.type.startswith("aws:"):
            yield from _aws(one)
        elif one.type.startswith("machine:"):
            yield from _machine(one)


# -- Snowflake ---------------------------------------------------------------------------------------------------------


def _snowflake(one: Resource) -> Iterator[Fact]:
    said = one.properties
    kind = one.type.rpartition(":")[2]
    if kind in ("GrantAccountRole", "GrantDatabaseRole"):
        holder = said.get("userName") or said.get("parentRoleName") or said.get("parentDatabaseRoleName")
        role = said.get("roleName") or said.get("databaseRoleName")
        yield Fact(who=_plain(holder), may=f"has the role {_plain(role)}", place=(), urn=one.urn)
    elif kind.startswith("GrantPrivileges"):
        role = _plain(said.get("accountRoleName") or said.get("databaseRoleName"))
        privileges = ["*"] if said.get("allPrivileges") else texts(said, "privileges")
        # Who may pass a privilege on has it too.
        options = ("", _OPTION) if said.get("withGrantOption") else ("",)
        for place in _places(said):
            yield from (
                Fact(who=role, may=f"*{option}" if each == "*" else f"{each}{option} on", place=place, urn=one.urn)
                for each in privileges
                for option in options
            )
    elif kind == "GrantOwnership":
        role = _plain(said.get("accountRoleName") or said.get("databaseRoleName"))
        yield Fact(who=role, may="owns", place=(_plain(at(said, "on.objectName")),), urn=one.urn)
    elif kind.endswith("User"):
        yield from _user(one)
    elif kind.startswith("StorageIntegration"):
        name = f"the integration {_plain(said.get('name'))}"
        yield Fact(who=name, may=f"takes the role {said.get('storageAwsRoleArn')}", place=(), urn=one.urn)
        yield from (
            Fact(who=name, may="reaches", place=_url(where), urn=one.urn)
            for where in texts(said, "storageAllowedLocations")
        )


def _places(said: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """What a grant is on: its kind, then database, schema and name as far as they are said."""
    if said.get("onAccount"):
        yield ("ACCOUNT",)
    if thing := mapping(said, "onAccountObject"):
        yield (str(thing.get("objectType")), *_parts(thing.get("objectName")))
    schema = mapping(said, "onSchema")
    if schema.get("schemaName"):
        yield ("SCHEMA", *_parts(schema["schemaName"]))
    yield from (("SCHEMA", *_parts(schema[key])) for key in sorted(schema) if key.endswith("InDatabase"))
    inside = mapping(said, "onSchemaObject")
    if inside.get("objectName"):
        yield (str(inside.get("objectType")), *_parts(inside["objectName"]))
    for key in _FUTURE:
        if within := mapping(inside, key):
            kind = str(within.get("objectTypePlural", "")).removesuffix("S")
            # Future ones are other things than those that are there: a right on all of today's is not one on them.
            prefix = ("FUTURE", kind) if key == "future" else (kind,)
            yield (*prefix, *_parts(within.get("inSchema") or within.get("inDatabase")))


def _user(one: Resource) -> Iterator[Fact]:
    name = f"the user {_plain(one.properties.get('name'))}"
    yield Fact(who=name, may="logs in", place=(), urn=one.urn)
    for key in ("rsaPublicKey", "rsaPublicKey2"):
        if value := one.properties.get(key):
            yield Fact(who=name, may="logs in with the key", place=(f"...{str(value)[-12:]}",), urn=one.urn)
    if workload := one.properties.get("defaultWorkloadIdentity"):
        yield Fact(who=name, may=f"logs in as {workload}", place=(), urn=one.urn)


def _plain(name: Any) -> str:
    return str(name or "").replace('"', "")


def _parts(name: Any) -> tuple[str, ...]:
    return tuple(part for part in _plain(name).split(".") if part)


def _url(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("/") if part)


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def _kubernetes(one: Resource) -> Iterator[Fact]:
    kind = one.type.rpartition(":")[2]
    if kind in ("ClusterRole", "Role"):
        who = f"{kind} {'/'.join(filter(None, (namespace(one), called(one))))}"
        for rule in objects(one.properties, "rules"):
            yield from _rule(one, who, rule)
    elif kind in ("ClusterRoleBinding", "RoleBinding"):
        role = f"{at(one.properties, 'roleRef.kind')} {at(one.properties, 'roleRef.name')}"
        where = (namespace(one),) if namespace(one) else ()
        for subject in objects(one.properties, "subjects"):
            who = f"{subject.get('kind')} {'/'.join(filter(None, (subject.get('namespace'), subject.get('name'))))}"
            yield Fact(who=who, may=f"has {role} in", place=where, urn=one.urn)
    elif kind == "Job":
        yield from _database_job(one)


def _rule(one: Resource, who: str, rule: Mapping[str, Any]) -> Iterator[Fact]:
    """Each verb on each resource. A wildcard holds all: it ends the place early, or is the verb `*`."""
    for verb in texts(rule, "verbs"):
        may = "*" if verb == "*" else f"may {verb}"
        for group in texts(rule, "apiGroups"):
            for what in texts(rule, "resources"):
                place = (f"group {group}",) if group != "*" else (_ANY_GROUP,) if what != "*" else ()
                place += (what,) if what != "*" else ()
                for name in texts(rule, "resourceNames") or [""]:
                    yield Fact(who=who, may=may, place=(*place, name) if name and what != "*" else place, urn=one.urn)
        for url in texts(rule, "nonResourceURLs"):
            yield Fact(who=who, may=may, place=("url", url), urn=one.urn)


def _database_job(one: Resource) -> Iterator[Fact]:
    """What a job of `infra.jobs.databases` gives to a role of PostgreSQL."""
    for container in objects(one.properties, "spec.template.spec.containers"):
        command = texts(container, "command")
        if "infra.jobs.databases" not in command:
            continue
        given = {key: value for key, value in itertools.pairwise(command) if key.startswith("--")}
        database, owner = given.get("--database", ""), given.get("--owner", "")
        if "owner" in command:
            yield Fact(who=f"the role {owner}", may="owns the database", place=(database,), urn=one.urn)
        if "reader" in command:
            place = (database, given.get("--schema", ""))
            yield Fact(
                who=f"the role {given.get('--role')}", may=f"reads what {owner} has in", place=place, urn=one.urn
            )


def _logins(view: View) -> Iterator[Risk]:
    """Pages for which nobody has to log in any more, and new ones for which nobody ever had to."""
    for change in view.changes:
        if not change.type.endswith(":Ingress") or change.before is None or change.after is None:
            continue
        before, after = (mapping(one, "metadata.annotations") for one in (change.before, change.after))
        if before.get(_LOGIN) and not after.get(_LOGIN):
            yield from view.risk(change.urn, "access", "people no longer log in before they reach it")
        elif before.get(_STRANGERS) != after.get(_STRANGERS) == "allow":
            yield from view.risk(change.urn, "access", "people who have not logged in reach it")


# -- AWS, and one machine ----------------------------------------------------------------------------------------------


def _aws(one: Resource) -> Iterator[Fact]:
    kind = one.type.rpartition(":")[2]
    for who, may, place in _AWS.get(kind, _nothing)(one.properties):
        yield Fact(who=who, may=may, place=place, urn=one.urn)


def _nothing(said: Object) -> Iterator[_Given]:
    del said
    yield from ()


def _identity(said: Object) -> Iterator[_Given]:
    yield (
        f"the pods {said.get('namespace')}/{said.get('serviceAccount')}",
        f"take the role {_last(said.get('roleArn'))}",
        (),
    )


def _addon(said: Object) -> Iterator[_Given]:
    for pods in objects(said, "podIdentityAssociations"):
        who = f"the pods of {said.get('addonName')}, {pods.get('serviceAccount')}"
        yield who, f"take the role {_last(pods.get('roleArn'))}", ()


def _attachment(said: Object) -> Iterator[_Given]:
    holder = _last(said.get("role") or said.get("user") or said.get("group"))
    yield f"the role {holder}", f"has the policy {_last(said.get('policyArn'))}", ()


def _managed(said: Object) -> Iterator[_Given]:
    yield from (
        (f"the role {said.get('name')}", f"has the policy {_last(arn)}", ()) for arn in texts(said, "managedPolicyArns")
    )


def _entry(said: Object) -> Iterator[_Given]:
    who = str(said.get("principalArn"))
    yield who, "enters the cluster", ()
    yield from ((who, f"is of {group}", ()) for group in texts(said, "kubernetesGroups"))


def _cluster_policy(said: Object) -> Iterator[_Given]:
    """On the whole cluster is more than on some of its namespaces."""
    may = f"has {_last(said.get('policyArn'))} on"
    for place in texts(said, "accessScope.namespaces") or [""]:
        yield str(said.get("principalArn")), may, (place,) if place else ()


def _federated(said: Object) -> Iterator[_Given]:
    yield from ((f"{said.get('url')} for {one}", "is believed who logs in", ()) for one in texts(said, "clientIdLists"))


def _person(said: Object) -> Iterator[_Given]:
    yield f"the user {said.get('name') or said.get('user')}", "logs in with a password or a key", ()


def _machine(one: Resource) -> Iterator[Fact]:
    said = one.properties
    if one.type == "machine:index:PostgresGrants":
        who, may = f"the role {said.get('role')}", f"reads what {said.get('owner')} has in"
        yield Fact(who=who, may=may, place=(str(said.get("database")), str(said.get("schema"))), urn=one.urn)
    elif one.type == "machine:index:PostgresDatabase":
        yield Fact(
            who=f"the role {said.get('owner')}", may="owns the database", place=(str(said.get("name")),), urn=one.urn
        )


def _last(arn: Any) -> str:
    return re.split(r"/", str(arn))[-1]


_AWS: Mapping[str, Callable[[Object], Iterator[_Given]]] = {
    "AccessEntry": _entry,
    "AccessKey": _person,
    "AccessPolicyAssociation": _cluster_policy,
    "Addon": _addon,
    "GroupPolicyAttachment": _attachment,
    "OpenIdConnectProvider": _federated,
    "PodIdentityAssociation": _identity,
    "Role": _managed,
    "RolePolicyAttachment": _attachment,
    "User": _person,
    "UserLoginProfile": _person,
    "UserPolicyAttachment": _attachment,
}
