"""Telling the log that devices come and go, and that strangers call.

What was heard is in memory and flushed by `presence.py`. Here the rows are compared with what the
log was told last, and the difference is written: event and `is_online` in one transaction. So it
is right after a restart, and of any number of processes one says it.
"""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Final

from punchgate import telemetry
from punchgate.domain import event_device
from punchgate.domain.event_device import TAIL_BYTES, Transition
from punchgate.domain.ids import AccountNo, SerialNumber
from punchgate.store import accounts, events, locks, transitions
from punchgate.store.database import Connection
from punchgate.usecases.context import Context

#: Events of one transaction, and so locks on PostgreSQL; a whole site at once is several.
BATCH: Final = 500


async def note(context: Context, now: Callable[[], int]) -> None:
    """Write what was heard, and tell of whoever came by it."""
    if await context.presence.flush(context.writer, now=now()):
        await _tell_arrived(context, now())
        await _tell_strangers(context, now())


async def sweep(context: Context, now: Callable[[], int], *, started_at: int) -> None:
    """Tell of devices that have been silent for too long, and of whatever `note` left untold.

    `started_at` is since when this process has listened: nobody could reach it before, so whoever
    is late by then has one of its intervals to be heard. The flush comes first, or what is heard
    but not written yet would look like silence.
    """
    await context.presence.flush(context.writer, now=now())
    await _tell_arrived(context, now())
    await _tell_strangers(context, now())
    await _tell_silent(context, now(), started_at)


async def _tell_arrived(context: Context, now: int) -> None:
    is_more = True
    while is_more:
        found = await context.database.read(partial(transitions.list_arrived, now=now, limit=BATCH))
        for account, some in _by_account(found):
            turned = await context.writer.run(partial(_online, account, some, now))
            _say("online", account, turned)
        is_more = len(found) == BATCH


async def _tell_silent(context: Context, now: int, started_at: int) -> None:
    is_more = True
    while is_more:
        found = await context.database.read(
            partial(transitions.list_silent, now=now, started_at=started_at, limit=BATCH)
        )
        for account, some in _by_account(found):
            turned = await context.writer.run(partial(_offline, account, some, now))
            _say("offline", account, turned)
        is_more = len(found) == BATCH


async def _tell_strangers(context: Context, now: int) -> None:
    is_more = True
    while is_more:
        serials = await context.database.read(
            partial(transitions.list_untold, now=now, limit=BATCH)
        )
        if serials:
            await context.writer.run(partial(_unclaimed, serials, now))
        is_more = len(serials) == BATCH


def _online(account: AccountNo, found: Sequence[Transition], now: int, tx: Connection) -> int:
    _lock(tx, account, found)
    turned = transitions.turn_online(tx, account, found)
    events.append(
        tx, account, [event_device.online(each, now=now, tail=_tail()) for each in turned]
    )
    return len(turned)


def _offline(account: AccountNo, found: Sequence[Transition], now: int, tx: Connection) -> int:
    _lock(tx, account, found)
    turned = transitions.turn_offline(tx, account, found, now)
    events.append(
        tx, account, [event_device.offline(each, now=now, tail=_tail()) for each in turned]
    )
    return len(turned)


def _unclaimed(serials: Sequence[SerialNumber], now: int, tx: Connection) -> None:
    # Nobody's serial is told to the first account, whose installation this is.
    (first,) = accounts.list_accounts(tx, limit=1)
    locks.hold(tx, first.no, {event_device.key(serial) for serial in serials})
    told = transitions.mark_told(tx, serials, now)
    events.append(
        tx, first.no, [event_device.unclaimed(each, now=now, tail=_tail()) for each in told]
    )


def _lock(tx: Connection, account: AccountNo, found: Sequence[Transition]) -> None:
    # Before the first write, so that per device the order of the log is that of the commits.
    locks.hold(tx, account, {event_device.key(each.device.id) for each in found})


def _tail() -> bytes:
    return secrets.token_bytes(TAIL_BYTES)


def _by_account(found: Sequence[Transition]) -> list[tuple[AccountNo, list[Transition]]]:
    grouped = groupby(found, lambda each: each.device.account)
    return [(account, list(some)) for account, some in grouped]


def _say(state: str, account: AccountNo, count: int) -> None:
    if count:
        telemetry.say("device.turned", account=account, state=state, count=count)
