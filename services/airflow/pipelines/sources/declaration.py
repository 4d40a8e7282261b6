"""What a source is: its kind, where it is, its tables, files or paths, when it is collected, who owns it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leandata.contract import Dataset
from leandata.datasets import CATALOG
from leandata.errors import ContractError, SettingsError
from leandata.settings import Settings

FOLDER = Path(__file__).with_name("declared")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Slice(_Part):
    """One dataset of a source. `timezone` is where times are meant that do not say it; without one they are refused."""

    dataset: str
    timezone: str = ""


class SqlTable(_Slice):
    """A table or view of a database.

    With `by` it is collected by the days of that column, which are over; with `cursor` by the days on which rows were
    changed last, today's too; with neither whole. The last `window` days are read again, for late, changed and deleted
    rows.
    """

    kind: Literal["sql"] = "sql"
    table: str
    by: str = ""
    cursor: str = ""
    window: int = Field(default=7, ge=1)
    since: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.by and self.cursor:
            raise ValueError("`by` and `cursor` are two ways, name one of them")
        if self.since:
            date.fromisoformat(self.since)
        return self

    @property
    def day_column(self) -> str:
        """The column whose days cut the table, "" where it is collected whole."""
        return self.by or self.cursor


class Files(_Slice):
    """Files dropped in a folder or bucket. What is younger than `settle_seconds` may not be whole yet, and waits."""

    kind: Literal["files"] = "files"
    paths: str
    format: Literal["csv", "jsonl", "parquet"]
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    settle_seconds: float = Field(default=60.0, ge=0)


class HttpPath(_Slice):
    """A path of an HTTP API that answers with JSON; `items` leads to the list in an answer, such as `data.items`.

    With {day} in `path` or `query` each day is asked for by itself, the last `window` again, from `since` on. `paging`
    is "page" (the number of the page goes into the query as `page`), "cursor" (the answer's value at `next` does) or
    "link" (the answer's header Link names the next page).
    """

    kind: Literal["http"] = "http"
    path: str
    items: str = ""
    query: dict[str, str] = Field(default_factory=dict)
    paging: Literal["none", "page", "cursor", "link"] = "none"
    page: str = "page"
    next: str = "next"
    window: int = Field(default=7, ge=1)
    since: str = ""

    @property
    def daily(self) -> bool:
        """Whether it is asked by days."""
        return "{day}" in self.path or any("{day}" in value for value in self.query.values())

    @model_validator(mode="after")
    def _days_begin(self) -> Self:
        if self.daily:
            date.fromisoformat(self.since)
        return self


Part = Annotated[SqlTable | Files | HttpPath, Field(discriminator="kind")]


class Source(_Part):
    """A source; `connection` names its address among those that the environment gives (`[sources]` in its file)."""

    kind: Literal["sql", "files", "http"]
    connection: str
    owner: str
    description: str
    schedule: str
    parts: tuple[Part, ...] = Field(min_length=1)
    _catalog: Mapping[str, Dataset] = CATALOG

    def promising(self, catalog: Mapping[str, Dataset]) -> Self:
        """This source, whose datasets are in `catalog`."""
        self._catalog = catalog
        return self

    def contract(self, part: Part) -> Dataset:
        """What the part's dataset promises. Raises ContractError where nothing is promised."""
        if part.dataset not in self._catalog:
            hint = "Write it into shared/leandata/contracts, a file of that name: make new-source does"
            raise ContractError(f"{part.dataset} has no contract", hint=hint)
        return self._catalog[part.dataset]

    def address(self, settings: Settings) -> str:
        """Where it is. Raises SettingsError that says how to give it."""
        given = json.loads(settings.values.get("SOURCES") or "{}")
        if self.connection not in given:
            hint = f'Write it into [sources] of the environment\'s file: {self.connection} = "address"'
            raise SettingsError(f"the source {self.connection} has no address", hint=hint)
        return str(given[self.connection])


def names(folder: Path = FOLDER) -> list[str]:
    """The sources that are declared, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load(name: str, folder: Path = FOLDER, *, catalog: Mapping[str, Dataset] = CATALOG) -> Source:
    """The source of that name, with datasets of `catalog`. Raises SettingsError with file, key and what is wrong."""
    path = folder / f"{name}.toml"
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        parts = [{"kind": said.get("kind"), **part} for part in said.pop("part", [])]
        source = Source.model_validate({**said, "parts": tuple(parts)})
        return source.promising(catalog)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(step) for step in first["loc"])
        raise SettingsError(f"{path.name}: {key}: {first['msg']}", where=str(path)) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}", where=str(path)) from error
