"""Secrets in a backup: sealed so that only who holds the recipient's private key can open them.

A sealed file is MAGIC, the sender's one-time X25519 public key (32 bytes), a nonce (12 bytes) and the text under
AES-256-GCM. The key is HKDF-SHA256 of the shared secret, salted with both public keys; all that stands before the text
is authenticated with it.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import secrets
import tarfile
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ci.backup.manifest import BackupError

MAGIC = b"leandata-sealed-1\n"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_SCHEME = "x25519:"
KEY_FILE = "LEANDATA_BACKUP_KEY"


def make_key(path: Path) -> str:
    """A new private key in the file `path` (mode 0600), which must not exist yet; who it opens for (`x25519:...`)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = X25519PrivateKey.generate()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(base64.b64encode(key.private_bytes_raw()).decode() + "\n")
    return recipient_of(path)


def recipient_of(path: Path) -> str:
    """For whom things are sealed that the private key in `path` opens. Raises BackupError."""
    return _SCHEME + base64.b64encode(_private(path).public_key().public_bytes_raw()).decode()


def seal(data: bytes, *, recipient: str) -> bytes:
    """`data` for the recipient's eyes only. Raises BackupError for a recipient that is no public key."""
    theirs = _public(recipient)
    once = X25519PrivateKey.generate()
    try:
        secret = once.exchange(theirs)
    except ValueError:  # a point of low order: the secret would be known to all
        raise _no_recipient(recipient) from None
    mine = once.public_key().public_bytes_raw()
    head = MAGIC + mine
    nonce = secrets.token_bytes(_NONCE_BYTES)
    key = _shared(secret, mine + theirs.public_bytes_raw())
    return head + nonce + AESGCM(key).encrypt(nonce, data, head)


def unseal(data: bytes, *, key_file: Path) -> bytes:
    """What was sealed for the private key in `key_file`. Raises BackupError when it was for another, or is damaged."""
    start = len(MAGIC) + _KEY_BYTES
    if not data.startswith(MAGIC) or len(data) < start + _NONCE_BYTES:
        raise BackupError("this is no sealed file")
    head, nonce, text = data[:start], data[start : start + _NONCE_BYTES], data[start + _NONCE_BYTES :]
    private, mine = _private(key_file), data[len(MAGIC) : start]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(mine))
        key = _shared(shared, mine + private.public_key().public_bytes_raw())
        return AESGCM(key).decrypt(nonce, text, head)
    except (InvalidTag, ValueError):
        hint = f"Name the file of the right private key: {KEY_FILE}=file"
        raise BackupError("sealed for another key, or damaged", where=str(key_file), hint=hint) from None


def pack(folder: Path, *, wanted: Callable[[str], bool] = lambda _: True) -> bytes:
    """The files of `folder` whose path in it is `wanted`, as a tar of modes and texts only; sorted."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            name = path.relative_to(folder).as_posix()
            if not wanted(name):
                continue
            data = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), path.stat().st_mode & 0o777
            archive.addfile(member, io.BytesIO(data))
    return output.getvalue()


def unpack(data: bytes, folder: Path) -> list[str]:
    """Put what `pack` took back under `folder`, each file whole or not at all; their names. Raises BackupError."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            return [_put(archive, member, folder) for member in archive]
    except tarfile.TarError:
        raise BackupError("the archive is damaged") from None


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    if not member.isfile() or Path(member.name).is_absolute() or ".." in Path(member.name).parts:
        raise BackupError(f"the archive holds {member.name!r}, which is no plain file in it")
    source = archive.extractfile(member)
    assert source is not None
    path = folder / member.name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_name(f"{path.name}.restored")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_bytes(source.read())
    scratch.chmod(member.mode & 0o777)  # last: a file may be read-only
    scratch.replace(path)
    return member.name


def _private(path: Path) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text(encoding="ascii"), validate=False))
    except FileNotFoundError:
        hint = f"Bring the key that the backup was sealed for, or say where it is: {KEY_FILE}=file"
        raise BackupError("there is no private key to open sealed parts with", where=str(path), hint=hint) from None
    except (ValueError, binascii.Error):
        raise BackupError("this is no private key", where=str(path)) from None


def _public(recipient: str) -> X25519PublicKey:
    try:
        raw = base64.b64decode(recipient.removeprefix(_SCHEME), validate=True)
        if not recipient.startswith(_SCHEME):
            raise ValueError(recipient)
        return X25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise _no_recipient(recipient) from None


def _no_recipient(recipient: str) -> BackupError:
    hint = f"It is {_SCHEME} and 32 bytes in base64"
    return BackupError(f"the recipient of backups is no public key: {recipient[:60]!r}", hint=hint)


def _shared(secret: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=MAGIC).derive(secret)
