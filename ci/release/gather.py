"""The release that a successful deployment made, put together from what there is after it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from ci import git
from ci.engine import Engine
from ci.graph import StackInfo
from ci.release.manifest import Published, Release, identify
from ci.release.people import who
from ci.release.world import image_digests, serials, uncommitted
from infra.environment import Environment
from leandata.datasets import CATALOG
from leandata.errors import LeandataError
from leandata.lake import Lake
from leandata.models import SERVED, Registry

_DBT = Path("services", "airflow", "pipelines", "dbt")
_ZONES = {"curated": ("MARTS",), "raw": ("RAW",)}


def gather(
    engine: Engine,
    stacks: Mapping[str, StackInfo],
    *,
    deployed: Iterable[str],
    now: datetime,
    plan: str = "",
    back_to: str = "",
) -> Release:
    """The release of the checkout that `engine` deployed at `now` (UTC). Nothing is changed. Raises LeandataError.

    What cannot be reached from here, such as a lake inside a cluster, is said in the release's notes.
    """
    environment, notes = engine.environment, list[str]()
    commit = git.head(environment.root)
    places = engine.outputs("lake")
    found = serials(engine, stacks)
    return Release(
        id=identify(commit, now),
        environment=environment.name,
        commit=commit,
        uncommitted=bool(uncommitted(environment.root)),
        who=who(),
        when=now.isoformat(timespec="seconds"),
        plan=plan,
        images=image_digests(environment),
        config=config_digest(environment),
        serials=found,
        stacks=tuple(sorted(deployed)),
        dbt=digest(environment.root, [environment.root / _DBT]),
        lake=published(places, notes),
        model=model(str(places.get("models", "")), notes),
        warehouse=now.isoformat(timespec="seconds"),
        notes=tuple(notes),
        back_to=back_to,
    )


def config_digest(environment: Environment) -> str:
    """A digest of the files that say how the environment is: its own, and every service's manifest."""
    own = environment.root / "infra" / "environments" / f"{environment.name}.toml"
    return digest(environment.root, [own, *sorted((environment.root / "services").glob("*/service.toml"))])


def digest(root: Path, places: Iterable[Path]) -> str:
    """A digest of these files and of all files in these folders: their names from `root` and their bytes."""
    found = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
                found.update(path.read_bytes())
    return f"sha256:{found.hexdigest()}"


def published(places: Mapping[str, str], notes: list[str]) -> dict[str, Published]:
    """What the lake holds, by zone and dataset such as `raw shop.orders`; what cannot be read goes to `notes`."""
    found: dict[str, Published] = {}
    for zone, layers in sorted(_ZONES.items()):
        if zone not in places:
            continue
        try:
            lake = Lake(places[zone])
            for name, dataset in sorted(CATALOG.items()):
                latest = lake.latest(dataset) if dataset.layer in layers else {}
                if latest:
                    newest = max(latest.values(), key=lambda one: one.created)
                    rows = sum(one.rows for one in latest.values())
                    found[f"{zone} {name}"] = Published(slices=len(latest), rows=rows, newest=newest.run)
        except LeandataError as error:
            notes.append(f"the zone {zone} of the lake was not read: {error.what}")
    return found


def model(place: str, notes: list[str]) -> str:
    """The version of the purchase model that predictions are made with; "" where there is none."""
    if not place:
        return ""
    try:
        current = Registry(place, model=SERVED).current()
        return current.version if current else ""
    except LeandataError as error:
        notes.append(f"the zone models of the lake was not read: {error.what}")
        return ""
