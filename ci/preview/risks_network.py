"""What can be reached by more than before, and what is said in the open."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.preview.model import ABSENT, Risk
from ci.preview.risking import View, holds, listed, of
from ci.programs import Resource
from infra.policy.graph import at, called, items, mapping, namespace, objects, texts, true
from infra.policy.workloads import selects

_GROUPS = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
_RULE = re.compile(r"aws:(vpc|ec2)/securityGroup(Ingress)?Rule:.*")
_ALL_PORTS = (0, 65535)
_WORLD = ("0.0.0.0/0", "::/0")
# Ways of speaking, the open one after the closed one.
_SCHEMES = {"https": "http", "tls": "tcp", "rediss": "redis", "smtps": "smtp", "ldaps": "ldap"}
_SCHEME = re.compile(r"\b([a-z][a-z0-9+]*)://([^/\s?]*)")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SSL_MODE = re.compile(r"sslmode=([a-z-]+)")
_LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|localhost|::1)$")
_TRUE = re.compile(r"(REQUIRE_ENCRYPTION|(?<!rds\.)force_ssl|REQUIRE_TLS|SSL_REQUIRED)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """Who may reach what, through which ports; `peer` is a range of addresses or a name, "" anybody."""

    what: str
    peer: str
    protocol: str
    ports: tuple[int, int]
    urn: str

    def said(self) -> str:
        """The way in words."""
        ports = "any port" if self.ports == _ALL_PORTS else "-".join(map(str, sorted(set(self.ports))))
        return f"{self.peer or 'anybody'} to {self.what}, {ports}"


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    before = defaultdict[str, list[Way]](list)
    for way in _ways(view.before):
        before[way.what].append(way)
    found: dict[str, list[str]] = defaultdict(list)
    for way in _ways(view.after):
        if not any(_covers(known, way) for known in before[way.what]):
            found[way.urn].append(way.said())
    for urn, said in sorted(found.items()):
        yield from view.risk(urn, "network", f"opened: {listed(said)}")
    yield from _unclosed(view)
    yield from _in_the_open(view)


def _ways(found: Sequence[Resource]) -> Iterator[Way]:
    for one in found:
        if one.type.endswith(":NetworkPolicy") and one.type.startswith("kubernetes:"):
            yield from _of_policy(one)
        elif one.type.startswith("aws:"):
            yield from _of_aws(one)
        elif one.type.endswith(":Ingress"):
            for rule in objects(one.properties, "spec.rules"):
                for path in objects(rule, "http.paths"):
                    what = f"{rule.get('host', '*')}{path.get('path', '/')} of {namespace(one)}/{called(one)}"
                    yield Way(what=what, peer="people", protocol="tcp", ports=(443, 443), urn=one.urn)
        elif one.type.startswith("snowflake:") and one.type.endswith((":NetworkPolicy", ":NetworkRule")):
            what = f"Snowflake by {str(one.properties.get('name', '')).replace(chr(34), '')}"
            key = "allowedIpLists" if one.type.endswith("Policy") else "valueLists"
            for cidr in texts(one.properties, key):
                yield Way(what=what, peer=cidr, protocol="tcp", ports=(443, 443), urn=one.urn)
        elif one.type == "machine:index:Process":
            yield from _of_process(one)


def _of_process(one: Resource) -> Iterator[Way]:
    """An address to listen on that others reach: the words of its command, and its settings."""
    words = texts(one.properties, "command")
    named = [*itertools.pairwise(words), *sorted(mapping(one.properties, "env").items())]
    for name, value in named:
        if re.search(r"(host|bind|listen|address)$", str(name), re.IGNORECASE):
            host = str(value).rpartition(":")[0] or str(value)
            if not _LOOPBACK.match(host) and re.match(r"^(0\.0\.0\.0|::|\[::\]|\*|\d+\.\d+\.\d+\.\d+)$", host):
                yield Way(what=f"{_real(one)} ({name})", peer="", protocol="tcp", ports=_ALL_PORTS, urn=one.urn)


def _real(one: Resource) -> str:
    """What the real thing is called: it is the same under another name in the program."""
    return str(one.properties.get("name") or one.name)


def _of_aws(one: Resource) -> Iterator[Way]:
    said = one.properties
    if one.type in _GROUPS:
        for rule in objects(said, "ingress"):
            yield from _of_rule(one, f"the security group {_real(one)}", rule)
    elif _RULE.fullmatch(one.type) and said.get("type", "ingress") == "ingress":
        yield from _of_rule(one, f"the security group {said.get('securityGroupId')}", said)
    elif one.type == "aws:ec2/route:Route" and said.get("gatewayId"):
        what = f"the route table {said.get('routeTableId')}"
        for key in ("destinationCidrBlock", "destinationIpv6CidrBlock"):
            if said.get(key):
                yield Way(what=what, peer=str(said[key]), protocol="-1", ports=_ALL_PORTS, urn=one.urn)
    elif one.type == "aws:eks/cluster:Cluster" and true(at(said, "vpcConfig.endpointPublicAccess", True)):
        for cidr in texts(said, "vpcConfig.publicAccessCidrs") or list(_WORLD[:1]):
            yield Way(what="the cluster's API server", peer=cidr, protocol="tcp", ports=(443, 443), urn=one.urn)
    elif one.type.endswith(":Listener"):
        port = int(said.get("port") or 443)
        yield Way(what=f"the listener {one.name}", peer="", protocol="tcp", ports=(port, port), urn=one.urn)


def _of_rule(one: Resource, what: str, rule: Mapping[str, Any]) -> Iterator[Way]:
    protocol = str(rule.get("ipProtocol", rule.get("protocol", "-1")))
    ports = _ALL_PORTS if protocol == "-1" else (_port(rule.get("fromPort"), 0), _port(rule.get("toPort"), 65535))
    keys = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "securityGroups", "referencedSecurityGroupId",
            "sourceSecurityGroupId", "prefixListId", "prefixListIds")  # fmt: skip
    for key in keys:
        for peer in texts(rule, key):
            yield Way(what=what, peer=peer, protocol=protocol, ports=ports, urn=one.urn)
    if true(rule.get("self")):
        yield Way(what=what, peer="itself", protocol=protocol, ports=ports, urn=one.urn)


def _port(value: Any, default: int) -> int:
    return int(value) if str(value).lstrip("-").isdigit() else default


def _of_policy(one: Resource) -> Iterator[Way]:
    """What a network policy lets in and out: peers by what selects them."""
    spec = mapping(one.properties, "spec")
    pods = f"{namespace(one)}/{_labels(mapping(spec, 'podSelector')) or 'all pods'}"
    for direction, key in (("ingress", "from"), ("egress", "to")):
        for rule in objects(spec, direction):
            peers = [_peer(one, peer) for peer in objects(rule, key)] or [""]
            for port in objects(rule, "ports") or [{}]:
                for peer in peers:
                    yield Way(
                        what=f"{pods} ({direction})",
                        peer=peer,
                        protocol=str(port.get("protocol", "TCP" if port else "-1")),
                        ports=_ports(port),
                        urn=one.urn,
                    )


def _ports(port: Mapping[str, Any]) -> tuple[int, int]:
    if not port:
        return _ALL_PORTS
    number = str(port.get("port", ""))
    if not number.isdigit():
        # A port by its name: a number of its own, the same for the same name, that no real port has.
        named = -sum(map(ord, number)) - 1
        return (named, named) if number else _ALL_PORTS
    return int(number), int(port.get("endPort") or number)


def _peer(one: Resource, peer: Mapping[str, Any]) -> str:
    if block := mapping(peer, "ipBlock"):
        but = f" but {','.join(sorted(texts(block, 'except')))}" if texts(block, "except") else ""
        return f"{block.get('cidr')}{but}"
    where = _labels(mapping(peer, "namespaceSelector")) or ("any namespace" if "namespaceSelector" in peer else "")
    return f"{where or namespace(one)}: {_labels(mapping(peer, 'podSelector')) or 'any pod'}"


def _labels(selector: Mapping[str, Any]) -> str:
    labels = sorted(f"{key}={value}" for key, value in mapping(selector, "matchLabels").items())
    return ",".join([*labels, *sorted(str(one) for one in items(selector, "matchExpressions"))])


def _covers(wide: Way, narrow: Way) -> bool:
    ports = wide.ports[0] <= narrow.ports[0] and narrow.ports[1] <= wide.ports[1]
    return ports and wide.protocol in ("-1", narrow.protocol) and _within(narrow.peer, wide.peer)


def _within(narrow: str, wide: str) -> bool:
    """Whether who is meant by one text is among whom the other one means."""
    if wide in ("", narrow):
        return True
    places, parts = zip(*(text.partition(": ")[::2] for text in (narrow, wide)), strict=True)
    if all(parts) and places[1] in ("any namespace", places[0]) and parts[1] in ("any pod", parts[0]):
        return True
    return " but " not in wide and holds(wide.partition(" ")[0], narrow.partition(" ")[0])


def _unclosed(view: View) -> Iterator[Risk]:
    """Pods that a network policy took, and that none takes any more: they talk to everybody."""
    after = defaultdict[str, list[Resource]](list)
    for one in view.after:
        if _is_policy(one):
            after[namespace(one)].append(one)
    spaces = {called(one) for one in view.after if one.type.endswith(":Namespace")}
    spaces |= {namespace(pod.resource) for pod in view.pods_after}
    for one in view.before:
        change = view.changed.get(one.urn)
        if not _is_policy(one) or change is None or namespace(one) not in spaces:
            continue
        spec = mapping(one.properties, "spec")
        open_ = [
            direction
            for direction in _directions(spec)
            if not any(_closes(other, spec, direction) for other in after[namespace(one)])
        ]
        if open_:
            why = f"no policy closes {_labels(mapping(spec, 'podSelector')) or 'all pods'} for {' and '.join(open_)}"
            yield of(change, "network", why)


def _is_policy(one: Resource) -> bool:
    return one.type.startswith("kubernetes:") and one.type.endswith(":NetworkPolicy")


def _directions(spec: Mapping[str, Any]) -> list[str]:
    """What the policy closes; where it does not say so, Kubernetes takes what comes in, and what goes out if ruled."""
    return texts(spec, "policyTypes") or ["Ingress", *(["Egress"] if objects(spec, "egress") else [])]


def _closes(policy: Resource, spec: Mapping[str, Any], direction: str) -> bool:
    """Whether the policy takes all pods that `spec` takes, in this direction."""
    mine, theirs = (mapping(one, "podSelector") for one in (mapping(policy.properties, "spec"), spec))
    if direction not in _directions(mapping(policy.properties, "spec")):
        return False
    return not mine or mine == theirs or (bool(theirs) and selects(mine, mapping(theirs, "matchLabels")))


def _in_the_open(view: View) -> Iterator[Risk]:
    """What was said encrypted, and is not any more: addresses, ways to connect, switches that ask for it."""
    for change in view.changes:
        for one in change.properties:
            if one.path.startswith("options.") or not isinstance(one.before, str):
                continue
            if said := _opened(one.path, one.before, one.after):
                yield of(change, "network", f"{one.path}: {said}")
        if change.type.endswith(":Ingress") and change.before and change.after:
            ports = [
                str(mapping(side, "metadata.annotations").get("alb.ingress.kubernetes.io/listen-ports", ""))
                for side in (change.before, change.after)
            ]
            if '"HTTP"' in ports[1] and '"HTTP"' not in ports[0]:
                yield of(change, "network", "it listens to plain HTTP")


def _opened(path: str, before: str, after: Any) -> str:
    if _TRUE.search(path) and before.lower() in ("1", "true", "on") and str(after).lower() not in ("1", "true", "on"):
        return f"{before} -> {'nothing' if after == ABSENT else after}"
    if not isinstance(after, str):
        return ""
    old, new = ({host: scheme for scheme, host in _SCHEME.findall(text)} for text in (before, after))
    for host, scheme in new.items():
        closed = old.get(host) or (next(iter(old.values())) if len(old) == len(new) == 1 else None)
        if closed in _SCHEMES and _SCHEMES[closed] == scheme:
            return f"{closed} -> {scheme}"
    modes = [_SSL_MODES.index(found[1]) if (found := _SSL_MODE.search(text)) and found[1] in _SSL_MODES else None
             for text in (before, after)]  # fmt: skip
    if modes[0] is not None and (modes[1] is None or modes[1] < modes[0]):
        return f"{_SSL_MODES[modes[0]]} -> {'nothing' if modes[1] is None else _SSL_MODES[modes[1]]}"
    return ""
