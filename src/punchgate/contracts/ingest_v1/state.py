"""What `validity` and `config` say of a device: its subscription and its settings."""

from datetime import UTC, date, datetime

import msgspec

from punchgate.contracts.ingest_v1.settings import Settings
from punchgate.contracts.ingest_v1.shapes import Configuration, Limits, Subscription, Validity
from punchgate.domain import localtime
from punchgate.domain.codes import HTTP_VERIFY
from punchgate.domain.device import Device, offline_after_s, subscription
from punchgate.domain.event import offset_text
from punchgate.usecases.directory import Entry


def write_validity(entry: Entry, now: int) -> bytes:
    """Write the answer of `validity`."""
    today, until = entry.today(now), entry.device.valid_until
    found = _subscription(entry.device, today)
    return msgspec.json.encode(
        Validity(
            ok=True,
            valid=found.valid,
            status=found.status,
            valid_until=found.valid_until,
            days_left=None if until is None else max(0, (until - today).days),
            server_time=_text(now),
        )
    )


def write_configuration(entry: Entry, settings: Settings, now: int) -> bytes:
    """Write the answer of `config`."""
    device = entry.device
    wall_time, offset = localtime.wall_at(now // 1000, entry.zone)
    methods = {**HTTP_VERIFY, **device.verify_methods}
    return msgspec.json.encode(
        Configuration(
            ok=True,
            sn=device.serial,
            device_id=device.id,
            name=device.name,
            zone=entry.zone_name,
            utc_offset=offset_text(offset),
            server_time=_text(now),
            server_epoch=now // 1000,
            poll_interval_s=device.poll_interval_s,
            heartbeat_interval_s=device.heartbeat_interval_s,
            offline_after_s=offline_after_s(device),
            directions={str(code): device.directions[code] for code in sorted(device.directions)},
            verify_methods={str(code): methods[code] for code in sorted(methods)},
            direction_policy=device.direction_policy,
            limits=Limits(
                batch_max=settings.batch_max,
                body_max_bytes=settings.body_max_bytes,
                requests=settings.rate_requests,
                window_s=settings.rate_window_s,
            ),
            subscription=_subscription(device, wall_time.date()),
            version=device.version,
        )
    )


def _subscription(device: Device, today: date) -> Subscription:
    status, until = subscription(device, today), device.valid_until
    return Subscription(
        valid=status == "active",
        status=status,
        valid_until=None if until is None else until.isoformat(),
    )


def _text(now: int) -> str:
    return datetime.fromtimestamp(now // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
