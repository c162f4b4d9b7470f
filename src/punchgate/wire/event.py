"""What a device tells us, wire-true: what stood in its bytes and nothing that we know better.

A codec yields these; `usecases/punches.py` is the single place that turns them into facts. They say
nothing about accounts, zones, direction names or ids.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

#: How the moment of a reading was said: by a wall clock without a zone, with an offset, or as Unix
#: time.
TimeForm = Literal["wall", "offset", "epoch"]

#: Why an item cannot be read. The list is the same for every protocol
#: (docs/reference/quarantine.md).
UnreadableReason = Literal[
    "not_json",
    "not_an_object",
    "unreadable_row",
    "cut_row",
    "missing_user_id",
    "bad_user_id",
    "missing_att_time",
    "unreadable_time",
    "ancient_time",
    "serial_mismatch",
    "layout_unknown",
]


class Reading(NamedTuple):
    """One attendance event as a codec saw it: not yet a fact.

    Shapes:  exactly one of `wall_time` and `instant` is set; `user_code` has 1 to 64 characters,
             none of them a control character; `raw` holds the bytes of this item alone, photos cut
             out.
    Units:   `wall_time` is the device's clock without a zone, cut to the second; `instant` is whole
             seconds since 1970-01-01 UTC; `latitude` and `longitude` are degrees, `accuracy_m`
             metres, `temperature_c` degrees Celsius.
    Codes:   `direction_code` and `verify_code` are the device's own numbers, `None` when it sent
             none that can be read.

    A named tuple and not a dataclass: one is made for every punch, and a frozen dataclass of this
    size costs ten times as much to build.
    """

    raw: bytes
    user_code: str
    wall_time: datetime | None
    instant: int | None
    time_form: TimeForm
    #: The moment as it was written, at most 64 characters.
    time_text: str
    direction_code: int | None = None
    verify_code: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    temperature_c: float | None = None
    mask: bool | None = None
    work_code: str | None = None
    flags: tuple[str, ...] = ()


class Unreadable(NamedTuple):
    """An item that cannot be read as a punch: its bytes, and why.

    `detail` is a sentence for whoever wrote the client; it never repeats what was sent.
    """

    raw: bytes
    reason: UnreadableReason
    detail: str = ""
    #: Whom it speaks of, where that can be read; it is theirs when they are erased.
    user_code: str | None = None


class PunchesSeen(NamedTuple):
    """The items of one upload, in the device's own order."""

    items: Sequence[Reading | Unreadable]
