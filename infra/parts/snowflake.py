"""What an environment says of its Snowflake account."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from infra.parts.base import Part

Identifier = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,62}$")]
Size = Literal["XSMALL", "SMALL", "MEDIUM", "LARGE", "XLARGE"]
_WIDEST = 8


def _networks(values: list[str]) -> list[str]:
    """IPv4 ranges, sorted, none of them half the world."""
    for text in values:
        if ipaddress.IPv4Network(text).prefixlen < _WIDEST:
            raise ValueError(f"{text} is wider than a /{_WIDEST}")
    if sorted(set(values)) != values:
        raise ValueError("not sorted, or something is named twice")
    return values


Networks = Annotated[list[str], Field(min_length=1, max_length=20), AfterValidator(_networks)]


class WarehouseSize(Part):
    """A warehouse, and whom it serves: services and teams have their own, so that neither waits for the other.

    `credits` is what it may use in a month before it is stopped; `auto_suspend` after how many idle seconds it stops,
    `statement_timeout` after how many seconds a statement is ended.
    """

    serves: Literal["services", "teams"]
    size: Size
    credits: int = Field(ge=1, le=100_000)
    auto_suspend: int = Field(ge=1, le=60)
    statement_timeout: int = Field(ge=1, le=86_400)


class Snowflake(Part):
    """The account that the warehouse lies in (`organization`-`account`), Enterprise edition or better, and its region.

    `deployer` is the user that deploys; a person makes it once, with the roles SYSADMIN, SECURITYADMIN and
    ACCOUNTADMIN. `networks` are the addresses that services come from (those of the NAT), `offices` those of people
    and of whoever deploys. What is deleted can be taken back for `retention_days`.
    """

    organization: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,62}$")]
    account: Identifier
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    deployer: Identifier
    networks: Networks
    offices: Networks
    retention_days: int = Field(ge=1, le=90)
    warehouses: dict[Identifier, WarehouseSize] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _served(self) -> Self:
        """Services have a warehouse, and teams have one."""
        served = {found.serves for found in self.warehouses.values()}
        missing = sorted({"services", "teams"} - served)
        if missing:
            raise ValueError(f"warehouses: none of them serves {missing[0]}")
        return self

    def serving(self, whom: Literal["services", "teams"]) -> str:
        """The first warehouse, by name, that serves services or teams."""
        return min(name for name, found in self.warehouses.items() if found.serves == whom)
