"""The people a terminal knows: rows of 28 and 72 bytes, read and changed.

`uid` is the terminal's own row number and identifies nobody outside it; `user_id` is the person's
code. Passwords and cards are in a row and in no message. What is written is what was read, with
nothing else changed.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

USER_28: Final = struct.Struct("<HB5s8sIxBHI")
USER_72: Final = struct.Struct("<HB8s24sIBHHHH24s")
WIDTHS: Final = (USER_72.size, USER_28.size)

UID_MAX: Final = 65_535
CARD_MAX: Final = 2**32 - 1
#: Bits of a permission that belong to a person; with others set a row is no person but, on two
#: models, a finger slot. It is never written to.
_PERSON_BITS: Final = 0x0F


class _Places(NamedTuple):
    """Where the fields of a row stand."""

    password: slice
    name: slice
    card: slice
    group: slice
    user_id: slice


#:     0     2      3          8      16     20   21      22   24        28
#:     | uid | perm | password | name | card | 0  | group | tz | user id |
#:       u16   u8     5          8      u32    u8   u8      u16  u32
_PLACES_28: Final = _Places(slice(3, 8), slice(8, 16), slice(16, 20), slice(21, 22), slice(24, 28))
#:     0     2      3          11     35     39      40       42                  48        72
#:     | uid | perm | password | name | card | group | own tz | tz1 | tz2 | tz3 | user id |
#:       u16   u8     8          24     u32    u8      u16      u16   u16   u16   24
_PLACES_72: Final = _Places(
    slice(3, 11), slice(11, 35), slice(35, 39), slice(39, 40), slice(48, 72)
)


@dataclass(frozen=True, slots=True)
class User:
    """One person of a terminal.

    Codes:   `permission` bit 0 is disabled; bits 1 to 3 the level: 0 user, 2 enroller, 6 manager,
             14 super administrator.
    Source:  docs/protocols/zk-4370.md, "User"; the row of 72 is real, the row of 28 is read by the
             libraries in use.
    """

    uid: int
    user_id: str
    name: str
    permission: int
    group: int
    card: int = field(repr=False)
    #: Up to the first NUL; behind it stands what was there before.
    password: bytes = field(repr=False)
    #: The name as it stands there, up to the first NUL, whatever the encoding.
    raw_name: bytes = field(repr=False)
    row: bytes = field(repr=False)

    @property
    def is_person(self) -> bool:
        """Say whether this is a person and not a finger slot."""
        return not self.permission & ~_PERSON_BITS

    @property
    def is_disabled(self) -> bool:
        """Say whether the terminal turns this person away."""
        return bool(self.permission & 1)


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is asked to be different; None leaves a field as it is."""

    name: str | None = None
    permission: int | None = None
    card: int | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    group: int | None = None


def read(row: bytes, *, encoding: str = "utf-8") -> User:
    """Read one row.

    Shapes:  28 or 72 bytes; texts end at their first NUL.
    Errors:  ValueError for another length.
    """
    places = _places(row)
    raw_name = _text(row[places.name])
    said = row[places.user_id]
    user_id = _text(said).decode("utf-8", "replace") if len(said) > 4 else str(_number(said))
    return User(
        uid=_number(row[0:2]),
        user_id=user_id,
        name=raw_name.decode(encoding, "replace"),
        permission=row[2],
        group=row[places.group][0],
        card=_number(row[places.card]),
        password=_text(row[places.password]),
        raw_name=raw_name,
        row=row,
    )


def read_all(rows: bytes, *, count: int = 0, encoding: str = "utf-8") -> Iterator[User]:
    """Read the rows of the user table; a cut last one is left out."""
    width = width_of(rows, count=count)
    for start in range(0, len(rows) - width + 1, width):
        yield read(rows[start : start + width], encoding=encoding)


def width_of(rows: bytes, *, count: int = 0) -> int:
    """Give the width of the rows: size / count where that is a width, else by fit."""
    if count and len(rows) / count in WIDTHS:
        return len(rows) // count
    fitting = [width for width in WIDTHS if rows and len(rows) % width == 0]
    if len(fitting) == 1:
        return fitting[0]
    # Both divide it, or neither does: whose user codes can be printed.
    shares = {width: _printable(rows, width) for width in WIDTHS}
    return max(WIDTHS, key=lambda width: shares[width])


def codes(people: Iterator[User] | Collection[User]) -> dict[int, str]:
    """Give the user code of each row number; finger slots and unreadable codes are left out."""
    return {each.uid: each.user_id for each in people if each.is_person and _is_code(each.user_id)}


def _is_code(user_id: str) -> bool:
    # With other bytes than UTF-8 in it, somebody else's may read the same.
    return user_id != "" and user_id.isprintable() and "\ufffd" not in user_id


def lowest_free_uid(taken: Collection[int]) -> int:
    """Give the row number for a new person.

    Errors:  ValueError when the terminal has no room for another.
    """
    used = set(taken)
    for uid in range(1, UID_MAX + 1):
        if uid not in used:
            return uid
    raise ValueError("The terminal has no free row number.")


def new(uid: int, user_id: str, *, width: int = 72, pin_width: int = 24) -> bytes:
    """Make the row of a person who is new to the terminal.

    Errors:  ValueError for a row number, a code or a width that the terminal does not have.
    """
    if not 1 <= uid <= UID_MAX:
        raise ValueError(f"Row number {uid} is not within 1 and {UID_MAX}.")
    if not user_id.isascii() or not user_id.isprintable():
        raise ValueError("A terminal takes user codes of ASCII only.")
    if not 1 <= len(user_id) <= min(pin_width, 24):
        raise ValueError(f"The user code has {len(user_id)} characters; {pin_width} are possible.")
    if width == USER_72.size:
        return USER_72.pack(uid, 0, b"", b"", 0, 1, 0, 1, 0, 0, user_id.encode())
    if width != USER_28.size or not user_id.isdigit() or int(user_id) > CARD_MAX:
        raise ValueError("This terminal takes user codes that are numbers.")
    if user_id != str(int(user_id)):
        # It would come back as the number, which is somebody else's code.
        raise ValueError("This terminal takes user codes without leading zeros.")
    return USER_28.pack(uid, 0, b"", b"", 0, 1, 0, int(user_id))


def changed(row: bytes, change: UserChange, *, encoding: str = "utf-8") -> bytes:
    """Give a row with what was asked for changed and every other byte as it was.

    Shapes:  a name that is too long is cut between two characters.
    Errors:  ValueError for a finger slot, and for a value that does not fit.
    """
    if row[2] & ~_PERSON_BITS:
        raise ValueError("This row is a finger slot and not a person.")
    places = _places(row)
    result = bytearray(row)
    if change.name is not None:
        result[places.name] = _padded(
            cut(change.name, _size(places.name) - 1, encoding), places.name
        )
    if change.password is not None:
        result[places.password] = _padded(_password(change.password, places), places.password)
    if change.permission is not None:
        if change.permission & ~_PERSON_BITS:
            raise ValueError("A permission has four bits.")
        result[2] = change.permission
    if change.card is not None:
        result[places.card] = _bytes(change.card, 4, "card")
    if change.group is not None:
        result[places.group] = _bytes(change.group, 1, "group")
    return bytes(result)


def cut(text: str, size: int, encoding: str = "utf-8") -> bytes:
    """Give a text in an encoding, cut to so many bytes on a character boundary."""
    data = text.encode(encoding, "replace")
    while len(data) > size:
        text = text[:-1]
        data = text.encode(encoding, "replace")
    return data


def _password(password: str, places: _Places) -> bytes:
    data = password.encode("ascii", "replace")
    if len(data) > _size(places.password):
        raise ValueError(f"A password has at most {_size(places.password)} characters here.")
    return data


def _bytes(number: int, size: int, what: str) -> bytes:
    try:
        return number.to_bytes(size, "little")
    except OverflowError:
        # Without the number: a card is nobody's business.
        raise ValueError(f"The {what} does not fit into {size} bytes.") from None


def _printable(rows: bytes, width: int) -> float:
    count = len(rows) // width
    if not count:
        return 0.0
    fine = 0
    for start in range(0, min(count, 64) * width, width):
        user = read(rows[start : start + width])
        fine += user.uid > 0 and user.permission <= 0x3F and user.user_id.isprintable()
        fine += bool(user.user_id) and user.user_id != "0" and "\ufffd" not in user.name
    return fine / min(count, 64)


def _places(row: bytes) -> _Places:
    if len(row) == USER_72.size:
        return _PLACES_72
    if len(row) == USER_28.size:
        return _PLACES_28
    raise ValueError(f"A row of {len(row)} bytes is no user.")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _text(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _size(place: slice) -> int:
    return int(place.stop - place.start)


def _padded(data: bytes, place: slice) -> bytes:
    return data.ljust(_size(place), b"\0")
