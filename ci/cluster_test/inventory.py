"""What an environment made in its cluster, written down there, so that what is wanted no longer can be removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ci.cluster_test.objects import Item, Key
from leandata.errors import LeandataError

VERSION = 1
_DATA = "objects"


def name(environment: str) -> str:
    """The name of the ConfigMap that holds the inventory of an environment."""
    return f"leandata-inventory-{environment}"


def config_map(keys: Iterable[Key], *, environment: str, namespace: str) -> dict[str, Any]:
    """The inventory as an object of the cluster: the keys in the order in which they were applied."""
    said = {"version": VERSION, "objects": [asdict(key) for key in keys]}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name(environment), "namespace": namespace},
        "data": {_DATA: json.dumps(said, sort_keys=True)},
    }


def keys(found: Mapping[str, Any] | None) -> list[Key]:
    """The keys that an inventory holds; none where there is no inventory. Raises LeandataError when it is damaged."""
    if found is None:
        return []
    try:
        said = json.loads(found["data"][_DATA])
        if said["version"] != VERSION:
            raise ValueError
        return [Key(**one) for one in said["objects"]]
    except (KeyError, TypeError, ValueError) as error:
        place = f"ConfigMap {found.get('metadata', {}).get('name')}"
        raise LeandataError("the inventory of the cluster is damaged", where=place) from error


def made(wanted: Mapping[str, Item]) -> list[Key]:
    """The objects that exist once the cluster is as wanted, in the order in which they are applied."""
    return [key for item in wanted.values() for key in item.makes]


def both(before: Sequence[Key], wanted: Mapping[str, Item]) -> list[Key]:
    """What may exist while the cluster is brought to `wanted`: nothing is forgotten when that is interrupted."""
    return list(dict.fromkeys([*before, *made(wanted)]))


def unwanted(before: Sequence[Key], wanted: Mapping[str, Item]) -> list[Key]:
    """What was made and is wanted no longer, the last first."""
    kept = set(made(wanted))
    return [key for key in reversed(before) if key not in kept]
