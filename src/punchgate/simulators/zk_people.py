"""The people and fingers of a virtual terminal, invented from a seed, as rows of its tables.

How a row is written is `protocols/zk/users.py`'s. Passwords and cards are invented too.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final

from punchgate.protocols.zk import moment, users
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.tables import Operation, Template
from punchgate.protocols.zk.users import UserChange
from punchgate.simulators import day
from punchgate.simulators.zk_faults import Faults

_NAMES: Final = (
    "Ana Souza", "Zoë Müller", "Łukasz Nowak", "Amélie Roux", "Björn Åkesson", "Sofía Ibáñez",
    "Mehmet Çelik", "Elif Şahin", "José Peña", "Nguyễn Văn An", "Иван Петров", "Δημήτρης Νίκου",
)  # fmt: skip
_CHINESE: Final = ("王伟", "李娜", "张敏", "刘洋", "陈静", "赵强")
_ARABIC: Final = ("محمد علي", "فاطمة حسن", "أحمد سالم", "مريم خالد")
#: Real terminals leave in a field what stood there before.
_GARBAGE: Final = b"\xc6\x9a\x80\x7c\x01old"
_SUPER_ADMIN: Final = 14
_FINGER_SLOT: Final = 0x31
#: A finger slot stands behind every third person.
_SLOT_EVERY: Final = 3
#: The code of the operation log for a finger that was enrolled; one takes two minutes.
FINGER_ENROLLED: Final = 6
_EACH: Final = timedelta(minutes=2)
#: The first so many people have given a finger; more would only make the table long.
_FINGERS_MAX: Final = 50
_FINGER_BYTES: Final = (300, 700)
#: Where the name begins in a row, by the row's width, and how long it is.
_NAME_FIELDS: Final = {72: (11, 24), 28: (8, 8)}


def width(faults: Faults) -> int:
    """Give the bytes of a user's row."""
    return users.USER_28.size if "users-28" in faults else users.USER_72.size


def encoding(faults: Faults) -> str:
    """Give the encoding of the names."""
    if "names-gb2312" in faults:
        return "gb2312"
    return "cp1256" if "names-cp1256" in faults else "utf-8"


def code(uid: int, faults: Faults) -> str:
    """Give the user code of an invented person."""
    number = day.user_codes(uid)[-1] if uid <= 1 else str(int(day.user_codes(1)[0]) + uid - 1)
    # Rows of 28 bytes have a number there.
    is_lettered = "codes-alphanumeric" in faults and "users-28" not in faults
    return f"A{number}" if is_lettered else number


def invent(count: int, *, seed: int, faults: Faults) -> dict[int, bytes]:
    """Invent people: from row number to row, in the order of the table."""
    return dict(_rows(count, seed, faults))


def fitted(row: bytes, faults: Faults) -> bytes:
    """Give a user's row in the width that this terminal has.

    Errors:  ValueError for a user code that does not fit.
    """
    if len(row) == width(faults):
        return row
    user = users.read(row)
    change = UserChange(
        name=user.name,
        permission=user.permission & 0x0F,
        card=user.card,
        password=user.password.decode("ascii", "replace")[:5],
        group=user.group,
    )
    return users.changed(users.new(user.uid, user.user_id, width=width(faults)), change)


def invent_fingers(count: int, *, seed: int) -> dict[tuple[int, int], Template]:
    """Invent a finger of each of the first people."""
    return {(uid, 0): finger(uid, 0, seed) for uid in range(1, min(count, _FINGERS_MAX) + 1)}


def finger(uid: int, number: int, seed: int) -> Template:
    """Invent one finger."""
    chance = Random(f"{seed}/{uid}/{number}")  # noqa: S311 (nobody's finger)
    return Template(uid, number, 1, chance.randbytes(chance.randint(*_FINGER_BYTES)))


def invent_operations(fingers: Iterable[tuple[int, int]], last: date) -> list[Operation]:
    """Invent the lines of the operation log that tell of these fingers, all of one morning."""
    at = datetime.combine(last - timedelta(days=90), time(9, 0))
    return [
        Operation(FINGER_ENROLLED, moment.of(at + number * _EACH), (0, uid, finger, 0))
        for number, (uid, finger) in enumerate(fingers)
    ]


def is_person(row: bytes) -> bool:
    """Say whether a row of the user table is a person and not a finger slot."""
    return row[2] != _FINGER_SLOT


class Codes(dict[int, str]):
    """The user code in the attendance rows of a row number, remembered.

    A layout that has room for a number or for six characters only gets what fits; a person who was
    deleted keeps the code.
    """

    def __init__(self, people: Mapping[int, bytes], layout: LayoutName, faults: Faults) -> None:
        super().__init__()
        self._people = people
        self._layout = layout
        self._faults = faults

    def __missing__(self, uid: int) -> str:
        row = self._people.get(uid)
        said = users.read(row).user_id if row else code(uid, self._faults)
        if self._layout == "16" and not said.isdigit():
            said = str(uid)
        if self._layout == "22":
            said = said[:6]
        self[uid] = said
        return said


def _rows(count: int, seed: int, faults: Faults) -> Iterator[tuple[int, bytes]]:
    for uid in range(1, count + 1):
        yield uid, _row(uid, seed, faults)
        if "finger-slots" in faults and uid % _SLOT_EVERY == 0:
            slot = count + uid
            yield slot, _slot(users.new(slot, str(slot), width=width(faults)))


def _row(uid: int, seed: int, faults: Faults) -> bytes:
    chance = Random(f"{seed}/{uid}")  # noqa: S311 (an invented person has no secrets)
    change = UserChange(
        name=chance.choice(_names(faults)),
        permission=_SUPER_ADMIN if uid == 1 else 0,
        card=chance.randint(1_000_000, 9_999_999) if uid % 2 else 0,
        password=str(chance.randint(100, 999)) if uid % 4 == 0 else "",
    )
    row = users.new(uid, code(uid, faults), width=width(faults))
    row = users.changed(row, change, encoding=encoding(faults))
    return _with_garbage(row) if "garbage-after-nul" in faults else row


def _names(faults: Faults) -> tuple[str, ...]:
    if "names-gb2312" in faults:
        return _CHINESE
    return _ARABIC if "names-cp1256" in faults else _NAMES


def _with_garbage(row: bytes) -> bytes:
    start, size = _NAME_FIELDS[len(row)]
    name = row[start : start + size].partition(b"\0")[0] + b"\0"
    return row[:start] + (name + _GARBAGE * 3)[:size] + row[start + size :]


def _slot(row: bytes) -> bytes:
    return row[:2] + bytes((_FINGER_SLOT,)) + row[3:]
