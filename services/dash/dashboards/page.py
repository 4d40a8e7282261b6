"""What a page is: a path, its choices, a view; and how the files of a folder become pages.

A file in `dashboards/pages` with `page = Page(...)` is a page: it is in the navigation, its choices are in the address,
its tables can be downloaded. Nothing else has to be told of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar
from urllib.parse import parse_qs, urlencode

from leandata import serving
from leandata.database import Connection
from leandata.errors import LeandataError
from leandata.serving import Freshness

PAGES = Path(__file__).parent / "pages"
_PATH = re.compile(r"/[a-z][a-z0-9-]*")
_LONGEST_TEXT = 40
_LONGEST_ADDRESS = 2_000
Role = Literal["viewer", "editor"]
Kind = Literal["text", "integer", "money", "percent", "date", "moment", "number", "days", "span", "strip", "bars"]
Answer = TypeVar("Answer")
Told = ParamSpec("Told")


class PageError(LeandataError):
    """A file that should be a page is none."""


class Reading(Protocol):
    """Calls one of the readers of `leandata.serving` with a connection to the serving database."""

    def __call__(
        self, reader: Callable[Concatenate[Connection, Told], Answer], *args: Told.args, **options: Told.kwargs
    ) -> Answer:
        """What the reader gives. Raises what it raises, and what stands for a database that does not answer."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Something that the address says: one of `options` (value and label), a day, or a short text.

    Taking an option forgets the choices that it `clears`.
    """

    name: str
    label: str
    options: tuple[tuple[str, str], ...] = ()
    default: str = ""
    kind: Literal["option", "day", "text"] = "option"
    clears: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        """Whether the address may say this."""
        if self.kind == "option":
            return value in dict(self.options)
        return len(value) <= _LONGEST_TEXT and value.isprintable() and (self.kind == "text" or _is_day(value))


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What is chosen on a page: what its address says where that is allowed, else the defaults."""

    path: str
    choices: tuple[Choice, ...]
    values: Mapping[str, str]

    @classmethod
    def of(cls, page: Page, search: str) -> State:
        """The state in an address such as `?range=4`; what it cannot mean is left out."""
        said = parse_qs((search or "").removeprefix("?")) if len(search or "") <= _LONGEST_ADDRESS else {}
        given = {name: values[-1].strip() for name, values in said.items()}
        values = {
            choice.name: given[choice.name]
            for choice in page.choices
            if choice.name in given and choice.accepts(given[choice.name])
        }
        return cls(path=page.path, choices=page.choices, values=values)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name) or next(choice.default for choice in self.choices if choice.name == name)

    def day(self, name: str) -> date | None:
        """The day that is chosen, None where none is."""
        return date.fromisoformat(self[name]) if self[name] else None

    def search(self, **changed: str) -> str:
        """The part of the address that says this state with some choices changed; defaults are not said."""
        wanted = {choice.name: changed.get(choice.name, self[choice.name]) for choice in self.choices}
        said = [(choice.name, wanted[choice.name]) for choice in self.choices if wanted[choice.name] != choice.default]
        return f"?{urlencode(said)}" if said else ""

    def href(self, **changed: str) -> str:
        """The address of the page with some choices changed."""
        return self.path + self.search(**changed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows as they are shown and downloaded; `columns` are (heading, kind of value)."""

    columns: tuple[tuple[str, Kind], ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """All that a view may know: what is chosen, the readers, who looks, and what day it is."""

    state: State
    read: Reading
    role: Role
    today: date

    def download(self, table: str) -> str:
        """The address that a table of this page is downloaded from, as it is shown now."""
        return f"/download{self.state.path}/{table}.csv{self.state.search()}"

    def published(self, dataset: str) -> Freshness | None:
        """What was published of a dataset, such as `sales.cohorts`; None before the first time."""
        return next((one for one in self.read(serving.freshness) if one.dataset == dataset), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page. `view` gives its components; whatever it raises becomes the page's error state.

    `lasting` gives those that follow no choice and come last: they are drawn anew when something was published, and not
    at each click. `tables` can be downloaded by their names; those of `for_editors` only by editors. Pages are shown by
    `order`.
    """

    path: str
    title: str
    view: Callable[[Context], Sequence[Any]]
    lasting: Callable[[Context], Sequence[Any]] | None = None
    order: int = 100
    choices: tuple[Choice, ...] = ()
    tables: Mapping[str, Callable[[Context], Table]] = field(default_factory=dict[str, Callable[[Context], Table]])
    for_editors: frozenset[str] = frozenset()


def discover(folder: Path = PAGES) -> tuple[Page, ...]:
    """The pages of the files in `folder`, in their order. Raises PageError naming the file and what to do."""
    found: dict[str, str] = {}
    pages: list[Page] = []
    for path in sorted(folder.glob("*.py")):
        if path.stem.startswith("_"):
            continue
        page = _page_of(_module(path), path)
        if page.path in found:
            raise PageError(
                f"two pages have the path {page.path}", where=f"{found[page.path]} and {path.name}", hint="Change one"
            )
        found[page.path] = path.name
        pages.append(page)
    return tuple(sorted(pages, key=lambda page: (page.order, page.title)))


def _page_of(module: ModuleType, path: Path) -> Page:
    page = getattr(module, "page", None)
    if not isinstance(page, Page):
        raise PageError("a file of pages has no page", where=path.name, hint="Write page = Page(path=..., ...) in it")
    if not _PATH.fullmatch(page.path) or page.path in ("/login", "/logout", "/healthz", "/assets", "/download"):
        raise PageError(f"{page.path!r} cannot be the path of a page", where=path.name, hint="Write it like /sales")
    strange = sorted(page.for_editors - set(page.tables))
    if strange:
        raise PageError(f"for_editors names {strange[0]!r}, which is no table", where=path.name, hint="Name a table")
    return page


def _module(path: Path) -> ModuleType:
    name = f"dashboards.pages.{path.stem}"
    try:
        if path.parent == PAGES:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:
        what = f"a page cannot be loaded: {type(error).__name__}: {error}"
        raise PageError(what, where=path.name, hint="Run `make check`") from error
    return module


def _is_day(value: str) -> bool:
    try:
        return not value or date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
