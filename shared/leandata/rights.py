"""What a service may do in the warehouse where nobody else sees to it: the stand-in knows no roles.

The rights stand in the address, by schema, as the deployment derived them from the service's manifest; on Snowflake the
same rights are grants, and the address names none.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from leandata.errors import WarehouseError
from leandata.settings import WarehouseAddress
from leandata.statements import Name, Statement, statements

_VISIBLE = "INFORMATION_SCHEMA"
_SHOWN = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """The schemas ("RAW.SHOP") that the role `role` reads, and those that it writes; whoever writes also reads."""

    role: str
    reads: Collection[str]
    writes: Collection[str]

    @classmethod
    def of(cls, address: WarehouseAddress) -> Rights | None:
        """The rights that an address names; None where it names none, and the warehouse itself decides."""
        if not address.reads and not address.writes:
            return None
        return cls(role=address.role or address.user, reads=frozenset(address.reads), writes=frozenset(address.writes))


@dataclass(kw_only=True, slots=True)
class Guard:
    """Watches over one session, whose current database and schema it follows."""

    rights: Rights
    current: Name = field(default=())

    def demand(self, sql: str) -> None:
        """Raises WarehouseError for the first thing in `sql` that the role may not do; nothing was done then."""
        for one in statements(sql):
            self._judge(one)

    def _judge(self, one: Statement) -> None:
        if one.kind == "other":
            hint = "Services read and write tables; databases, schemas, stages and rights are deployed"
            verb = " ".join(one.verb.split())[:_SHOWN]
            raise WarehouseError(f"{self.rights.role} may not {verb}", where="warehouse", hint=hint)
        if one.kind == "use":
            self._use(one)
            return
        for name in sorted(one.reads):
            self._may("read", name, {*self.rights.reads, *self.rights.writes})
        if one.writes:
            self._may("write", one.writes, set(self.rights.writes))

    def _use(self, one: Statement) -> None:
        if one.verb == "USE SCHEMA" and len(one.writes) == 1:
            self.current = (*self.current[:1], *one.writes)
        else:
            self.current = one.writes[:2]
        if len(self.current) == 2:
            self._may("use", (*self.current, "*"), {*self.rights.reads, *self.rights.writes})

    def _may(self, what: str, name: Name, schemas: Collection[str]) -> None:
        full = (*self.current[: 3 - len(name)], *name)
        if len(full) < 3 or len(name) > 3:
            said = " ".join(".".join(name).split())[:_SHOWN]
            hint = "Write it as DATABASE.SCHEMA.TABLE"
            raise WarehouseError(f"{said} may be a table of any schema", where="warehouse", hint=hint)
        schema = ".".join(full[:2])
        if schema in schemas or (what == "read" and full[1] == _VISIBLE):
            return
        said = " ".join((".".join(full) if what != "use" else schema).split())[: 3 * _SHOWN]
        hint = "Name its dataset under [data.warehouse] in the service's service.toml, then deploy the service"
        raise WarehouseError(f"{self.rights.role} may not {what} {said}", where="warehouse", hint=hint)
