"""What terminals have logged: read from them now and recorded, or as it is recorded already.

An answer is made of the store in both cases: what a client has seen is kept.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from punchgate import telemetry
from punchgate.contracts.terminals_rest import errors, fields
from punchgate.contracts.terminals_rest.call import Call
from punchgate.contracts.terminals_rest.fields import Asked
from punchgate.contracts.terminals_rest.writing import Log
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.domain.ids import DeviceId
from punchgate.httpkit.answers import Answer, Headers
from punchgate.reports import terminals
from punchgate.reports.terminals import Registered
from punchgate.usecases.terminals import LogRead, TerminalTrouble


async def of_one(call: Call) -> Answer:
    """Give the records of one device."""
    device = await call.device()
    asked = fields.read_attendance(call.query)
    if not asked.is_live:
        return Answer(200, (await _log(call, {device: None}, asked)).answer())
    await call.terminal()
    with errors.telling(device):
        read = await call.attended(_read(call, device, None))
    log = await _log(call, _since({device: read}), asked)
    return Answer(200, log.answer(), _quarantined(read.quarantined))


async def of_all(call: Call) -> Answer:
    """Give the records of all terminals together; those that cannot be read delay no other."""
    asked = fields.read_attendance(call.query)
    devices = await terminals.list_registered(
        call.context.database, call.visitor.account, only=call.visitor.only, engine="zk"
    )
    if not asked.is_live:
        log = await _log(call, dict.fromkeys(devices), asked)
        return Answer(200, log.answer({}))
    outcomes = await call.attended(_read_all(call, devices))
    read = {device: one for device, one in outcomes.items() if isinstance(one, LogRead)}
    failed = {
        device.device_id: errors.told(one, device)
        for device, one in outcomes.items()
        if isinstance(one, Exception)
    }
    log = await _log(call, _since(read), asked)
    quarantined = sum(one.quarantined for one in read.values())
    return Answer(200, log.answer(failed), _quarantined(quarantined))


async def _read(call: Call, device: Registered, deadline_s: float | None) -> LogRead:
    return await call.terminals.read_log(
        call.visitor.account, device.device_id, is_live=True, deadline_s=deadline_s
    )


async def _read_all(
    call: Call, devices: Sequence[Registered]
) -> Mapping[Registered, LogRead | Exception]:
    """Read every terminal at once, each within the deadline of the call; in their order.

    One that was removed meanwhile is left out. What nobody foresaw is one terminal's trouble too.

    Errors:  those of the store: what was read could not be recorded.
    """
    deadline_s = float(call.settings.all_deadline_s)
    outcomes = await asyncio.gather(
        *(_outcome(call, device, deadline_s) for device in devices), return_exceptions=True
    )
    found: dict[Registered, LogRead | Exception] = {}
    for device, outcome in zip(devices, outcomes, strict=True):
        match outcome:
            case LogRead() | TerminalTrouble():
                found[device] = outcome
            case Exception() if not isinstance(outcome, PunchgateError):
                telemetry.failed("terminals_rest", secrets.token_hex(8), outcome)
                found[device] = outcome
            case BaseException():
                raise outcome
    return found


async def _outcome(call: Call, device: Registered, deadline_s: float) -> LogRead | None:
    try:
        return await _read(call, device, deadline_s)
    except NotFound:
        return None


def _since(read: Mapping[Registered, LogRead]) -> dict[Registered, datetime | None]:
    """Say from when on each log is shown: from its oldest row, and an empty log not at all."""
    return {device: one.oldest for device, one in read.items() if one.oldest is not None}


async def _log(call: Call, since: Mapping[Registered, datetime | None], asked: Asked) -> Log:
    log = Log(since)
    wanted: dict[DeviceId, datetime | None] = {
        device.device_id: first for device, first in since.items()
    }
    account = call.visitor.account
    async for entries in terminals.log(call.context.database, account, wanted, asked.query):
        log.write(entries)
    return log


def _quarantined(count: int) -> Headers:
    return ((b"quarantined", str(count).encode()),) if count else ()
