"""An invented event of each type, for `endpoint test`: whoever reads one cannot mistake it.

The person's code is `test` and the device's serial `TEST`, so that a receiver which takes every
event for a real one finds nobody. What a real one looks like is docs/reference/events.md.
"""

import json
from typing import Any, Final

from punchgate.domain.event import EventType

_PERSON: Final = {"code": "test", "custom_id": None, "name": "Test Person"}
_DEVICE: Final = {"id": "test", "serial": "TEST", "name": "Test Device", "site": None}

_DATA: Final[dict[EventType, dict[str, Any]]] = {
    "punch.recorded": {
        "punch_id": "01KVMR7XE0SABR24PA3EYWNYP2",
        "person": _PERSON,
        "device": _DEVICE,
        "at": "2026-06-21T04:00:00Z",
        "at_local": "2026-06-21T09:30:00",
        "zone": "Asia/Kolkata",
        "utc_offset": "+05:30",
        "zone_source": "device",
        "received_at": "2026-06-21T04:00:03.118Z",
        "direction": "check-in",
        "direction_code": 0,
        "verify": "finger",
        "verify_code": 0,
        "code_table": "http",
        "transport": "http",
        "position": None,
        "temperature_c": None,
        "mask": None,
        "has_photo": False,
        "flags": [],
    },
    "device.online": {
        "device": _DEVICE,
        "since": "2026-06-21T04:00:00Z",
        "was": "offline",
        "last_seen_at": "2026-06-21T04:00:00Z",
        "address": "192.0.2.7",
    },
    "device.offline": {
        "device": _DEVICE,
        "since": "2026-06-21T04:04:30Z",
        "was": "online",
        "last_seen_at": "2026-06-21T04:00:00Z",
        "expected_every_s": 30,
    },
    "device.unclaimed": {
        "serial": "TEST",
        "engine": "http",
        "address": "192.0.2.7",
        "model": None,
        "firmware": None,
        "first_seen_at": "2026-06-21T04:00:00Z",
    },
    "summary.updated": {
        "person": _PERSON,
        "date": "2026-06-20",
        "version": 2,
        "reason": "late_punch",
        "first_in": "2026-06-20T08:58:00",
        "last_out": "2026-06-20T18:02:11",
        "worked_seconds": 32_651,
        "working_hours": "9h 4m",
        "hours_decimal": 9.07,
        "status": "complete",
        "missing": [],
        "flags": [],
        "final": False,
        "previous": {"version": 1, "worked_seconds": None, "status": "incomplete"},
    },
}


def body(kind: EventType) -> str:
    """Give the `data` of an invented event, marked as one by `"test":true`."""
    return json.dumps({"test": True, **_DATA[kind]}, separators=(",", ":"))
