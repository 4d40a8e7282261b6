"""Which image each service runs from: by digest, as a release wrote it down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from infra.environment import Environment
from leandata.errors import SettingsError

NOT_BUILT = "sha256:" + "0" * 64
NAMES = ("airflow", "api", "dash", "dask", "platform", "standins")


def repository(environment: Environment, name: str) -> str:
    """Where the image lies: in ECR of the environment's account, else in the registry that its file names."""
    aws, kubernetes = environment.file.aws, environment.file.kubernetes
    if aws is not None:
        return f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/leandata/{name}"
    registry = kubernetes.registry if kubernetes is not None else ""
    return f"{registry}/leandata-{name}" if registry else f"leandata-{name}"


def reference(environment: Environment, name: str) -> str:
    """`repository@digest`, `repository:tag` where there is no registry to give a digest, NOT_BUILT before any release.

    Raises SettingsError for a releases file that is not well formed.
    """
    found = releases(environment).get(name, {})
    place = found.get("repository") or repository(environment, name)
    if found.get("tag") and not found.get("digest"):
        return f"{place}:{found['tag']}"
    return f"{place}@{found.get('digest') or NOT_BUILT}"


def releases(environment: Environment) -> dict[str, dict[str, str]]:
    """What the releases file says of each image; empty before the first release. LEANDATA_RELEASES names another file.

    Raises SettingsError when it is not well formed.
    """
    path = releases_path(environment)
    try:
        text: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return dict(text["images"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        hint = f"python -m ci images ENV={environment.name} writes it"
        raise SettingsError("the releases file is damaged", where=str(path), hint=hint) from error


def releases_path(environment: Environment) -> Path:
    """The releases file of the environment."""
    asked = os.environ.get("LEANDATA_RELEASES")
    return Path(asked) if asked else environment.root / "infra" / "releases" / f"{environment.name}.json"
