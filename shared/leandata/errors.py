"""Errors that a person reads: what happened, where, and what to do.

LeandataError
+-- SettingsError    a missing, unknown or malformed setting
+-- ContractError    data that breaks its dataset's contract
+-- LakeError        the lake refused or lost something
+-- WarehouseError   the warehouse refused, or could not be reached
+-- DatabaseError    PostgreSQL refused, or could not be reached
+-- ComputeError     no Dask cluster, or one of another version
+-- MailError        a mail that could not be handed over
"""

from __future__ import annotations


class LeandataError(Exception):
    """One clear line: what, where (file and key, or stack and resource), what to do.

    `what` is a statement without a full stop; `where` names the place; `hint` says what a person can do about it.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        advice = f". {self.hint}" if self.hint else ""
        return f"{self.what}{place}{advice}"


class SettingsError(LeandataError):
    """A setting is missing, unknown, or not of its type."""


class ContractError(LeandataError):
    """Data does not keep its dataset's contract."""


class LakeError(LeandataError):
    """The lake refused a write, or does not hold what was asked for."""


class WarehouseError(LeandataError):
    """The warehouse refused a statement or could not be reached."""


class DatabaseError(LeandataError):
    """A PostgreSQL database refused a statement or could not be reached."""


class ComputeError(LeandataError):
    """The Dask cluster is missing, unreachable or of another version."""


class MailError(LeandataError):
    """A mail could not be handed to the mail server."""
