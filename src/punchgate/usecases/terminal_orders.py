"""What a terminal is told to do, and the audit entry that each order leaves.

Of a person an entry holds the number, None for somebody who is no person here: a code or a name
would outlive an erasure. Values are never in it, only which of them were set. An order that failed
on the way leaves an entry with the cause, because the terminal may have carried it out. What it
refuses leaves none.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeVar

from punchgate.domain.ids import AccountNo, DeviceId, UserCode
from punchgate.store import audit, people
from punchgate.store.audit import Entry
from punchgate.store.database import Connection
from punchgate.usecases.context import Context
from punchgate.usecases.terminals import Caller, TerminalTrouble

T = TypeVar("T")

Action = Literal[
    "terminal.add_user",
    "terminal.set_user",
    "terminal.remove_user",
    "terminal.enrol_finger",
    "terminal.set_time",
]
_NOTHING: Final[Mapping[str, Any]] = {}


class Place(NamedTuple):
    """One terminal, and who talks to it."""

    caller: Caller
    account: AccountNo
    device_id: DeviceId


class Order(NamedTuple):
    """What is asked of a terminal, by whom and when; `facts` holds no value that is set."""

    action: Action
    actor: str
    at: int
    code: UserCode | None = None
    facts: Mapping[str, Any] = _NOTHING


async def enrol_finger(
    context: Context, place: Place, code: UserCode, finger: int, *, actor: str, now: int
) -> None:
    """Have a terminal ask for a finger.

    Errors:  those of `Caller`.
    """
    caller, account, device_id = place
    order = Order("terminal.enrol_finger", actor, now, code, {"finger": finger})
    await carry_out(context, place, order, caller.enrol_finger(account, device_id, code, finger))
    await context.writer.run(lambda tx: note(tx, place, order))


async def set_time(context: Context, place: Place, *, actor: str, now: int) -> None:
    """Set a terminal's clock to the present time of its zone.

    Errors:  those of `Caller`.
    """
    caller, account, device_id = place
    order = Order("terminal.set_time", actor, now)
    await carry_out(context, place, order, caller.set_time(account, device_id))
    await context.writer.run(lambda tx: note(tx, place, order))


async def carry_out(context: Context, place: Place, order: Order, work: Awaitable[T]) -> T:
    """Wait for an order; one that failed on the way is noted. Noting success is the caller's.

    Errors:  what `work` raises.
    """
    try:
        return await work
    except TerminalTrouble as error:
        failed = order._replace(facts={**order.facts, "failed": error.cause})
        await context.writer.run(lambda tx: note(tx, place, failed))
        raise


def note(tx: Connection, place: Place, order: Order) -> None:
    """Leave the entry of an order. Nothing that a process remembers changed with it."""
    facts = dict(order.facts)
    if order.code is not None:
        person = people.find(tx, place.account, order.code)
        facts["person"] = None if person is None else person.no
    subject = f"device:{place.device_id}"
    entry = Entry(order.at, order.actor, order.action, subject, after=facts or None)
    audit.append(tx, place.account, entry)
