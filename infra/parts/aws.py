"""What an environment says of its AWS account."""

from __future__ import annotations

from pydantic import Field

from infra.parts.base import Part
from infra.parts.managed import Login, ManagedCluster, ManagedDatabase, ManagedLake


class Aws(Part):
    """The account, the region and the network that everything lies in."""

    account: str = Field(pattern=r"^[0-9]{12}$")
    region: str
    cluster: ManagedCluster
    database: ManagedDatabase
    lake: ManagedLake
    login: Login
