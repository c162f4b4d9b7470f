"""What goes over the wire of ingest v1: bodies in, the published JSON out."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NoReturn, get_args

import msgspec
from msgspec import Meta

from punchgate.contracts.ingest_v1.errors import INVALID_BODY, Refused, batch_too_large
from punchgate.domain.codes import Direction, DirectionPolicy, VerifyMethod
from punchgate.domain.device import SubscriptionStatus
from punchgate.usecases.punches import Receipt
from punchgate.wire import attendance
from punchgate.wire.event import Reading, Unreadable

#: A body nested deeper than this is nobody's punch.
DEEPEST: Final = 32
_BOM: Final = b"\xef\xbb\xbf"
#: Of an integer that no field can take; more cost the interpreter more than they are worth.
_DIGITS_MAX: Final = 64
#: Possessive, so that no byte is looked at twice.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_AS_ARRAYS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder()
#: The whole answer to a punch.
OK: Final = b'{"ok":true}'


Status = Literal["recorded", "duplicate", "quarantined"]
#: What may become of an item.
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


class Punch(msgspec.Struct):
    """One punch as a client sends it; names that are not listed are kept with its bytes.

    For those who read the contract: `wire/attendance.py` reads the punch, and takes far more.
    """

    user_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | int,
        Meta(description="Code of the person on the device."),
    ]
    att_time: Annotated[
        str | int | float,
        Meta(description="Wall time of the device, time with offset, or Unix time."),
    ]
    att_state: Annotated[
        int | str | None, Meta(description="Direction: a code of the device's map, or a name.")
    ] = None
    input_type: Annotated[
        int | str | None, Meta(description="How the person was recognised: a code of the map.")
    ] = None
    location: Annotated[
        dict[str, Any] | str | None,
        Meta(description="Object with `lat` and `lng`, GeoJSON point, or `latitude,longitude`."),
    ] = None
    temperature: Annotated[
        float | str | None, Meta(description="Degrees Celsius, 20.0 to 50.0.")
    ] = None
    mask: Annotated[bool | int | None, Meta(description="Whether a face mask was worn.")] = None
    work_code: Annotated[str | int | None, Meta(description="Passed through.")] = None
    photo: Annotated[str | None, Meta(description="JPEG in base64; not kept yet.")] = None


class Done(msgspec.Struct):
    """The answer to a heartbeat and to a single punch."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": True})]


class Error(msgspec.Struct):
    """What went wrong; `code` is stable, `message` is a sentence for people."""

    code: str
    message: str


class Failure(msgspec.Struct):
    """The one form of every error."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": False})]
    error: Error


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
    directions: dict[str, Direction] = msgspec.field(name="att_state")
    verify_methods: dict[str, VerifyMethod] = msgspec.field(name="input_type")
    direction_policy: DirectionPolicy
    limits: Limits
    subscription: Subscription
    version: int


class Item(msgspec.Struct, omit_defaults=True):
    """One entry of a batch's answer."""

    ok: bool
    status: Status
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
    body = body.removeprefix(_BOM)
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
    if text.count(b"[") + text.count(b"{") > deepest and _is_deeper(text, deepest):
        raise ValueError("Nested too deep.")
    try:
        return _ANY.decode(text)
    except msgspec.ValidationError:
        # A number beyond every float or machine word is still JSON.
        return _decode_any_number(text)


def _decode_any_number(text: bytes) -> object:
    """Decode as the fast decoder does, numbers of any size included, with the standard library.

    Errors:  ValueError for what is not JSON in UTF-8, halves of surrogate pairs included.
    """
    value = json.loads(text.decode(), parse_constant=_refuse, parse_int=_integer)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _integer(digits: str) -> int:
    # No field takes a number of this length; that it is one is all that its digits still say.
    return int(digits[:_DIGITS_MAX])


def _is_deeper(text: bytes, deepest: int) -> bool:
    """Say whether brackets outside strings are nested deeper, or do not close."""
    brackets = _STRING.sub(b"", text).translate(_AS_ARRAYS, _NO_BRACKETS)
    for _ in range(deepest):
        # Each round takes the innermost level of every branch away.
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


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
