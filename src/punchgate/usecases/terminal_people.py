"""Who is on a terminal: asked, changed, and written down as it was said.

The terminal decides and we write afterwards: what stands here is what it acknowledged last. Whoever
was put on a terminal is a person from then on.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from punchgate.domain.error import AlreadyExists
from punchgate.domain.ids import UserCode
from punchgate.store import terminal_users
from punchgate.store.database import Connection
from punchgate.store.terminal_users import Row
from punchgate.usecases import people, terminal_orders
from punchgate.usecases.context import Context
from punchgate.usecases.terminal_orders import Order, Place
from punchgate.usecases.terminals import TerminalUser, UserChange

#: Of a name; a terminal keeps far less.
_NAME_LENGTH: Final = 200


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
    caller, account, device_id = place
    order = Order("terminal.add_user", actor, now, code, _named(change))
    asked = caller.add_user(account, device_id, code, change)
    user = await terminal_orders.carry_out(context, place, order, asked)
    named = people.Changes(name=_kept_name(change.name or ""))

    def work(tx: Connection) -> None:
        terminal_users.put(tx, account, device_id, _row(user))
        # Where somebody knows this person by a name already, that one stays.
        with suppress(AlreadyExists):
            people.add_within(tx, account, code, named, actor=actor, now=now)
        terminal_orders.note(tx, place, order)

    await context.writer.run(work)
    return user


async def set_user(
    context: Context, place: Place, code: UserCode, change: UserChange, *, actor: str, now: int
) -> TerminalUser:
    """Change somebody on a terminal.

    Errors:  those of `Caller`.
    """
    caller, account, device_id = place
    order = Order("terminal.set_user", actor, now, code, _named(change))
    asked = caller.set_user(account, device_id, code, change)
    user = await terminal_orders.carry_out(context, place, order, asked)

    def work(tx: Connection) -> None:
        terminal_users.put(tx, account, device_id, _row(user))
        terminal_orders.note(tx, place, order)

    await context.writer.run(work)
    return user


async def remove(context: Context, place: Place, code: UserCode, *, actor: str, now: int) -> None:
    """Take somebody off a terminal; the person stays.

    Errors:  those of `Caller`.
    """
    caller, account, device_id = place
    order = Order("terminal.remove_user", actor, now, code)
    asked = caller.remove_user(account, device_id, code)
    await terminal_orders.carry_out(context, place, order, asked)

    def work(tx: Connection) -> None:
        terminal_users.remove(tx, account, device_id, code)
        terminal_orders.note(tx, place, order)

    await context.writer.run(work)


def _named(change: UserChange) -> dict[str, list[str]]:
    """Say which values are set, and to what not: a password and a name are nobody's here."""
    return {"set": [name for name, value in change._asdict().items() if value is not None]}


def _kept_name(said: str) -> str:
    """Give a name as a person may have it: the terminal has it already, so nothing is refused.

    A no-break space or a mark of writing direction, as tables of other programs have them, becomes
    a blank.
    """
    shown = "".join(each if each.isprintable() else " " for each in said)
    return " ".join(shown.split())[:_NAME_LENGTH].rstrip()


def _row(user: TerminalUser) -> Row:
    return Row(user.uid, user.user_code, user.name, user.privilege, user.card)
