"""What a virtual terminal does when it is told to change something.

Every change is carried out on the memory, as far as it can be seen from outside: a row that was
written is read back, a door that was opened is open. Nothing here answers.
"""

import struct
from collections.abc import Mapping
from typing import Final

from punchgate.protocols.zk import events, memory, moment, users
from punchgate.protocols.zk.commands import Command, LiveEvent
from punchgate.protocols.zk.moment import Said
from punchgate.protocols.zk.tables import Operation, Template
from punchgate.simulators import zk_people
from punchgate.simulators.zk_memory import VirtualMemory

#: What CLEAR_DATA names with its byte.
_ATTENDANCE, _FINGERS, _OPERATIONS, _USERS = 1, 2, 4, 5
_ENROLLED, _FAILED = 0, 4
_GOOD_SAMPLES: Final = 3
_SAMPLE_IS_GOOD: Final = b"\x64"
_UPLOAD_HEAD: Final = struct.Struct("<III")
_FINGER_ROW: Final = struct.Struct("<BHBI")
#: A bulk row has one byte before the user.
_BULK_WIDTHS: Final = (73, 29)
_BULK_FINGER: Final = 0x10
#: What is written by one command is read by another; so many bytes in front name what is meant.
_WRITES: Final[Mapping[int, tuple[int, int]]] = {
    Command.USERGRP_WRQ: (Command.USERGRP_RRQ, 4),
    Command.USERTZ_WRQ: (Command.USERTZ_RRQ, 4),
    Command.GRPTZ_WRQ: (Command.GRPTZ_RRQ, 1),
    Command.TZ_WRQ: (Command.TZ_RRQ, 4),
    Command.ULG_WRQ: (Command.ULG_RRQ, 1),
    Command.VERIFY_WRQ: (Command.VERIFY_RRQ, 2),
}

_OfPeople = (
    memory.SaveUser
    | memory.DeleteUser
    | memory.SaveMany
    | memory.SaveTemplate
    | memory.DeleteTemplate
)
_OfDevice = (
    memory.Clear
    | memory.SetOption
    | memory.SetTime
    | memory.SetEnabled
    | memory.Enrol
    | memory.Order
)


def apply(world: VirtualMemory, change: memory.Change) -> bool:
    """Carry a change out, and say whether it was."""
    world.orders.append(change)
    return _apply_to_people(world, change) if isinstance(change, _OfPeople) else _do(world, change)


def _apply_to_people(world: VirtualMemory, change: _OfPeople) -> bool:
    match change:
        case memory.SaveUser(row):
            return _save_user(world, row)
        case memory.DeleteUser(uid):
            return _delete_user(world, uid)
        case memory.SaveMany(buffer):
            return _save_many(world, buffer)
        case memory.SaveTemplate(template):
            world.templates[template.uid, template.finger] = template
            return True
        case memory.DeleteTemplate():
            return _delete_template(world, change)


def _do(world: VirtualMemory, change: _OfDevice) -> bool:
    match change:
        case memory.Clear(command, what):
            _clear(world, command, what)
        case memory.SetOption(name, value):
            world.options[name] = value
        case memory.SetTime(said):
            return _set_time(world, said)
        case memory.SetEnabled():
            _set_enabled(world, change)
        case memory.Enrol():
            _enrol(world, change)
        case memory.Order(command, data):
            _order(world, command, data)
    return True


def _save_user(world: VirtualMemory, row: bytes) -> bool:
    try:
        fitted = zk_people.fitted(row, world.faults)
    except ValueError:
        return False
    world.people[users.read(fitted).uid] = fitted
    return True


def _delete_user(world: VirtualMemory, uid: int) -> bool:
    if world.people.pop(uid, None) is None:
        return False
    for key in [key for key in world.templates if key[0] == uid]:
        del world.templates[key]
    return True


def _delete_template(world: VirtualMemory, change: memory.DeleteTemplate) -> bool:
    uid = change.uid
    if uid is None:
        uid = _uid(world, change.user_id or "")
    return world.templates.pop((uid, change.finger), None) is not None


def _clear(world: VirtualMemory, command: int, what: int | None) -> None:
    is_all = command == Command.CLEAR_DATA and what is None
    if is_all or command == Command.CLEAR_ATTLOG or what == _ATTENDANCE:
        world.log.clear()
    if is_all or what in {_FINGERS, _USERS}:
        world.templates.clear()
    if is_all or what == _USERS:
        world.people.clear()
    if is_all or command == Command.CLEAR_OPLOG or what == _OPERATIONS:
        world.operations.clear()
    if command == Command.CLEAR_ADMIN:
        for uid, row in world.people.items():
            world.people[uid] = row[:2] + b"\0" + row[3:]


def _set_time(world: VirtualMemory, said: Said) -> bool:
    wall_time = said.wall_time()
    if wall_time is None or wall_time.year > moment.LAST_YEAR:
        return False
    world.skew += wall_time - world.wall_time()
    return True


def _set_enabled(world: VirtualMemory, change: memory.SetEnabled) -> None:
    if change.is_enabled:
        world.unlock()
    else:
        world.lock(seconds=change.seconds)


def _order(world: VirtualMemory, command: int, data: bytes) -> None:
    match command:
        case Command.UNLOCK:
            # Tenths of a second, as the library in widest use has it.
            world.open_door(int.from_bytes(data[:4], "little") / 10)
        case _ if command in _WRITES:
            reader, head = _WRITES[command]
            number = int.from_bytes(data[: min(head, 2)], "little")
            world.settings[reader, number] = data[head:]


def _enrol(world: VirtualMemory, asked: memory.Enrol) -> None:
    """Let somebody put a finger on the sensor three times."""
    if "enrol-fails" in world.faults:
        world.note(LiveEvent.FINGER_ENROLLED, events.enrolled(_FAILED))
        return
    for _ in range(_GOOD_SAMPLES):
        world.note(LiveEvent.FINGER)
        world.note(LiveEvent.SAMPLE_SCORE, _SAMPLE_IS_GOOD)
    uid = _uid(world, asked.user_id)
    given = zk_people.finger(uid, asked.finger, world.seed)
    world.templates[uid, asked.finger] = given
    world.operations.append(
        Operation(zk_people.FINGER_ENROLLED, world.now(), (0, uid, asked.finger, 0))
    )
    world.note(
        LiveEvent.FINGER_ENROLLED,
        events.enrolled(
            _ENROLLED,
            user_id=asked.user_id,
            finger=asked.finger,
            size_bytes=len(given.template),
        ),
    )


def _uid(world: VirtualMemory, user_id: str) -> int:
    people = map(users.read, world.people.values())
    return next((person.uid for person in people if person.user_id == user_id), 0)


def _save_many(world: VirtualMemory, buffer: bytes) -> bool:
    """Keep users and fingers that were uploaded at once (docs/protocols/zk-4370.md, 110)."""
    try:
        lengths = _UPLOAD_HEAD.unpack_from(buffer)
        people, fingers, data = _parts(buffer[_UPLOAD_HEAD.size :], lengths)
        found = [zk_people.fitted(row, world.faults) for row in _bulk_rows(people)]
        kept = [_finger(row, data) for row in _FINGER_ROW.iter_unpack(fingers)]
    except (struct.error, ValueError):
        return False
    for row in found:
        world.people[users.read(row).uid] = row
    for template in kept:
        world.templates[template.uid, template.finger] = template
    return True


def _parts(buffer: bytes, lengths: tuple[int, ...]) -> list[bytes]:
    parts = []
    for length in lengths:
        parts.append(buffer[:length])
        buffer = buffer[length:]
    return parts


def _bulk_rows(data: bytes) -> list[bytes]:
    width = next((each for each in _BULK_WIDTHS if len(data) % each == 0), 0)
    if not width:
        raise ValueError("rows of no known width")
    return [data[start + 1 : start + width] for start in range(0, len(data), width)]


def _finger(row: tuple[int, ...], data: bytes) -> Template:
    _, uid, finger, offset = row
    size = int.from_bytes(data[offset : offset + 2], "little")
    return Template(uid, finger - _BULK_FINGER, 1, data[offset + 2 : offset + 2 + size])
