"""Every switch of the virtual terminal, shown on the wire.

Real: sockets on loopback; the terminal's pauses are noted and take no time. `_SHOWN` holds one
demonstration for each switch, and a switch without one is a failed test.
"""

import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from punchgate.netkit.error import Lost, Silent
from punchgate.protocols.zk import layouts, moment, records, tables, users
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.simulators import zk_faults, zk_log
from punchgate.wire.event import Reading, Unreadable
from tests.simulators import virtual
from tests.simulators.virtual import NOON, SHORT_S, Caller, Gone

_LISTEN = (Command.REG_EVENT, b"\xff\xff\0\0")
_JUNK = b"\xff255\0\0\0\0\0"
#: The bytes of a table of fifty rows of forty, with its head.
_TABLE_BYTES = 4 + 50 * 40
_SHOWN: dict[str, Callable[[str], Awaitable[None]]] = {}
_Demonstration = Callable[[str], Awaitable[None]]


def _shows(*names: str) -> Callable[[_Demonstration], _Demonstration]:
    def keep(demonstration: _Demonstration) -> _Demonstration:
        for name in names:
            _SHOWN[name] = demonstration
        return demonstration

    return keep


def test_every_switch_is_shown() -> None:
    assert _SHOWN.keys() == zk_faults.FAULTS.keys()


@pytest.mark.parametrize("name", zk_faults.FAULTS)
async def test_a_switch_does_what_its_sentence_says(name: str) -> None:
    await _SHOWN[name](name)


# -- on the way -----------------------------------------------------------------------------------


class _Recorder:
    """The caller's side of a line, with the sizes of what each read of the socket gave."""

    def __init__(self, caller: Caller) -> None:
        self.sizes: list[int] = []
        line: Any = caller.line
        self._feed = line._codec.feed
        line._codec.feed = self._note

    def _note(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self._feed(data)


@_shows("split")
async def _split(name: str) -> None:
    sizes = {}
    for faults in ((), (name,)):
        async with virtual.playing(*faults, records=500) as playing, playing.call() as caller:
            reads = _Recorder(caller)
            await caller.connect()
            assert len(await caller.table(Table.ATTENDANCE, chunk=2_000)) == 4 + 500 * 40
            sizes[faults] = reads.sizes
    assert len(sizes[name,]) > 3 * len(sizes[()])
    assert min(sizes[name,]) < 8


@_shows("merge")
async def _merge(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        await caller.announced(Table.ATTENDANCE)
        reads = _Recorder(caller)
        assert len(data_of := virtual.data_of(await caller.part(0, 800))) == 800
        # PREPARE_DATA, DATA and the acknowledgement in one piece.
        assert reads.sizes == [24 + 16 + len(data_of) + 16]


@_shows("slow")
async def _slow(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        before = sum(playing.pauses)
        await caller.ask(Command.GET_FREE_SIZES)
        # A frame of 8 + 8 + 92 bytes, at 100 bytes a second.
        assert sum(playing.pauses) - before == pytest.approx(1.1)


@_shows("udp-loss")
async def _udp_loss(name: str) -> None:
    async with virtual.playing(f"{name}:30") as playing, playing.call(udp=True) as caller:
        for _ in range(60):
            with suppress(Silent):
                await caller.ask(Command.CONNECT, within_s=SHORT_S)
        # Also what came too late for who had asked.
        assert 20 < len({packet.reply for packet in caller.heard}) < 60


@_shows("udp-double")
async def _udp_double(name: str) -> None:
    async with virtual.playing(f"{name}:100") as playing, playing.call(udp=True) as caller:
        await caller.ask(Command.CONNECT)
        await caller.ask(Command.GET_TIME)
        commands = [(packet.reply, packet.command) for packet in caller.heard]
        assert commands == [(0, 2000), (0, 2000), (1, 2000)]


@_shows("udp-reorder")
async def _udp_reorder(name: str) -> None:
    async with virtual.playing(f"{name}:100") as playing, playing.call(udp=True) as caller:
        await caller.connect()
        await caller.announced(Table.ATTENDANCE)
        await caller.line.say(
            Packet(Command.READ_BUFFER, caller.session, 9, tables.CHUNK_REQUEST.pack(0, 1_500))
        )
        came = [(await caller.next()).command for _ in range(4)]
        assert came == [Command.DATA, Command.PREPARE_DATA, Reply.ACK_OK, Command.DATA]


# -- the session ----------------------------------------------------------------------------------


@_shows("busy-refused")
async def _busy_refused(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as first:
        await first.connect()
        async with playing.call() as second:
            # Closed before it is heard: the kernel may say so with a reset.
            with pytest.raises((Gone, Lost)):
                await second.connect()
        assert (await first.ask(Command.GET_TIME))[0].command == Reply.ACK_OK


@_shows("busy-silent")
async def _busy_silent(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as first:
        await first.connect()
        async with playing.call() as second:
            with pytest.raises(Silent):
                await second.ask(Command.CONNECT, within_s=SHORT_S)
        assert (await first.ask(Command.GET_TIME))[0].command == Reply.ACK_OK


@_shows("session-0", "session-1", "session-65535")
async def _session_number(name: str) -> None:
    number = int(name.removeprefix("session-"))
    async with virtual.playing(name, key=99) as playing, playing.call() as caller:
        assert await caller.connect(key=99) == Reply.ACK_OK
        assert caller.session == number
        assert (await caller.ask(Command.GET_TIME))[0].session == number


@_shows("session-garbled")
async def _session_garbled(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        await caller.announced(Table.ATTENDANCE)
        answers = [await caller.part(0, 800) for _ in range(4)]
        numbers = {packet.session for answer in answers for packet in answer[1:]}
        assert len(numbers - {caller.session}) > 4
        assert {packet.session for answer in answers for packet in answer[:1]} == {caller.session}


# -- how tables are told --------------------------------------------------------------------------


@_shows("users-28")
async def _users_28(name: str) -> None:
    async with virtual.playing(name, users=3) as playing, playing.call() as caller:
        await caller.connect()
        table = await caller.table(Table.USERS)
        assert len(table) == 4 + 3 * 28
        people = list(users.read_all(table[4:], count=3))
        assert [person.user_id for person in people] == ["1001", "1002", "1003"]


@_shows("order-swapped")
async def _order_swapped(name: str) -> None:
    swapped = await _attendance(name, layout="16")
    plain = await _attendance(layout="16")
    assert [(row[8], row[9]) for row in swapped] == [(row[9], row[8]) for row in plain]
    assert {row[8] for row in swapped} >= {0, 1, 2, 3}


@_shows("junk-prefix")
async def _junk_prefix(name: str) -> None:
    table = await _whole(name, layout="40")
    assert table[4:13] == _JUNK
    assert table[13:] == (await _whole(layout="40"))[4:]


@_shows("cut-row")
async def _cut_row(name: str) -> None:
    assert await _whole(name) == _with_head((await _whole())[4:-20])


@_shows("size-short", "size-long", "size-4g")
async def _size_lies(name: str) -> None:
    said = {"size-short": -100, "size-long": 100, "size-4g": 0xFFFFFFFF - _TABLE_BYTES}[name]
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        assert await caller.announced(Table.ATTENDANCE) == _TABLE_BYTES + said
        assert len(virtual.data_of(await caller.part(0, tables.CHUNK_TCP))) == _TABLE_BYTES
        assert (await caller.part(_TABLE_BYTES, 100))[0].command == Reply.ACK_ERROR


@_shows("head-short", "head-long")
async def _head_lies(name: str) -> None:
    table = await _whole(name)
    said = -100 if name == "head-short" else 100
    assert tables.TABLE_HEAD.unpack_from(table)[0] == len(table) - 4 + said


@_shows("free-4", "free-80", "free-112")
async def _free_bytes(name: str) -> None:
    size = int(name.removeprefix("free-"))
    data = await _free_sizes(name)
    assert len(data) == size
    if size >= 80:
        assert (tables.read_free_sizes(data).users, tables.read_free_sizes(data).records) == (5, 50)


@_shows("free-zero")
async def _free_zero(name: str) -> None:
    assert await _free_sizes(name) == bytes(92)


@_shows("buffer-refused")
async def _buffer_refused(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        answer = await caller.ask(Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE))
        assert [packet.command for packet in answer] == [Reply.ACK_ERROR]
        old_way = await caller.ask(Command.ATTLOG_RRQ)
        assert [packet.command for packet in old_way] == [1500, 1501, 2000]
        assert virtual.data_of(old_way) == await _whole()


@_shows("buffer-parts")
async def _buffer_parts(name: str) -> None:
    async with virtual.playing(name, records=1) as playing, playing.call() as caller:
        await caller.connect()
        assert await caller.announced(Table.ATTENDANCE) == 44
        assert len(virtual.data_of(await caller.part(0, 44))) == 44


@_shows("buffer-whole")
async def _buffer_whole(name: str) -> None:
    async with virtual.playing(name, records=3_000) as playing, playing.call() as caller:
        await caller.connect()
        answer = await caller.ask(Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE))
        assert [packet.command for packet in answer] == [Command.DATA]
        assert len(answer[0].data) == 4 + 3_000 * 40


@_shows("data-1024")
async def _data_1024(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        size = await caller.announced(Table.ATTENDANCE)
        answer = await caller.part(0, size)
        assert [len(packet.data) for packet in answer] == [8, 1_024, _TABLE_BYTES - 1_024, 0]


@_shows("prepare-random")
async def _prepare_random(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        await caller.announced(Table.ATTENDANCE)
        heads = [tables.PREPARE.unpack((await caller.part(0, 400))[0].data) for _ in range(4)]
        assert {size for size, _ in heads} == {400}
        assert len({word for _, word in heads}) == 4


# -- what is in them ------------------------------------------------------------------------------


@_shows("impossible-dates")
async def _impossible_dates(name: str) -> None:
    items = _items(await _whole(name, records=60))
    strange = [item for item in items if isinstance(item, Unreadable)]
    assert Counter(item.reason for item in strange) == {"unreadable_time": 2, "ancient_time": 2}
    said = [layouts.LAYOUT_40.fields(row).packed[0] for row in await _attendance(name, records=60)]
    assert {str(moment.said(each)) for each in said[9::10]} == {
        "2025-02-30 21:12:20",
        "2133-08-18 06:28:15",
        "2000-01-01 00:00:00",
    }


@_shows("future-dates")
async def _future_dates(name: str) -> None:
    times = [item.wall_time for item in _items(await _whole(name)) if isinstance(item, Reading)]
    ahead = [each for each in times if each is not None and each > NOON + timedelta(days=300)]
    assert ahead == times[9::10]
    assert len(ahead) == 5


@_shows("identical-rows")
async def _identical_rows(name: str) -> None:
    rows = await _attendance(name)
    assert [rows[at] == rows[at - 1] for at in range(9, 50, 10)] == [True] * 5
    assert len(set(rows)) == 45


@_shows("no-user")
async def _no_user(name: str) -> None:
    rows = await _attendance(name, layout="8A")
    uids = [layouts.LAYOUT_8A.fields(row).uids for row in rows]
    strangers = [uid for uid in uids if uid is not None and uid[0] >= zk_log.NOBODY]
    assert strangers == uids[9::10]


@_shows("garbage-after-nul")
async def _garbage(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        table = await caller.table(Table.USERS)
    fields = [row[11:35].partition(b"\0") for row in virtual.rows_of(table, 72)]
    assert len(fields) == 5
    for text, _, rest in fields:
        assert text.decode().isprintable()
        assert rest.startswith(b"\xc6\x9a\x80"[: 23 - len(text)])
        assert len(text) + 1 + len(rest) == 24


@_shows("names-gb2312", "names-cp1256")
async def _names(name: str) -> None:
    encoding = name.removeprefix("names-")
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        table = await caller.table(Table.USERS)
    people = list(users.read_all(table[4:], count=5, encoding=encoding))
    first = {"gb2312": "\u4e00", "cp1256": "\u0600"}[encoding]
    assert all(first <= person.name[0] and "\ufffd" not in person.name for person in people)
    assert "\ufffd" in next(users.read_all(table[4:], count=5)).name


@_shows("codes-alphanumeric")
async def _codes(name: str) -> None:
    readings = [item for item in _items(await _whole(name)) if isinstance(item, Reading)]
    assert {reading.user_code for reading in readings} == {f"A{1001 + at}" for at in range(5)}


@_shows("finger-slots")
async def _finger_slots(name: str) -> None:
    async with virtual.playing(name, users=6) as playing, playing.call() as caller:
        await caller.connect()
        table = await caller.table(Table.USERS)
    rows = virtual.rows_of(table, 72)
    assert [row[2] == 0x31 for row in rows] == [False, False, False, True] * 2
    assert [users.read(row).is_person for row in rows] == [True, True, True, False] * 2


@_shows("wrapped")
async def _wrapped(name: str) -> None:
    wrapped, plain = await _attendance(name, records=48), await _attendance(records=48)
    assert wrapped == plain[-16:] + plain[:-16]


# -- live events ----------------------------------------------------------------------------------


@_shows("event-10", "event-12", "event-14", "event-36", "event-37", "event-52")
async def _event_bytes(name: str) -> None:
    size = int(name.removeprefix("event-"))
    async with virtual.playing(name) as playing, playing.call() as caller:
        await _listen(caller)
        await playing.terminal.somebody_punches()
        event = await caller.event()
        assert (event.session, event.reply, len(event.data)) == (LiveEvent.ATTENDANCE, 0, size)
        assert bytes((26, 6, 21, 12, 0, 0)) in event.data


@_shows("event-rows")
async def _event_rows(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await _listen(caller)
        await playing.terminal.somebody_punches()
        data = (await caller.event()).data
        rows = [struct.unpack("<24sBB6s", data[at : at + 32]) for at in range(0, 96, 32)]
        assert len(data) == 96
        assert [row[0].rstrip(b"\0") for row in rows] == [b"1001", b"1002", b"1003"]


@_shows("event-burst")
async def _event_burst(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await _listen(caller)
        reads = _Recorder(caller)
        await playing.terminal.somebody_punches()
        codes = [(await caller.event()).data[:4] for _ in range(3)]
        assert codes == [b"1001", b"1002", b"1003"]
        assert reads.sizes == [3 * (8 + 8 + 32)]


@_shows("event-insists")
async def _event_insists(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await _listen(caller)
        for _ in range(2):
            await playing.terminal.somebody_punches()
        assert (await caller.event()).data[:4] == b"1001"
        with pytest.raises(Silent):
            await caller.next(within_s=SHORT_S)
        await caller.line.say(Packet(Reply.ACK_OK, caller.session, 0))
        assert (await caller.event()).data[:4] == b"1002"


# -- orders ---------------------------------------------------------------------------------------


@_shows("enrol-fails")
async def _enrol_fails(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await _listen(caller)
        await caller.ask(Command.STARTENROLL, b"1001".ljust(24, b"\0") + b"\x05\x01")
        await caller.ask(Command.STARTVERIFY)
        event = await caller.event()
        assert (event.session, event.data[:2]) == (LiveEvent.FINGER_ENROLLED, b"\x04\0")
        assert (1, 5) not in playing.terminal.memory.templates


@_shows("disabled-for-good")
async def _disabled_for_good(name: str) -> None:
    for faults, is_enabled in (((), True), ((name,), False)):
        async with virtual.playing(*faults) as playing, playing.call() as caller:
            await caller.connect()
            await caller.ask(Command.DISABLEDEVICE, struct.pack("<I", 60))
            playing.clock.forward(61)
            assert playing.terminal.memory.is_enabled is is_enabled


@_shows("restart-silent")
async def _restart_silent(name: str) -> None:
    async with virtual.playing(name) as playing, playing.call() as caller:
        await caller.connect()
        with pytest.raises(Gone):
            await caller.ask(Command.RESTART)


def test_the_page_names_every_switch_and_every_step() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/virtual-terminal.md").read_text("utf-8")
    names = {*zk_faults.FAULTS, *zk_faults.STEPS}
    assert {name for name in names if f"`{name}`" not in page} == set()


# -- reading what was asked for -------------------------------------------------------------------


@pytest.mark.parametrize(
    "wish",
    [
        "no-such-fault",
        "split:3",
        "drop",
        "drop-after-lunch",
        "drop-beside-chunk",
        "drop-after-chunk:x",
        "drop-after-chunk:",
        "error-connect",
        "error-200100-connect",
        "udp-loss:much",
    ],
)
def test_a_switch_that_does_not_exist_is_named(wish: str) -> None:
    if wish == "drop-after-chunk:":
        assert zk_faults.read([wish]) == zk_faults.read(["drop-after-chunk"])
        return
    with pytest.raises(zk_faults.UnknownFault, match=wish):
        zk_faults.read([wish])


def test_every_switch_and_every_kind_is_listed_with_a_sentence() -> None:
    listed = dict(zk_faults.lines())
    assert listed.keys() >= zk_faults.FAULTS.keys()
    assert {name.partition("-")[0] for name in listed} >= zk_faults.STEP_FAULTS.keys()
    assert all(sentence.endswith((".", "time.")) for sentence in listed.values())


async def _listen(caller: Caller) -> None:
    await caller.connect()
    await caller.ask(*_LISTEN)


async def _whole(*faults: str, layout: LayoutName = "40", records: int = 50) -> bytes:
    async with (
        virtual.playing(*faults, layout=layout, records=records) as playing,
        playing.call() as caller,
    ):
        await caller.connect()
        return await caller.table(Table.ATTENDANCE)


async def _attendance(*faults: str, layout: LayoutName = "40", records: int = 50) -> list[bytes]:
    table = await _whole(*faults, layout=layout, records=records)
    return virtual.rows_of(table, layouts.LAYOUTS[layout].width)


async def _free_sizes(*faults: str) -> bytes:
    async with virtual.playing(*faults) as playing, playing.call() as caller:
        await caller.connect()
        return (await caller.ask(Command.GET_FREE_SIZES))[0].data


def _items(table: bytes) -> list[Reading | Unreadable]:
    reader = records.Reader("40")
    return [item for part in reader.slices(table[4:]) for item in part.items]


def _with_head(rows: bytes) -> bytes:
    return tables.with_head(rows)
