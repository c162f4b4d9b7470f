"""Where we may connect: a receiver's address read strictly, and the table of networks we refuse.

A webhook's address is written by somebody who may wish to reach, through us, what only we can
reach. So the text is read by one grammar of ours into parts, and nobody reads it a second time: the
sender builds its request from the parts, so that no other parser can understand it differently.
Whether an address may be connected to is one pure question, `is_allowed`, asked of literals here
and of every resolved address by `delivery/guard.py`. This module resolves nothing and connects to
nothing.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from punchgate.domain.error import Refused

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Scheme: TypeAlias = Literal["http", "https"]

#: The one text for every address that may not be connected to, whatever listens there.
NOT_ALLOWED: Final = "This address is not allowed; see delivery.allow_networks."
#: As long as a line of a request may be for most servers, with room for a name before it.
LENGTH_MAX: Final = 2_048

#: Ports from 1024 on where something else than a receiver of webhooks listens: what it does with a
#: line that begins with POST is nothing that we want to find out. Below 1024 only 80 and 443 pass.
REFUSED_PORTS: Final = frozenset(
    {
        1080,  # SOCKS
        1433, 1434, 1521, 3050, 3306, 5432, 6432, 26257, 33060, 50000,  # SQL databases
        1883, 8883, 5671, 5672, 61613, 61616, 4222, 9092, 9093,  # brokers; 1883 is ours too
        2049, 3260,  # NFS, iSCSI
        2181, 2375, 2376, 2377, 2379, 2380, 8300, 8301, 10250,  # what steers clusters and machines
        3389, 5900, 5901, 6000, 6001,  # remote screens
        4369, 25672,  # Erlang's own
        4370, 8081, 8082,  # terminals, and our own device ports
        5060, 5061, 5222, 5269, 6665, 6666, 6667, 6668, 6669, 6697,  # telephony and chat
        6379, 6380, 11211, 26379,  # caches
        7000, 7001, 9042, 9160, 9300, 27017, 27018, 27019, 28015,  # other databases
    }
)  # fmt: skip

# Our own table, not `is_global`: that one changed its mind between patches of Python 3.11.
# Source: IANA's special-purpose registries of IPv4 and IPv6.
_NOT_GLOBAL: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
#: All that has been given out for the public internet; the rest of IPv6 is not.
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_6: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20")
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
#: What a cloud tells its machines about themselves, keys included. No setting opens these. The last
#: three are not on the delivery page: Google's over IPv6, Azure's, which is a public address, and
#: Oracle's.
_METADATA: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16", "100.100.100.200/32", "fd00:ec2::254/128",
        "fd20:ce::254/128", "168.63.129.16/32", "192.0.0.192/32",
    )
)  # fmt: skip

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.ASCII | re.IGNORECASE,
)
# What RFC 3986 has a place for. Everything else is read differently by different readers.
_WRITTEN: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*", re.ASCII)
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]*))?", re.ASCII
)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
# The underscore is in no standard for host names and in many a container's name.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# A host whose last part is a number is an address to somebody's parser (127.1, 0x7f.1, 2130706433).
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class AddressRefused(Refused):
    """An address that we do not connect to.

    The sentence says what is wrong with the text; where the text leads is never said.
    """

    slug = "address.refused"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator's configuration allows beyond https to the public internet."""

    #: Plain http to anywhere that is allowed.
    allow_http: bool = False
    #: Private networks with receivers; plain http is allowed in them.
    allow_networks: tuple[Network, ...] = ()


class Target(NamedTuple):
    """An address in parts, each as it goes on the wire.

    Shapes:  `host` is a name or an address, in lower case, IPv6 without brackets and as short as it
             can be written; `path_query` begins with a slash and has no fragment.
    """

    scheme: Scheme
    host: str
    port: int
    path_query: str


def read(url: str, rules: Rules) -> Target:
    """Read the address of a receiver, as it was given.

    Path and query are kept byte for byte, a fragment is dropped. A name is not resolved here: its
    addresses are asked about at each connection.

    Errors:  AddressRefused, and nothing else.
    Source:  docs/how-to/webhooks.md, "Where we connect".
    """
    if len(url) > LENGTH_MAX:
        raise AddressRefused(f"The address is longer than {LENGTH_MAX} characters.")
    _refuse_characters(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise AddressRefused("The address must be a URL of https or http.")
    scheme = cast("Scheme", match["scheme"].lower())
    host, port = _authority(match["authority"], 443 if scheme == "https" else 80)
    address = literal(host)
    if address is not None and not is_allowed(address, rules):
        raise AddressRefused(NOT_ALLOWED)
    if scheme == "http" and not _may_be_plain(address, rules):
        raise AddressRefused(
            "http:// is not allowed here; use https://, or see delivery.allow_http."
        )
    _refuse_port(port)
    return Target(scheme, host, port, (match["path"] or "/") + (match["query"] or ""))


def shown(url: str) -> str:
    """Give an address as it may be shown: what its query says, often a secret, is left out.

    Of `https://a.example/in?token=s3cret&x` it is `https://a.example/in?token=…&…`. A fragment goes
    nowhere, so it is not shown either; a user name or a password is in no address (`read`).
    """
    head, mark, query = url.partition("#")[0].partition("?")
    return head + mark + "&".join(map(_named, query.split("&"))) if query else head


def is_allowed(address: Address, rules: Rules) -> bool:
    """Say whether an address may be connected to: public, or in a network that was allowed.

    An address that carries another (IPv4-mapped, 6to4, Teredo, NAT64) is as good as what it
    carries. Metadata services are never allowed, nor is an address of one interface (a zone id).
    """
    if getattr(address, "scope_id", None) is not None:
        return False
    carried = list(_carried(address))
    if any(_is_in(form, _METADATA) for form in (address, *carried)):
        return False
    return all(_is_public(form) or _is_in(form, rules.allow_networks) for form in carried)


def is_inside(address: Address, rules: Rules) -> bool:
    """Say whether an address may be connected to because its network was allowed.

    Where http is not allowed in general, it is allowed to these.
    """
    return is_allowed(address, rules) and all(
        _is_in(form, rules.allow_networks) for form in _carried(address)
    )


def literal(host: str) -> Address | None:
    """Read a host as the address that it is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def with_query(target: Target, pairs: Iterable[tuple[str, str]]) -> Target:
    """Set parameters of the query, after those that are there; one of the same name is replaced."""
    added = list(pairs)
    if not added:
        return target
    path, _, query = target.path_query.partition("?")
    names = {name for name, _ in added}
    kept = [
        part for part in query.split("&") if part and _decode(part.partition("=")[0]) not in names
    ]
    parts = [*kept, *(f"{_encode(name)}={_encode(text)}" for name, text in added)]
    return target._replace(path_query=f"{path}?{'&'.join(parts)}")


def _named(part: str) -> str:
    name, mark, _ = part.partition("=")
    return f"{name}=…" if mark else "…"


def _refuse_characters(url: str) -> None:
    if not url.isascii():
        raise AddressRefused(
            "The address has letters outside ASCII: write the host in its xn-- form and the rest "
            "percent-encoded."
        )
    if not _WRITTEN.fullmatch(url):
        raise AddressRefused(
            "The address has a blank, a control character or another that has no place in one: "
            "write it percent-encoded."
        )


def _authority(text: str, default_port: int) -> tuple[str, int]:
    """Read host and port."""
    if "@" in text:
        raise AddressRefused(
            "The address has a user name or a password in it: leave them out; "
            "a token is set apart from the address."
        )
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise AddressRefused("The address has no host that we can read.")
    host = _name(match["name"].lower()) if match["name"] else _six(match["six"])
    if match["port"] is None:
        return host, default_port
    if not _PORT.fullmatch(match["port"]) or int(match["port"]) > 65_535:
        raise AddressRefused("The port of the address must be a number from 1 to 65535.")
    return host, int(match["port"])


def _name(host: str) -> str:
    """Insist on a host name, or on an IPv4 address in its one proper form."""
    if host.endswith("."):
        raise AddressRefused("The host of the address ends with a dot: leave it out.")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        address = literal(host)
        if address is None:
            raise AddressRefused(
                "The host of the address is a number: write an IPv4 address as four decimal "
                "numbers, such as 192.0.2.7."
            )
        return str(address)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("The host of the address is not a host name.")
    return host


def _six(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise AddressRefused("The host of the address is not an IPv6 address.") from None


def _refuse_port(port: int) -> None:
    if port not in {80, 443} and (port < 1024 or port in REFUSED_PORTS):
        raise AddressRefused(
            f"Port {port} belongs to another kind of service: use 80, 443 or one from 1024 on "
            "that no database, cache, broker or device listens on."
        )


def _may_be_plain(address: Address | None, rules: Rules) -> bool:
    """Say whether http may be tried; for a name in an allowed network that is seen later."""
    if rules.allow_http:
        return True
    return bool(rules.allow_networks) if address is None else is_inside(address, rules)


def _carried(address: Address) -> Iterator[Address]:
    """Give what an address leads to in the end: itself, or the IPv4 addresses that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    else:
        yield address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _is_in(address, _NOT_GLOBAL)
    return address in _GLOBAL and not _is_in(address, _NOT_GLOBAL_6)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    # Of the other version, an address is in no network; that is no error.
    return any(address in network for network in networks)


def _decode(text: str) -> str:
    plain = text.replace("+", " ").encode("ascii")
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), plain).decode(
        "utf-8", "replace"
    )


def _encode(text: str) -> str:
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode("utf-8")
    )
