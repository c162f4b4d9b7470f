"""Events and endpoints that several suites of delivery speak about. Nothing here is stored."""

import json
from collections.abc import Mapping
from typing import Any, Final

from punchgate.delivery.form import Attempt
from punchgate.domain.endpoint import (
    Endpoint,
    Filter,
    FormatName,
    Health,
    Pace,
    Secrets,
    SigningKey,
)
from punchgate.domain.event import Entry, EventType, Position
from punchgate.domain.ids import AccountNo, EndpointId

SECRET: Final = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OLD_SECRET: Final = "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="
TOKEN: Final = "endpoint-token-1"
SECURITY_KEY: Final = "K7fQ2mXv9RtB4nLs8HcW3pZy6DgJ1aEu"
#: Sunday 21 June 2026, 04:00:00 UTC.
AT: Final = 1_782_014_400_000

PERSON: Final = {"code": "1001", "custom_id": "STU-001", "name": "Rahul Sharma"}
DEVICE: Final = {
    "id": "principal",
    "serial": "SN7A2300583",
    "name": "Main Gate",
    "site": "HQ",
}
PUNCH: Final[Mapping[str, Any]] = {
    "punch_id": "01KVMR7XE0SABR24PA3EYWNYP2",
    "person": PERSON,
    "device": DEVICE,
    "at": "2026-06-21T04:00:00Z",
    "at_local": "2026-06-21T09:30:00",
    "zone": "Asia/Kolkata",
    "utc_offset": "+05:30",
    "zone_source": "device",
    "received_at": "2026-06-21T04:00:03.118Z",
    "direction": "check-out",
    "direction_code": 1,
    "verify": "app",
    "verify_code": 50,
    "code_table": "http",
    "transport": "http",
    "position": None,
    "temperature_c": None,
    "mask": None,
    "has_photo": False,
    "flags": [],
}
#: Everything that can be known of a punch, and letters that are not ASCII.
FULL_PUNCH: Final[Mapping[str, Any]] = {
    **PUNCH,
    "person": {"code": "0007", "custom_id": None, "name": 'Zoë "Z" Ñandú 李'},
    "device": {"id": "bodega", "serial": "SN&1/2", "name": None, "site": None},
    "direction": "unspecified",
    "direction_code": None,
    "verify": "finger",
    "verify_code": 0,
    "position": {"latitude": 18.52, "longitude": 73.85, "accuracy_m": 12},
    "temperature_c": 36.84,
    "mask": True,
    "flags": ["clock_skew", "late_upload"],
}
ERASED: Final = {"punch_id": "01KVMR7XE0SABR24PA3EYWNYP2", "erased": True}
BODIES: Final[Mapping[EventType, Mapping[str, Any]]] = {
    "punch.recorded": PUNCH,
    "device.online": {
        "device": DEVICE,
        "since": "2026-06-21T04:10:00Z",
        "was": "offline",
        "last_seen_at": "2026-06-21T04:10:00Z",
        "address": "10.0.0.31",
    },
    "device.offline": {
        "device": DEVICE,
        "since": "2026-06-21T04:04:30Z",
        "was": "online",
        "last_seen_at": "2026-06-21T04:00:00Z",
        "expected_every_s": 30,
    },
    "device.unclaimed": {
        "serial": "CKJF201260123",
        "engine": "iclock",
        "address": "10.0.0.44",
        "model": "uFace800",
        "firmware": None,
        "first_seen_at": "2026-06-21T04:00:00Z",
    },
    "summary.updated": {
        "person": PERSON,
        "date": "2026-06-20",
        "version": 4,
        "reason": "late_punch",
        "first_in": "2026-06-20T08:58:00",
        "last_out": "2026-06-20T18:02:11",
        "worked_seconds": 32651,
        "working_hours": "9h 4m",
        "hours_decimal": 9.07,
        "status": "complete",
        "missing": [],
        "flags": ["night", "edited"],
        "final": False,
        "previous": {"version": 3, "worked_seconds": None, "status": "incomplete"},
    },
}
_IDS: Final[Mapping[EventType, str]] = {
    "punch.recorded": "evt_01KVMR7XE0SABR24PA3EYWNYP2",
    "device.online": "evt_01KVM5BQEGZQTWSCK9MEN437QX",
    "device.offline": "evt_01KVM5BQEG294BFGWMS9K8JSE7",
    "device.unclaimed": "evt_01KVM5BQEGXP606FZ2PK7GNAJW",
    "summary.updated": "evt_01KVM5BQEG5KKGX1JR31EVFT78",
}


def entry(
    kind: EventType = "punch.recorded",
    data: Mapping[str, Any] | None = None,
    *,
    event_id: str | None = None,
    received_at: int = AT + 3_120,
) -> Entry:
    """Put an event into the log, with its usual body unless another is given."""
    body = json.dumps(
        BODIES[kind] if data is None else data, ensure_ascii=False, separators=(",", ":")
    )
    return Entry(
        Position(1, 0, 1, received_at),
        event_id or _IDS[kind],
        "person:1001",
        kind,
        AT,
        received_at,
        body,
    )


def several(number: int) -> list[Entry]:
    """Give punches of one device, one second after the other."""
    return [
        entry(event_id=f"evt_{place:026d}", received_at=AT + 1000 * place)
        for place in range(number)
    ]


def endpoint(
    form: FormatName = "standard",
    *,
    old_until: int | None = None,
    secret: str = SECRET,
    auth_token: str | None = TOKEN,
    security_key: str | None = None,
    unspecified_as: str = "in",
) -> Endpoint:
    """Make an endpoint; with `old_until` it has an old secret beside the present one."""
    keys = [SigningKey(secret)]
    if old_until is not None:
        keys.append(SigningKey(OLD_SECRET, until=old_until))
    return Endpoint(
        account=AccountNo(1),
        id=EndpointId("ep_23456789abcd"),
        address="https://erp.example/hook",
        format=form,
        filter=Filter(),
        pace=Pace(),
        secrets=Secrets(tuple(keys), auth_token, security_key),
        unspecified_as="out" if unspecified_as == "out" else "in",
        version=1,
        created_at=AT,
        health=Health("active", AT),
    )


def attempt(
    about: Entry, *, at: int = AT + 5_000, n: int = 1, replay: str | None = None
) -> Attempt:
    """Make an attempt at one event."""
    return Attempt(about.id, about.type, at, n, replay)
