"""What may lose data: deleting or replacing what holds some, and keeping it for a shorter time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ci.preview import replacing
from ci.preview.differing import document
from ci.preview.model import Change, Risk
from ci.preview.risking import View, listed, of
from infra.policy.graph import at, items, objects, true

_LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
_IMAGES = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
# How long something is kept, in days, by type.
_KEPT = {
    "aws:cloudwatch/logGroup:LogGroup": "retentionInDays",
    "snowflake:index/database:Database": "dataRetentionTimeInDays",
    "snowflake:index/schema:Schema": "dataRetentionTimeInDays",
    "snowflake:index/table:Table": "dataRetentionTimeInDays",
}
_PARAMETERS = frozenset({"DATA_RETENTION_TIME_IN_DAYS", "MIN_DATA_RETENTION_TIME_IN_DAYS"})
_FORCED = ("forceDelete", "forceDestroy")


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    retained = {one.urn for one in view.before if one.retain}
    for change in view.changes:
        if replacing.stateful(change.type):
            yield from _lost(change, retained=change.urn in retained)
        if why := "; ".join(_shortened(change)):
            yield of(change, "data", why)


def _lost(change: Change, *, retained: bool) -> Iterator[Risk]:
    if change.op == "delete" and retained:
        yield of(change, "data", "no longer managed: it stays where it is, and nothing here knows it")
    elif change.op == "delete":
        yield of(change, "data", "deleted, with all that it holds", confirm=True)
    elif change.op == "replace":
        paths = [one.path for one in change.properties if one.replaces]
        yield of(change, "data", f"replaced by an empty one: {listed(paths)} changed", confirm=True)
    elif change.may_replace:
        paths = [one.path for one in change.properties if one.replaces is None]
        yield of(change, "data", f"may be replaced by an empty one: {listed(paths)} changed")


def _shortened(change: Change) -> Iterator[str]:
    """What is kept for a shorter time, or is deleted with less ado, in words."""
    before, after = change.before or {}, change.after or {}
    if change.op not in ("update", "replace"):
        if change.type == _LIFECYCLE and change.op == "create" and _ends(after) < math.inf:
            yield f"what lies in the bucket is deleted after {_ends(after)} days"
        return
    if key := _KEPT.get(change.type):
        yield from _less(key, before.get(key), after.get(key))
    if change.type.endswith(":AccountParameter") and after.get("key") in _PARAMETERS:
        yield from _less(str(after["key"]), before.get("value"), after.get("value"))
    for key in _FORCED:
        if true(after.get(key)) and not true(before.get(key)):
            yield f"{key}: it may now be deleted with all that lies in it"
    if change.type == _LIFECYCLE:
        yield from _sooner(_rules(before), _rules(after))
    if change.type == _IMAGES:
        yield from _fewer(before, after)


def _days(value: Any) -> float:
    """Days that something is kept: nothing said, or 0 for logs, is for ever."""
    try:
        return float(value) or math.inf
    except (TypeError, ValueError):
        return math.inf


def _less(key: str, before: Any, after: Any) -> Iterator[str]:
    # Snowflake's 0 is none at all, and the logs' 0 is for ever.
    old, new = (float(one) if key != "retentionInDays" and _is_number(one) else _days(one) for one in (before, after))
    if new < old and (before is not None or key == "retentionInDays"):
        yield f"{key}: kept {_said(after)} instead of {_said(before)} days"
    elif after is None and before is not None and key != "retentionInDays":
        yield f"{key}: no longer said, {_said(before)} days before"


def _is_number(value: Any) -> bool:
    return str(value).replace(".", "", 1).isdigit()


def _said(value: Any) -> str:
    return "unsaid" if value is None else str(value)


def _rules(properties: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """By prefix: after how many days files are deleted, and versions that are not current any more."""
    found: dict[str, tuple[float, float]] = {}
    for rule in objects(properties, "rules"):
        if rule.get("status") != "Enabled":
            continue
        prefix = str(at(rule, "filter.prefix", rule.get("prefix") or ""))
        ends = _days(at(rule, "expiration.days")), _days(at(rule, "noncurrentVersionExpiration.noncurrentDays"))
        known = found.get(prefix, (math.inf, math.inf))
        found[prefix] = (min(known[0], ends[0]), min(known[1], ends[1]))
    return found


def _ends(properties: Mapping[str, Any]) -> float:
    return min((first for first, _ in _rules(properties).values()), default=math.inf)


def _sooner(before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """Where files or their versions end sooner: compared with the rules of before that held for the same prefix."""
    for prefix, ends in after.items():
        held = [known for start, known in before.items() if prefix.startswith(start)]
        for number, what in enumerate(("files", "old versions")):
            old = min((one[number] for one in held), default=math.inf)
            if ends[number] < old:
                was = "for ever" if old == math.inf else f"{old:g}"
                yield f"{what} under {prefix or '/'} are deleted after {ends[number]:g} days, before: {was}"


def _fewer(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Where fewer images are kept, or for a shorter time, by the rules of a registry."""
    old, new = (
        {
            (str(at(rule, "selection.tagStatus")), str(at(rule, "selection.countType"))): at(
                rule, "selection.countNumber", math.inf
            )
            for rule in items(document(one.get("policy")), "rules")
        }
        for one in (before, after)
    )
    for key, number in new.items():
        if number < old.get(key, math.inf):
            yield f"{key[0]} images are deleted sooner: {key[1]} {number}, before: {old.get(key, 'never')}"
