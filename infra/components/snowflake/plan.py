"""Roles and grants, derived from the layout, the contracts and what the services' manifests say. Pure.

The schema is the unit of access: tables come and go with the pipelines (dbt replaces them), so what is granted on a
table is lost with it, and only grants on all future tables of a schema hold. Three kinds of roles:

- access roles, one per schema and level: <DATABASE>_<SCHEMA>_READ and _WRITE; whoever writes also reads;
- functional roles, which have access roles and nothing else: SERVICE_<NAME> for each service that uses the warehouse,
  TEAM_<NAME> for the people of each team that owns something there;
- SYSADMIN above all of them, which owns databases and schemas.

A service that writes a dataset which it also reads in the lake loads it, through the stage of the database. A schema
without contracts (STAGING.SHOP) is a workshop: it is for those who read RAW.SHOP and write contracts of MARTS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from infra.components.manifest import ServiceManifest
from leandata.contract import Dataset
from leandata.errors import SettingsError

if TYPE_CHECKING:
    from infra.components.warehouse import DatabaseLayout  # which names roles by this module

Level = Literal["READ", "WRITE"]
ADMIN = "SYSADMIN"
STAGES = "LAKE"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Place:
    """A schema."""

    database: str
    schema: str

    @property
    def name(self) -> str:
        return f"{self.database}.{self.schema}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """An access role: what it opens, and at which level. A schema of stages is only read."""

    place: Place
    level: Level

    @property
    def role(self) -> str:
        return f"{self.place.database}_{self.place.schema}_{self.level}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Functional:
    """A functional role: whose it is, and the access roles it has, sorted. `service` is "" for a team's."""

    role: str
    comment: str
    service: str
    access: tuple[str, ...]
    metering: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All roles: access roles by schema, functional roles by name."""

    access: tuple[Access, ...]
    functional: tuple[Functional, ...]

    @property
    def services(self) -> tuple[Functional, ...]:
        """The functional roles of services."""
        return tuple(one for one in self.functional if one.service)

    def memberships(self) -> list[tuple[str, str]]:
        """Every (role, role that has it), sorted: reading belongs to writing, and SYSADMIN has all functional roles."""
        found = {(role, one.role) for one in self.functional for role in one.access}
        found |= {(one.role, ADMIN) for one in self.functional}
        for one in self.access:
            if one.level == "WRITE":
                found |= {(Access(place=one.place, level="READ").role, one.role), (one.role, ADMIN)}
            elif Access(place=one.place, level="WRITE") not in self.access:
                found.add((one.role, ADMIN))
        return sorted(found)


def user(service: str) -> str:
    """The Snowflake user under which a service logs in."""
    return f"LEANDATA_{_upper(service)}"


def service_role(service: str) -> str:
    """The functional role of a service."""
    return f"SERVICE_{_upper(service)}"


def team_role(team: str) -> str:
    """The functional role of a team: TEAM_DATA for data-team."""
    return f"TEAM_{_upper(team).removesuffix('_TEAM')}"


def plan(
    layout: Sequence[DatabaseLayout], *, manifests: Mapping[str, ServiceManifest], catalog: Mapping[str, Dataset]
) -> Plan:
    """The roles for this layout. Raises SettingsError for rights that no grant could hold, naming the manifest."""
    places = [Place(database=one.name, schema=schema) for one in layout for schema in sorted(one.schemas)]
    levels: tuple[Level, ...] = ("READ", "WRITE")
    access = [Access(place=place, level=level) for place in places for level in levels if _there(place, level)]
    known = {one.role for one in access}
    roles: list[Functional] = []
    for name, manifest in sorted(manifests.items()):
        opened = sorted(one.role for one in service_access(layout, manifest=manifest, catalog=catalog))
        if opened:
            _demand(set(opened) <= known, name, "names a dataset whose schema is not in the layout")
            comment = f"The service {name}: {manifest.description}"
            role, metering = service_role(name), manifest.data.warehouse.metering
            roles.append(Functional(role=role, comment=comment, service=name, access=tuple(opened), metering=metering))
    for team, opened in sorted(team_access(manifests, catalog=catalog).items()):
        own = sorted({one.role for one in opened} & known)
        comment = f"People of {team}: they read what they own and what their services use"
        roles.append(Functional(role=team_role(team), comment=comment, service="", access=tuple(own)))
    return Plan(access=tuple(access), functional=tuple(sorted(roles, key=lambda one: one.role)))


def service_access(
    layout: Sequence[DatabaseLayout], *, manifest: ServiceManifest, catalog: Mapping[str, Dataset]
) -> set[Access]:
    """What the manifest of a service opens for it. Raises SettingsError when it names part of a schema, or a stranger.

    Nothing is left out and nothing is added: a schema is opened only where all its datasets are named.
    """
    said = manifest.data.warehouse
    reads = _places(said.reads, manifest.name, catalog)
    writes = _places(said.writes, manifest.name, catalog)
    found = {Access(place=place, level="READ") for place in reads - writes}
    found |= {Access(place=place, level="WRITE") for place in writes}
    loaded = {catalog[name].layer for name in set(said.writes) & set(manifest.data.lake.reads)}
    staged = {one.name for one in layout if one.stage_zone}
    found |= {Access(place=Place(database=name, schema=STAGES), level="READ") for name in loaded & staged}
    return found | {Access(place=place, level="WRITE") for place in _workshops(layout, reads, writes, catalog)}


def team_access(manifests: Mapping[str, ServiceManifest], *, catalog: Mapping[str, Dataset]) -> dict[str, set[Access]]:
    """What each team's people read: the schemas of datasets that the team owns or that its services use."""
    found: dict[str, set[Access]] = {}
    for one in catalog.values():
        found.setdefault(one.owner, set()).add(Access(place=_place(one), level="READ"))
    for manifest in manifests.values():
        said = manifest.data.warehouse
        for name in {*said.reads, *said.writes} & set(catalog):
            found.setdefault(manifest.owner, set()).add(Access(place=_place(catalog[name]), level="READ"))
    return found


def _places(names: Sequence[str], service: str, catalog: Mapping[str, Dataset]) -> set[Place]:
    strange = sorted(set(names) - set(catalog))
    _demand(not strange, service, f"names the dataset {', '.join(strange)}, which has no contract")
    found = {_place(catalog[name]) for name in names}
    for place in sorted(found):
        missing = sorted(name for name, one in catalog.items() if _place(one) == place and name not in names)
        what = f"names part of {place.name}, where rights are given for a whole schema: {', '.join(missing)} is missing"
        _demand(not missing, service, what)
    return found


def _workshops(
    layout: Sequence[DatabaseLayout], reads: set[Place], writes: set[Place], catalog: Mapping[str, Dataset]
) -> Iterator[Place]:
    known = {_place(one) for one in catalog.values()}
    for database in layout:
        for schema in database.schemas:
            place = Place(database=database.name, schema=schema)
            if place in known or schema == STAGES:
                continue
            if Place(database="RAW", schema=schema) in reads and any(one.database == "MARTS" for one in writes):
                yield place


def _there(place: Place, level: Level) -> bool:
    return place.schema != STAGES or level == "READ"


def _place(dataset: Dataset) -> Place:
    return Place(database=dataset.layer, schema=dataset.name.split(".")[0].upper())


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")


def _demand(kept: bool, service: str, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not kept:
        hint = "Name all its datasets, or move them to a schema of their own (leandata.datasets)"
        raise SettingsError(f"the service {service} {what}", where=f"services/{service}/service.toml", hint=hint)
