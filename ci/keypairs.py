"""Key pairs of service users: made, and known by the public half as Snowflake takes and shows it."""

from __future__ import annotations

import base64
import hashlib

from leandata.errors import LeandataError

_BITS = 4096


def new_key() -> str:
    """A private key of 4,096 bits (PEM, PKCS #8), as Snowflake's clients read it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public(private: str) -> str:
    """The public half of a private key, as Snowflake takes it: base64 of its DER. Raises LeandataError."""
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private.encode(), password=None)
    except (TypeError, ValueError) as error:
        raise LeandataError("the secret holds no private key", hint="It is PEM (PKCS #8) without a password") from error
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def fingerprint(key: str) -> str:
    """The fingerprint of a public key as Snowflake shows it: SHA256:<base64>; "" for none."""
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return f"SHA256:{base64.b64encode(digest).decode()}" if key else ""
