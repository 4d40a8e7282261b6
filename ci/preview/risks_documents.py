"""Policy documents of AWS that allow more than before: of roles, of whom they trust, and of what is shared.

A document is compared statement by statement with all statements of the same holder, so one that is written in another
way, split, or moved to another policy of the same role is no risk. What is allowed under more conditions is less.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from ci.preview.model import Risk, RiskKind
from ci.preview.risking import View, holds, listed
from ci.programs import Resource
from infra.policy.buckets import statements
from infra.policy.graph import Object, document, items, mapping, objects

ROLE = "aws:iam/role:Role"
_IDENTITY = {
    "aws:iam/policy:Policy": "name",
    "aws:iam/rolePolicy:RolePolicy": "role",
    "aws:iam/userPolicy:UserPolicy": "user",
}
# What is shared by a document of its own, and the property that names it.
_SHARED = {
    "aws:ec2/vpcEndpoint:VpcEndpoint": "serviceName",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "repository",
    "aws:kms/key:Key": "description",
    "aws:kms/keyPolicy:KeyPolicy": "keyId",
    "aws:s3/bucketPolicy:BucketPolicy": "bucket",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "secretArn",
    "aws:sns/topicPolicy:TopicPolicy": "arn",
}
_SECRET_ACTIONS = ("secretsmanager:batchgetsecretvalue", "secretsmanager:getsecretvalue")
_TRANSPORT = ("aws:securetransport", "s3:tlsversion")
_NEGATIVE = ("NotEquals", "NotLike", "NotIp", "ArnNot")
Holder = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One statement: who declares it, whom it is about, and what it says. `not:` begins what is all but."""

    urn: str
    effect: Literal["Allow", "Deny"]
    who: tuple[str, ...]
    actions: tuple[str, ...]
    on: tuple[str, ...]
    conditions: Mapping[tuple[str, str], frozenset[str]]

    def each(self) -> Iterator[tuple[str, str, str]]:
        """Every principal, action and resource."""
        for who in self.who:
            for action in self.actions:
                for on in self.on:
                    yield who, action, on


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    before, after = _documents(view.before), _documents(view.after)
    for holder in sorted(after):
        new = holder not in before
        if new and holder[0] in _SHARED:
            # Whoever makes a thing says whom it is for; all the world is worth a look.
            said = [one for one in after[holder] if one.effect == "Allow" and "*" in one.who and not one.conditions]
            yield from _widened(view, said, [], holder)
        else:
            yield from _widened(view, after[holder], before.get(holder, []), holder)
    for holder in sorted(before):
        if holder in after or _there(view, holder):
            yield from _undenied(view, before[holder], after.get(holder, []))
    yield from _boundaries(view)


def _documents(found: Sequence[Resource]) -> dict[Holder, list[Said]]:
    """The statements of every holder of rights, and of everything that is shared."""
    made: dict[Holder, list[Said]] = defaultdict(list)
    for one in found:
        properties = one.properties
        if key := _IDENTITY.get(one.type):
            kind = "policy" if one.type.endswith(":Policy") else "role"
            made[kind, _last(properties.get(key))] += _read(one, properties.get("policy"))
        elif one.type == ROLE:
            name = str(properties.get("name", one.name))
            made["trust", name] += _read(one, properties.get("assumeRolePolicy"))
            for inline in objects(properties, "inlinePolicies"):
                made["role", name] += _read(one, inline.get("policy"))
        elif (key := _SHARED.get(one.type)) and properties.get("policy"):
            made[one.type, str(properties.get(key, one.name))] += _read(one, properties["policy"])
    return dict(made)


def _read(one: Resource, text: Any) -> list[Said]:
    return [_said(one, raw) for raw in statements(document(text))]


def _said(one: Resource, raw: Object) -> Said:
    conditions = {
        (operator, key.lower()): frozenset(map(str, items(values)))
        for operator, tests in mapping(raw, "Condition").items()
        for key, values in (tests.items() if isinstance(tests, Mapping) else ())
    }
    return Said(
        urn=one.urn,
        effect="Deny" if raw.get("Effect") == "Deny" else "Allow",
        who=_principals(raw),
        actions=tuple(text.lower() for text in _either(raw, "Action")),
        on=_either(raw, "Resource") or ("itself",),
        conditions=conditions,
    )


def _either(raw: Object, key: str) -> tuple[str, ...]:
    """The texts under the key, or all that are not those under its opposite, as one."""
    if but := items(raw, f"Not{key}"):
        return (f"not:{','.join(sorted(map(str, but)))}",)
    return tuple(str(one) for one in items(raw, key))


def _principals(raw: Object) -> tuple[str, ...]:
    if "NotPrincipal" in raw:
        return (f"not:{json.dumps(raw['NotPrincipal'], sort_keys=True)}",)
    found = raw.get("Principal", "holder")
    if not isinstance(found, Mapping):
        return (str(found),)
    return tuple(f"{kind} {one}" if one != "*" else "*" for kind in sorted(found) for one in items(found, kind))


def _covers(wide: Said, narrow: Said, who: str, action: str, on: str) -> bool:
    """Whether what `narrow` says of these is within what `wide` says."""
    return (
        any(one in ("*", who) for one in wide.who)
        and any(_within(action, one) for one in wide.actions)
        and any(_within(on, one) for one in wide.on)
        and _stricter(narrow.conditions, wide.conditions)
    )


def _within(narrow: str, wide: str) -> bool:
    if wide.startswith("not:") or narrow.startswith("not:"):
        return wide in ("*", narrow)
    # A pattern is within another one when it reads as a text that this one matches: `a*` is within `*`.
    return wide == narrow or fnmatchcase(narrow.replace("?", "x"), wide)


def _stricter(narrow: Mapping[tuple[str, str], frozenset[str]], wide: Mapping[tuple[str, str], frozenset[str]]) -> bool:
    """Whether `narrow` asks for all that `wide` asks for, or for more."""
    for (operator, key), values in wide.items():
        given = narrow.get((operator, key))
        if given is None:
            return False
        negative = any(word in operator for word in _NEGATIVE)
        matches = fnmatchcase if "Like" in operator else _inside if operator == "IpAddress" else str.__eq__
        smaller = values <= given if negative else all(any(matches(one, value) for value in values) for one in given)
        if not smaller:
            return False
    return True


def _inside(small: str, large: str) -> bool:
    return small == large or holds(large, small)


def _widened(view: View, after: Sequence[Said], before: Sequence[Said], holder: Holder) -> Iterator[Risk]:
    """What the statements of after allow, and those of before did not: one risk a resource and kind."""
    found: dict[tuple[str, RiskKind], list[str]] = defaultdict(list)
    allowed = [one for one in before if one.effect == "Allow"]
    for said in after:
        for who, action, on in said.each() if said.effect == "Allow" else ():
            if any(_covers(one, said, who, action, on) for one in allowed):
                continue
            kind: RiskKind = "secret" if action in _SECRET_ACTIONS else "access"
            found[said.urn, kind].append(_sentence(who, action, on, conditional=bool(said.conditions)))
    for (urn, kind), sentences in sorted(found.items()):
        yield from view.risk(urn, kind, f"{_name(holder)} newly allows: {listed(sentences)}")


def _undenied(view: View, before: Sequence[Said], after: Sequence[Said]) -> Iterator[Risk]:
    """What the statements of before forbade, and those of after do not."""
    denied = [one for one in after if one.effect == "Deny"]
    for said in before:
        if said.effect != "Deny":
            continue
        gone = [
            f"{action} on {on}"
            for who, action, on in said.each()
            if not any(_covers(one, said, who, action, on) for one in denied)
        ]
        if gone:
            transport = any(key in _TRANSPORT for _, key in said.conditions)
            why = f"no longer forbidden: {listed(gone)}"
            yield from view.risk(said.urn, "network" if transport else "access", why)


def _there(view: View, holder: Holder) -> bool:
    """Whether the holder of a document that is gone is still there."""
    kind, name = holder
    if kind in ("policy", "trust"):
        return False
    return name in view.left or _last(name) in view.left


def _boundaries(view: View) -> Iterator[Risk]:
    """Roles that are no longer held within a boundary, or within another one."""
    for change in view.changes:
        if change.type != ROLE or change.before is None or change.after is None:
            continue
        before, after = (one.get("permissionsBoundary") for one in (change.before, change.after))
        if before and before != after:
            yield from view.risk(
                change.urn, "access", f"the permissions boundary was {before}, and is {after or 'gone'}"
            )


def _name(holder: Holder) -> str:
    kind, name = holder
    return f"{kind} {name}" if kind in ("policy", "role", "trust") else name


def _sentence(who: str, action: str, on: str, *, conditional: bool) -> str:
    to = "" if who == "holder" else f" to {who}"
    thing = "" if on == "itself" else f" on {on.split(':', 5)[-1]}"
    return f"{action}{thing}{to}{' (under conditions)' if conditional else ''}"


def _last(arn: Any) -> str:
    return str(arn).rpartition("/")[2].rpartition(":")[2]
