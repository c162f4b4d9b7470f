"""What goes over the wire of ingest v1: bodies in, the published JSON out."""

import json
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from punchgate.contracts.ingest_v1.errors import INVALID_BODY, Refused, batch_too_large
from punchgate.domain.codes import VerifyMethod
from punchgate.domain.device import SubscriptionStatus
from punchgate.usecases.punches import Receipt
from punchgate.wire import attendance
from punchgate.wire.event import Reading, Unreadable

#: A body nested deeper than this is nobody's punch.
DEEPEST: Final = 32
_BOM: Final = b"\xef\xbb\xbf"
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder()
#: The whole answer to a punch.
OK: Final = b'{"ok":true}'


class Validity(msgspec.Struct):
    """The answer of `validity`."""

    ok: bool
    valid: bool
    status: SubscriptionStatus
    valid_until: str | None
    days_left: int | None
    server_time: str


class Subscription(msgspec.Struct):
    """The subscription inside `config`."""

    valid: bool
    status: SubscriptionStatus
    valid_until: str | None
    days_left: int | None


class Limits(msgspec.Struct):
    """The limits inside `config`."""

    batch_max: int
    body_max_bytes: int
    requests: int
    window_s: int


class Configuration(msgspec.Struct):
    """The answer of `config`."""

    ok: bool
    sn: str
    device_id: str
    name: str | None
    zone: str
    utc_offset: str
    server_time: str
    server_epoch: int
    poll_interval_s: int
    heartbeat_interval_s: int
    offline_after_s: int
    att_state: dict[str, str]
    input_type: dict[str, VerifyMethod]
    direction_policy: str
    limits: Limits
    subscription: Subscription
    version: int


class Item(msgspec.Struct, omit_defaults=True):
    """One entry of a batch's answer."""

    ok: bool
    status: str
    punch_id: str | None = None
    flags: list[str] | None = None
    reason: str | None = None
    quarantine_id: str | None = None


class Batch(msgspec.Struct):
    """The answer to a batch."""

    ok: bool
    results: list[Item]


def read(body: bytes, *, batch_max: int) -> tuple[list[Reading | Unreadable], bool]:
    """Read a body: its items, and whether it is a batch.

    Errors:  Refused with `invalid_body` or `batch_too_large`.
    """
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    try:
        if body.lstrip(b" \t\r\n")[:1] != b"[":
            return [attendance.read(_decode(body, DEEPEST), body)], False
        raws = _ITEMS.decode(body)
        if len(raws) > batch_max:
            raise Refused(batch_too_large(batch_max))
        return [_item(bytes(raw)) for raw in raws], True
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Refused(INVALID_BODY) from None


def write_batch(receipts: Sequence[Receipt]) -> bytes:
    """Write the answer to a batch, one result per item, in order."""
    return msgspec.json.encode(Batch(ok=True, results=[_result(one) for one in receipts]))


def _item(raw: bytes) -> Reading | Unreadable:
    return attendance.read(_decode(raw, DEEPEST - 1), raw)


def _decode(text: bytes, deepest: int) -> object:
    # Counting brackets costs nothing; only a text with many is looked at closely.
    if text.count(b"[") + text.count(b"{") > deepest and _depth(text) > deepest:
        raise ValueError("Nested too deep.")
    try:
        return _ANY.decode(text)
    except msgspec.ValidationError:
        # A number beyond every float is still JSON; the standard library reads it.
        return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _depth(body: bytes) -> int:
    """Count how deep brackets are nested outside strings; only asked of bodies with many brackets."""
    deepest = depth = 0
    is_text = is_escaped = False
    for byte in body:
        if is_text:
            if is_escaped:
                is_escaped = False
            elif byte == 0x5C:
                is_escaped = True
            elif byte == 0x22:
                is_text = False
        elif byte == 0x22:
            is_text = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _result(receipt: Receipt) -> Item:
    if receipt.status == "quarantined":
        return Item(
            ok=True,
            status="quarantined",
            reason=receipt.reason,
            quarantine_id=receipt.quarantine_id,
        )
    flags = receipt.flags.split() or None
    return Item(ok=True, status=receipt.status, punch_id=receipt.punch_id, flags=flags)
