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
    client = scope.get("client")
    peer: str = client[0] if client else ""
    if not trusted or not _is_in(peer, trusted):
        return peer
    forwarded = b",".join(
        value for name, value in scope["headers"] if name == b"x-forwarded-for"
    ).decode("latin-1")
    for text in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        try:
            ip_address(text)
        except ValueError:
            return peer
        if not _is_in(text, trusted):
            return text
    return peer


def _is_in(text: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ip_address(text)
    except ValueError:
        return False
    return any(found.version == network.version and found in network for network in trusted)
