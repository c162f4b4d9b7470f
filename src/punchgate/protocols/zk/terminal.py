"""The terminal's side of a session: packets in, answers out.

The same answers serve the virtual terminal and the facade. What is answered from is a `Memory`;
what changes it is `apply`, and without it the terminal is read only: harmless requests are done,
every other change is refused. A terminal knows nothing of its client's habits.

One `Terminal` is one session, which is one connection. Whoever carries the packets closes it when
`is_over`; it may look at a request and hold its answers back, split, drop or garble them.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from punchgate.protocols.zk import changes, commkey, questions, tables
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.memory import Apply, Change, Memory, Rows, SaveMany, SaveTemplate
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.session import Move, Session, State
from punchgate.protocols.zk.tables import Table, Template
from punchgate.wire.error import ProtocolError

#: A template, or a buffer of users with their fingers, that a client uploads.
UPLOAD_LIMIT: Final = 4 * 1024 * 1024
#: Events that wait for an acknowledgement.
EVENTS_WAITING: Final = 1_024

_U32: Final = struct.Struct("<I")
_FINGER_OF: Final = struct.Struct("<HB")
_TMP_WRITE: Final = struct.Struct("<HBBH")

Answers = Iterator[Packet]


class Terminal:
    """One session of a terminal, played.

    Shapes:  `key` 0 means that none is set; `session` is the number that CONNECT is answered with.
    """

    def __init__(
        self,
        memory: Memory,
        apply: Apply | None = None,
        *,
        session: int,
        key: int = 0,
        manner: Manner | None = None,
    ) -> None:
        self._memory = memory
        self._apply = apply
        self._key = key
        self._manner = manner or Manner()
        self._session = Session(session)
        self._held: Rows = b""
        self._upload: bytearray | None = None
        self._mask = 0
        self._events: deque[Packet] = deque(maxlen=EVENTS_WAITING)
        self._is_waiting = False
        #: How many wrong keys were sent.
        self.wrong_keys = 0

    @property
    def is_over(self) -> bool:
        """Say whether the session has ended and the connection is to be closed."""
        return self._session.state is State.CLOSED

    @property
    def is_open(self) -> bool:
        """Say whether the client is let in."""
        return self._session.state in {State.OPEN, State.BUFFERED}

    @property
    def is_listening(self) -> bool:
        """Say whether the client has asked for events."""
        return self.is_open and self._mask != 0

    def hear(self, packet: Packet) -> Answers:
        """Give the answers to a request, one by one: a table need not be in memory at once.

        Nothing happens until they are taken. After the end of the session there are none.

        Errors:  none; a request that makes no sense is refused.
        """
        if self.is_over:
            return
        refusal = self._manner.refused.get(packet.command)
        if refusal is not None:
            answers: Answers = self._reply(packet, refusal)
        else:
            answers = self._answer(packet)
        if packet.command in self._manner.unanswered:
            # The request has its effect all the same.
            deque(answers, maxlen=0)
            return
        yield from answers

    def happen(self, event: int, data: bytes) -> Answers:
        """Give the packets of an event: none where nobody listens, or while one is waited for."""
        if not self.is_open or not event & self._mask:
            return
        self._events.append(Packet(Command.REG_EVENT, event, 0, data))
        yield from self._next_event()

    def attend(self, data: bytes) -> Answers:
        """Give the packets of an attendance event; `data` is as in `events.py`."""
        return self.happen(LiveEvent.ATTENDANCE, data)

    # -- the session ------------------------------------------------------------------------------

    def _answer(self, packet: Packet) -> Answers:
        entrance = self._ENTRANCES.get(packet.command)
        if entrance is not None:
            return entrance(self, packet)
        if not self.is_open:
            return self._reply(packet, Reply.ACK_UNAUTH)
        if changes.is_one(packet.command):
            return self._change(packet)
        handler = self._HANDLERS.get(packet.command)
        if handler is not None:
            return handler(self, packet)
        told = questions.answer(self._memory, self._manner, packet.command, packet.data)
        return self._reply(packet, *(told or (Reply.ACK_UNKNOWN,)))

    def _connect(self, packet: Packet) -> Answers:
        session = self._session
        session.move(Move.CONNECT)
        if session.state is State.CONNECTING:
            session.move(Move.WANT_KEY if self._key else Move.ACCEPT)
        yield from self._reply(packet, Reply.ACK_OK if self.is_open else Reply.ACK_UNAUTH)

    def _prove(self, packet: Packet) -> Answers:
        session = self._session
        if session.may(Move.PROVE):
            session.move(Move.PROVE)
            is_right = commkey.matches(packet.data, self._key, session.number)
            self.wrong_keys += not is_right
            session.move(Move.ACCEPT if is_right else Move.WANT_KEY)
        yield from self._reply(packet, Reply.ACK_OK if self.is_open else Reply.ACK_UNAUTH)

    def _exit(self, packet: Packet) -> Answers:
        self._session.move(Move.EXIT)
        self._held = b""
        yield from self._reply(packet, Reply.ACK_OK)

    def _reply(self, packet: Packet, code: int, data: bytes = b"") -> Answers:
        yield Packet(code, self._session.number, packet.reply, data)

    def _done(self, packet: Packet, *, is_done: bool) -> Answers:
        return self._reply(packet, Reply.ACK_OK if is_done else Reply.ACK_ERROR)

    def _activity(self, packet: Packet) -> Answers:
        # The answer stands in the session field: one real terminal says 2 there.
        yield Packet(Reply.ACK_OK, self._memory.activity, packet.reply)

    # -- tables -----------------------------------------------------------------------------------

    def _template(self, packet: Packet) -> Answers:
        if len(packet.data) < _FINGER_OF.size:
            return self._reply(packet, Reply.ACK_ERROR)
        template = self._memory.template(*_FINGER_OF.unpack_from(packet.data))
        if template is None:
            return self._reply(packet, Reply.ACK_ERROR)
        return self._parts(packet, template)

    def _plain_table(self, packet: Packet) -> Answers:
        if packet.command == Table.USERS and packet.data:
            return self._template(packet)
        return self._parts(packet, self._table(Table(packet.command)))

    def _buffer(self, packet: Packet) -> Answers:
        manner = self._manner
        try:
            _, number, _, _ = tables.TABLE_REQUEST.unpack_from(packet.data)
            table = Table(number)
        except (struct.error, ValueError):
            return self._reply(packet, Reply.ACK_ERROR)
        if manner.buffering == "refused":
            return self._reply(packet, Reply.ACK_ERROR)
        held = self._table(table)
        is_small = manner.buffering == "by_size" and len(held) <= manner.small_bytes
        if is_small or manner.buffering == "whole":
            return self._data(packet, held[0 : len(held)])
        self._session.move(Move.BUFFER)
        self._held = held
        size = manner.announced(len(held)) & 0xFFFFFFFF
        return self._reply(packet, Reply.ACK_OK, tables.BUFFER_ANSWER.pack(0, size, size, 0))

    def _part(self, packet: Packet) -> Answers:
        if not self._session.may(Move.READ_PART) or len(packet.data) < tables.CHUNK_REQUEST.size:
            return self._reply(packet, Reply.ACK_ERROR)
        offset, length = tables.CHUNK_REQUEST.unpack_from(packet.data)
        part = self._held[offset : offset + length] if 0 <= offset < len(self._held) else b""
        if not 0 < length <= tables.CHUNK_TCP or not part:
            return self._reply(packet, Reply.ACK_ERROR)
        return self._parts(packet, part)

    def _free(self, packet: Packet) -> Answers:
        self._session.move(Move.FREE)
        self._held, self._upload = b"", None
        return self._reply(packet, Reply.ACK_OK)

    def _parts(self, packet: Packet, data: Rows) -> Answers:
        prepare = tables.PREPARE.pack(len(data), self._manner.second_word() & 0xFFFFFFFF)
        yield from self._reply(packet, Command.PREPARE_DATA, prepare)
        step = self._manner.data_bytes
        for start in range(0, len(data), step):
            yield from self._data(packet, data[start : start + step])
        number = self._manner.end_session(self._session.number)
        yield Packet(Reply.ACK_OK, number & 0xFFFF, packet.reply)

    def _data(self, packet: Packet, data: bytes) -> Answers:
        number = self._manner.data_session(self._session.number)
        yield Packet(Command.DATA, number & 0xFFFF, packet.reply, data)

    def _table(self, table: Table) -> Rows:
        rows = self._memory.rows(table)
        return _Headed(tables.TABLE_HEAD.pack(self._manner.headed(len(rows)) & 0xFFFFFFFF), rows)

    # -- events -----------------------------------------------------------------------------------

    def _listen(self, packet: Packet) -> Answers:
        mask = packet.data[: _U32.size].ljust(_U32.size, b"\0")
        self._mask = int.from_bytes(mask, "little")
        return self._reply(packet, Reply.ACK_OK)

    def _acknowledged(self, packet: Packet) -> Answers:
        if not self._mask:
            return self._reply(packet, Reply.ACK_UNKNOWN)
        self._is_waiting = False
        return self._next_event()

    def _next_event(self) -> Answers:
        while self._events and not self._is_waiting:
            self._is_waiting = self._manner.waits_for_acks
            yield self._events.popleft()

    # -- changes ----------------------------------------------------------------------------------

    def _change(self, packet: Packet) -> Answers:
        if self._apply is None:
            return self._done(packet, is_done=packet.command in changes.HARMLESS)
        try:
            change = changes.read(packet.command, packet.data)
        except ProtocolError:
            return self._reply(packet, Reply.ACK_ERROR)
        is_done = self._apply(change)
        answers = self._done(packet, is_done=is_done)
        if is_done and packet.command in {Command.RESTART, Command.POWEROFF}:
            self._session.move(Move.EXIT)
        return answers

    def _prepare_upload(self, packet: Packet) -> Answers:
        announced = int.from_bytes(packet.data[: _U32.size], "little")
        if self._apply is None or announced > UPLOAD_LIMIT:
            return self._reply(packet, Reply.ACK_ERROR)
        self._upload = bytearray()
        return self._reply(packet, Reply.ACK_OK)

    def _upload_data(self, packet: Packet) -> Answers:
        if self._upload is None or len(self._upload) + len(packet.data) > UPLOAD_LIMIT:
            return self._reply(packet, Reply.ACK_ERROR)
        self._upload += packet.data
        return self._reply(packet, Reply.ACK_OK)

    def _check_upload(self, packet: Packet) -> Answers:
        return self._done(packet, is_done=self._upload is not None)

    def _save_upload(self, packet: Packet) -> Answers:
        change = self._uploaded(packet)
        is_done = self._apply is not None and change is not None and self._apply(change)
        self._upload = None
        return self._done(packet, is_done=is_done)

    def _uploaded(self, packet: Packet) -> Change | None:
        if self._upload is None:
            return None
        if packet.command == Command.SAVE_USERTEMPS:
            return SaveMany(bytes(self._upload))
        if len(packet.data) < _TMP_WRITE.size:
            return None
        uid, finger, flag, size = _TMP_WRITE.unpack_from(packet.data)
        if size > len(self._upload):
            return None
        return SaveTemplate(Template(uid, finger, flag, bytes(self._upload[:size])))

    _ENTRANCES: ClassVar[dict[int, Callable[["Terminal", Packet], Answers]]] = {
        Command.CONNECT: _connect,
        Command.AUTH: _prove,
        Command.EXIT: _exit,
    }
    _HANDLERS: ClassVar[dict[int, Callable[["Terminal", Packet], Answers]]] = {
        Command.STATE_RRQ: _activity,
        Command.GET_USERTEMP: _template,
        Command.DB_RRQ: _plain_table,
        Command.USERTEMP_RRQ: _plain_table,
        Command.ATTLOG_RRQ: _plain_table,
        Command.OPLOG_RRQ: _plain_table,
        Command.PREPARE_BUFFER: _buffer,
        Command.READ_BUFFER: _part,
        Command.FREE_DATA: _free,
        Command.REG_EVENT: _listen,
        Reply.ACK_OK: _acknowledged,
        Command.PREPARE_DATA: _prepare_upload,
        Command.DATA: _upload_data,
        Command.CHECKSUM_BUFFER: _check_upload,
        Command.TMP_WRITE: _save_upload,
        Command.SAVE_USERTEMPS: _save_upload,
    }


class _Headed:
    """A table: its head and, behind it, rows that need not exist as a whole."""

    def __init__(self, head: bytes, rows: Rows) -> None:
        self._head = head
        self._rows = rows

    def __len__(self) -> int:
        return len(self._head) + len(self._rows)

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(len(self))
        width = len(self._head)
        return self._head[start:stop] + self._rows[max(start - width, 0) : max(stop - width, 0)]
