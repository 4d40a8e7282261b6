"""`.github/CODEOWNERS`, made from the ownership of the checkout, and what of the checkout nobody owns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from ci.owners.teams import Teams
from leandata.errors import LeandataError

FILE = ".github/CODEOWNERS"
_HEAD = """# Written by `make owners` from owners.toml and each service's service.toml: change those, not this file.
# GitHub asks one person of a team that is named here. Who must sign a risk, all of them: `make signoff`.
"""


def text(teams: Teams, *, folders: Iterable[str]) -> str:
    """The file: one line for each path that has an owner of its own, the longer after the shorter, as GitHub reads it.

    `folders` are the folders of the checkout: a path among them gets a `/` at its end.
    """
    known = set(folders)
    width = max((len(path) for path in teams.paths), default=0) + 3
    lines = [
        f"{f'/{path}/' if path in known else f'/{path}':<{width}} {teams.teams[owner].handle}"
        for path, owner in sorted(teams.paths.items())
    ]
    return _HEAD + "\n".join(lines) + "\n"


def folders_of(paths: Iterable[str]) -> set[str]:
    """The folders that hold these files."""
    return {above.as_posix() for path in paths for above in PurePosixPath(path).parents} - {"."}


def problems(teams: Teams, paths: Iterable[str]) -> list[str]:
    """A sentence for every file that nobody owns, and for every path of the ownership file that is not there."""
    files = set(paths)
    found: list[str] = []
    for path in sorted(files):
        try:
            teams.owner_of(path)
        except LeandataError as error:
            found.append(error.what)
    there = files | folders_of(files)
    found += [f"{path} has an owner and is not there" for path in sorted(set(teams.paths) - there)]
    return found
