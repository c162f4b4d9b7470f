"""The fact: one attendance event as it is stored, and the id that makes it one.

A punch is what a device said (never changed) and what we derived from it once, at the door. The
days computed from punches are in `workday.py`.
"""

from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from punchgate.domain.codes import UNSPECIFIED_CODE, CodeTable, Direction, VerifyMethod
from punchgate.domain.ids import AccountNo, DeviceId, PunchId, SerialNumber, UserCode

Transport = Literal["http", "iclock", "tcp", "mqtt", "zk", "import"]
ZoneSource = Literal["device", "offset", "epoch", "account", "installation"]

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Two characters for ten bits: half the look-ups of one character for five.
_PAIRS: Final = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (wall times have no zone)


class Punch(NamedTuple):
    """One stored punch; its fields are the columns of the table `punch`, in their order.

    Units:   `at` is whole seconds since 1970-01-01 UTC, `received_at` milliseconds since then,
             `utc_offset_s` the offset of the device's zone at that instant, in seconds. `wall_time`
             is `YYYY-MM-DD HH:MM:SS` as the device said it; the wall time as resolved (a skipped
             hour moved forward) is `at + utc_offset_s`.
    Codes:   `direction_code` and `verify_code` are raw, `None` when the device sent none;
             `direction` and `verify` are their meaning by the device's tables.
    """

    account: AccountNo
    punch_id: PunchId
    device_id: DeviceId
    serial: SerialNumber
    user_code: UserCode
    wall_time: str
    time_text: str
    zone: str
    zone_source: ZoneSource
    utc_offset_s: int
    at: int
    received_at: int
    direction_code: int | None
    direction: Direction
    verify_code: int | None
    verify: VerifyMethod
    code_table: CodeTable
    transport: Transport
    latitude: float | None
    longitude: float | None
    accuracy_m: float | None
    temperature_c: float | None
    mask: bool | None
    work_code: str | None
    #: Names joined by blanks, in the order in which they were found.
    flags: str
    raw: bytes


def derive_id(
    account_name: str,
    serial: str,
    user_code: str,
    wall_time: datetime,
    wall_text: str,
    direction_code: int | None,
) -> PunchId:
    """Derive the id of a punch: the same for the same punch, whenever and however it arrives.

    Layout (26 characters of Crockford's base 32, the form of a ULID):

        0            10                                      26
        | wall time  | SHA-256 of the five texts, cut to 80  |
          48 bits, ms  bits

    Shapes:  the five texts, in UTF-8, joined by the byte 0x1F: account name, serial, user code,
             `wall_text`, direction code in decimal digits (255 when absent). `wall_text` is
             `wall_time` as `YYYY-MM-DD HH:MM:SS`.
    Units:   the wall time in milliseconds, read as if it were UTC. Before 1970 it counts as 0.
    Source:  docs/decisions/0004-derived-punch-id.md.
    """
    code = UNSPECIFIED_CODE if direction_code is None else direction_code
    digest = sha256(
        f"{account_name}\x1f{serial}\x1f{user_code}\x1f{wall_text}\x1f{code}".encode()
    ).digest()
    since = wall_time - _EPOCH
    milliseconds = max(0, (since.days * 86_400 + since.seconds) * 1000)
    return PunchId(ulid_text(milliseconds, digest[:10]))


def ulid_text(milliseconds: int, tail: bytes) -> str:
    """Write 48 bits of time and ten bytes as the 26 characters of a ULID."""
    number = (milliseconds << 80) | int.from_bytes(tail, "big")
    pairs = _PAIRS
    return (
        pairs[number >> 120]
        + pairs[number >> 110 & 1023]
        + pairs[number >> 100 & 1023]
        + pairs[number >> 90 & 1023]
        + pairs[number >> 80 & 1023]
        + pairs[number >> 70 & 1023]
        + pairs[number >> 60 & 1023]
        + pairs[number >> 50 & 1023]
        + pairs[number >> 40 & 1023]
        + pairs[number >> 30 & 1023]
        + pairs[number >> 20 & 1023]
        + pairs[number >> 10 & 1023]
        + pairs[number & 1023]
    )


def first_id_at(wall_time: datetime) -> PunchId:
    """Give the smallest id that a punch of this wall time or later can have."""
    since = wall_time - _EPOCH
    return PunchId(ulid_text(max(0, (since.days * 86_400 + since.seconds) * 1000), b""))
