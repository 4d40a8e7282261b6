"""Which files each image is made of, derived from what its code imports, and what has changed since the last build."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leandata.errors import SettingsError

COMMAND = "LEANDATA_IMAGE_BUILDER"
ENGINES = ("docker", "podman", "buildah")
PLACES = {"leandata": "shared/leandata", "infra": "infra"}
"""Where the packages lie that an image holds in part: only those modules that its entry packages reach."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One image: its Dockerfile and the packages (name in the image: folder in the repository) it holds whole.

    `modules` are those it runs besides, with what they import; `locks` are places in the context by file.
    """

    dockerfile: str
    packages: Mapping[str, str]
    locks: Mapping[str, str]
    modules: tuple[str, ...] = ()


_RENDERING = "leandata.rendering"  # what an init container runs
_LOCKS = {"lock/pyproject.toml": "pyproject.toml", "lock/uv.lock": "uv.lock"}
_SNOWFLAKE = {f"lock/snowflake/{name}": f"infra/standins/snowflake/{name}" for name in ("pyproject.toml", "uv.lock")}
RECIPES: dict[str, Recipe] = {
    **{
        service: Recipe(
            dockerfile=f"services/{service}/Dockerfile",
            packages={package: f"services/{service}/{package}"},
            locks=_LOCKS,
            modules=(_RENDERING,),
        )
        for service, package in {
            "airflow": "pipelines",
            "api": "serving",
            "dash": "dashboards",
            "dask": "tasks",
        }.items()
    },
    "platform": Recipe(
        dockerfile="infra/images/platform/Dockerfile",
        packages={"infra/jobs": "infra/jobs", "infra/standins/shop": "infra/standins/shop"},
        locks=_LOCKS,
        modules=("leandata.database", _RENDERING),
    ),
    "standins": Recipe(
        dockerfile="infra/images/standins/Dockerfile",
        packages={"infra/standins": "infra/standins", "infra/jobs": "infra/jobs"},
        locks=_LOCKS | _SNOWFLAKE,
        modules=("infra.provider.postgres_binaries", _RENDERING),
    ),
}


def contents(root: Path, recipe: Recipe) -> dict[str, Path]:
    """Every file of the build's context, by its place there: the locks, the whole packages, the modules they reach.

    Raises SettingsError for a module that Python cannot read.
    """
    found = {place: root / source for place, source in recipe.locks.items()}
    waiting: list[Path] = []
    for name in recipe.modules:
        for place, source in _modules(root, name):
            found[place] = source
            waiting.append(source)
    for target, folder in recipe.packages.items():
        for path in _files(root / folder):
            found[f"code/{target}/{path.relative_to(root / folder).as_posix()}"] = path
            waiting.append(path)
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".py":
            continue
        seen.add(path)
        for name in imported(path):
            for place, source in _modules(root, name):
                found.setdefault(place, source)
                waiting.append(source)
    return dict(sorted(found.items()))


def imported(path: Path) -> set[str]:
    """The absolute names that the module imports, also inside functions; of `from a import b` both a and a.b.

    Raises SettingsError when Python cannot read it.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise SettingsError("an image's module cannot be read", where=f"{path}:{error.lineno}") from error
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def digest(found: Mapping[str, Path], dockerfile: Path, *, base: str) -> str:
    """The image's tag: 16 hexadecimal digits over every byte that goes into it, its Dockerfile and its base."""
    total = hashlib.sha256(f"{base}\0".encode() + dockerfile.read_bytes())
    for place, source in sorted(found.items()):
        total.update(f"\0{place}\0{source.stat().st_size}\0".encode() + source.read_bytes())
    return total.hexdigest()[:16]


def assemble(found: Mapping[str, Path], dockerfile: Path, folder: Path) -> None:
    """Copy the context into the empty `folder`; nothing else can reach the builder."""
    for place, source in found.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shutil.copyfile(dockerfile, folder / "Dockerfile")


def command(builder: str, reference: str, folder: Path, *, base: str) -> list[str]:
    """The command line: an engine's own, or a template that is called as `BUILDER image NAME:TAG CONTEXT DOCKERFILE`.

    `base` is left out when it is "": then the Dockerfile's own holds.
    """
    arguments = ["--build-arg", f"BASE={base}"] if base else []
    dockerfile = str(folder / "Dockerfile")
    words = builder.split()
    if len(words) == 1 and Path(builder).name in ENGINES:
        return [builder, "build", *arguments, "--tag", reference, "--file", dockerfile, str(folder)]
    return [*words, "image", reference, str(folder), dockerfile, "--network", *arguments]


def builder(environ: Mapping[str, str]) -> str:
    """What builds images here: LEANDATA_IMAGE_BUILDER, else the first container engine of PATH.

    Raises SettingsError when there is none.
    """
    asked = environ.get(COMMAND, "").strip()
    found = asked or next((name for name in ENGINES if shutil.which(name, path=environ.get("PATH", ""))), "")
    if not found:
        hint = f"Install one of {', '.join(ENGINES)}, or name a builder in {COMMAND}"
        raise SettingsError("images are built by a container engine, and there is none here", hint=hint)
    return found


def changed(wanted: Mapping[str, str], recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The images whose tag is not the recorded one, in order."""
    return sorted(name for name, tag in wanted.items() if recorded.get(name, {}).get("tag") != tag)


def record(path: Path, images: Mapping[str, Mapping[str, str]]) -> None:
    """Write the releases file: sorted, and whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 1, "images": images}, indent=2, sort_keys=True) + "\n"
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a package held whole, without its own tests, caches and environments; dbt's tests are its code."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = parts[0] == "tests" or any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden:
            yield path


def _modules(root: Path, name: str) -> Sequence[tuple[str, Path]]:
    """The files that importing `name` reads: the packages above it and the module itself."""
    parts = name.split(".")
    if parts[0] not in PLACES:
        return []
    top = root / PLACES[parts[0]]
    bases = [top.joinpath(*parts[1:count]) for count in range(1, len(parts) + 1)]
    files = [path for base in bases for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()]
    return [(f"code/{parts[0]}/{path.relative_to(top).as_posix()}", path) for path in files]
