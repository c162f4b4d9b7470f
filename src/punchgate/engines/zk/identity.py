"""Who a terminal is, at the beginning of a session: serial, model, firmware, clock.

What it says is compared with the last time. Its serial is settled here, before anything is
recorded: punch ids contain it.
"""

from dataclasses import replace
from typing import Final, TypeVar

from punchgate import telemetry
from punchgate.engines.zk.visit import Visit
from punchgate.protocols.zk import dialogue
from punchgate.protocols.zk.client import Conversation
from punchgate.protocols.zk.dialogue import Refused
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases import terminal_register as register
from punchgate.usecases.terminal_register import SerialTaken
from punchgate.usecases.terminals import TerminalTrouble

T = TypeVar("T")

#: A clock that is further off is an operator's business.
SKEW_S: Final = 60

Problems = dict[str, str | None]


async def identify(visit: Visit) -> Problems:
    """Ask a terminal who it is, and give of each kind of problem what is wrong, None for nothing.

    Errors:  TerminalTrouble where its serial belongs to another device of ours.
    """
    before = visit.known
    options = await visit.call.run(dialogue.read_options())
    firmware = await _or_none(visit, dialogue.read_firmware())
    visit.known = replace(
        before,
        name=options.get("~DeviceName", before.name),
        platform=options.get("~Platform", before.platform),
        firmware=firmware or before.firmware,
        options={**before.options, **options},
    )
    problems = {**_compare(visit, before.firmware, before.platform), **await read_clock(visit)}
    await _settle_serial(visit, options.get("~SerialNumber", ""))
    if visit.known != before:
        await contact.know(visit.tools.context, visit.whose, visit.known)
    return problems


async def read_clock(visit: Visit) -> Problems:
    """Read the terminal's clock and compare it with ours."""
    said = await _or_none(visit, dialogue.read_time())
    if said is None:
        return {}
    wall_time = said.wall_time()
    if wall_time is None:
        visit.known = replace(visit.known, clock_skew_s=None)
        return {"clock_skew": f"The terminal's clock shows {said}, which is on no calendar."}
    skew_s = round((wall_time - visit.wall_time()).total_seconds())
    visit.known = replace(visit.known, clock_skew_s=skew_s)
    telemetry.CLOCK_SKEW.add(amount=abs(skew_s))
    if abs(skew_s) <= SKEW_S:
        return {"clock_skew": None}
    side = "ahead" if skew_s > 0 else "behind"
    return {
        "clock_skew": f"The terminal's clock is {abs(skew_s)} s {side}. Set it with `sync-time`, "
        "or check the zone of the device."
    }


def _compare(visit: Visit, firmware: str | None, platform: str | None) -> Problems:
    """Void the layout of a terminal that has become another one."""
    known = visit.known
    pairs = [(firmware, known.firmware), (platform, known.platform)]
    changed = [(old, new) for old, new in pairs if old is not None and old != new]
    if not changed:
        return {"firmware_changed": None}
    visit.known = replace(known, layout=None)
    said = " and ".join(f"{old!r} became {new!r}" for old, new in changed)
    return {
        "firmware_changed": f"{said}. The layout of its rows is found anew; look "
        "whether its punches are still read rightly."
    }


async def _settle_serial(visit: Visit, said: str) -> None:
    known, device = visit.known.serial, visit.entry.device
    if said == known and said in {device.serial, ""}:
        return
    visit.known = replace(visit.known, serial=said or known or "")
    if not said:
        return
    context, now = visit.tools.context, visit.tools.now()
    try:
        after = await register.take_serial(
            context, *visit.whose, said, is_first=known is None, now=now
        )
    except SerialTaken as error:
        # Its punches would count twice: nothing is recorded under two names.
        raise TerminalTrouble("protocol", str(error)) from error
    if after.serial != device.serial:
        visit.entry = (await contact.load(context, *visit.whose)).entry


async def _or_none(visit: Visit, question: Conversation[T]) -> T | None:
    try:
        return await visit.call.run(question)
    except Refused:
        return None
