"""Short conversations with one terminal: is it there, what is it, and its clock."""

from punchgate.contracts.terminals_rest import errors, writing
from punchgate.contracts.terminals_rest.call import Call
from punchgate.contracts.terminals_rest.errors import Refused
from punchgate.httpkit.answers import Answer
from punchgate.usecases import terminal_orders
from punchgate.usecases.terminals import TerminalTrouble


async def ping(call: Call) -> Answer:
    """Connect, read the clock, disconnect."""
    device = await call.terminal()
    try:
        shown = await call.terminals.read_time(call.visitor.account, device.device_id)
    except TerminalTrouble as error:
        raise Refused(errors.unreachable(error, device, "ping")) from None
    return Answer(200, writing.write_ping(device, shown))


async def info(call: Call) -> Answer:
    """Ask a terminal what it is."""
    device = await call.terminal()
    try:
        found = await call.terminals.read_info(call.visitor.account, device.device_id)
    except TerminalTrouble as error:
        raise Refused(errors.unreachable(error, device)) from None
    return Answer(200, writing.write_info(device, found))


async def time(call: Call) -> Answer:
    """Read a terminal's clock."""
    device = await call.terminal()
    try:
        shown = await call.terminals.read_time(call.visitor.account, device.device_id)
    except TerminalTrouble as error:
        raise Refused(errors.unreachable(error, device)) from None
    return Answer(200, writing.write_time(device, shown))


async def synchronize(call: Call) -> Answer:
    """Set a terminal's clock to the present time of its zone."""
    device = await call.terminal()
    try:
        await terminal_orders.set_time(
            call.context, call.place(device), actor=call.visitor.actor, now=call.edge.now()
        )
    except TerminalTrouble as error:
        raise Refused(errors.unreachable(error, device)) from None
    return Answer(200, writing.write_done(f"[{device.device_id}] Hora sincronizada."))
