"""What a rotation works on: real keys rehearsed on this machine, or Secrets Manager and a Snowflake account."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.keypairs import fingerprint
from ci.rotate import Edges
from infra.components.snowflake import keys
from infra.components.snowflake.keys import Number, Slots
from infra.components.snowflake.plan import user as user_of
from infra.environment import Environment
from leandata.errors import LeandataError

# Pods see a changed secret when the driver looks again (every two minutes), and read it at their next connection.
_SETTLED = 300.0
_CURRENT, _WAITING = "AWSCURRENT", "LEANDATAWAITING"
_GONE = "ResourceNotFoundException"
_PROPERTIES: Mapping[Number, str] = {1: "RSA_PUBLIC_KEY", 2: "RSA_PUBLIC_KEY_2"}


def edges_of(environment: Environment, service: str) -> Edges:
    """What to work on in the environment. Raises LeandataError where its warehouse asks for no keys."""
    if environment.substrate("warehouse") == "snowflake":
        if environment.file.aws is None:
            raise LeandataError("the secret lies in no account of AWS", where=environment.name)
        book = FileBook(path=keys.place(environment), service=service)
        vault = AwsVault(secret=f"leandata/{environment.name}/warehouse-{service}", region=environment.file.aws.region)
        return Edges(vault=vault, directory=Account(user=user_of(service)), book=book, settle=_settle)
    if environment.substrate("service") != "machine":
        hint = "make rotate ENV=local rehearses it with real keys"
        raise LeandataError("the stand-in of the warehouse asks for no keys", where=environment.name, hint=hint)
    folder = environment.state / "keys"
    return Edges(
        vault=FileVault(path=environment.state / "secrets" / f"warehouse-{service}"),
        directory=Rehearsal(path=folder / f"{service}-taken.json"),
        book=FileBook(path=folder / "keys.json", service=service),
    )


def _settle() -> None:
    time.sleep(_SETTLED)


def replace_file(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileBook:
    """The public keys on file."""

    path: Path
    service: str

    def slots(self) -> Slots:
        """See `Book`."""
        return keys.load(self.path).get(self.service, keys.NONE)

    def write(self, slots: Slots) -> None:
        """See `Book`; other users' keys stay as they are."""
        replace_file(self.path, keys.text({**keys.load(self.path), self.service: slots}))


@dataclass(frozen=True, kw_only=True, slots=True)
class FileVault:
    """A private key in a file that only its owner reads; the one that waits lies beside it."""

    path: Path

    @property
    def _waiting(self) -> Path:
        return self.path.with_name(f"{self.path.name}.next")

    def current(self) -> str:
        """See `Vault`."""
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    def pending(self) -> str:
        """See `Vault`."""
        return self._waiting.read_text(encoding="utf-8") if self._waiting.exists() else ""

    def stage(self, private: str) -> None:
        """See `Vault`."""
        replace_file(self._waiting, private, mode=0o600)

    def switch(self) -> None:
        """See `Vault`: one rename, so that a reader sees the old key or the new one."""
        self._waiting.replace(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """Keys that are taken, on this machine: whoever signs a challenge with the private half of one is let in."""

    path: Path

    def keys(self) -> dict[Number, str]:
        """The public key in each slot."""
        read: dict[str, str] = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        return {1: read.get("1", ""), 2: read.get("2", "")}

    def taken(self) -> Mapping[Number, str]:
        """See `Directory`."""
        return {slot: fingerprint(key) for slot, key in self.keys().items()}

    def put(self, slot: Number, key: str) -> None:
        """See `Directory`."""
        found = {**self.keys(), slot: key}
        replace_file(self.path, json.dumps({str(number): found[number] for number in sorted(found)}) + "\n")

    def prove(self, private: str) -> None:
        """See `Directory`: sign a challenge that nobody knew before, and have it checked against every slot."""
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        challenge = secrets.token_bytes(32)
        key = serialization.load_pem_private_key(private.encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        signed = key.sign(challenge, padding.PKCS1v15(), hashes.SHA256())
        if not any(_signed(one, signed, challenge) for one in self.keys().values() if one):
            raise LeandataError("the key is refused: it is in no slot", where=str(self.path))


def _signed(key: str, signature: bytes, challenge: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    public = serialization.load_der_public_key(base64.b64decode(key))
    assert isinstance(public, rsa.RSAPublicKey)
    try:
        public.verify(signature, challenge, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


class AwsVault:
    """A secret of Secrets Manager: the key that waits is a version with a stage of its own, which no pod reads."""

    def __init__(self, *, secret: str, region: str, client: Any = None) -> None:
        self._secret = secret
        self._region = region
        self._known = client

    def current(self) -> str:
        """See `Vault`."""
        return self._read(_CURRENT)

    def pending(self) -> str:
        """See `Vault`: a version that bears both stages is in use."""
        versions = self._versions()
        return self._read(_WAITING) if versions.get(_WAITING) not in (None, versions.get(_CURRENT)) else ""

    def stage(self, private: str) -> None:
        """See `Vault`."""
        self._ask("put_secret_value", SecretString=private, VersionStages=[_WAITING])

    def switch(self) -> None:
        """See `Vault`: the stage is moved in one call; the mark that it waited may stay behind, and does no harm."""
        versions = self._versions()
        from_ = {"RemoveFromVersionId": versions[_CURRENT]} if _CURRENT in versions else {}
        self._ask("update_secret_version_stage", VersionStage=_CURRENT, MoveToVersionId=versions[_WAITING], **from_)

    def _versions(self) -> dict[str, str]:
        found = self._ask("describe_secret").get("VersionIdsToStages") or {}
        return {stage: version for version, stages in sorted(found.items()) for stage in stages}

    def _read(self, stage: str) -> str:
        if stage not in self._versions():
            return ""
        return str(self._ask("get_secret_value", VersionStage=stage)["SecretString"])

    def _ask(self, call: str, **values: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._known is None:
                import boto3

                self._known = boto3.client("secretsmanager", region_name=self._region)  # pyright: ignore[reportUnknownMemberType]
            return getattr(self._known, call)(SecretId=self._secret, **values)
        except (BotoCoreError, ClientError) as error:
            response: dict[str, Any] = getattr(error, "response", {})
            code = str(response.get("Error", {}).get("Code", "")) or type(error).__name__
            hint = "Deploy the warehouse first" if code == _GONE else "Sign in to the environment's account"
            raise LeandataError(f"the secret cannot be used: {code}", where=self._secret, hint=hint) from error


class Account:
    """A user of a Snowflake account. `connect` opens a connection with what it is given besides the deployer's own."""

    def __init__(self, *, user: str, connect: Callable[..., Any] | None = None) -> None:
        self._user = user
        self._connect = connect or _connected

    def taken(self) -> Mapping[Number, str]:
        """See `Directory`."""
        rows = self._run(f'DESCRIBE USER "{self._user}"')
        found = {str(row[0]).upper(): "" if row[1] in (None, "null") else str(row[1]) for row in rows}
        return {slot: found.get(f"{name}_FP", "") for slot, name in _PROPERTIES.items()}

    def put(self, slot: Number, key: str) -> None:
        """See `Directory`."""
        change = f"SET {_PROPERTIES[slot]} = '{key}'" if key else f"UNSET {_PROPERTIES[slot]}"
        self._run(f'ALTER USER "{self._user}" {change}')

    def prove(self, private: str) -> None:
        """See `Directory`. The user's network policy holds here as well: this runs where services run, or in CI."""
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(private.encode(), password=None)
        form = serialization.PrivateFormat.PKCS8
        der = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
        self._run("SELECT 1", user=self._user, private_key=der, authenticator="SNOWFLAKE_JWT")

    def _run(self, sql: str, **as_: Any) -> list[Any]:
        import snowflake.connector

        try:
            with contextlib.closing(self._connect(**as_)) as connection, connection.cursor() as cursor:
                if not as_:
                    cursor.execute("USE ROLE USERADMIN")
                cursor.execute(sql)
                return list(cursor.fetchall())
        except snowflake.connector.Error as error:
            text = " ".join(str(error.msg or error).split())[:300]
            where = self._user if as_ else "the deployer's connection"
            raise LeandataError(f"Snowflake refuses: {text}", where=where) from error


def _connected(**options: Any) -> Any:
    """The deployer's default connection (SNOWFLAKE_... or connections.toml), with other options in their place."""
    import snowflake.connector

    return snowflake.connector.connect(**options)
