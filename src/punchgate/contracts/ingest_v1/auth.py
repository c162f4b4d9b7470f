"""Who is calling: the headers of ingest v1, and the order in which they are judged."""

from typing import Final, NamedTuple

from punchgate import telemetry, vault
from punchgate.contracts.ingest_v1.errors import (
    INVALID_SERIAL,
    INVALID_TOKEN,
    MISSING_SERIAL,
    UNKNOWN_DEVICE,
    Refused,
)
from punchgate.domain.device import is_serial
from punchgate.domain.ids import SerialNumber
from punchgate.httpkit.edge import Edge, Scope
from punchgate.usecases import keys
from punchgate.usecases.directory import Entry

_BEARER: Final = "bearer "
#: The headers that are looked at; a request has a dozen others.
_READ: Final = frozenset({
    b"sn", b"auth-token", b"authorization", b"content-length", b"content-encoding",
    b"transfer-encoding",
})  # fmt: skip
_BLANKS: Final = " \t"
#: What an API key begins with; a device's own token may be anything else.
_KEY_PREFIX: Final = "pgk_"


class Headers(NamedTuple):
    """The headers that this contract reads; None where one is absent."""

    serial: str | None
    token: str | None
    #: Declared length of the body, None when it was not declared.
    length: int | None
    has_body: bool
    #: Whether the body is compressed, or says so.
    is_encoded: bool
    #: Whether two headers that must agree do not.
    has_two_serials: bool
    has_two_tokens: bool

    @property
    def has_conflict(self) -> bool:
        """Whether a header was given twice with different values."""
        return self.has_two_serials or self.has_two_tokens


def read_headers(scope: Scope) -> Headers:
    """Pick the headers of this contract; names are lower case by the time they are here."""
    found: dict[bytes, str] = {}
    clashes: set[bytes] = set()
    for name, value in scope["headers"]:
        if name in _READ:
            kind, text = name, value.decode("latin-1").strip(_BLANKS)
            if name == b"authorization":
                if text[: len(_BEARER)].lower() != _BEARER:
                    continue
                kind, text = b"auth-token", text[len(_BEARER) :].strip(_BLANKS)
            if found.setdefault(kind, text) != text:
                clashes.add(kind)
    length = found.get(b"content-length", "")
    length_bytes = int(length) if length.isdecimal() else None
    encoding = found.get(b"content-encoding", "").lower()
    return Headers(
        serial=found.get(b"sn"),
        token=found.get(b"auth-token"),
        length=length_bytes,
        has_body=bool(length_bytes) or b"transfer-encoding" in found,
        is_encoded=encoding not in {"", "identity"} or b"content-encoding" in clashes,
        has_two_serials=b"sn" in clashes,
        has_two_tokens=b"auth-token" in clashes,
    )


def serial_of(headers: Headers) -> SerialNumber:
    """Give the serial that a request names.

    Errors:  Refused with `missing_serial` or `invalid_serial`.
    """
    if headers.serial is None:
        raise Refused(MISSING_SERIAL)
    if headers.has_two_serials or not is_serial(headers.serial):
        raise Refused(INVALID_SERIAL)
    return SerialNumber(headers.serial)


def recall_device(edge: Edge, headers: Headers) -> Entry | None:
    """Give the device if it is remembered and its own token came with it, which is the usual case.

    Else None, which says nothing: ask `find_device`.
    """
    if headers.serial is None or headers.token is None or headers.has_conflict:
        return None
    entry = edge.context.directory.recall(headers.serial)
    if entry is None or not _is_own_token(entry, headers.token):
        return None
    return entry


async def find_device(
    edge: Edge, headers: Headers, *, address: str, operation: str, is_hidden: bool
) -> Entry:
    """Give the device that a request speaks for, once its token is proven.

    `is_hidden` answers an unknown device like a wrong token, so that a stranger cannot tell.

    Errors:  Refused with `missing_serial`, `invalid_serial`, `unknown_device`, `invalid_token`.
    """
    serial = serial_of(headers)
    entry = await edge.context.directory.find(serial)
    if entry is None:
        edge.context.presence.stranger(
            serial, engine="http", address=address, operation=operation, now=edge.now()
        )
        raise Refused(INVALID_TOKEN if is_hidden else UNKNOWN_DEVICE)
    if not await _is_proven(edge, entry, headers):
        telemetry.AUTH_FAILURES.labels("ingest_v1").inc()
        raise Refused(INVALID_TOKEN)
    return entry


async def _is_proven(edge: Edge, entry: Entry, headers: Headers) -> bool:
    token, device = headers.token, entry.device
    if token is None or headers.has_two_tokens:
        return False
    if _is_own_token(entry, token):
        return True
    if not token.startswith(_KEY_PREFIX):
        return False
    key = await keys.find(edge.context, token, now=edge.now())
    return (
        key is not None
        and key.account == device.account
        and key.allows("punches:write")
        and key.covers(device.id)
    )


def _is_own_token(entry: Entry, token: str) -> bool:
    kept = entry.device.token_hash
    return kept is not None and vault.matches(token, kept)
