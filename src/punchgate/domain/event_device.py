"""What the outside may be told of a device: that it came, that it went, that a stranger called.

Answers for the bodies and ids of these entries. When one is due, and who of several processes
writes it, is said by `usecases/transitions.py` and decided by the store.
"""

import json
from typing import Final, Literal, NamedTuple

from punchgate.domain.device import Device, Engine
from punchgate.domain.event import Event, EventType, device_json, second_text
from punchgate.domain.ids import SerialNumber
from punchgate.domain.punch import ulid_text

Was = Literal["online", "offline", "never"]

#: Random bytes of an id; they are handed in, because nothing here draws.
TAIL_BYTES: Final = 10


class Transition(NamedTuple):
    """A device that came online or went offline; instants in milliseconds since 1970 UTC."""

    device: Device
    #: From when on it is what it is now.
    since: int
    last_seen_at: int
    address: str | None
    was: Was


class Stranger(NamedTuple):
    """A serial that calls and that nobody has claimed."""

    serial: SerialNumber
    engine: Engine
    address: str | None
    first_seen_at: int


def key(name: str) -> str:
    """Give the key of a device's entries; a stranger, who has no id, goes by its serial."""
    return f"device:{name}"


def online(turned: Transition, *, now: int, tail: bytes) -> Event:
    """Tell that a device is heard from again, or for the first time."""
    body = (
        f'{{"device":{device_json(turned.device)},"since":"{second_text(turned.since)}",'
        f'"was":"{turned.was}","last_seen_at":"{second_text(turned.last_seen_at)}",'
        f'"address":{_text_or_null(turned.address)}}}'
    )
    return _event("device.online", turned, body, now, tail)


def offline(turned: Transition, *, now: int, tail: bytes) -> Event:
    """Tell that a device has been silent for longer than it may."""
    body = (
        f'{{"device":{device_json(turned.device)},"since":"{second_text(turned.since)}",'
        f'"was":"{turned.was}","last_seen_at":"{second_text(turned.last_seen_at)}",'
        f'"expected_every_s":{turned.device.heartbeat_interval_s}}}'
    )
    return _event("device.offline", turned, body, now, tail)


def unclaimed(stranger: Stranger, *, now: int, tail: bytes) -> Event:
    """Tell that a serial calls which nobody has claimed."""
    return Event(
        id=_id(now, tail),
        key=key(stranger.serial),
        type="device.unclaimed",
        occurred_at=stranger.first_seen_at,
        received_at=now,
        body=(
            f'{{"serial":{json.dumps(stranger.serial)},"engine":"{stranger.engine}",'
            f'"address":{_text_or_null(stranger.address)},"model":null,"firmware":null,'
            f'"first_seen_at":"{second_text(stranger.first_seen_at)}"}}'
        ),
    )


def _event(kind: EventType, turned: Transition, body: str, now: int, tail: bytes) -> Event:
    return Event(
        id=_id(now, tail),
        key=key(turned.device.id),
        type=kind,
        occurred_at=turned.since,
        received_at=now,
        body=body,
    )


def _id(now: int, tail: bytes) -> str:
    return f"evt_{ulid_text(now, tail)}"


def _text_or_null(text: str | None) -> str:
    return "null" if text is None else json.dumps(text, ensure_ascii=False)
