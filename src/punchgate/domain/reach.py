"""Which terminals we may call: a host as it was given, and each address that it leads to.

Terminals stand in private networks, so those are what is normal here; `target.py` has the opposite
rule for receivers. What no setting opens: link-local addresses, the metadata services of clouds,
and what is nobody's address. This module resolves nothing and connects to nothing.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from punchgate.domain import target
from punchgate.domain.error import Invalid, Refused
from punchgate.domain.target import Address, Network, Rules

_EVERYWHERE: Final[tuple[Network, ...]] = (
    ipaddress.ip_network("0.0.0.0/0"),
    ipaddress.ip_network("::/0"),
)
_HOST_LENGTH: Final = 253
# The underscore is in no standard for host names and in many a local one.
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?", re.ASCII)
#: A name whose last part is a number is an address to somebody's parser (127.1, 0x7f.1).
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)", re.ASCII)


class NotCallable(Refused):
    """An address that we do not call; the sentence does not say where it leads."""

    slug = "terminal.address_refused"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the operator's configuration lets us call."""

    #: Empty allows every network.
    networks: tuple[Network, ...] = ()


def check_host(host: str, reach: Reach) -> str:
    """Give a terminal's host as it is kept; a name is judged when it is resolved.

    Errors:  Invalid for what is neither a name nor an address; NotCallable.
    """
    bare = host.strip()
    bare = bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare
    address = target.literal(bare)
    if address is not None:
        if not may_call(address, reach):
            raise NotCallable("This address is not allowed; see terminals.allowed_networks.")
        return str(address)
    if len(bare) > _HOST_LENGTH or not _NAME.fullmatch(bare) or ".." in bare:
        raise Invalid("A host is an IPv4 or IPv6 address, or a host name.")
    if _NUMBER.fullmatch(bare):
        raise Invalid("Write an IPv4 address as four decimal numbers, such as 192.168.1.201.")
    return bare


def may_call(address: Address, reach: Reach) -> bool:
    """Say whether a terminal at this address may be called.

    An address that carries another (IPv4-mapped, 6to4, Teredo, NAT64) is as good as what it
    carries.
    """
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv4Address) and int(address) == 0xFFFF_FFFF:
        return False
    return target.is_inside(address, Rules(allow_networks=reach.networks or _EVERYWHERE))
