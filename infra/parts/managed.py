"""What an environment says of the managed services that it uses on AWS: how large they are, how long they keep."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from infra.parts.base import Part

Cidr = Annotated[str, Field(pattern=r"^([0-9]{1,3}\.){3}[0-9]{1,3}/([89]|[12][0-9]|3[0-2])$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$")]
CertificateArn = Annotated[str, Field(pattern=r"^arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[a-z0-9-]+$")]
Https = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/-]*)?$")]


class ManagedDatabase(Part):
    """The PostgreSQL server: `storage` and `storage_at_most` are GiB, `backup_days` how far back it can be restored.

    With `standby` a second server in another zone takes over when the first one fails.
    """

    instance: str = Field(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")
    version: str = Field(pattern=r"^[0-9]{2}$")
    storage: int = Field(ge=20, le=65536)
    storage_at_most: int = Field(ge=20, le=65536)
    standby: bool
    backup_days: int = Field(ge=1, le=35)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.storage > self.storage_at_most:
            raise ValueError("storage is more than storage_at_most")
        return self


class ManagedCluster(Part):
    """The Kubernetes cluster.

    Its API is reached from inside the network only, unless `open_to` names ranges of public addresses. `admins` are
    the roles of people who may do everything in it.
    """

    version: str = Field(pattern=r"^1\.[0-9]{2}$")
    open_to: list[Cidr]
    admins: list[RoleArn] = Field(min_length=1)


class ManagedLake(Part):
    """How long the lake keeps what, in days: until seldom read files move to cheaper classes, old versions, logs."""

    seldom_after: int = Field(ge=30)
    archived_after: int = Field(ge=90)
    versions: int = Field(ge=7)
    logs: int = Field(ge=30)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.archived_after < self.seldom_after + 30:
            raise ValueError("archived_after comes at least 30 days after seldom_after")
        return self


class Login(Part):
    """How people prove at the load balancer who they are, by OpenID Connect; and its certificate.

    The client's id and secret lie in the v1 Secret `login`, keys `clientID` and `clientSecret`.
    """

    issuer: Https
    authorization: Https
    token: Https
    user_info: Https
    certificate: CertificateArn
