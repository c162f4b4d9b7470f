"""`record`: the one door. Here a reading becomes a fact, and nowhere else.

Which device and account, which zone, what a code means, which punch it is: all of that is worked
out here, then handed to the writer, and a receipt comes back after the commit. Every transport ends
in this function; there is no second way to store a punch.
"""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, Literal, NamedTuple

from punchgate.domain import localtime, punch, quarantine
from punchgate.domain.codes import (
    HTTP_VERIFY,
    PULL_VERIFY,
    CodeTable,
    Direction,
    VerifyMethod,
)
from punchgate.domain.ids import PunchId, QuarantineId, UserCode
from punchgate.domain.punch import Punch, Transport, ZoneSource
from punchgate.store import door
from punchgate.store.fact import REFUSED_REASON, Fact, Held, Outcome
from punchgate.usecases.context import Context
from punchgate.usecases.directory import Entry
from punchgate.wire.event import PunchesSeen, Reading

#: A punch received this long after its instant says so.
LATE_MS: Final = 24 * 3600 * 1000
#: Items that become facts in one turn of the loop, which takes them five milliseconds.
TURN: Final = 250
#: The flag of a punch that was held because our own clock was wrong.
CLOCK_SKEW: Final = "clock_skew"
#: How far around an ambiguous hour a device's own punches are asked for.
_AROUND: Final = timedelta(hours=3)
#: Instants before this are before 2000 on every clock of the world, and may have no wall time.
_ANCIENT_S: Final = 946_684_800 - 2 * 86_400
#: How the time begins within ten minutes of midnight, which is `policy.MIDNIGHT_S`.
_MIDNIGHT: Final = ("00:0", "23:5")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (wall times have no zone)

#: Which table of verify codes a transport speaks by.
_TABLES: Final[dict[Transport, CodeTable]] = {
    "http": "http",
    "tcp": "http",
    "mqtt": "http",
    "import": "http",
    "iclock": "push",
    "zk": "pull",
}
#: The numbers of push terminals come with their engine.
_VERIFY: Final[Mapping[CodeTable, Mapping[int, VerifyMethod]]] = {
    "http": HTTP_VERIFY,
    "pull": PULL_VERIFY,
    "push": {},
}


class Receipt(NamedTuple):
    """What became of one reading, said after the commit that holds it.

    Recorded and duplicate ones have a `punch_id`, quarantined ones a `quarantine_id` and a reason.
    """

    status: Literal["recorded", "duplicate", "quarantined"]
    punch_id: PunchId | None = None
    quarantine_id: QuarantineId | None = None
    reason: str | None = None
    flags: str = ""


class Upload(NamedTuple):
    """What the items of one upload have in common."""

    entry: Entry
    transport: Transport
    #: Which reader read it; kept beside what it could not read.
    codec: str
    #: When it arrived, in milliseconds since 1970-01-01 UTC.
    received_at: int


async def record(
    context: Context, entry: Entry, seen: PunchesSeen, *, transport: Transport, now: int
) -> list[Receipt]:
    """Store what a device said and give one receipt per item, in their order, after the commit.

    Shapes:     any mix of readings and unreadable items of one device; what cannot be a punch goes
                to quarantine and touches none of its neighbours.
    Units:      `now` is the time of receipt in milliseconds since 1970-01-01 UTC.
    Errors:     StoreBusy, StoreUnavailable: nothing is acknowledged, all of it may be sent again.
    Repeating:  safe: a punch that is there is a duplicate and changes nothing.
    """
    upload = Upload(entry, transport, context.readers[transport].name, now)
    around = _ambiguous(entry, seen)
    made = [] if around is None else await _made(context, entry, around)
    items: list[Fact | Held] = []
    for place, item in enumerate(seen.items):
        if place and not place % TURN:
            await asyncio.sleep(0)  # noqa: TID251 (a turn for others, no interval)
        if isinstance(item, Reading):
            fact = _read(upload, item, made)
            if isinstance(fact, Fact) and localtime.AMBIGUOUS in fact.punch.flags:
                made.append(fact.punch.at)  # others tell nothing, and logs are long
            items.append(fact)
        else:
            items.append(_hold(upload, item.reason, item.raw))
    return await _store(context, items)


async def release(context: Context, upload: Upload, reading: Reading) -> Receipt:
    """Store a reading from quarantine whatever its time, as an operator says so; else as `record`.

    Errors:  OverflowError for a time that no calendar has.
    """
    around = _ambiguous(upload.entry, PunchesSeen([reading]))
    made = [] if around is None else await _made(context, upload.entry, around)
    (receipt,) = await _store(context, [_fact(upload, reading, made, ("released",))])
    return receipt


async def judge_again(context: Context, upload: Upload, reading: Reading) -> Receipt | None:
    """Store a reading from quarantine if its time is possible by what we know now; else None."""
    marked = reading._replace(flags=(*reading.flags, CLOCK_SKEW))
    around = _ambiguous(upload.entry, PunchesSeen([reading]))
    made = [] if around is None else await _made(context, upload.entry, around)
    fact = _read(upload, marked, made)
    if isinstance(fact, Held):
        return None
    (receipt,) = await _store(context, [fact])
    return receipt


async def probe(context: Context) -> None:
    """Go the way of a punch with none: who can do that could be recorded.

    Errors:  StoreBusy, StoreUnavailable.
    """
    await context.writer.record([])


async def _store(context: Context, items: list[Fact | Held]) -> list[Receipt]:
    # Receipts are made of outcomes, and outcomes exist only after the commit: nobody answers early.
    outcomes = await context.writer.record(items)
    return [_receipt(item, outcome) for item, outcome in zip(items, outcomes, strict=True)]


def _receipt(item: Fact | Held, outcome: Outcome) -> Receipt:
    if isinstance(item, Held):
        return Receipt("quarantined", None, item.quarantine_id, item.reason)
    if outcome == "refused":
        held = quarantine.derive_id(item.punch.serial, item.punch.raw)
        return Receipt("quarantined", None, held, REFUSED_REASON)
    status: Literal["recorded", "duplicate"] = "recorded" if outcome == "recorded" else "duplicate"
    return Receipt(status, item.punch.punch_id, None, None, item.punch.flags)


def _read(upload: Upload, reading: Reading, made: list[int]) -> Fact | Held:
    """Turn a reading into a fact, or hold it when its time is impossible."""
    ahead = upload.received_at + quarantine.AHEAD_MS
    if reading.wall_time is None:
        instant = reading.instant or 0
        if instant * 1000 > ahead:
            return _hold(upload, "future_time", reading.raw)
        if instant < _ANCIENT_S:
            return _hold(upload, "ancient_time", reading.raw)
    fact = _fact(upload, reading, made, ())
    if fact.punch.at * 1000 > ahead:
        return _hold(upload, "future_time", reading.raw)
    if fact.punch.wall_time < quarantine.FIRST_WALL_TIME:
        return _hold(upload, "ancient_time", reading.raw)
    return fact


def _fact(upload: Upload, reading: Reading, made: list[int], marks: tuple[str, ...]) -> Fact:
    """Derive all that a punch is from what the device said and what we know of the device."""
    entry, transport, _, received_at = upload
    device, account = entry.device, entry.account
    source: ZoneSource
    wall_time = reading.wall_time
    found: tuple[str, ...] = ()
    if wall_time is None:
        at = reading.instant or 0
        wall_time, offset = localtime.wall_at(at, entry.zone)
        source = "epoch" if reading.time_form == "epoch" else "offset"
    else:
        at, offset, found = localtime.resolve(wall_time, entry.zone, made=made)
        source = entry.zone_source
    wall_text = str(wall_time)
    direction, verify, unknown = _meaning(entry, reading, _VERIFY[_TABLES[transport]])
    flags = (*reading.flags, *unknown, *found, *marks)
    if received_at - at * 1000 > LATE_MS:
        flags = (*flags, "late_upload")
    fact = Punch(
        account.no,
        punch.derive_id(
            account.name,
            device.serial,
            reading.user_code,
            wall_time,
            wall_text,
            reading.direction_code,
        ),
        device.id,
        device.serial,
        UserCode(reading.user_code),
        wall_text,
        reading.time_text,
        entry.zone_name,
        source,
        offset,
        at,
        received_at,
        reading.direction_code,
        direction,
        reading.verify_code,
        verify,
        _TABLES[transport],
        transport,
        reading.latitude,
        reading.longitude,
        reading.accuracy_m,
        reading.temperature_c,
        reading.mask,
        reading.work_code,
        " ".join(flags),
        reading.raw,
    )
    own = wall_text[:10] if not found else str(_EPOCH + timedelta(seconds=at + offset))[:10]
    # Around midnight a near-duplicate of one date may be on the other.
    spread = account.spread or int(wall_text[11:15] in _MIDNIGHT)
    return Fact(fact, entry.json, _dates(own, spread) if spread else (own,))


def _meaning(
    entry: Entry, reading: Reading, methods: Mapping[int, VerifyMethod]
) -> tuple[Direction, VerifyMethod, tuple[str, ...]]:
    """Name the raw codes by the device's tables, and flag what they do not know."""
    device = entry.device
    unknown: tuple[str, ...] = ()
    direction: Direction = "unspecified"
    code = reading.direction_code
    if code is not None:
        known = device.directions.get(code)
        if known is None:
            unknown = ("unknown_state",)
        else:
            direction = known
    if device.direction_policy == "always-in":
        direction = "check-in"
    elif device.direction_policy == "always-out":
        direction = "check-out"
    verify: VerifyMethod = "unknown"
    method = reading.verify_code
    if method is not None:
        named = device.verify_methods.get(method) or methods.get(method)
        if named is None:
            unknown = (*unknown, "unknown_input_type")
        else:
            verify = named
    return direction, verify, unknown


def _dates(own: str, spread: int) -> tuple[str, ...]:
    """Give a date and those beside it; a device may have said the first or last of the calendar."""
    number = date.fromisoformat(own).toordinal()
    around = range(max(1, number - spread), min(number + spread, date.max.toordinal()) + 1)
    return tuple(date.fromordinal(day).isoformat() for day in around)


def _hold(upload: Upload, reason: str, raw: bytes) -> Held:
    device = upload.entry.device
    return Held(
        device.account,
        quarantine.derive_id(device.serial, raw),
        device.id,
        device.serial,
        upload.transport,
        upload.received_at,
        reason,
        raw,
        upload.codec,
    )


def _ambiguous(entry: Entry, seen: PunchesSeen) -> datetime | None:
    """Give the first wall time of an upload that the device's clock shows twice."""
    zone = entry.zone
    for item in seen.items:
        wall_time = item.wall_time if isinstance(item, Reading) else None
        if wall_time is not None and localtime.is_ambiguous(wall_time, zone):
            return wall_time
    return None


async def _made(context: Context, entry: Entry, wall_time: datetime) -> list[int]:
    """List the instants of the device's stored punches that can tell an ambiguous time's pass.

    Asked once per upload, for its first item of such an hour; later items follow the earlier ones.
    """
    return await context.database.read(
        partial(
            door.instants,
            account=entry.device.account,
            device_id=entry.device.id,
            since=wall_time - _AROUND,
            until=wall_time + _AROUND,
        )
    )
