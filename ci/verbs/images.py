"""`images`: build what changed of an environment's images, and write down what it will run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from ci import images as building
from ci.cli import Options, emit
from infra.components import images as released
from infra.environment import Environment
from leandata.errors import LeandataError, SettingsError

BASE = "LEANDATA_IMAGE_BASE"


def images(options: Options) -> int:
    """Build the images whose content has another tag than the releases file says; `--dry` only says which."""
    environment = Environment.current()
    names = names_of(environment)
    if options.service and options.service not in names:
        raise SettingsError(f"there is no image {options.service}", hint=f"One of {', '.join(names)}")
    base, root = os.environ.get(BASE, ""), environment.root
    recipes = {name: building.RECIPES[name] for name in names if options.service in ("", name)}
    contents = {name: building.contents(root, recipe) for name, recipe in recipes.items()}
    wanted = {name: building.digest(contents[name], root / recipes[name].dockerfile, base=base) for name in recipes}
    recorded = released.releases(environment)
    outdated = building.changed(wanted, recorded)
    if outdated and not options.dry:
        builder = building.builder(os.environ)
        for name in outdated:
            place = released.repository(environment, name)
            with tempfile.TemporaryDirectory(prefix="image-") as folder:
                building.assemble(contents[name], root / recipes[name].dockerfile, Path(folder))
                _build(name, building.command(builder, f"{place}:{wanted[name]}", Path(folder), base=base))
            recorded = {**recorded, name: {"repository": place, "tag": wanted[name]}}
            building.record(released.releases_path(environment), recorded)
    if options.json:
        emit({"built": [] if options.dry else outdated, "outdated": outdated, "tags": wanted})
        return 0
    for name, tag in wanted.items():
        state = ("to build" if options.dry else "built") if name in outdated else "as it was"
        print(f"{name:<10} {tag}  {len(contents[name]):>4} files  {state}")
    return 0


def names_of(environment: Environment) -> list[str]:
    """The images that the environment runs, sorted: stand-ins where nothing is managed."""
    return [name for name in released.NAMES if name != "standins" or environment.file.aws is None]


def tags(environment: Environment, *, base: str) -> dict[str, str]:
    """The tag of each image as its content is now, by name."""
    recipes = {name: building.RECIPES[name] for name in names_of(environment)}
    return {
        name: building.digest(
            building.contents(environment.root, recipe), environment.root / recipe.dockerfile, base=base
        )
        for name, recipe in recipes.items()
    }


def _build(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = next((line for line in reversed((done.stderr or done.stdout).splitlines()) if line.strip()), "")
        raise LeandataError(f"the image {name} was not built: {last.strip()}", where=command[0])
