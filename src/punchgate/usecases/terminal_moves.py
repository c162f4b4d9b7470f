"""Terminals that go, and terminals that go elsewhere: nobody is left locked out at the old place.

One that we disabled and have not seen enabled again is called first, because nobody will call it
there afterwards. Where it does not answer, it goes all the same, and that is said and kept in the
audit. The rows are written by `devices.py` and `terminal_register.py`.
"""

from contextlib import suppress

from punchgate.domain.error import NotFound
from punchgate.store import terminals
from punchgate.usecases import devices, terminal_register
from punchgate.usecases.context import Context
from punchgate.usecases.devices import Removed
from punchgate.usecases.terminal_orders import Place
from punchgate.usecases.terminal_register import Changes, Registered
from punchgate.usecases.terminals import TerminalTrouble


async def remove(context: Context, place: Place, *, actor: str, now: int) -> Removed:
    """Remove a device, whether we call it or not. NotFound."""
    await _enable(context, place)
    return await devices.remove(context, place.account, place.device_id, actor=actor, now=now)


async def set_terminal(
    context: Context,
    place: Place,
    changes: Changes,
    *,
    device: devices.Changes | None = None,
    actor: str,
    now: int,
) -> Registered:
    """Change a terminal as `terminal_register.set_terminal`, also where it stands."""
    if changes.host is not None or changes.port is not None:
        await _enable(context, place)
    return await terminal_register.set_terminal(
        context, place.account, place.device_id, changes, device=device, actor=actor, now=now
    )


async def _enable(context: Context, place: Place) -> None:
    """Have a terminal enabled that is marked; whether it is, the mark says afterwards."""
    caller, account, device_id = place
    if await context.database.read(lambda tx: terminals.find_disabled(tx, account, device_id)):
        with suppress(TerminalTrouble, NotFound):
            # Every session enables what it finds marked.
            await caller.read_time(account, device_id)
