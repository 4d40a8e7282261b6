"""Where releases and locks are kept: the environment's folder on one machine, its state bucket in the cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import LocalStore, S3Store

from ci.release.manifest import Release, is_id
from infra.components.naming import state_bucket
from infra.environment import Environment
from leandata.errors import LeandataError

_RELEASES = "releases"


class TakenError(Exception):
    """Another object is there than the one that was to be replaced."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """A few small objects under a place; `inner` is obstore's store, `place` says where for people."""

    inner: Any
    place: str

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """The environment's: its state bucket where it has one, else its state folder."""
        bucket = state_bucket(environment)
        if bucket is None:
            return cls.folder(environment.state)
        inner = S3Store(
            bucket.bucket, prefix=environment.name, region=bucket.region, credential_provider=_credentials(environment)
        )
        return cls(inner=inner, place=f"s3://{bucket.bucket}/{environment.name}")

    @classmethod
    def folder(cls, path: Path) -> Self:
        """A folder of this machine."""
        path.mkdir(parents=True, exist_ok=True)
        return cls(inner=LocalStore(path), place=str(path))

    def get(self, key: str) -> tuple[str, str]:
        """The text of an object and its tag; both "" where there is none. Raises LeandataError."""
        try:
            found = self.inner.get(key)
            return bytes(found.bytes()).decode("utf-8"), str(found.meta["e_tag"] or "")
        except FileNotFoundError:
            return "", ""
        except (BaseError, OSError, UnicodeDecodeError) as error:
            raise self._failed(key, error) from error

    def create(self, key: str, text: str) -> str:
        """Write an object where there is none; its tag. Raises TakenError, LeandataError."""
        return self._put(key, text, mode="create")

    def replace(self, key: str, text: str, *, tag: str) -> str:
        """Write an object in the place of the one with that tag, and of no other. Raises TakenError, LeandataError."""
        return self._put(key, text, mode={"e_tag": tag})

    def keys(self, folder: str) -> list[str]:
        """The names of the objects in a folder, sorted. Raises LeandataError."""
        try:
            listed = [entry["path"] for batch in obstore.list(self.inner, prefix=folder) for entry in batch]
        except (BaseError, OSError) as error:
            raise self._failed(folder, error) from error
        return sorted(path.removeprefix(f"{folder}/") for path in listed)

    def _put(self, key: str, text: str, *, mode: Any) -> str:
        try:
            return str(obstore.put(self.inner, key, text.encode(), mode=mode)["e_tag"] or "")
        except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
            raise TakenError(key) from error
        except (BaseError, OSError) as error:
            raise self._failed(key, error) from error

    def _failed(self, key: str, error: Exception) -> LeandataError:
        line = " ".join(str(error).split())[:200]
        return LeandataError(f"{key} cannot be reached: {line}", where=self.place)


def releases(store: Store) -> list[Release]:
    """Every release, the oldest first. Raises LeandataError for one that is damaged."""
    names = [name.removesuffix(".json") for name in store.keys(_RELEASES) if name.endswith(".json")]
    keys = [f"{_RELEASES}/{name}.json" for name in names if is_id(name)]
    return [Release.read(store.get(key)[0], where=f"{store.place}/{key}") for key in keys]


def keep(store: Store, release: Release) -> None:
    """Write the release's manifest, once. Raises LeandataError."""
    try:
        store.create(f"{_RELEASES}/{release.id}.json", release.text())
    except TakenError:
        raise LeandataError(f"there is already a release {release.id}", where=store.place) from None


def _credentials(environment: Environment) -> Any:
    """Credentials as AWS's own tools find them. Raises LeandataError when there are none."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return Boto3CredentialProvider()
    except (ImportError, ValueError) as error:
        raise LeandataError("there are no credentials of AWS here", where=environment.name) from error
