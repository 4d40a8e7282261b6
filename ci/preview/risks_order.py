"""What goes wrong on the way, though the end is as it should be: orders of steps, and steps that should be two."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ci.preview import replacing
from ci.preview.model import Change, Risk
from ci.preview.risking import View, listed, of

_CLUSTER = "aws:eks/cluster:Cluster"
_DATABASE = "aws:rds/instance:Instance"
_SLOTS = ("rsaPublicKey", "rsaPublicKey2")
# Objects that are made anew on each change by design, or that nobody misses meanwhile.
_PASSING = frozenset({"ConfigMap", "CronJob", "Job", "PodDisruptionBudget", "RoleBinding", "ClusterRoleBinding"})
# What is missed while it is gone, besides the objects of Kubernetes.
_MISSED = re.compile(
    r"aws:iam/role:Role|aws:ec2/(securityGroup|subnet|vpc|natGateway):.*|aws:sns/topic:Topic|aws:secretsmanager/.*"
    r"|snowflake:index/(stageExternalS3|storageIntegrationAws|warehouse|serviceUser):.*|machine:index:PostgresRole"
)
_REFERENCE = "pulumi:pulumi:StackReference"


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    resources = {one.urn: one for one in view.after}
    for change in view.changes:
        now = resources.get(change.urn)
        if change.op == "replace" and now is not None:
            paths = {one.path for one in change.properties if one.replaces}
            if "urn" in paths and replacing.collides(now):
                yield of(
                    change, "order", "it has another URN: made again first, then deleted by its old one; add an alias"
                )
            elif _is_grant(change.type) and not change.deletes_first:
                yield of(
                    change, "order", "the old grant is revoked after the new one is given: give delete_before_replace"
                )
            elif _missed(change):
                yield of(change, "order", f"deleted before the new one is there: {listed(sorted(paths))} cannot change")
        yield from _steps(change)
    yield from _images(view)
    yield from _outputs(view)
    yield from _grants(view)


def _is_grant(type_: str) -> bool:
    return type_.startswith("snowflake:index/grant")


def _missed(change: Change) -> bool:
    """Whether something is missing meanwhile: what holds data is another risk, and the greater one."""
    if not change.deletes_first or replacing.stateful(change.type):
        return False
    if change.type.startswith("kubernetes:"):
        return change.type.rpartition(":")[2] not in _PASSING
    return bool(_MISSED.fullmatch(change.type))


def _grants(view: View) -> Iterator[Risk]:
    """Grants that are deleted, while another one gives the same on the same: the revocation undoes both."""
    given = {
        _given(change.after): change for change in view.changes if _is_grant(change.type) and change.op == "create"
    }
    for change in view.changes:
        if change.op == "delete" and _is_grant(change.type) and (other := given.get(_given(change.before))):
            yield of(other, "order", f"{change.name} gives the same, and is revoked after this one is given")


def _given(properties: Mapping[str, Any] | None) -> str:
    """Whom a grant is for, and on what: two with the same text touch each other."""
    said = {
        key: value for key, value in sorted((properties or {}).items()) if key not in ("privileges", "withGrantOption")
    }
    return str(said)


def _steps(change: Change) -> Iterator[Risk]:
    """Changes that must be made in two steps, each of which leaves something that works."""
    before, after = change.before or {}, change.after or {}
    if change.op != "update":
        return
    if change.type.endswith("User") and change.type.startswith("snowflake:"):
        old, new = ({side[slot] for slot in _SLOTS if side.get(slot)} for side in (before, after))
        if old and not old & new:
            yield of(change, "order", "no key of before is taken any more: who holds one is locked out; use both slots")
    if change.type == _CLUSTER:
        old, new = (_minor(side.get("version")) for side in (before, after))
        if old and new and new < old:
            yield of(change, "order", "the version goes back, which EKS refuses")
        if old and new and (new[0] > old[0] or new[1] > old[1] + 1):
            yield of(change, "order", "the version skips one, which EKS refuses: upgrade step by step")
    if change.type == _DATABASE:
        old, new = (_minor(side.get("engineVersion")) for side in (before, after))
        if old and new and new[0] != old[0]:
            yield of(change, "order", f"major version {old[0]} -> {new[0]}: it cannot be taken back, and takes long")


def _minor(version: Any) -> tuple[int, int] | None:
    match = re.match(r"(\d+)(?:\.(\d+))?", str(version or ""))
    return (int(match[1]), int(match[2] or 0)) if match else None


def _images(view: View) -> Iterator[Risk]:
    """Images that a pod names by a tag: what runs is whatever the tag means on that day."""
    known = {
        _image(image) for pod in view.pods_before for _, one in pod.containers() if _loose(image := one.get("image"))
    }
    for pod in view.pods_after:
        loose = [str(one["image"]) for _, one in pod.containers() if _loose(one.get("image"))]
        if new := [image for image in loose if _image(image) not in known]:
            yield from view.risk(pod.resource.urn, "order", f"image without digest: {listed(new)}")


def _loose(image: Any) -> bool:
    return isinstance(image, str) and "@sha256:" not in image and not image.startswith("[")


def _image(image: Any) -> str:
    """The image without its tag: another tag of one that never had a digest is nothing new."""
    return re.sub(r":[^/:]+$", "", str(image))


def _outputs(view: View) -> Iterator[Risk]:
    """Outputs that are gone or of another type, while another stack reads from this one."""
    readers: dict[str, set[str]] = defaultdict(set)
    for programs in (view.base, view.head):
        for stack, program in programs.items():
            for one in program.resources.values():
                for other in one.needs:
                    if _REFERENCE in other:
                        readers[other.rpartition("::")[2].split("/")[1]].add(stack)
    for stack in sorted(view.base.keys() & view.head.keys()):
        before, after = view.base[stack].outputs, view.head[stack].outputs
        wrong = [f"{key} is gone" for key in sorted(before.keys() - after.keys())]
        wrong += [
            f"{key} is another type"
            for key in sorted(before.keys() & after.keys())
            if _kind(before[key]) != _kind(after[key])
        ]
        if wrong and readers[stack]:
            urn = next((urn for urn in view.head[stack].resources if urn.endswith("pulumi:pulumi:Stack")), stack)
            yield Risk(
                kind="order",
                stack=stack,
                urn=urn if urn != stack else f"urn:pulumi:{stack}::outputs",
                type="pulumi:pulumi:Stack",
                name=stack,
                why=f"outputs: {listed(wrong)}; read by {', '.join(sorted(readers[stack]))}",
            )


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
