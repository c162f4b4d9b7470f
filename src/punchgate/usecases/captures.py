"""Captured uploads, fed in again: each goes through the one door, as if its device had sent it.

Which file they stood in is the command line's affair. Nothing is acknowledged to anybody; what is
there already is a duplicate.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from punchgate.domain.error import Invalid
from punchgate.domain.ids import SerialNumber
from punchgate.domain.terminal import Hints
from punchgate.usecases import punches
from punchgate.usecases.context import Context
from punchgate.wire.event import PunchesSeen

#: Items of one transaction; a capture may hold a day in one upload.
_SLICE: Final = 500


class Upload(NamedTuple):
    """One upload: who sent it, and its items, each in the bytes that were sent."""

    serial: str
    items: Sequence[bytes]


class _Line(msgspec.Struct):
    """A line of a capture; the body is what was posted, or a text that holds it."""

    serial: str
    body: msgspec.Raw


_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = msgspec.json.Decoder(_Line)
_TEXT: Final = msgspec.json.Decoder(str)
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE: Final = msgspec.json.Decoder(msgspec.Raw)


@dataclass(slots=True)
class Tally:
    """What became of a capture."""

    uploads: int = 0
    recorded: int = 0
    duplicate: int = 0
    quarantined: int = 0
    #: Serials that nobody has claimed; nothing of theirs was stored.
    unknown: set[str] = field(default_factory=set)


def read(line: bytes, number: int) -> Upload:
    """Read one line of a capture; `number` is for the sentence about a bad one.

    Shapes:  `{"serial": …, "body": …}`; items are cut out of the body and never written anew, so
             that each has the id that it had when its device sent it.
    Errors:  Invalid, nothing else.
    """
    where = f"Line {number} of the capture"
    try:
        # The decoder looks into the strings that it passes over no further than their ends.
        line.decode()
        said = _LINE.decode(line)
        return Upload(said.serial, _items(bytes(said.body)))
    except UnicodeDecodeError as error:
        raise Invalid(f"{where} is not text in UTF-8.") from error
    except msgspec.ValidationError as error:
        raise Invalid(f'{where} is not {{"serial": …, "body": …}}.') from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{where} is not JSON.") from error
    except RecursionError as error:
        raise Invalid(f"{where} is nested too deep.") from error


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
        items = [reader.read(raw, Hints()) for raw in upload.items]
        for start in range(0, len(items), _SLICE):
            seen = PunchesSeen(items[start : start + _SLICE])
            receipts = await punches.record(context, entry, seen, transport="http", now=now)
            _count(tally, receipts)
        tally.uploads += 1
        on_upload(1)
    return tally


def _items(body: bytes) -> list[bytes]:
    if body.startswith(b'"'):
        body = _TEXT.decode(body).encode().removeprefix(_BOM)
    try:
        if body.lstrip(b" \t\r\n").startswith(b"["):
            return [bytes(raw) for raw in _ITEMS.decode(body)]
        # Nothing but its depth is of interest.
        _VALUE.decode(body)
    except msgspec.DecodeError:
        # The reader says why it cannot be read, and the bytes go to quarantine.
        pass
    return [body]


def _count(tally: Tally, receipts: Sequence[punches.Receipt]) -> None:
    for receipt in receipts:
        match receipt.status:
            case "recorded":
                tally.recorded += 1
            case "duplicate":
                tally.duplicate += 1
            case "quarantined":
                tally.quarantined += 1
