"""Quarantine: look at what could not be a punch, and decide.

Nothing leaves it by itself, but for what only a wrong clock of our own has brought there. A release
reads the bytes again, by today's reader and settings, and stores the punch through the one door; a
dismissal keeps the bytes and says why.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from punchgate.domain.error import NotFound, Refused
from punchgate.domain.ids import AccountNo, QuarantineId
from punchgate.domain.quarantine import Quarantined, QuarantineState
from punchgate.store import quarantine, terminals
from punchgate.store.database import Connection
from punchgate.usecases import audit, punches
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context
from punchgate.usecases.punches import Upload
from punchgate.wire.event import Reading, Unreadable

MOST: Final = 10_000
#: Items that are read at a time to be judged again.
PAGE: Final = 500
#: Who did it where nobody asked for it.
_UPKEEP: Final = "upkeep"


async def list_items(
    context: Context,
    account: AccountNo,
    *,
    state: QuarantineState | None = "open",
    limit: int = 50,
) -> Sequence[Quarantined]:
    """List items of one state (None is all), the latest arrival first."""
    most = min(limit, MOST)
    return await context.database.read(
        lambda tx: quarantine.list_items(tx, account, state=state, limit=most)
    )


async def get(context: Context, account: AccountNo, item_id: QuarantineId) -> Quarantined:
    """Give one item.

    Errors:  NotFound.
    """
    found = await context.database.read(lambda tx: quarantine.find(tx, account, item_id))
    if found is None:
        raise NotFound(f"There is nothing {item_id!r} in quarantine.")
    return found


async def release(
    context: Context, account: AccountNo, item_id: QuarantineId, *, actor: str, now: int
) -> Quarantined:
    """Read an item again and store it as a punch, whatever its time.

    Errors:       NotFound; Refused when it was decided before, when its bytes still cannot be read,
                  or when its device is not there any more.
    Repeating:    a crash between the punch and the decision leaves the item open; releasing it
                  again finds the same punch.
    Concurrency:  of two decisions the first stands. Whoever dismisses while this runs has the item,
                  and the punch is stored nevertheless; Refused says so.
    """
    item = _open(await get(context, account, item_id))
    upload, reading = await _read_again(context, item)
    try:
        receipt = await punches.release(context, upload, reading)
    except OverflowError:
        raise Refused(
            f"{item_id} has a time that no calendar knows. It stays; dismiss it."
        ) from None
    if receipt.punch_id is None:
        raise Refused(f"The database did not take {item_id} as a punch. It stays; dismiss it.")
    released = replace(item, state="released", decided_at=now, punch_id=receipt.punch_id)
    entry = Entry(now, actor, "quarantine.release", f"item:{item_id}")
    if not await _decide(context, released, entry):
        raise Refused(
            f"Somebody else decided about {item_id} at the same time, and that decision stands."
            f" Its punch is stored all the same: {receipt.punch_id}."
        )
    return released


async def dismiss(
    context: Context,
    account: AccountNo,
    item_id: QuarantineId,
    note: str,
    *,
    actor: str,
    now: int,
) -> Quarantined:
    """Decide that an item will never be a punch; its bytes are kept until retention.

    Errors:  NotFound; Refused when it was decided before.
    """
    item = _open(await get(context, account, item_id))
    dismissed = replace(item, state="dismissed", decided_at=now, note=note or None)
    entry = Entry(now, actor, "quarantine.dismiss", f"item:{item_id}")
    if not await _decide(context, dismissed, entry):
        raise Refused(f"Somebody else decided about {item_id} at the same time; that stands.")
    return dismissed


async def judge_again(
    context: Context, *, since: int, until: int, behind_ms: int, now: int, page: int = PAGE
) -> int:
    """Release what was held as ahead of a clock of ours that was behind, and say how much it was.

    Judged is what arrived between `since` and `until` by that clock, as if it had arrived
    `behind_ms` later; what is ahead even so, or cannot be read any more, stays.
    """
    released = 0
    last: Quarantined | None = None
    find = partial(quarantine.list_ahead, since=since, until=until, limit=page)
    while found := await context.database.read(partial(find, after=last)):
        for item in found:
            released += await _judge_again(context, item, behind_ms=behind_ms, now=now)
        last = found[-1]
    return released


async def prune(context: Context, *, now: int, bound: int = quarantine.BOUND) -> int:
    """Keep every account's quarantine within its bound, and say how many items went.

    Only dismissed items go, a thousand of an account at once; each account's audit says how many.
    """

    def work(tx: Connection) -> int:
        gone = quarantine.prune(tx, bound)
        for account, count in gone.items():
            entry = Entry(now, _UPKEEP, "quarantine.prune", "quarantine", after={"count": count})
            audit.note(tx, account, entry)
        return sum(gone.values())

    return await context.writer.run(work)


async def _judge_again(context: Context, item: Quarantined, *, behind_ms: int, now: int) -> bool:
    """Judge an item as if it had arrived later, and say whether it was released."""
    try:
        upload, reading = await _read_again(context, item)
    except Refused:
        return False
    right = upload._replace(received_at=item.received_at + behind_ms)
    receipt = await punches.judge_again(context, right, reading)
    if receipt is None or receipt.punch_id is None:
        return False
    decided = replace(item, state="released", decided_at=now, punch_id=receipt.punch_id)
    return await _decide(
        context, decided, Entry(now, _UPKEEP, "quarantine.release", f"item:{item.id}")
    )


async def _read_again(context: Context, item: Quarantined) -> tuple[Upload, Reading]:
    """Read an item by today's reader and settings.

    Errors:  Refused when it still cannot be read, or when its device is not there any more.
    """
    reader, account = context.readers[item.transport], item.account
    device = await context.directory.find(item.serial)
    if device is None or device.device.account != account:
        raise Refused(f"{item.id} came from a device that is not there any more; add it first.")
    device_id = device.device.id
    hints = await context.database.read(lambda tx: terminals.hints(tx, account, device_id))
    reading = reader.read(item.raw, hints)
    if isinstance(reading, Unreadable):
        raise Refused(f"{item.id} still cannot be read: {reading.reason}. It stays; dismiss it.")
    return Upload(device, item.transport, reader.name, item.received_at), reading


def _open(item: Quarantined) -> Quarantined:
    if item.state != "open":
        raise Refused(f"{item.id} is {item.state} already.")
    return item


async def _decide(context: Context, item: Quarantined, entry: Entry) -> bool:
    def work(tx: Connection) -> bool:
        is_first = quarantine.decide(tx, item.account, item)
        if is_first:
            audit.note(tx, item.account, entry)
        return is_first

    return await context.writer.run(work)
