"""Who may read and write what, and by which path: a pure model of roles, grants and policy documents.

A model is made of plain facts: who takes whose part (`Link`), what a role was granted (`Grant`), what a policy document
says (`Statement`), what there is to read and write (`Thing`), and through which stages files are reached (`Stage`).
Nothing is asked of a network; what no fact allows is refused.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["read", "use", "write"]
READ: Action = "read"
USE: Action = "use"
WRITE: Action = "write"
_READS = frozenset({"OWNERSHIP", "SELECT"})
_WRITES = frozenset({"DELETE", "INSERT", "OWNERSHIP", "TRUNCATE", "UPDATE"})
_S3 = {"read": "s3:GetObject", "write": "s3:PutObject"}
_USER = "user:"
_OPENS_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an action, no secret


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Link:
    """`source` can act as `target`: a process takes a cloud role, a user has a role, a role has another one.

    Nodes are texts of a kind and a name: "process:api", "iam:leandata-prod-api", "secret:warehouse-airflow",
    "user:AIRFLOW", "role:SERVICE_AIRFLOW". `how` is the word for people.
    """

    source: str
    target: str
    how: str


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Grant:
    """The role `role` has `privilege` on things of `kind` ("DATABASE", "SCHEMA", "TABLE", "STAGE", "SECRET", ...).

    `place` is a name of one to three parts: the thing itself when `within` is false, else all things of that kind
    below it, those that are there and those that will be (`future`).
    """

    role: str
    privilege: str
    kind: str
    place: str
    within: bool = False
    future: bool = False

    def covers(self, kind: str, name: str) -> bool:
        """Whether the grant is about the thing of that kind and name."""
        if kind != self.kind:
            return False
        return name.startswith(f"{self.place}.") if self.within else name == self.place


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a policy document of the cloud role `holder`: patterns of actions, patterns of resources.

    Conditions are not weighed: an Allow under a condition counts as an Allow, a Deny under one as no Deny.
    """

    holder: str
    sid: str
    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditional: bool = False

    def about(self, action: str, resource: str) -> bool:
        """Whether the statement speaks of the action on the resource."""
        return _matches(self.actions, action) and _matches(self.resources, resource)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Thing:
    """What can be read, written or used: a table, a folder of the lake, a database role.

    `name` is how people say it; `place` is where it lies: a table's full name, a folder's ARN without the `*`, or a
    role's node.
    """

    store: Literal["database", "lake", "warehouse"]
    name: str
    place: str

    @property
    def actions(self) -> tuple[Action, ...]:
        """What can be done with it."""
        return ("use",) if self.store == "database" else ("read", "write")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Stage:
    """A stage of the warehouse: whoever may use it reads what the cloud role `holder` reads below `place` (an ARN)."""

    name: str
    place: str
    holder: str


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Right:
    """`who` may do `action` to the thing, and why: the path from who it is to what allows it."""

    who: str
    action: Action
    thing: Thing
    path: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """All facts of one environment; questions are answered by `may`, `rights` and `holders`.

    `people` are those whom `holders` asks about; `secrets` says of each node "secret:NAME" where it lies (an ARN).
    """

    links: Collection[Link] = ()
    grants: Collection[Grant] = ()
    statements: Collection[Statement] = ()
    stages: Collection[Stage] = ()
    things: Collection[Thing] = ()
    people: Collection[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    _found: dict[str, dict[str, tuple[str, ...]]] = field(
        default_factory=dict[str, dict[str, tuple[str, ...]]], compare=False, repr=False
    )

    def may(self, who: str, action: Action, thing: Thing) -> tuple[str, ...]:
        """The shortest path by which `who` may do it; () when nobody allows it."""
        reached = self.reached(who)
        ways = {"database": self._role, "lake": self._files, "warehouse": self._table}
        found = [way for way in ways[thing.store](reached, action, thing) if way]
        return min(found, key=lambda way: (len(way), way), default=())

    def rights(self, who: str) -> list[Right]:
        """All that `who` may do, sorted."""
        return [
            Right(who=who, action=action, thing=thing, path=path)
            for thing in sorted(self.things)
            for action in thing.actions
            if (path := self.may(who, action, thing))
        ]

    def holders(self, thing: Thing) -> list[Right]:
        """All whom the model asks about and who may do something with the thing, sorted."""
        return [
            Right(who=who, action=action, thing=thing, path=path)
            for who in sorted(self.people)
            for action in thing.actions
            if (path := self.may(who, action, thing))
        ]

    def reached(self, who: str) -> Mapping[str, tuple[str, ...]]:
        """Every node that `who` can act as, itself among them, with the shortest path to it."""
        if who not in self._found:
            self._found[who] = self._walk(who)
        return self._found[who]

    # -- inside ----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _from(self) -> dict[str, list[Link]]:
        found: dict[str, list[Link]] = {}
        for link in sorted(self.links):
            found.setdefault(link.source, []).append(link)
        return found

    @functools.cached_property
    def _granted(self) -> dict[str, list[Grant]]:
        found: dict[str, list[Grant]] = {}
        for grant in sorted(self.grants):
            found.setdefault(grant.role, []).append(grant)
        return found

    @functools.cached_property
    def _said(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for statement in self.statements:
            found.setdefault(statement.holder, []).append(statement)
        return found

    def _walk(self, who: str, *, as_users: bool = True) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {who: (who,)}
        ahead = deque([who])
        while ahead:
            node = ahead.popleft()
            for target in self._next(node):
                if target not in found and (as_users or not target.startswith(_USER)):
                    found[target] = (*found[node], target)
                    ahead.append(target)
        return found

    def _next(self, node: str) -> Iterable[str]:
        """The nodes one step ahead: by a link, or because a policy document opens a secret."""
        yield from (link.target for link in self._from.get(node, ()))
        if node in self._said:
            yield from (name for name, arn in sorted(self.secrets.items()) if self._allowed(node, _OPENS_SECRET, arn))

    def _allowed(self, holder: str, action: str, resource: str) -> str:
        """The sid of the statement that allows it; "" when none does, or one denies it."""
        about = [one for one in self._said.get(holder, ()) if one.about(action, resource)]
        if any(one.effect == "Deny" and not one.conditional for one in about):
            return ""
        return next((one.sid for one in about if one.effect == "Allow"), "")

    def _role(self, reached: Mapping[str, tuple[str, ...]], action: Action, thing: Thing) -> Iterable[tuple[str, ...]]:
        """Whoever holds a database role's password is that role."""
        if action == "use" and thing.place in reached:
            yield reached[thing.place]

    def _files(self, reached: Mapping[str, tuple[str, ...]], action: Action, thing: Thing) -> Iterable[tuple[str, ...]]:
        """By a document of a cloud role that is reached, or by a stage that a warehouse's session may use."""
        if action == "use":
            return
        for node, path in reached.items():
            if sid := self._allowed(node, _S3[action], f"{thing.place}x"):
                yield (*path, f"{_S3[action]} ({sid})")
        for session in self._sessions(reached):
            for stage in self.stages:
                if not thing.place.startswith(stage.place) or not self._allowed(
                    stage.holder, _S3[action], f"{thing.place}x"
                ):
                    continue
                if grant := self._usable(session, "STAGE", stage.name, {"OWNERSHIP", "USAGE"}):
                    yield (*session[grant.role], f"{grant.privilege} on the stage {stage.name}", stage.holder)

    def _table(self, reached: Mapping[str, tuple[str, ...]], action: Action, thing: Thing) -> Iterable[tuple[str, ...]]:
        """Within one session: a privilege on the table, and the way to it through its database and schema."""
        if action == "use":
            return
        wanted = _READS if action == "read" else _WRITES
        for session in self._sessions(reached):
            if grant := self._usable(session, "TABLE", thing.place, wanted):
                yield (*session[grant.role], _words(grant))

    def _sessions(self, reached: Mapping[str, tuple[str, ...]]) -> Iterable[Mapping[str, tuple[str, ...]]]:
        """What is reached within the warehouse, a user at a time: sessions of two users do not add up.

        Roles that somebody has without a user of ours, as people have by their login, are a session as well.
        """
        for user in (node for node in reached if node.startswith(_USER)):
            yield {node: (*reached[user][:-1], *path) for node, path in self.reached(user).items()}
        who = next(iter(reached))
        if not who.startswith(_USER):
            yield self._walk(who, as_users=False)

    def _usable(
        self, session: Mapping[str, tuple[str, ...]], kind: str, name: str, privileges: Collection[str]
    ) -> Grant | None:
        """The grant by which the session has one of the privileges, when it also gets to the thing."""
        parts = name.split(".")
        ways = (("DATABASE", parts[0]), ("SCHEMA", ".".join(parts[:2])))
        if not all(self._has(session, where, place, {"OWNERSHIP", "USAGE"}) for where, place in ways):
            return None
        return self._has(session, kind, name, privileges)

    def _has(
        self, session: Mapping[str, tuple[str, ...]], kind: str, name: str, privileges: Collection[str]
    ) -> Grant | None:
        found = [
            grant
            for role in session
            for grant in self._granted.get(role, ())
            if grant.privilege in privileges and grant.covers(kind, name)
        ]
        return min(found, key=lambda grant: (len(session[grant.role]), grant), default=None)


def matching(things: Iterable[Thing], text: str) -> list[Thing]:
    """The things that a person means: by full name, or by some of its parts in their order, in any case.

    "MARTS.WEEKLY_SALES" is MARTS.SALES.WEEKLY_SALES; "shop/orders" are that dataset's folders in the lake.
    """
    wanted = _parts(text)
    ordered = sorted(things)
    named = [thing for thing in ordered if thing.name.lower() == text.strip().lower()]
    exact = [thing for thing in ordered if _parts(thing.name) == wanted]
    return named or exact or [thing for thing in ordered if wanted and _in_order(wanted, _parts(thing.name))]


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[./:\s]+", text.lower()) if part]


def _in_order(wanted: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether the wanted parts stand among the parts in this order, the last one last."""
    left = iter(parts)
    return all(part in left for part in wanted) and wanted[-1] == parts[-1]


def _words(grant: Grant) -> str:
    where = f"{'future ' if grant.future else ''}tables in {grant.place}" if grant.within else grant.place
    return f"{grant.privilege} on {where}"


def _matches(patterns: Collection[str], text: str) -> bool:
    return any(_pattern(pattern).fullmatch(text) for pattern in patterns)


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """IAM's wildcards: `*` is any text, `?` one character; everything else stands for itself."""
    words = {"*": ".*", "?": "."}
    return re.compile("".join(words.get(sign) or re.escape(sign) for sign in pattern), re.DOTALL)
