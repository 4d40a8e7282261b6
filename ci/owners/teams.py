"""The one source of ownership: `owners.toml` for teams and folders, each service's `service.toml` for its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from ci.preview.model import RISKS, RiskKind
from infra.environment import parse_toml
from infra.parts.base import Part
from leandata.errors import LeandataError, SettingsError

FILE = "owners.toml"
_SERVICES, _STACKS = "services", "infra/stacks"
_Handle = Annotated[str, StringConstraints(pattern=r"^@[A-Za-z0-9-]+(/[A-Za-z0-9._-]+)?$")]
_Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$", max_length=39)]
_Path = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]


class Team(Part):
    """A team: its handle on GitHub such as `@company/data-team`, and the logins of its people."""

    handle: _Handle
    people: list[_Login] = Field(min_length=1)


class Signs(Part):
    """By kind of risk, the teams that sign besides the owner of the stack."""

    access: list[str]
    cost: list[str]
    data: list[str]
    network: list[str]
    order: list[str]
    protection: list[str]
    secret: list[str]


class OwnersFile(Part):
    """All that `owners.toml` may say; every team that is named is a team of the file."""

    teams: dict[str, Team] = Field(min_length=1)
    signs: Signs
    paths: dict[_Path, str]

    @model_validator(mode="after")
    def _known(self) -> Self:
        named = [(f"paths.{path}", team) for path, team in sorted(self.paths.items())]
        named += [(f"signs.{kind}", team) for kind in sorted(RISKS) for team in getattr(self.signs, kind)]
        for place, team in named:
            if team not in self.teams:
                raise ValueError(f"{place} names {team!r}, which is no team of this file")
        for path in sorted(self.paths):
            if {".", ".."} & set(PurePosixPath(path).parts):
                raise ValueError(f"paths.{path} is not a path inside the repository")
            if re.match(rf"{_SERVICES}/[^/.]+(/|$)", path):
                raise ValueError(f"paths.{path}: a service's owner is said in its service.toml")
        return self


class _Manifest(Part):
    """What of a service's manifest says who owns it; the rest is the business of infra.components.manifest."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    owner: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Teams:
    """Who owns which path and stack, and who signs which risk, in one checkout.

    `paths` are folders and files from the root, each with its team; those of services are among them.
    """

    teams: dict[str, Team]
    signs: Signs
    paths: dict[str, str]

    @classmethod
    def load(cls, root: Path) -> Self:
        """The owners of the checkout at `root`. Raises SettingsError that names file and key."""
        file = parse_toml(root / FILE, OwnersFile)
        services: dict[str, str] = {}
        for path in sorted((root / _SERVICES).glob("*/service.toml")):
            owner = parse_toml(path, _Manifest).owner
            if owner not in file.teams:
                raise SettingsError(f"owner: {owner!r} is no team of {FILE}", where=str(path))
            services[f"{_SERVICES}/{path.parent.name}"] = owner
        return cls(teams=file.teams, signs=file.signs, paths={**file.paths, **services})

    def owner_of(self, path: str) -> str:
        """The team that owns a file or folder, named from the root with `/`; the longest folder decides.

        A stack and a service need an owner of their own: what owns the folder around them is not enough.
        Raises LeandataError when nobody owns it.
        """
        parts = PurePosixPath(path).parts
        least = _least(parts)
        for length in range(len(parts), least - 1, -1):
            found = self.paths.get("/".join(parts[:length]))
            if found is not None:
                return found
        raise LeandataError(f"nobody owns {path}", hint=f"Name its team in {FILE}, or in the service's service.toml")

    def owner_of_stack(self, name: str) -> str:
        """The team that owns the stack `name`. Raises LeandataError for a stack that nobody owns."""
        for folder in (_STACKS, _SERVICES):
            if f"{folder}/{name}" in self.paths:
                return self.paths[f"{folder}/{name}"]
        raise LeandataError(f"nobody owns the stack {name}", hint=f'Add "{_STACKS}/{name}" to {FILE}')

    def signers(self, kind: RiskKind, stack: str) -> tuple[str, ...]:
        """The teams that must all sign a risk of this kind in `stack`, sorted. Raises as owner_of_stack does."""
        return tuple(sorted({self.owner_of_stack(stack), *getattr(self.signs, kind)}))


def _least(parts: tuple[str, ...]) -> int:
    """How many parts an entry must have to own the path: all of the stack's or service's folder."""
    for folder in (_STACKS, _SERVICES):
        around = PurePosixPath(folder).parts
        inside = parts[: len(around)] == around and len(parts) > len(around)
        if inside and not parts[len(around)].endswith(".py"):
            return len(around) + 1
    return 1
