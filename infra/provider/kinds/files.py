"""Folders, files and secrets."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import string
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from infra.provider.kinds import shapes
from infra.provider.kinds.base import Kind, Made, Properties, ProviderError, World
from infra.provider.kinds.shapes import Shape
from leandata.errors import SettingsError
from leandata.rendering import composed


def _rsa() -> str:
    """A private key of 2,048 bits as PEM (PKCS #8), as Snowflake wants it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _tls() -> str:
    """A private key and its self-signed certificate as one PEM text: all who hold it trust each other, and nobody else.

    It is valid for ten years; whoever holds it may connect until another one is made.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leandata")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - _EARLIER).not_valid_after(now + _TEN_YEARS)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return (private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)).decode()


_PRIVATE = "0600"
_EARLIER, _TEN_YEARS = timedelta(hours=1), timedelta(days=3650)
_ALPHABET = string.ascii_letters + string.digits
MAKERS: dict[str, Callable[[], str]] = {
    "fernet": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "hex": lambda: secrets.token_hex(64),
    "password": lambda: "".join(secrets.choice(_ALPHABET) for _ in range(24)),
    "rsa": _rsa,
    "tls": _tls,
    "urlsafe64": lambda: secrets.token_urlsafe(48),
}


class Directory(Kind):
    """A folder with its mode."""

    shapes: ClassVar[dict[str, Shape]] = {"path": shapes.path, "mode": shapes.mode, "retain": shapes.flag}
    optional: ClassVar[frozenset[str]] = frozenset({"retain"})
    replaced_by: ClassVar[dict[str, str]] = {"path": "a folder is not moved with its content"}

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        path = Path(inputs["path"])
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(int(inputs["mode"], 8))
        return Made(id=str(path), properties=inputs)

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        path = Path(id_)
        return {**properties, "path": id_, "mode": _mode(path)} if path.is_dir() else None

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world
        if not properties.get("retain"):
            shutil.rmtree(id_, ignore_errors=True)


class File(Kind):
    """A text file: drift is seen in its content and its mode."""

    shapes: ClassVar[dict[str, Shape]] = {"path": shapes.path, "mode": shapes.mode, "content": shapes.any_text}
    replaced_by: ClassVar[dict[str, str]] = {"path": "the old file would stay"}

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        write(Path(inputs["path"]), inputs["content"], mode=int(inputs["mode"], 8))
        return Made(id=inputs["path"], properties=inputs)

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        path = Path(id_)
        if not path.is_file():
            return None
        content = path.read_text(encoding="utf-8", errors="replace")
        return {**properties, "path": id_, "content": content, "mode": _mode(path)}

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, properties
        Path(id_).unlink(missing_ok=True)


class Secret(Kind):
    """A secret made once. The file is kept on delete: what it opens, such as a database, is kept as well."""

    shapes: ClassVar[dict[str, Shape]] = {"path": shapes.path, "kind": shapes.one_of(MAKERS)}
    healthy: ClassVar[dict[str, Any]] = {"mode": _PRIVATE}
    replaced_by: ClassVar[dict[str, str]] = {
        "path": "a secret is not copied",
        "kind": "another kind needs another value",
    }

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        path = Path(inputs["path"])
        if not path.exists():
            write(path, MAKERS[inputs["kind"]](), mode=0o600)
        path.chmod(0o600)
        return Made(id=str(path), properties={**inputs, "fingerprint": fingerprint(path)})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        path = Path(id_)
        if not path.is_file():
            return None
        return {**properties, "path": id_, "fingerprint": fingerprint(path), **_opened(path)}

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_, properties


class RenderedSecret(Kind):
    """A file made of other secrets: made again when the template or one of them changes."""

    shapes: ClassVar[dict[str, Shape]] = {"path": shapes.path, "template": shapes.text, "secrets": shapes.paths}
    healthy: ClassVar[dict[str, Any]] = {"mode": _PRIVATE}
    replaced_by: ClassVar[dict[str, str]] = {"path": "the old file would stay"}

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        path = Path(inputs["path"])
        values = {name: read_secret(Path(source)) for name, source in inputs["secrets"].items()}
        try:
            text = composed(path, inputs["template"], values)
        except SettingsError as error:
            raise ProviderError(error.what, where=error.where) from None
        write(path, text, mode=0o600)
        return Made(id=str(path), properties={**inputs, "fingerprint": fingerprint(path)})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        path = Path(id_)
        found = path.is_file() and fingerprint(path) == properties.get("fingerprint")
        return {**properties, "path": id_, **_opened(path)} if found else None

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, properties
        Path(id_).unlink(missing_ok=True)


def write(path: Path, text: str, *, mode: int) -> None:
    """Put `text` at `path` at once or not at all; nobody else can read it before its mode is set.

    Raises ProviderError when the folder cannot be written or the disk is full.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        scratch.chmod(mode)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ProviderError(f"cannot write {path.name}: {error.strerror}", where=str(path)) from error


def read_secret(path: Path) -> str:
    """The secret in a file. Raises ProviderError when it is missing."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ProviderError(f"cannot read the secret {path.name}: {error.strerror}", where=str(path)) from error


def fingerprint(path: Path) -> str:
    """The mark of the secret in a file."""
    return mark(path.read_bytes())


def mark(secret: bytes) -> str:
    """Sixteen characters that change with the secret and do not tell it."""
    return hashlib.sha256(b"leandata\0" + secret).hexdigest()[:16]


def _opened(path: Path) -> Properties:
    """The mode of a secret's file where it is not the one that it was made with."""
    mode = _mode(path)
    return {} if mode == _PRIVATE else {"mode": mode}


def _mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:04o}"
