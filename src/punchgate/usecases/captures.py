"""Captured uploads, fed in again: each goes through the one door, as if its device had sent it.

Which file they stood in is the command line's affair. Nothing is acknowledged to anybody; what is
there already is a duplicate.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from punchgate.domain.ids import SerialNumber
from punchgate.usecases import punches
from punchgate.usecases.context import Context
from punchgate.wire.event import PunchesSeen

#: Items of one transaction; a capture may hold a day in one upload.
_SLICE: Final = 500


class Upload(NamedTuple):
    """One upload: who sent it, and its text, an object or an array of them as JSON."""

    serial: str
    body: str


@dataclass(slots=True)
class Tally:
    """What became of a capture."""

    uploads: int = 0
    recorded: int = 0
    duplicate: int = 0
    quarantined: int = 0
    #: Serials that nobody has claimed; nothing of theirs was stored.
    unknown: set[str] = field(default_factory=set)


async def feed(
    context: Context,
    uploads: Iterable[Upload],
    *,
    now: int,
    on_upload: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Record captured uploads in their order; `now` is their time of receipt, in milliseconds.

    Repeating:  safe.
    """
    tally = Tally()
    reader = context.readers["http"]
    for upload in uploads:
        entry = await context.directory.find(SerialNumber(upload.serial))
        if entry is None:
            tally.unknown.add(upload.serial)
            continue
        items = [reader.read(raw) for raw in _items(upload.body)]
        for start in range(0, len(items), _SLICE):
            seen = PunchesSeen(items[start : start + _SLICE])
            receipts = await punches.record(context, entry, seen, transport="http", now=now)
            _count(tally, receipts)
        tally.uploads += 1
        on_upload(1)
    return tally


def _items(body: str) -> list[bytes]:
    try:
        value = json.loads(body)
    except ValueError:
        # The reader says why it cannot be read, and the bytes go to quarantine.
        return [body.encode()]
    if not isinstance(value, list):
        return [body.encode()]
    return [json.dumps(item, ensure_ascii=False).encode() for item in value]


def _count(tally: Tally, receipts: Sequence[punches.Receipt]) -> None:
    for receipt in receipts:
        match receipt.status:
            case "recorded":
                tally.recorded += 1
            case "duplicate":
                tally.duplicate += 1
            case "quarantined":
                tally.quarantined += 1
