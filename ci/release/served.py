"""The model that an older release served, made current again: a step of a rollback."""

from __future__ import annotations

from datetime import datetime

from leandata.models import SERVED, Registry


def serve_again(place: str, version: str, *, now: datetime) -> tuple[bool, str]:
    """Make `version` current in the registry at `place`: whether something was changed, and a sentence about it.

    Nothing is changed where it is current, where the registry does not know it, and where it was withdrawn: it did not
    hold what it promised, and an older release is no reason to believe it again. Raises LakeError.
    """
    if not place or not version:
        return False, ""
    registry = Registry(place, model=SERVED)
    found = next((one for one in registry.versions() if one.version == version), None)
    if found is None:
        return False, f"The model stays: the registry knows no version {version}."
    if found.state == "current":
        return False, ""
    if found.state != "kept":
        return (
            False,
            f"The model stays: {version} was {found.state}. `make model PROMOTE={version}` takes it all the same.",
        )
    registry.promote(version, run=f"rollback-{now:%Y%m%dT%H%M%S}")
    return True, f"The model {version} is current again, as in this release."
