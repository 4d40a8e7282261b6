"""Which images and services a change touches, and why: what a Dockerfile copies, the packages it installs, its code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ci.affected.locked import group_of
from ci.affected.stacks import LOCKS, Question
from ci.affected.tree import TESTS, closure, way
from ci.images import PLACES, RECIPES, Recipe

_COPY = re.compile(r"^\s*(?:COPY|ADD)\s+(?!--from)(.+)$", re.MULTILINE | re.IGNORECASE)
_NOT_RUN = re.compile(r".*\.md")


def images(question: Question) -> dict[str, tuple[str, ...]]:
    """The images whose build would differ, each with reasons, sorted."""
    found = {name: tuple(dict.fromkeys(_reasons(question, recipe))) for name, recipe in sorted(RECIPES.items())}
    return {name: reasons for name, reasons in found.items() if reasons}


def services(question: Question, touched: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The services whose code, image, manifest or program differ; `touched` are the images that `images` found."""
    found: dict[str, tuple[str, ...]] = {}
    names = {path.split("/")[1] for path in question.tree.paths if re.fullmatch(r"services/[^/]+/service\.toml", path)}
    for name in sorted(names):
        folder = f"services/{name}/"
        own = [path for path in sorted(question.found.changed) if path.startswith(folder)]
        reasons = [f"{path} is its own" for path in own if not TESTS.search(path) and not _NOT_RUN.fullmatch(path)]
        reasons += [f"its image: {reason}" for reason in touched.get(name, ()) if not reason.startswith(folder)]
        if reasons:
            found[name] = tuple(reasons)
    return found


def copied(dockerfile: str) -> tuple[str, ...]:
    """The places in the context that a Dockerfile copies from it, without those of other build stages; sorted."""
    found: set[str] = set()
    for line in _COPY.findall(dockerfile.replace("\\\n", " ")):
        words = [word for word in line.split() if not word.startswith("--")]
        found |= {word.rstrip("/") for word in words[:-1]}
    return tuple(sorted(found))


def contents(question: Question, recipe: Recipe) -> dict[str, str]:
    """The files of code in the image on either side, and through which one each is reached ("" for a start)."""
    tree = question.tree
    starts = {path for name in recipe.modules for path in tree.resolve(name)}
    for folder in recipe.packages.values():
        starts |= {path for path in tree.paths if path.startswith(f"{folder}/") and _held(path[len(folder) + 1 :])}

    def edges(path: str) -> set[str]:
        places = tuple(f"{place}/" for place in PLACES.values())
        return {other for other in tree.imported(path) if other.startswith(places)}

    return closure(starts, edges)


def _held(path: str) -> bool:
    """Whether ci.images takes a file of a package that it holds whole."""
    parts = PurePosixPath(path).parts
    return parts[0] != "tests" and not any(part.startswith(".") or part == "__pycache__" for part in parts)


def _reasons(question: Question, recipe: Recipe) -> Iterator[str]:
    changed = question.found.changed
    if recipe.dockerfile in changed:
        yield f"{recipe.dockerfile} is its recipe"
    texts = [question.found.now(recipe.dockerfile), question.found.old.get(recipe.dockerfile)]
    dockerfile = "\n".join(text.decode(errors="replace") for text in texts if text is not None)
    places = copied(dockerfile)
    if not places:
        return
    group = group_of(dockerfile)
    for place, source in sorted(recipe.locks.items()):
        taken = any(place == copy or place.startswith(f"{copy}/") for copy in places)
        if source in changed and taken and source not in LOCKS:
            yield f"{source} is copied into its build"
    if changed & set(LOCKS):
        said = question.locked
        if said.everything or not group:
            yield said.everything or "pyproject.toml or uv.lock differ"
        elif group in said.groups:
            yield f"its packages: {', '.join(said.groups[group][:3])} (group {group})"
    if any(copy == "code" or copy.startswith("code/") or copy == "." for copy in places):
        code = contents(question, recipe)
        for path in sorted(changed & set(code)):
            yield f"{path} is in it ({' -> '.join(way(code, path)[-3:])})"
