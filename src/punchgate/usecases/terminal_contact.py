"""What the engine writes down about terminals: who talks to one, what was found, what went wrong.

The verbs of `engines/`, which reaches the store through here alone. Nothing here talks to a
terminal, and punches are recorded by `punches.record`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from punchgate.domain.error import NotFound
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.terminal import Known, Terminal, Watermark
from punchgate.store import accounts, devices, problems, terminals
from punchgate.store.database import Connection
from punchgate.store.terminals import LEASE_MS, Whose
from punchgate.usecases.context import Context
from punchgate.usecases.directory import Entry

__all__ = [
    "LEASE_MS",
    "Found",
    "Subject",
    "Whose",
    "about_to_disable",
    "ended",
    "failed",
    "give_back",
    "know",
    "leave",
    "list_disabled",
    "list_due",
    "list_listenable",
    "list_wanted",
    "load",
    "read_well",
    "renew",
    "seen_enabled",
    "settle",
    "take",
]

#: Terminals of one question of the schedule and of the sweep.
MOST: Final = 1_000


class Subject(NamedTuple):
    """A terminal with everything that its punches need."""

    terminal: Terminal
    entry: Entry


class Found(NamedTuple):
    """What a reading found. Of each kind of problem, what is wrong, or None for nothing."""

    known: Known
    watermark: Watermark | None
    due_at: int | None
    problems: Mapping[str, str | None]


async def load(context: Context, account: AccountNo, device_id: DeviceId) -> Subject:
    """Give a terminal as it is set now; NotFound for a device that we do not call."""

    def work(tx: Connection) -> Subject:
        terminal = terminals.find(tx, account, device_id, vault=context.vault)
        device = devices.find(tx, account, device_id)
        owner = accounts.find_no(tx, account)
        if terminal is None or device is None or owner is None:
            raise NotFound(f"There is no terminal {device_id!r} that we call.")
        return Subject(terminal, context.directory.entry(device, owner))

    return await context.database.read(work)


async def take(context: Context, whose: Whose, *, owner: str, is_urgent: bool) -> bool:
    """Lease a terminal, or say that it is waited for."""
    return await context.writer.run(partial(_take, whose=whose, owner=owner, is_urgent=is_urgent))


async def renew(context: Context, whose: Whose, *, owner: str) -> bool:
    """Renew a lease; False where it is lost."""
    return await context.writer.run(lambda tx: terminals.renew(tx, *whose, owner=owner))


async def give_back(context: Context, whose: Whose, *, owner: str) -> None:
    """Give a lease back."""
    await context.writer.run(lambda tx: terminals.give_back(tx, *whose, owner=owner))


async def leave(context: Context, *, owner: str) -> None:
    """Give back everything that a process holds."""
    await context.writer.run(lambda tx: terminals.leave(tx, owner))


async def list_wanted(context: Context, *, owner: str) -> Sequence[Whose]:
    """List the terminals of a process that others wait for."""
    return await context.database.read(lambda tx: terminals.list_wanted(tx, owner))


async def list_due(context: Context, *, now: int) -> Sequence[Whose]:
    """List the terminals that the schedule wants read and that nobody talks to."""
    return await context.database.read(lambda tx: terminals.list_due(tx, now=now, limit=MOST))


async def list_listenable(context: Context, *, now: int) -> Sequence[Whose]:
    """List the terminals that may be listened to and that nobody talks to."""
    return await context.database.read(
        lambda tx: terminals.list_listenable(tx, now=now, limit=MOST)
    )


async def list_disabled(context: Context) -> Sequence[tuple[AccountNo, DeviceId, bool]]:
    """List the terminals that we disabled, each with whether somebody talks to it."""
    return await context.database.read(lambda tx: terminals.list_disabled(tx, MOST))


async def about_to_disable(context: Context, whose: Whose, *, now: int) -> None:
    """Write that a terminal is about to be disabled; returns after the commit.

    Errors:  NotFound for one that was removed meanwhile: then nobody would enable it again.
    """
    if not await context.writer.run(lambda tx: terminals.mark_disabled(tx, *whose, now)):
        raise NotFound(f"There is no terminal {whose[1]!r} any more.")


async def seen_enabled(context: Context, whose: Whose, *, now: int) -> None:
    """Write that a terminal is enabled again."""

    def work(tx: Connection) -> None:
        terminals.mark_enabled(tx, *whose)
        _settle(tx, whose, {"terminal_disabled": None}, now)

    await context.writer.run(work)


async def know(context: Context, whose: Whose, known: Known) -> None:
    """Write what a terminal said of itself."""
    await context.writer.run(lambda tx: terminals.note_known(tx, *whose, known))


async def read_well(context: Context, whose: Whose, found: Found, *, now: int) -> None:
    """Write what a reading found, after its last row was recorded."""

    def work(tx: Connection) -> None:
        terminals.note_reading(
            tx,
            *whose,
            known=found.known,
            watermark=found.watermark,
            now=now,
            due_at=found.due_at,
        )
        gone = {"terminal_failing": None, "terminal_wrong_key": None}
        _settle(tx, whose, {**gone, **found.problems}, now)

    await context.writer.run(work)


async def failed(
    context: Context, whose: Whose, error: str, *, due_at: int | None, now: int, problem: str | None
) -> None:
    """Write that a scheduled reading failed, when it is tried again, and what an operator is told.

    `problem` is the kind that is raised, None where it is too early for one.
    """

    def work(tx: Connection) -> None:
        terminals.note_failure(tx, *whose, error, due_at=due_at)
        if problem is not None:
            _settle(tx, whose, {problem: error}, now)

    await context.writer.run(work)


async def ended(context: Context, whose: Whose, error: str | None) -> None:
    """Write how a conversation ended that somebody asked for."""
    await context.writer.run(lambda tx: terminals.note_error(tx, *whose, error))


async def settle(
    context: Context, whose: Whose, found: Mapping[str, str | None], *, now: int
) -> None:
    """Raise the problems of a terminal that there are, and clear those that there are not."""
    await context.writer.run(lambda tx: _settle(tx, whose, found, now))


def _take(tx: Connection, *, whose: Whose, owner: str, is_urgent: bool) -> bool:
    return terminals.take(tx, *whose, owner=owner, is_urgent=is_urgent)


def _settle(tx: Connection, whose: Whose, found: Mapping[str, str | None], now: int) -> None:
    account, device_id = whose
    subject = f"device:{device_id}"
    for kind, detail in found.items():
        if detail is None:
            problems.clear(tx, account, kind, subject=subject, now=now)
        else:
            problems.raise_(tx, account, kind, subject=subject, detail=detail, now=now)
