"""Short conversations with one terminal: is it there, what is it, and its clock."""

from punchgate.contracts.terminals_rest import errors, writing
from punchgate.contracts.terminals_rest.call import Call
from punchgate.httpkit.answers import Answer
from punchgate.usecases import terminal_orders


async def ping(call: Call) -> Answer:
    """Connect, read the clock, disconnect."""
    device = await call.terminal()
    with errors.telling(device, "ping"):
        shown = await call.terminals.read_time(call.visitor.account, device.device_id)
    return Answer(200, writing.write_ping(device, shown))


async def info(call: Call) -> Answer:
    """Ask a terminal what it is."""
    device = await call.terminal()
    with errors.telling(device):
        found = await call.terminals.read_info(call.visitor.account, device.device_id)
    return Answer(200, writing.write_info(device, found))


async def time(call: Call) -> Answer:
    """Read a terminal's clock."""
    device = await call.terminal()
    with errors.telling(device):
        shown = await call.terminals.read_time(call.visitor.account, device.device_id)
    return Answer(200, writing.write_time(device, shown))


async def synchronize(call: Call) -> Answer:
    """Set a terminal's clock to the present time of its zone."""
    device = await call.terminal()
    with errors.telling(device):
        await terminal_orders.set_time(
            call.context, call.place(device), actor=call.visitor.actor, now=call.edge.now()
        )
    return Answer(200, writing.write_done(f"[{device.device_id}] Hora sincronizada."))
