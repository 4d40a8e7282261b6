"""Secrets that are shown, made anew, or read by somebody who did not before."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.preview.differing import document
from ci.preview.model import ABSENT, Change, Risk
from ci.preview.risking import View, listed, of
from ci.programs import HIDDEN, Resource
from infra.policy.graph import at, called, items, mapping, namespace, objects, texts
from infra.policy.pods import Pod

_VALUES = frozenset(
    {
        "aws:secretsmanager/secret:Secret",
        "machine:index:AwsSecretValue",
        "machine:index:ClusterSecret",
        "machine:index:Secret",
    }
)
_IN_FILE = re.compile(r"/secrets/(?:leandata/)?([A-Za-z0-9._-]+)")
_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+]*://[^\s:/@]*:(?!\{)(?!\[secret\])[^\s/@?]+@")


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    for change in view.changes:
        if why := "; ".join(sorted(set(_shown(change)))):
            yield of(change, "secret", why)
        if change.type in _VALUES and change.op in ("delete", "replace"):
            paths = [one.path for one in change.properties if one.replaces]
            what = f"made anew ({listed(paths)} changed)" if change.op == "replace" else "deleted"
            yield of(change, "secret", f"its value is {what}: who holds the old one is locked out")
        elif change.type in _VALUES and any(one.path == "kind" for one in change.properties):
            yield of(change, "secret", "another kind of value")
    yield from _readers(view)


def _shown(change: Change) -> Iterator[str]:
    """Where a value that was hidden is plain, in words that do not repeat it."""
    for one in change.properties:
        hidden = HIDDEN in str(one.before)
        if hidden and one.after != ABSENT and HIDDEN not in str(one.after):
            yield f"{one.path} was a secret and is plain text"
        if one.path.endswith(".valueFrom") and one.after == ABSENT and "secretKeyRef" in str(one.before):
            place = one.path.removesuffix(".valueFrom")
            if any(other.path == f"{place}.value" and other.after != ABSENT for other in change.properties):
                yield f"{place} was read from a secret and is plain text"
        if _IN_ADDRESS.search(str(one.after)) and not _IN_ADDRESS.search(str(one.before)):
            yield f"{one.path} holds a password"
    if change.op == "create" and _IN_ADDRESS.search(str(change.after)):
        yield "an address in it holds a password"


def _readers(view: View) -> Iterator[Risk]:
    """Who reads a secret of before and did not read it then."""
    before, after = (
        _reads(one, pods) for one, pods in ((view.before, view.pods_before), (view.after, view.pods_after))
    )
    known = {secret for _, secret in before}
    found: dict[str, list[str]] = defaultdict(list)
    for (who, secret), urn in after.items():
        if secret in known and (who, secret) not in before:
            found[urn].append(f"{who} reads {secret}")
    for urn, said in sorted(found.items()):
        yield from view.risk(urn, "secret", f"new: {listed(said)}")


def _reads(found: Sequence[Resource], pods: Sequence[Pod]) -> dict[tuple[str, str], str]:
    """Who reads which secret, with what says so."""
    made: dict[tuple[str, str], str] = {}
    for one in found:
        if one.type.endswith(":SecretProviderClass"):
            said = document(at(one.properties, "spec.parameters.objects"))
            for secret in objects(said):
                name = str(secret.get("objectName", "")).rpartition("/")[2]
                made[f"{namespace(one)}/{called(one)}", name] = one.urn
        elif one.type == "machine:index:ClusterSecret":
            for space in texts(one.properties, "namespaces"):
                made[f"the namespace {space}", str(one.properties.get("secret"))] = one.urn
        elif one.type in ("machine:index:Process", "machine:index:Job", "machine:index:RenderedSecret"):
            who = str(one.properties.get("name", one.name))
            made |= {(who, secret): one.urn for secret in _mentioned(one.properties, one.properties.get("path"))}
    for pod in pods:
        who = f"the pods of {namespace(pod.resource)}/{called(pod.resource)}"
        made |= {(who, secret): pod.resource.urn for secret in _mounted(pod)}
    return made


def _mentioned(value: Any, own: Any) -> Iterator[str]:
    """The secrets whose files a process is told of, besides the one that it writes itself."""
    if isinstance(value, str):
        yield from (match for match in _IN_FILE.findall(value) if value != own)
    elif isinstance(value, Mapping):
        for found in value.values():
            yield from _mentioned(found, own)
    elif isinstance(value, Sequence):
        for found in value:
            yield from _mentioned(found, own)


def _mounted(pod: Pod) -> Iterator[str]:
    for volume in objects(pod.spec, "volumes"):
        if name := at(volume, "secret.secretName"):
            yield str(name)
        yield from (str(name) for one in objects(volume, "projected.sources") if (name := at(one, "secret.name")))
    for _, container in pod.containers():
        for one in objects(container, "env"):
            if name := at(one, "valueFrom.secretKeyRef.name"):
                yield str(name)
        yield from (str(name) for one in items(container, "envFrom") if (name := at(mapping(one, "secretRef"), "name")))
