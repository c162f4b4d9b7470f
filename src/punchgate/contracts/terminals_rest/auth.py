"""Who calls: a key, or whoever stands in an open network and is no web page.

A key is sent as `X-API-Key` or as a bearer token, never in the query. Without one the peer's
address decides, and only if nothing says that the request came through somebody else or from a
browser's page: a proxy on this host must not open what only this host may do.
"""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from punchgate import telemetry
from punchgate.domain import key as keys_of
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.key import Key
from punchgate.httpkit import source
from punchgate.httpkit.edge import Edge, Scope
from punchgate.httpkit.source import Network
from punchgate.usecases import keys

#: Open networks act on it: `main`.
_DEFAULT_ACCOUNT: Final = AccountNo(1)
_BEARER: Final = "bearer"
_FORWARDED: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
_HOST: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:]*))(?::\d{1,5})?", re.ASCII)


class Networks(NamedTuple):
    """Who needs no key, and whose word about a caller's address counts."""

    open: tuple[Network, ...]
    trusted: tuple[Network, ...]


class Visitor(NamedTuple):
    """Who makes a request: the holder of a key, somebody in an open network, or a stranger."""

    address: str
    key: Key | None = None
    is_open: bool = False

    @property
    def is_known(self) -> bool:
        """Say whether anything beside `/` may be asked for."""
        return self.key is not None or self.is_open

    @property
    def account(self) -> AccountNo:
        """Give the account that is acted on."""
        return _DEFAULT_ACCOUNT if self.key is None else self.key.account

    @property
    def only(self) -> Collection[DeviceId] | None:
        """Give the devices that the key is limited to, None for all of the account."""
        return None if self.key is None else self.key.devices

    @property
    def counted_as(self) -> str:
        """Name the share of the limit that the request takes from."""
        return self.address if self.key is None else f"key {self.key.key_id}"

    @property
    def actor(self) -> str:
        """Say in the audit who it was."""
        return f"open network {self.address}" if self.key is None else f"key:{self.key.key_id}"

    def allows(self, scope: keys_of.Scope) -> bool:
        """Say whether something may be done."""
        return self.is_open if self.key is None else self.key.allows(scope)

    def covers(self, device_id: DeviceId) -> bool:
        """Say whether a device may be seen."""
        return self.key is None or self.key.covers(device_id)


async def identify(edge: Edge, scope: Scope, networks: Networks) -> Visitor:
    """Say who makes a request.

    Errors:  what the store raises.
    """
    address = source.address(scope, networks.trusted)
    presented = _presented(scope)
    if not presented:
        return Visitor(address, is_open=_is_open(scope, networks))
    key = None
    if len(presented) == 1:
        key = await keys.find(edge.context, presented.pop(), now=edge.now())
    if key is None:
        telemetry.AUTH_FAILURES.labels("terminals_rest").inc()
    return Visitor(address, key)


def _presented(scope: Scope) -> set[str]:
    """Give the different keys that a request names; one is what it should be."""
    found: set[str] = set()
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.add(value.decode("latin-1").strip(" \t"))
        elif name == b"authorization":
            scheme, _, rest = value.decode("latin-1").strip(" \t").partition(" ")
            if scheme.lower() == _BEARER:
                found.add(rest.strip(" \t"))
    return found


def _is_open(scope: Scope, networks: Networks) -> bool:
    peer = source.peer(scope)
    address: str | None = peer
    if any(name in _FORWARDED for name, _ in scope["headers"]):
        is_trusted = source.is_within(peer, networks.trusted)
        address = source.forwarded(scope, networks.trusted) if is_trusted else None
    return (
        address is not None
        and source.is_within(address, networks.open)
        and not _is_web_page(scope["headers"])
    )


def _is_web_page(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a browser may have been sent here by a page of somebody else.

    Such a page can have its own name lead to this address, but it cannot choose what the browser
    says of where the request comes from.
    """
    hosts = [value.decode("latin-1").strip() for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not _is_plain(hosts[0]):
        return True
    for name, value in headers:
        text = value.decode("latin-1").strip().lower()
        if name == b"sec-fetch-site" and text != "same-origin":
            return True
        if name == b"origin" and text.partition("://")[2] != hosts[0].lower():
            return True
    return False


def _is_plain(host: str) -> bool:
    """Say whether a host is an address or `localhost`: no name that somebody could have chosen."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["six"] if match["name"] is None else match["name"]
    if match["name"] is not None and name.lower() == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
