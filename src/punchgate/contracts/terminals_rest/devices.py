"""The register: list, add, get, change, remove; what was last heard of one; and `GET /`."""

from zoneinfo import ZoneInfo

from punchgate.contracts.terminals_rest import errors, fields, writing
from punchgate.contracts.terminals_rest.call import Call
from punchgate.contracts.terminals_rest.errors import Refused
from punchgate.domain import localtime
from punchgate.domain.error import AlreadyExists, PunchgateError
from punchgate.domain.ids import DeviceId
from punchgate.httpkit.answers import Answer
from punchgate.reports import terminals
from punchgate.reports.terminals import Registered
from punchgate.usecases import devices, terminal_moves, terminal_register


async def list_devices(call: Call) -> Answer:
    """List terminals, or all devices with `engine=all`."""
    is_all = fields.one(call.query, "engine") == "all"
    found = await _list(call, is_all=is_all)
    return Answer(200, writing.write_devices(found, _zone(call)))


async def add(call: Call) -> Answer:
    """Register a terminal; it is not contacted."""
    if call.visitor.only is not None:
        # A key for some devices would make one that it could not see.
        raise Refused(errors.NO_SCOPE)
    sent = call.read_body()
    new = fields.read_new_device(sent, call.context.reach)
    device_id = DeviceId(new.id or "")
    database, account = call.context.database, call.visitor.account
    if await terminals.find(database, account, device_id) is not None:
        raise Refused(errors.device_exists(device_id))
    try:
        await terminal_register.add(
            call.context, account, new, actor=call.visitor.actor, now=call.edge.now()
        )
    except devices.IdTaken:
        raise Refused(errors.device_exists(device_id)) from None
    except AlreadyExists:
        raise Refused(errors.serial_exists(new.serial or "")) from None
    saved, key = await _find(call, device_id), new.terminal.comm_key
    return Answer(200, writing.write_registered(saved, _zone(call), password=key))


async def get(call: Call) -> Answer:
    """Give one device."""
    return Answer(200, writing.write_device(await call.device(), _zone(call)))


async def change(call: Call) -> Answer:
    """Change a device; what is not named stays."""
    device = await call.device()
    wanted = fields.read_device(call.read_body(), call.context.reach)
    context, account, actor = call.context, call.visitor.account, call.visitor.actor
    label, left_address = devices.Changes(name=wanted.name), None
    if device.host is not None:
        moved = await terminal_moves.set_terminal(
            context,
            call.place(device),
            wanted.terminal,
            device=label,
            actor=actor,
            now=call.edge.now(),
        )
        left_address = moved.left_address
    elif wanted.terminal.says_something:
        raise Refused(errors.UNSUPPORTED)
    else:
        await devices.set_device(
            context, account, device.device_id, label, actor=actor, now=call.edge.now()
        )
    saved = await _find(call, device.device_id)
    key = wanted.terminal.comm_key
    return Answer(
        200, writing.write_changed(saved, _zone(call), password=key, left_address=left_address)
    )


async def remove(call: Call) -> Answer:
    """Remove a device; what it sent stays."""
    device = await call.device()
    removed = await terminal_moves.remove(
        call.context, call.place(device), actor=call.visitor.actor, now=call.edge.now()
    )
    return Answer(200, writing.write_removed(device, removed.left_address))


async def state(call: Call) -> Answer:
    """Say what was last heard of a device, without asking it."""
    device = await call.device()
    found = await terminals.state(call.context.database, call.visitor.account, device.device_id)
    if found is None:
        raise await call.absent(device.device_id)
    zone = _zone(call) if found.zone is None else localtime.find_zone(found.zone)
    failed = found.last_error and errors.last_trouble(found.last_error, device)
    return Answer(200, writing.write_state(device, found._replace(last_error=failed), zone))


async def root(call: Call) -> Answer:
    """Say that we are here, and to whom may know it, which terminals are; it is always 200.

    It says nothing about the store: without one it is as short as for a stranger.
    """
    found = None
    if call.visitor.is_known and call.visitor.allows("devices:read"):
        try:
            found = await _list(call, is_all=False)
        except PunchgateError as error:
            if errors.of(error) is None:
                raise
    return Answer(200, writing.write_root(call.edge.now(), _zone(call), found))


async def _list(call: Call, *, is_all: bool) -> list[Registered]:
    return await terminals.list_registered(
        call.context.database,
        call.visitor.account,
        only=call.visitor.only,
        engine=None if is_all else "zk",
    )


async def _find(call: Call, device_id: DeviceId) -> Registered:
    found = await terminals.find(call.context.database, call.visitor.account, device_id)
    if found is None:
        raise await call.absent(device_id)
    return found


def _zone(call: Call) -> ZoneInfo:
    """Give the zone in which this surface says when something was done."""
    return localtime.find_zone(call.context.directory.default_zone)
