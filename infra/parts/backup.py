"""What an environment says of its backups."""

from __future__ import annotations

from pydantic import Field

from infra.parts.base import Part


class Backup(Part):
    """`recipient` is the public key (x25519:BASE64) that secrets are sealed for, `keep` how many backups are kept.

    Without a recipient a pair of keys is made once for whoever takes the first backup.
    """

    recipient: str = Field(default="", pattern=r"^(x25519:[A-Za-z0-9+/]{43}=)?$")
    keep: int = Field(default=7, ge=1, le=1000)
