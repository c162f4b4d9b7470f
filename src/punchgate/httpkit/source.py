"""Where a request comes from: the peer's address, or what a trusted proxy says of it."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from punchgate.httpkit.edge import Scope

Network = IPv4Network | IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read networks such as `10.0.0.0/8`; ValueError names one that is none."""
    return tuple(ip_network(text, strict=False) for text in texts)


def address(scope: Scope, trusted: Sequence[Network]) -> str:
    """Give the caller's address.

    `X-Forwarded-For` counts only when the peer is a trusted proxy, and then its last address that
    is not itself a trusted proxy: everything before it could have been written by anybody.
    """
    here = peer(scope)
    if not trusted or not is_within(here, trusted):
        return here
    for text in reversed(_forwarded(scope)):
        try:
            ip_address(text)
        except ValueError:
            return here
        if not is_within(text, trusted):
            return text
    return here


def peer(scope: Scope) -> str:
    """Give the address of whoever is connected to us; empty where there is none."""
    client = scope.get("client")
    return client[0] if client else ""


def forwarded(scope: Scope, trusted: Sequence[Network]) -> str | None:
    """Give the address for which a trusted proxy asks, None where it does not say one.

    As `address`, but never the proxy's own: whom it asks for must not be taken for it. Where all
    that are named are trusted, it is the first of them.
    """
    found = None
    for text in reversed(_forwarded(scope)):
        try:
            ip_address(text)
        except ValueError:
            return None
        found = text
        if not is_within(text, trusted):
            break
    return found


def is_within(text: str, networks: Sequence[Network]) -> bool:
    """Say whether a text is an address in one of some networks."""
    try:
        found = ip_address(text)
    except ValueError:
        return False
    return any(found.version == network.version and found in network for network in networks)


def _forwarded(scope: Scope) -> list[str]:
    named = b",".join(
        value for name, value in scope["headers"] if name == b"x-forwarded-for"
    ).decode("latin-1")
    return [part.strip() for part in named.split(",") if part.strip()]
