"""Who is on a terminal: asked, changed, and written down as it was said.

The terminal decides and we write afterwards: what stands here is what it acknowledged last. Whoever
was put on a terminal is a person from then on.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from punchgate.domain.error import AlreadyExists
from punchgate.domain.ids import AccountNo, DeviceId, UserCode
from punchgate.store import terminal_users
from punchgate.store.terminal_users import Row
from punchgate.usecases import people
from punchgate.usecases.context import Context
from punchgate.usecases.terminals import Caller, TerminalUser, UserChange

#: Of a name; a terminal keeps far less.
_NAME_LENGTH: Final = 200


class Place(NamedTuple):
    """One terminal, and who talks to it."""

    caller: Caller
    account: AccountNo
    device_id: DeviceId


async def read(context: Context, place: Place) -> Sequence[TerminalUser]:
    """Ask a terminal who is on it, and write that down.

    Errors:  those of `Caller`.
    """
    _, account, device_id = place
    found = await place.caller.read_users(account, device_id)
    rows = [_row(each) for each in found]
    await context.writer.run(lambda tx: terminal_users.put_all(tx, account, device_id, rows))
    return found


async def last(context: Context, place: Place) -> Sequence[TerminalUser]:
    """Give who was on a terminal when it was asked last; nobody if it never was."""
    _, account, device_id = place
    rows = await context.database.read(lambda tx: terminal_users.list_users(tx, account, device_id))
    return [TerminalUser(*row) for row in rows]


async def add(
    context: Context, place: Place, code: UserCode, change: UserChange, *, actor: str, now: int
) -> TerminalUser:
    """Put somebody new on a terminal; a person without a name gets this one.

    Errors:  those of `Caller`.
    """
    _, account, device_id = place
    user = await place.caller.add_user(account, device_id, code, change)
    await context.writer.run(lambda tx: terminal_users.put(tx, account, device_id, _row(user)))
    try:
        name = _kept_name(change.name or "")
        await people.add(context, account, code, people.Changes(name=name), actor=actor, now=now)
    except AlreadyExists:
        # Somebody knows this person by a name already, and that one stays.
        pass
    return user


async def set_user(
    context: Context, place: Place, code: UserCode, change: UserChange
) -> TerminalUser:
    """Change somebody on a terminal.

    Errors:  those of `Caller`.
    """
    _, account, device_id = place
    user = await place.caller.set_user(account, device_id, code, change)
    await context.writer.run(lambda tx: terminal_users.put(tx, account, device_id, _row(user)))
    return user


async def remove(context: Context, place: Place, code: UserCode) -> None:
    """Take somebody off a terminal; the person stays.

    Errors:  those of `Caller`.
    """
    _, account, device_id = place
    await place.caller.remove_user(account, device_id, code)
    await context.writer.run(lambda tx: terminal_users.remove(tx, account, device_id, code))


def _kept_name(said: str) -> str:
    """Give a name as a person may have it: the terminal has it already, so nothing is refused.

    A no-break space or a mark of writing direction, as tables of other programs have them, becomes
    a blank.
    """
    shown = "".join(each if each.isprintable() else " " for each in said)
    return " ".join(shown.split())[:_NAME_LENGTH].rstrip()


def _row(user: TerminalUser) -> Row:
    return Row(user.uid, user.user_code, user.name, user.privilege, user.card)
