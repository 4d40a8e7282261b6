"""Serving behind proxies: whose request it is, and how long a connection that nobody uses is kept.

The header `X-Forwarded-For` counts only where a trusted proxy wrote it. A server that closes idle connections before
its proxy does, resets now and then a request that is already on its way, which people see as 502: "Application Load
Balancers", Troubleshooting, HTTP 502.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from leandata.errors import SettingsError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
_MOST_HOPS = 50

PROXY_IDLE_SECONDS = 60  # how long our load balancer keeps a connection that nobody uses
KEEP_ALIVE_SECONDS = 75  # how long our servers do


def networks(text: str) -> tuple[Network, ...]:
    """The addresses and networks in a text such as "10.0.3.7, 10.0.4.0/24"; none in "".

    Raises SettingsError for what is neither, and for a network of everybody: it would believe whatever is sent.
    """
    found: list[Network] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            network = ip_network(part)
        except ValueError as error:
            raise SettingsError(f"{part!r} is no address and no network: {error}", hint="10.0.4.0/24") from None
        if network.prefixlen == 0:
            raise SettingsError(f"{part!r} is everybody", hint="Name the proxies' own addresses")
        found.append(network)
    return tuple(found)


def visitor(peer: str, forwarded: Sequence[str], *, trusted: Sequence[Network]) -> str:
    """The address that a request came from: `peer` is who is connected, `forwarded` are its X-Forwarded-For headers.

    Every proxy adds at the right whom it got the request from, so the first address from the right that is no trusted
    proxy's is the visitor's; what stands left of it anybody may have written. What is no address ends the way: the
    proxy that said so is taken for the visitor then.
    """
    address = _address(peer)
    hops = [one for header in forwarded for one in header.split(",")]
    for hop in reversed(hops[-_MOST_HOPS:]):
        if address is None or not any(address in network for network in trusted):
            break
        before = _address(hop)
        if before is None:
            break
        address = before
    return str(address) if address is not None else peer


def _address(text: str) -> Address | None:
    """The address in a text, with or without a port; an IPv4 address written as IPv6 is what it is."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
