"""What the outside may be told: one function per event type, giving the log's entry.

Punches are here, devices in `event_device.py`, days that changed in `event_summary.py`.

An entry's body is rendered once, here, in the words of docs/reference/events.md, and never again: a
retry and a replay send these bytes. No template, photo, PIN or token ever enters one.
"""

from datetime import date, timedelta
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final, Literal, NamedTuple, get_args

from punchgate.domain.device import Device
from punchgate.domain.punch import Punch

EventType = Literal[
    "punch.recorded", "device.online", "device.offline", "device.unclaimed", "summary.updated"
]
#: Every type that the log can hold.
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


class Event(NamedTuple):
    """One entry of the log, before it has a place in it.

    `key` is what order is promised for; `occurred_at` and `received_at` are milliseconds since
    1970-01-01 UTC.
    """

    id: str
    key: str
    type: EventType
    occurred_at: int
    received_at: int
    body: str


class Position(NamedTuple):
    """A place in the log. Positions of one generation compare as their `(tx, seq)` do.

    `tx` is the transaction that wrote the entry on PostgreSQL, where numbers are handed out before
    the commit, and 0 on SQLite. Transaction numbers do not survive a dump: then the generation
    rises, and a position of an older one is found again by `at`, when its entry was received
    (milliseconds).
    """

    generation: int
    tx: int
    seq: int
    at: int


class Entry(NamedTuple):
    """One entry of the log in its place."""

    position: Position
    id: str
    key: str
    type: EventType
    occurred_at: int
    received_at: int
    body: str


def envelope(entry: Entry, account: str) -> str:
    """Write an entry as the outside gets it: the body of a webhook, and of the pull twin."""
    return (
        f'{{"id":"{entry.id}","type":"{entry.type}","timestamp":"{instant_text(entry.received_at)}",'
        f'"account":{_text(account)},"data":{entry.body}}}'
    )


def instant_text(at: int) -> str:
    """Write milliseconds since 1970-01-01 UTC as `2026-06-21T04:00:03.120Z`."""
    return f"{_instant(at // 1000)}.{at % 1000:03d}Z"


def second_text(at: int) -> str:
    """Write milliseconds since 1970-01-01 UTC as `2026-06-21T04:00:03Z`, cut to the second."""
    return f"{_instant(at // 1000)}Z"


# `encode_basestring` is the C scanner behind json.dumps(ensure_ascii=False): quotes and escapes,
# keeps letters.
_text: Any = encode_basestring


def device_json(device: Device) -> str:
    """Write the object that stands for a device in every event; made once per device."""
    name = "null" if device.name is None else _text(device.name)
    site = "null" if device.site is None else _text(device.site)
    return f'{{"id":"{device.id}","serial":"{device.serial}","name":{name},"site":{site}}}'


def person_json(code: str, custom_id: str | None, name: str | None) -> str:
    """Write the object that stands for a person in every event."""
    custom = "null" if custom_id is None else _text(custom_id)
    named = "null" if name is None else _text(name)
    return f'{{"code":{_text(code)},"custom_id":{custom},"name":{named}}}'


def punch_recorded(punch: Punch, *, person: str, device: str) -> Event:
    """Tell that a punch was recorded; `person` and `device` are their objects as JSON.

    Written by hand because it is made for every punch: `json.dumps` of the same tree costs four
    times as much.
    """
    # fmt: off
    (_, punch_id, _, _, code, _, _, zone, zone_source, offset, at, received_at, direction_code,
     direction, verify_code, verify, code_table, transport, latitude, longitude, accuracy,
     temperature, mask, _, flags, _) = punch
    # fmt: on
    position = "null"
    if latitude is not None:
        metres = "null" if accuracy is None else f"{accuracy!r}"
        position = f'{{"latitude":{latitude!r},"longitude":{longitude!r},"accuracy_m":{metres}}}'
    flag_list = '","'.join(flags.split())
    return Event(
        id=f"evt_{punch_id}",
        key=f"person:{code}",
        type="punch.recorded",
        occurred_at=at * 1000,
        received_at=received_at,
        body=(
            f'{{"punch_id":"{punch_id}","person":{person},"device":{device},'
            f'"at":"{_instant(at)}Z","at_local":"{_instant(at + offset)}","zone":"{zone}",'
            f'"utc_offset":"{offset_text(offset)}","zone_source":"{zone_source}",'
            f'"received_at":"{_instant(received_at // 1000)}.{received_at % 1000:03d}Z",'
            f'"direction":"{direction}","direction_code":{_or_null(direction_code)},'
            f'"verify":"{verify}","verify_code":{_or_null(verify_code)},"code_table":"{code_table}",'
            f'"transport":"{transport}","position":{position},"temperature_c":{_or_null(temperature)},'
            f'"mask":{"null" if mask is None else "true" if mask else "false"},"has_photo":false,'
            f'"flags":[{f"""{chr(34)}{flag_list}{chr(34)}""" if flags else ""}]}}'
        ),
    )


def offset_text(offset_s: int) -> str:
    """Write an offset from UTC as `+05:30`."""
    minutes = abs(offset_s) // 60
    return f"{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _instant(seconds: int) -> str:
    # `strftime` alone would cost as much as the rest of an event.
    day, second = divmod(seconds, 86_400)
    return _date(day) + _MINUTES[second // 60] + _SECONDS[second % 60]


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


_EPOCH: Final = date(1970, 1, 1)
_MINUTES: Final = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS: Final = tuple(f"{second:02d}" for second in range(60))


def _or_null(number: float | None) -> str:
    return "null" if number is None else repr(number)
