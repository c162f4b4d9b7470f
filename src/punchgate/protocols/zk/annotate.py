"""Bytes of the protocol, explained field by field for a person who looks at a capture.

Answers for which field is which. Keys, passwords, cards and templates are named and never shown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from punchgate.protocols.zk import commands, events, fields, moment, packets, tables, users
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import FRAME_HEAD, MAGIC, PACKET_HEAD, Packet
from punchgate.protocols.zk.users import USER_28, USER_72
from punchgate.wire.event import Reading, Unreadable

_HIDDEN: Final = "hidden"
_SECRET_NAMES: Final = (b"key", b"pass", b"pwd")
_SHOWN_BYTES: Final = 32
_SEVERAL_REQUESTS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Note:
    """One field: where it stands, its bytes as hex, its name and what it says."""

    offset: int
    hex: str
    name: str
    meaning: str


@dataclass(slots=True)
class Annotated:
    """One packet of a capture."""

    offset: int
    title: str
    notes: list[Note] = field(default_factory=list)
    packet: Packet | None = None


def explain(data: bytes) -> Iterator[Annotated]:
    """Explain a capture: TCP frames one after the other, or the payload of one packet.

    Shapes:  both directions of a conversation may follow each other; what an answer means is known
             from the request with its reply number. Bytes that are no frame end the list.
    """
    asked: dict[int, Packet] = {}
    at = 0
    while at < len(data):
        framed = data[at : at + len(MAGIC)] == MAGIC
        if not framed and at:
            yield _rest(data, at, "no frame begins here")
            return
        head = FRAME_HEAD.size if framed else 0
        length = len(data) - at - head
        notes = []
        if framed:
            if length < 0:
                yield _rest(data, at, "a frame that is cut in its head")
                return
            length = FRAME_HEAD.unpack_from(data, at)[1]
            notes = [
                _note(data, at, 4, "magic", "frame"),
                _note(data, at + 4, 4, "length", f"{length} bytes follow"),
            ]
        payload = data[at + head : at + head + length]
        if len(payload) < max(length, PACKET_HEAD.size):
            yield _rest(data, at, "a packet that is cut")
            return
        annotated = _packet(payload, at + head, asked)
        yield Annotated(at, annotated.title, notes + annotated.notes, annotated.packet)
        at += head + length


def describe(item: Reading | Unreadable) -> dict[str, object]:
    """Give what a row says, by name."""
    if isinstance(item, Unreadable):
        return {"unreadable": item.reason, "detail": item.detail, "hex": item.raw.hex()}
    values: dict[str, object] = {
        "code": item.user_code,
        "wall_time": item.time_text,
        "verify": item.verify_code,
        "state": item.direction_code,
        "work_code": item.work_code,
        "mask": item.mask,
        "temperature_c": item.temperature_c,
        "flags": " ".join(item.flags) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def describe_user(user: users.User) -> dict[str, object]:
    """Give what a user row says, by name; whether there is a password or card, and not which."""
    return {
        "row_number": user.uid,
        "code": user.user_id,
        "name": user.name,
        "permission": user.permission,
        "group": user.group,
        "password": _HIDDEN if user.password else "none",
        "card": _HIDDEN if user.card else "none",
    }


def describe_operation(row: tables.Operation) -> dict[str, object]:
    """Give what a line of the operation log says, by name."""
    numbers = {f"p{number}": value for number, value in enumerate(row.parameters, 1)}
    return {"operation": row.operation, "wall_time": str(row.said), **numbers}


def describe_template(entry: tables.Template) -> dict[str, object]:
    """Give whose finger a template is, and not the template."""
    return {
        "row_number": entry.uid,
        "finger": entry.finger,
        "flag": entry.flag,
        "template": f"{_HIDDEN}, {len(entry.template)} bytes",
    }


def _packet(payload: bytes, at: int, asked: dict[int, Packet]) -> Annotated:
    command, said, session, reply = PACKET_HEAD.unpack_from(payload)
    packet = Packet(command, session, reply, payload[PACKET_HEAD.size :])
    right = packets.checksum(*packet)
    is_answer = command >= Reply.ACK_OK or command in {Command.PREPARE_DATA, Command.DATA}
    request = asked.get(reply) if is_answer else None
    if not is_answer:
        if len(asked) >= _SEVERAL_REQUESTS:
            asked.clear()
        asked[reply] = packet
    verdict = "right" if said == right else f"wrong, it should be {right:04x}"
    notes = [
        _note(payload, 0, 2, "command", f"{command} {_known(command)}", at),
        _note(payload, 2, 2, "checksum", verdict, at),
        _note(payload, 4, 2, *_session(packet, request), at),
        _note(payload, 6, 2, "reply number", str(reply), at),
    ]
    # Without a frame and with a wrong checksum these may be rows of people, with all they hold.
    is_packet = said == right or at > 0
    told = _data(packet, request) if is_packet else _hidden("data", packet)
    notes += [replace(note, offset=note.offset + at + PACKET_HEAD.size) for note in told]
    return Annotated(at, commands.name(command), notes, packet)


def _known(command: int) -> str:
    name = commands.name(command)
    return "unknown" if name == str(command) else name


def _session(packet: Packet, request: Packet | None) -> tuple[str, str]:
    """Give the name and the meaning of the field that has other uses too."""
    command, session, reply, _ = packet
    if command == Command.REG_EVENT and session != 0 and reply == 0:
        return "event", f"{session} {events.name(session)}"
    is_state = request is not None and request.command == Command.STATE_RRQ
    if is_state and command == Reply.ACK_OK and session < len(fields.ACTIVITIES):
        return "state", f"{session} {fields.ACTIVITIES[session]}"
    return "session", str(session)


def _data(packet: Packet, request: Packet | None) -> Sequence[Note]:
    if not packet.data:
        return ()
    tell = _TELLERS.get(packet.command, _asked)
    told = tell(packet)
    if told is None and request is not None:
        told = _answer(packet, request.command)
    return _plain(packet) if told is None else told


def _asked(packet: Packet) -> Sequence[Note] | None:
    return _parts(packet.data, fields.asked(packet.command, packet.data))


def _answer(packet: Packet, command: int) -> Sequence[Note] | None:
    """Explain data by what it answers."""
    data = packet.data
    if command in _SECRET_ANSWERS:
        return _hidden("data", packet)
    if command == Command.GET_TIME and len(data) >= 4:
        return (_time(data),)
    if command == Command.OPTIONS_RRQ:
        return (_option(data),)
    if command == Command.PREPARE_BUFFER and packet.command == Reply.ACK_OK and len(data) >= 5:
        size = int.from_bytes(data[1:5], "little")
        return (_note(data, 0, len(data), "table", f"{size} bytes, to be read in parts"),)
    if command == Command.GET_FREE_SIZES:
        sizes = tables.read_free_sizes(data)
        said = f"{sizes.users} users, {sizes.fingers} fingers, {sizes.records} records"
        return (_note(data, 0, len(data), "counters", said),)
    return _parts(data, fields.answered(command, packet.command, data))


def _parts(data: bytes, parts: Sequence[fields.Part] | None) -> Sequence[Note] | None:
    if parts is None:
        return None
    return [_note(data, at, size, name, said) for at, size, name, said in parts]


def _plain(packet: Packet) -> Sequence[Note]:
    return (_note(packet.data, 0, len(packet.data), "data", _text(packet.data)),)


def _asked_table(packet: Packet) -> Sequence[Note] | None:
    if len(packet.data) < tables.TABLE_REQUEST.size:
        return None
    return (_note(packet.data, 0, len(packet.data), "table", commands.name(packet.data[1])),)


def _asked_part(packet: Packet) -> Sequence[Note] | None:
    data = packet.data
    if len(data) < tables.CHUNK_REQUEST.size:
        return None
    offset, length = tables.CHUNK_REQUEST.unpack_from(data)
    return (_note(data, 0, 4, "offset", str(offset)), _note(data, 4, 4, "length", str(length)))


def _prepared(packet: Packet) -> Sequence[Note] | None:
    data = packet.data
    if len(data) < tables.PREPARE.size:
        return _asked(packet)
    size, _ = tables.PREPARE.unpack_from(data)
    return (_note(data, 0, 4, "size", f"{size} bytes come"), _note(data, 4, 4, "word", "?"))


def _set_time(packet: Packet) -> Sequence[Note] | None:
    return (_time(packet.data),) if len(packet.data) >= 4 else None


def _saved_user(packet: Packet) -> Sequence[Note] | None:
    if len(packet.data) in users.WIDTHS:
        return _user(packet.data)
    return _hidden("user", packet)


def _secret(name: str) -> "_Teller":
    return lambda packet: _hidden(name, packet)


def _hidden(name: str, packet: Packet) -> Sequence[Note]:
    return (Note(0, _HIDDEN, name, f"{len(packet.data)} bytes"),)


def _user(row: bytes) -> Sequence[Note]:
    user = users.read(row)
    said = describe_user(user)
    name_at, name_size = (11, 24) if len(row) == USER_72.size else (8, 8)
    code_at = 48 if len(row) == USER_72.size else USER_28.size - 4
    return (
        _note(row, 0, 2, "row number", str(user.uid)),
        _note(row, 2, 1, "permission", str(user.permission)),
        Note(3, _HIDDEN, "password", str(said["password"])),
        _note(row, name_at, name_size, "name", user.name),
        Note(name_at + name_size, _HIDDEN, "card", str(said["card"])),
        _note(row, code_at, len(row) - code_at, "user code", user.user_id),
    )


def _option(data: bytes) -> Note:
    name, equals, _ = data.partition(b"\0")[0].partition(b"=")
    if equals and any(part in name.lower() for part in _SECRET_NAMES):
        return Note(0, _HIDDEN, "option", f"{_text(name)}={_HIDDEN}")
    return _note(data, 0, len(data), "option", _text(data))


def _event(packet: Packet) -> Sequence[Note] | None:
    if packet.reply or not packet.session:
        return _asked(packet)
    meaning = "; ".join(_said(each) for each in events.read(packet.session, packet.data))
    return (_note(packet.data, 0, len(packet.data), "event", meaning),)


def _said(seen: events.Seen) -> str:
    match seen:
        case Reading() | Unreadable():
            return ", ".join(f"{name} {value}" for name, value in describe(seen).items())
        case events.Other():
            return f"{len(seen.data)} bytes of event {seen.event}"
        case _:
            return f"{type(seen).__name__.lower()} {seen._asdict()}"


def _time(data: bytes) -> Note:
    said = moment.said(int.from_bytes(data[:4], "little"))
    is_real = said.wall_time() is not None
    return _note(data, 0, 4, "time", f"{said}" if is_real else f"{said}, on no calendar")


def _text(data: bytes) -> str:
    text = data.partition(b"\0")[0].decode("utf-8", "replace")
    return text if text.isprintable() else f"{len(data)} bytes"


def _rest(data: bytes, at: int, why: str) -> Annotated:
    # No more than the head: behind it may stand what is hidden elsewhere.
    note = _note(data, at, PACKET_HEAD.size, "rest", f"{len(data) - at} bytes")
    return Annotated(at, why, [note])


def _note(data: bytes, offset: int, size: int, name: str, meaning: str, base: int = 0) -> Note:
    part = data[offset : offset + size]
    dots = "…" if len(part) > _SHOWN_BYTES else ""
    return Note(base + offset, part[:_SHOWN_BYTES].hex() + dots, name, meaning)


#: Whatever answers them holds people or fingers.
_SECRET_ANSWERS: Final = frozenset({
    Command.DB_RRQ, Command.USERTEMP_RRQ, Command.READ_BUFFER, Command.GET_USERTEMP,
})  # fmt: skip

_Teller = Callable[[Packet], Sequence[Note] | None]
#: What a packet's own command says of its data; None where the request decides.
_TELLERS: Final[dict[int, _Teller]] = {
    Command.AUTH: _secret("scrambled comm key"),
    Command.USER_WRQ: _saved_user,
    Command.OPTIONS_RRQ: lambda packet: (_option(packet.data),),
    Command.OPTIONS_WRQ: lambda packet: (_option(packet.data),),
    Command.REG_EVENT: _event,
    Command.PREPARE_BUFFER: _asked_table,
    Command.READ_BUFFER: _asked_part,
    Command.PREPARE_DATA: _prepared,
    Command.SET_TIME: _set_time,
    Command.USERTEMP_WRQ: _secret("template"),
    Command.SAVE_USERTEMPS: _secret("users and templates"),
    # It may hold anything, passwords and fingers among it; rows are told one by one.
    Command.DATA: _secret("data"),
}
