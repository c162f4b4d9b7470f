"""Getting the log out of a terminal: how much there is, the table, and whom row numbers stand for.

Bytes only. What broke off is kept as far as it came, because its rows are punches all the same; a
table that came whole is good although the session ended right after it.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from punchgate.engines.zk import trouble
from punchgate.engines.zk import visit as visits
from punchgate.engines.zk.room import NoRoom, Share
from punchgate.engines.zk.visit import Visit
from punchgate.protocols.zk import choice, dialogue, download, layouts, quirks, tables, users
from punchgate.protocols.zk.choice import Choice
from punchgate.protocols.zk.download import Came, Download
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.tables import Table
from punchgate.wire.error import ProtocolError

#: Rows of these say a person by the terminal's own number, or may.
_NUMBERED: Final = frozenset({"8A", "8B", "22"})
_WIDEST: Final = layouts.LAYOUT_49.width
#: A row of a person takes six microseconds; a table of ten thousand would hold the loop.
_USERS_SLICE: Final = 1_000
#: Everybody whom row numbers can count: nearly 5 MB, which need no share of the room for logs.
_USERS_BYTES: Final = tables.TABLE_HEAD.size + users.UID_MAX * users.USER_72.size
#: How many times a table is read that is short or not made of whole rows.
_READINGS: Final = 2
_UDP_READINGS: Final = 3


@dataclass(slots=True)
class Fetched:
    """What was read of a log, before anything of it is recorded."""

    #: Without the table's head.
    rows: bytes
    is_complete: bool
    #: None where the rows fit no layout.
    choice: Choice | None
    #: What the counters said last; 0 is unknown.
    count: int
    users: Mapping[int, str] = field(default_factory=dict)
    #: What the terminal did instead of sending the rest; a table that is whole has none.
    ending: Exception | None = None


async def fetch(visit: Visit, share: Share, *, is_live: bool) -> Fetched:
    """Read the log of a terminal, disabled meanwhile where it is set so.

    Errors:  Lost, Silent, ProtocolError: nothing of it could be read. `visit.call.is_sound` is
             False where something was read and the session ended then. NoRoom where `share` cannot
             grow to its size.
    """
    wanted = visit.terminal.settings.disable_for
    is_disabling = is_live and wanted in {"live-reads", "all"}
    async with visits.disabled(visit) if is_disabling else nullcontext():
        before = (await visit.call.run(dialogue.read_free_sizes())).records
        if visit.call.deadline is not None:
            # As much as a live read is promised; a table that is larger announces itself.
            visit.call.deadline.allow(before / 1_000)
        found = await _table(visit, share, before)
        return await _complete(visit, found, before)


async def read_users(visit: Visit) -> list[users.User]:
    """Read the user table.

    Errors:  Refused; ProtocolError for a table of which a part is missing.
    """
    sizes = await visit.call.run(dialogue.read_free_sizes())
    part_bytes, readings = _manner(visit)
    for _ in range(readings):
        reading = download.read(Table.USERS, part_bytes=part_bytes, limit_bytes=_USERS_BYTES)
        found = await visit.call.run(reading)
        encoding = visit.terminal.settings.encoding
        people = await _decoded(
            visit, users.read_all(found.rows, count=sizes.users, encoding=encoding)
        )
        # A head that lies matters not where the counters say that this is everybody.
        if found.is_complete or (found.has_come and len(people) == sizes.users):
            return people
    raise ProtocolError("A part of the user table is missing.")


async def _decoded(visit: Visit, rows: Iterator[users.User]) -> list[users.User]:
    """Read rows of people slice by slice: others have their turn of the loop in between."""
    people: list[users.User] = []
    while some := list(islice(rows, _USERS_SLICE)):
        people += some
        await visit.tools.pause(0)
    return people


async def _table(visit: Visit, share: Share, count: int) -> Fetched:
    """Read the log, and once more where it is short or not made of whole rows."""
    best: Fetched | None = None
    ending: Exception | None = None
    part_bytes, readings = _manner(visit)
    for _ in range(readings):
        try:
            found, ending = await _log(visit, share, part_bytes)
        except trouble.ENDINGS as error:
            if best is None:
                raise
            ending = error
            break
        async with visit.tools.decoding:
            # Finding the layout takes a few milliseconds: one terminal in a turn of the loop.
            fetched = _read(visit, found, count)
            await visit.tools.pause(0)
        if best is None or (fetched.is_complete, len(fetched.rows)) > (
            best.is_complete, len(best.rows)
        ):  # fmt: skip
            best = fetched
        if not visit.call.is_sound or (fetched.is_complete and _is_whole(fetched)):
            break
    if best is None:
        raise ProtocolError("There is no log.")
    if not best.is_complete:
        best.ending = ending
    return best


def _manner(visit: Visit) -> tuple[int, int]:
    """Give how long the parts of a table are, and how many times it is read."""
    if visit.call.is_udp:
        return tables.CHUNK_UDP, _UDP_READINGS
    return tables.CHUNK_TCP, _READINGS


async def _log(visit: Visit, share: Share, part_bytes: int) -> tuple[Download, Exception | None]:
    """Read the log once, as far as it comes, and say what ended it where something did."""
    came = Came(share.hold)
    try:
        reading = download.read(Table.ATTENDANCE, part_bytes=part_bytes, came=came)
        found = await visit.call.run(reading)
    except NoRoom as none:
        announced = min(came.announced_bytes or 0, download.TABLE_LIMIT)
        raise NoRoom(max(none.size_bytes, announced)) from none
    except trouble.ENDINGS as error:
        broken = _rescued(came)
        if broken is None:
            raise
        return broken, error
    # A terminal that refuses every part is none whose log is empty.
    is_kept = found.announced_bytes > 0 and not found.head
    return found, ProtocolError("Nothing came of the log that was announced.") if is_kept else None


async def _complete(visit: Visit, found: Fetched, before: int) -> Fetched:
    """Count again, and read whom the row numbers stand for where the rows need it."""
    if visit.call.is_sound:
        try:
            after = await visit.call.run(dialogue.read_free_sizes())
            found.count = after.records or before
        except trouble.ENDINGS:
            # The table is here; that the terminal has gone since changes nothing about it.
            visit.call.is_sound = False
    if found.choice is not None and found.choice.layout in _NUMBERED and found.rows:
        if not visit.call.is_sound:
            # By their numbers alone the same punches would be others the next time.
            raise ProtocolError("The session ended before the people of the log were read.")
        found.users = users.codes(await read_users(visit))
    return found


def _read(visit: Visit, found: Download, count: int) -> Fetched:
    rows = found.rows
    known = choice.Known(visit.wall_time(), count=count, stored=_stored(visit))
    chosen = choice.choose(rows, known) if rows else None
    if chosen is None and rows and known.stored is not None:
        # Fewer rows than tell a layout, and the counters do not fit: perhaps it is another now.
        chosen = choice.choose(rows, choice.Known(visit.wall_time(), count=count))
    return Fetched(rows, found.is_complete, chosen, count)


def _stored(visit: Visit) -> LayoutName | None:
    known = visit.known
    for name in layouts.LAYOUTS:
        if name == known.layout:
            return name
    quirk = quirks.find(
        platform=known.platform or "", model=known.name or "", firmware=known.firmware or ""
    )
    return None if quirk is None else quirk.layout


def _is_whole(fetched: Fetched) -> bool:
    """Say whether the rows are whole ones; of an unknown layout nothing else can be hoped for."""
    if fetched.choice is None:
        return True
    width = layouts.LAYOUTS[fetched.choice.layout].width
    rest = (len(fetched.rows) - fetched.choice.skip) % width
    return rest in {0, layouts.LAYOUT_40.width if width == _WIDEST else 0}


def _rescued(came: Came) -> Download | None:
    """Give what came of a download that broke off; None for less than a row."""
    if came.announced_bytes is None or len(came) <= tables.TABLE_HEAD.size + _WIDEST:
        return None
    return came.taken()
