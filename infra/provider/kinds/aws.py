"""The first value of a secret in AWS Secrets Manager: made here, put there, never read back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from infra.provider.kinds import shapes
from infra.provider.kinds.base import Kind, Made, Properties, ProviderError, World
from infra.provider.kinds.files import MAKERS
from infra.provider.kinds.shapes import Shape

_CURRENT = "AWSCURRENT"
_GONE = "ResourceNotFoundException"


class Vault(Protocol):
    """The secrets of one region, as far as they are needed here. Each method raises ProviderError."""

    def version(self, secret: str) -> str | None:
        """The id of the version that is read now; "" where the secret has no value, None where there is no secret."""
        ...

    def put(self, secret: str, value: str, *, version: str) -> None:
        """Make `value` the current one under the id `version`; no error when that version is there already."""
        ...


class AwsSecretValue(Kind):
    """A random value in the secret `secret` (an ARN), put only where there is none: whoever changed it keeps his own.

    The provider needs no right to read values. The secret itself, and with it its values, is another resource.
    """

    shapes: ClassVar[dict[str, Shape]] = {
        "secret": shapes.text,
        "region": shapes.text,
        "kind": shapes.one_of(MAKERS),
    }
    replaced_by: ClassVar[dict[str, str]] = {
        "secret": "a value is not copied to another secret",
        "kind": "another kind needs another value",
    }

    def __init__(self, vault: Callable[[str], Vault] | None = None) -> None:
        self._vault = vault or _manager

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        vault, secret = self._vault(inputs["region"]), inputs["secret"]
        version = vault.version(secret)
        if version is None:
            raise ProviderError("there is no such secret", where=secret)
        if not version:
            vault.put(secret, MAKERS[inputs["kind"]](), version=first_version(secret))
            version = vault.version(secret)
        return Made(id=secret, properties={**inputs, "fingerprint": version or ""})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        version = self._vault(properties["region"]).version(id_)
        return {**properties, "secret": id_, "fingerprint": version} if version else None

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_, properties


def first_version(secret: str) -> str:
    """The id of a secret's first version: two deployments at once put one value, not two."""
    return hashlib.sha256(f"leandata\0{secret}".encode()).hexdigest()[:32]


def _manager(region: str) -> Vault:
    """Secrets Manager with the credentials of whoever deploys."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    return Manager(boto3.client("secretsmanager", region_name=region), refused=(BotoCoreError, ClientError))  # pyright: ignore[reportUnknownMemberType]


class Manager:
    """Secrets Manager behind its client; `refused` are the errors that the client raises."""

    def __init__(self, client: Any, *, refused: tuple[type[Exception], ...]) -> None:
        self._client = client
        self._refused = refused

    def version(self, secret: str) -> str | None:
        """See `Vault`. A secret that waits for its deletion counts as gone."""
        try:
            found = self._client.describe_secret(SecretId=secret)
        except self._refused as error:
            if _code(error) == _GONE:
                return None
            raise _said(error, secret) from error
        if found.get("DeletedDate"):
            return None
        stages: dict[str, list[str]] = found.get("VersionIdsToStages") or {}
        return next((version for version, names in sorted(stages.items()) if _CURRENT in names), "")

    def put(self, secret: str, value: str, *, version: str) -> None:
        """See `Vault`."""
        try:
            self._client.put_secret_value(SecretId=secret, SecretString=value, ClientRequestToken=version)
        except self._refused as error:
            if _code(error) != "ResourceExistsException":
                raise _said(error, secret) from error


def _code(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _said(error: Exception, secret: str) -> ProviderError:
    hint = "Sign in to the environment's account" if not _code(error) else ""
    return ProviderError(f"the secret cannot be used: {_code(error) or type(error).__name__}", where=secret, hint=hint)
