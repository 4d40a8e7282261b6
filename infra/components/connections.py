"""How a service connects to what is everybody's: as itself."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection

import pulumi

from infra.components import naming
from infra.components.kubernetes import pods
from infra.components.snowflake.plan import Access, service_access, service_role, team_access, team_role, user
from infra.components.stack import Stack
from infra.components.warehouse import LAYOUT
from infra.environment import Environment
from leandata.datasets import CATALOG
from leandata.errors import SettingsError


def address_of(stack: Stack, service: str, warehouse: pulumi.Input[str]) -> pulumi.Output[str]:
    """How a service connects to the warehouse at the address `warehouse`: as itself."""
    return pulumi.Output.from_input(warehouse).apply(lambda text: own_address(stack.environment, service, text))


def own_address(environment: Environment, service: str, warehouse: str) -> str:
    """On Snowflake with its user, role, key and warehouse; for the stand-in, which knows no roles, with its rights.

    Raises SettingsError for a service whose manifest asks for nothing in the warehouse.
    """
    manifest = naming.services(environment.root)[service]
    opened = service_access(LAYOUT, manifest=manifest, catalog=CATALOG)
    if not opened:
        hint = "Name its datasets under [data.warehouse]"
        raise SettingsError(f"{service} has no business in the warehouse", where=f"services/{service}", hint=hint)
    said = environment.file.snowflake
    if environment.substrate("warehouse") != "snowflake" or said is None:
        return _with_rights(warehouse, service_role(service), opened)
    options = {
        "role": service_role(service),
        "warehouse": said.serving("services"),
        "private_key_file": f"{pods.SECRETS}/warehouse-{service}",
    }
    account = urllib.parse.urlsplit(warehouse).netloc.rpartition("@")[2]
    return f"snowflake://{user(service)}@{account}?{urllib.parse.urlencode(options, safe='/')}"


def team_address(environment: Environment, team: str, warehouse: str) -> str:
    """How a team's people connect to the stand-in at the address `warehouse`: they read what on Snowflake their role
    reads, and write nothing. Raises SettingsError for a team that reads nothing there, and for Snowflake itself, where
    people log in as themselves.
    """
    if environment.substrate("warehouse") == "snowflake":
        hint = f"Log in as yourself, with the role {team_role(team)}"
        raise SettingsError("people have no address of their own on Snowflake", where=environment.name, hint=hint)
    teams = team_access(naming.services(environment.root), catalog=CATALOG)
    if team not in teams:
        raise SettingsError(f"the team {team!r} reads nothing", hint=f"TEAM is one of: {', '.join(sorted(teams))}")
    return _with_rights(warehouse, team_role(team), teams[team])


def _with_rights(warehouse: str, role: str, opened: Collection[Access]) -> str:
    """The stand-in's address with what the role may do there: it knows no roles itself."""
    options = {"role": role}
    for word, level in (("reads", "READ"), ("writes", "WRITE")):
        names = sorted(one.place.name for one in opened if one.level == level)
        options |= {word: ",".join(names)} if names else {}
    return f"{warehouse}&{urllib.parse.urlencode(options, safe=',')}"
