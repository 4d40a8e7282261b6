"""What an environment says of its AWS account."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from infra.parts.base import Part
from infra.parts.managed import Login, ManagedCluster, ManagedDatabase, ManagedLake

# What CloudWatch Logs can be told: see RetentionInDays of PutRetentionPolicy.
Days = Literal[7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]
Mail = Annotated[str, Field(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$", max_length=254)]
Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Share = Annotated[int, Field(ge=1, le=200)]
Zone = Annotated[str, Field(pattern=r"^[a-f]$")]
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def _network(text: str) -> str:
    network = ipaddress.IPv4Network(text)
    if not any(network.subnet_of(private) for private in _PRIVATE):
        raise ValueError(f"{text} is not a range of private addresses (RFC 1918)")
    if not 16 <= network.prefixlen <= 20:
        raise ValueError(f"{text} is not between a /16 and a /20")
    return text


def _sorted(values: list[str]) -> list[str]:
    if len(set(values)) != len(values) or sorted(values) != values:
        raise ValueError("not sorted, or something is named twice")
    return values


class Budget(Part):
    """What a month may cost, in US dollars, and at which shares of it (percent) people are told.

    They are told when a share was spent, and when the whole is going to be.
    """

    monthly: int = Field(ge=10, le=1_000_000)
    told_at: list[Share] = Field(min_length=1, max_length=4)


class Github(Part):
    """The repository whose workflows may take the roles of the environment."""

    organization: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?$")
    repository: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")


class Aws(Part):
    """The account, its region, and the network that everything lies in.

    `domain` is where people find the pages, `cidr` the network's range (/16 to /20), `zones` the letters of its
    availability zones. `nat` says through what the private half reaches the internet: one gateway in one zone, one
    gateway a zone, or one that spans the region. `alerts` are told of alarms and of money. With `protected` what
    holds data is not deleted by any deployment. `foreign_buckets` are the buckets of others that programs reach from
    inside the network, such as the stage that Snowflake hands out results by (SYSTEM$ALLOWLIST() names it).
    """

    account: str = Field(pattern=r"^[0-9]{12}$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    domain: str = Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}$", max_length=200)
    cidr: Annotated[str, AfterValidator(_network)]
    zones: Annotated[list[Zone], AfterValidator(_sorted)] = Field(min_length=2, max_length=3)
    nat: Literal["one", "zonal", "regional"]
    protected: bool
    log_days: Days
    flow_log_days: Days
    alerts: list[Mail] = Field(min_length=1, max_length=10)
    foreign_buckets: Annotated[list[Bucket], AfterValidator(_sorted)] = Field(default_factory=list)
    budget: Budget
    github: Github
    cluster: ManagedCluster
    database: ManagedDatabase
    lake: ManagedLake
    login: Login

    @model_validator(mode="after")
    def _own(self) -> Self:
        """What is named by its ARN lies in the account and the region."""
        arns = {"cluster.admins": self.cluster.admins, "login.certificate": [self.login.certificate]}
        for key, values in arns.items():
            for arn in values:
                region, account = arn.split(":")[3:5]
                if account != self.account or region not in ("", self.region):
                    raise ValueError(f"{key} names {arn}, which is not of account {self.account} in {self.region}")
        return self
