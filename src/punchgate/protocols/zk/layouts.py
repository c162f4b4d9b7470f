"""The six layouts of an attendance row: where each field stands.

Answers for bytes to fields and back. Which layout a table has is found in `choice.py`, and what a
row means in `records.py`.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

LayoutName = Literal["40", "49", "22", "16", "8A", "8B"]
#: Which of the two bytes of a 16-byte row comes first: a setting of the device.
Order16 = Literal["method_state", "state_method"]

USER_ID_BYTES: Final = 24
NOT_MEASURED: Final = 255


class Row(NamedTuple):
    """One attendance row as its fields; a layout holds those that it has room for.

    Units:   `packed` as in `moment.py`; `temperature` is the text that the terminal writes.
    Codes:   `mask` 255 means not measured.
    """

    uid: int
    user_id: str
    packed: int
    verify: int = 1
    state: int = 0
    work_code: int = 0
    mask: int = NOT_MEASURED
    temperature: str = "255"


#: One column each for the rows of a slice: (uids, ids, packed, states, verifies) and, where the
#: layout has them, (work codes, masks, temperatures).
Columns = tuple[tuple[Any, ...], ...]


class Fields(NamedTuple):
    """The columns of some rows; `None` for what the layout does not have.

    `uids` and `ids`: a layout has one of them or both. `ids` are texts padded with NUL, or numbers.
    """

    uids: tuple[int, ...] | None
    ids: tuple[bytes, ...] | tuple[int, ...] | None
    packed: tuple[int, ...]
    states: tuple[int, ...]
    verifies: tuple[int, ...]
    work_codes: tuple[int, ...] | None = None
    masks: tuple[int, ...] | None = None
    temperatures: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout: its name, its width, and how rows of it are taken apart and put together."""

    name: LayoutName
    form: struct.Struct
    arrange: Callable[[Columns], Fields]
    compose: Callable[[Row], tuple[Any, ...]]

    @property
    def width(self) -> int:
        """Give the bytes of one row."""
        return self.form.size

    def fields(self, rows: bytes) -> Fields:
        """Take whole rows apart."""
        code = self.form.format.removeprefix("<")
        flat = _many(code, len(rows) // self.width).unpack(rows)
        step = _values(self.form)
        return self.arrange(tuple(flat[start::step] for start in range(step)))

    def raws(self, rows: bytes) -> tuple[bytes, ...]:
        """Cut whole rows from each other."""
        return _many(f"{self.width}s", len(rows) // self.width).unpack(rows)

    def encode(self, row: Row) -> bytes:
        """Put a row together.

        Errors:  ValueError for a field that does not fit.
        """
        try:
            return self.form.pack(*self.compose(row))
        except struct.error as error:
            raise ValueError(f"A field of the row does not fit into layout {self.name}.") from error


@lru_cache(maxsize=16)
def _many(code: str, count: int) -> struct.Struct:
    # One long format: a third of the cost of taking rows apart one by one.
    return struct.Struct("<" + code * count)


@lru_cache(maxsize=16)
def _values(form: struct.Struct) -> int:
    return len(form.unpack(bytes(form.size)))


def _text(said: str, size: int) -> bytes:
    data = said.encode("ascii", "replace")
    if len(data) > size:
        raise ValueError(f"A user id of {len(data)} characters does not fit into {size}.")
    return data


def _row_40(columns: Columns) -> Fields:
    uids, ids, verifies, packed, states, _ = columns
    return Fields(uids, ids, packed, states, verifies)


def _from_40(row: Row) -> tuple[Any, ...]:
    text = _text(row.user_id, USER_ID_BYTES)
    # What two terminals write behind the state: F19 this, another zeros.
    return row.uid, text, row.verify, row.packed, row.state, b"\0\0\0\0\xff\0\0\0"


def _row_49(columns: Columns) -> Fields:
    uids, ids, verifies, packed, states, _, masks, temperatures = columns
    return Fields(
        uids, ids, packed, states, verifies, masks=masks, temperatures=temperatures
    )  # fmt: skip


def _from_49(row: Row) -> tuple[Any, ...]:
    return *_from_40(row), row.mask, row.temperature.encode("ascii")


def _row_22(columns: Columns) -> Fields:
    uids, ids, verifies, packed, states = columns
    return Fields(uids, ids, packed, states, verifies)


def _from_22(row: Row) -> tuple[Any, ...]:
    return row.uid, _text(row.user_id, 6), row.verify, row.packed, row.state


def _row_16(columns: Columns) -> Fields:
    ids, packed, verifies, states, work_codes = columns
    return Fields(None, ids, packed, states, verifies, work_codes=work_codes)


def _row_16_state_first(columns: Columns) -> Fields:
    ids, packed, states, verifies, work_codes = columns
    return Fields(None, ids, packed, states, verifies, work_codes=work_codes)


def _from_16(row: Row) -> tuple[Any, ...]:
    return int(row.user_id), row.packed, row.verify, row.state, row.work_code


def _from_16_state_first(row: Row) -> tuple[Any, ...]:
    return int(row.user_id), row.packed, row.state, row.verify, row.work_code


def _row_8a(columns: Columns) -> Fields:
    uids, verifies, packed, states = columns
    return Fields(uids, None, packed, states, verifies)


def _from_8a(row: Row) -> tuple[Any, ...]:
    return row.uid, row.verify, row.packed, row.state


def _row_8b(columns: Columns) -> Fields:
    uids, flags, packed = columns
    states, verifies = tuple(flag >> 4 for flag in flags), tuple(flag & 0xF for flag in flags)
    return Fields(uids, None, packed, states, verifies)


def _from_8b(row: Row) -> tuple[Any, ...]:
    if row.verify > 0xF or row.state > 0xF:
        raise ValueError("Layout 8B has four bits for the state and four for the method.")
    return row.uid, row.state << 4 | row.verify, row.packed


#: Colour and face models. Real: F19, and a face terminal of a user's report.
#:
#:     0      2                 26       27     31      32         40
#:     | uid  | user id, padded | verify | time | state | reserved |
#:       u16    24                u8       u32    u8      8
LAYOUT_40: Final = Layout("40", struct.Struct("<H24sBIB8s"), _row_40, _from_40)

#: SpeedFace-V5L, MB560-VL: the row of 40 and nine bytes behind it. The width is certain, the
#: meaning of the nine is our reading: `ff 32 35 35 00…` is 255 twice, "not measured".
#:
#:     0               40     41                  49
#:     | row of 40     | mask | temperature, text |
#:                       u8     8
LAYOUT_49: Final = Layout("49", struct.Struct("<H24sBIB8sB8s"), _row_49, _from_49)

#: WL10, AK3750: reported of three devices.
#:
#:     0     2         8      12     13     17      18     22
#:     | uid | user id | zero | flag | time | state | zero |
#:       u16   6         4      u8     u32    u8      4
LAYOUT_22: Final = Layout("22", struct.Struct("<H6s4xBIB4x"), _row_22, _from_22)

#: Firmware 6.60 of 2015. Real: 38 rows. Which of `a` and `b` is the state is a device's setting.
#:
#:     0         4      8    9    10     12          16
#:     | user id | time | a  | b  | zero | work code |
#:       u32       u32    u8   u8   2      u32
_FORM_16: Final = struct.Struct("<IIBB2xI")
LAYOUT_16: Final = Layout("16", _FORM_16, _row_16, _from_16)
_LAYOUT_16_STATE_FIRST: Final = Layout("16", _FORM_16, _row_16_state_first, _from_16_state_first)

#: The classic row, read by the libraries in use.
#:
#:     0     2        3      7       8
#:     | uid | verify | time | state |
#:       u16   u8       u32    u8
LAYOUT_8A: Final = Layout("8A", struct.Struct("<HBIB"), _row_8a, _from_8a)

#: ZEM500, MA300. Real: three rows. The meaning of the two halves of `flags` rests on one reporter:
#: the method below, the state above.
#:
#:     0     2       3      4      8
#:     | uid | flags | zero | time |
#:       u16   u8      u8     u32
LAYOUT_8B: Final = Layout("8B", struct.Struct("<HBxI"), _row_8b, _from_8b)

#: In the order in which they are tried.
LAYOUTS: Final[Mapping[LayoutName, Layout]] = {
    each.name: each for each in (LAYOUT_40, LAYOUT_49, LAYOUT_22, LAYOUT_16, LAYOUT_8A, LAYOUT_8B)
}


def get(name: LayoutName, *, order16: Order16 = "method_state") -> Layout:
    """Give a layout by its name."""
    if name == "16" and order16 == "state_method":
        return _LAYOUT_16_STATE_FIRST
    return LAYOUTS[name]
