"""Punches as a file: CSV for spreadsheets, JSON lines for programs; of any size, in slices.

Spreadsheets execute what begins like a formula, and names and codes come from devices and imports:
a text that could begin one gets a leading apostrophe in CSV. JSON lines carry the raw text. Which
punches, and where the file goes, is the caller's decision.

Most of what a line says has been said on the lines before it: who, where, how. Such columns are
written by `csv` and `json` once and remembered as text, and a line is put together from these
parts, in a fraction of the time that writing each line by itself takes.
"""

import csv
import io
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TextIO

from punchgate.domain.ids import AccountNo
from punchgate.reports.punches import Filter, Row
from punchgate.store import punches
from punchgate.store.database import Connection, Database
from punchgate.store.punches import Exported

Format = Literal["csv", "jsonl"]

#: Punches of one read: a megabyte or so, and a transaction of a few milliseconds.
SLICE: Final = 2_000

#: What is remembered of one kind of part: a few megabytes, and more people than most accounts have.
_REMEMBERED: Final = 20_000

#: The columns in their order. Those of `_TEXTS` may hold what a device or an import said.
COLUMNS: Final = Exported._fields
_TEXTS: Final = frozenset({"user_code", "name", "custom_id", "device_id", "serial", "work_code"})
#: What a spreadsheet may take for a formula, its full-width forms included, also after blanks.
_FORMULA: Final = re.compile("\\s*[=+\\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the file is written. `delimiter` and `has_bom` are for CSV that a spreadsheet opens."""

    form: Format
    delimiter: Literal[",", ";"] = ","
    has_bom: bool = False


async def write(
    database: Database,
    account: AccountNo,
    wanted: Filter,
    layout: Layout,
    out: TextIO,
    *,
    on_rows: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the punches that pass a filter, oldest wall time first, and give their number.

    Shapes:       `out` keeps line ends as they are written (`newline=""`); `on_rows` hears the size
                  of each slice.
    Concurrency:  a punch that arrives while the export runs is in the file or not; none is twice.
    """
    form = _csv(layout) if layout.form == "csv" else _jsonl()
    lines = _writer(form)
    out.write(form.head)
    total = 0
    async for rows in _slices(database, account, wanted):
        out.write("".join(lines(rows)))
        total += len(rows)
        on_rows(len(rows))
    return total


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file beside `path` that takes its place once all is written.

    A link stays, and what it leads to is replaced. What is there and no file, a pipe or a device,
    is written to as it is.
    """
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as out:
            yield out
        return
    place = path.resolve()
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def record(row: Row) -> dict[str, Any]:
    """Give a punch as the columns of an export, raw."""
    punch, person = row.punch, row.person
    values = punch._asdict()
    values |= {
        "person_no": None if person is None else person.no,
        "name": None if person is None else person.name,
        "custom_id": None if person is None else person.custom_id,
        "at": _second(punch.at),
        "received_at": _millisecond(punch.received_at),
    }
    return {name: values[name] for name in COLUMNS}


def guard(text: str) -> str:
    """Give a text as a CSV cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


async def _slices(
    database: Database, account: AccountNo, wanted: Filter
) -> AsyncIterator[Sequence[Exported]]:
    after = ""
    while True:

        def work(tx: Connection, after: str = after) -> list[Exported]:
            return punches.list_after(tx, account, wanted, after=after, limit=SLICE)

        rows = await database.read(work)
        if rows:
            yield rows
        if len(rows) < SLICE:
            return
        after = rows[-1].punch_id


class _Form(NamedTuple):
    """How a format writes: what begins the file, and a line of thirteen parts."""

    head: str
    line: str
    #: What stands for a number that there is not.
    nothing: str
    #: Writes columns that stand side by side: their names, then their values.
    encode: Callable[..., str]


def _csv(layout: Layout) -> _Form:
    # RFC 4180: CRLF ends a line, quotes where needed.
    write = partial(_csv_line, layout.delimiter)
    line = layout.delimiter.join(["%s"] * 13) + "\r\n"
    mark = "\ufeff" if layout.has_bom else ""
    return _Form(f"{mark}{write(COLUMNS)}\r\n", line, "", partial(_cells, write))


def _csv_line(delimiter: str, values: Sequence[object]) -> str:
    out = io.StringIO(newline="")
    # The end of the line says what is to be quoted, too.
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(values)
    return out.getvalue().removesuffix("\r\n")


def _cells(write: Callable[[Sequence[object]], str], names: Sequence[str], *values: object) -> str:
    return write([_cell(name, value) for name, value in zip(names, values, strict=True)])


def _cell(name: str, value: object) -> object:
    if isinstance(value, str) and name in _TEXTS:
        return guard(value)
    return str(value).lower() if isinstance(value, bool) else value


def _jsonl() -> _Form:
    line = (
        '{"punch_id":"%s",%s,%s,"wall_time":"%s","at":"%s",%s,"received_at":"%s",%s,"latitude":%s,'
        '"longitude":%s,"accuracy_m":%s,"temperature_c":%s,%s}\n'
    )
    return _Form("", line, "null", _members)


def _members(names: Sequence[str], *values: object) -> str:
    said = dict(zip(names, values, strict=True))
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _writer(form: _Form) -> Callable[[Sequence[Exported]], Iterator[str]]:
    """Make what writes lines and remembers their parts.

    Numbers with a fraction are in no part: to a cache -0.0 is 0.0.
    """

    def part(*names: str) -> Callable[..., str]:
        return lru_cache(_REMEMBERED)(partial(form.encode, names))

    who = part("user_code", "person_no", "name", "custom_id")
    where = part("device_id", "serial")
    clock = part("zone", "utc_offset_s")
    how = part("direction", "direction_code", "verify", "verify_code", "transport")
    rest = part("mask", "work_code", "flags")
    line, nothing = form.line, form.nothing

    def lines(rows: Sequence[Exported]) -> Iterator[str]:
        for (
            punch_id, user_code, person_no, name, custom_id, device_id, serial, wall_time, at,
            zone, utc_offset_s, received_at, direction, direction_code, verify, verify_code,
            transport, latitude, longitude, accuracy_m, temperature_c, mask, work_code, flags,
        ) in rows:  # fmt: skip
            yield line % (
                punch_id,
                who(user_code, person_no, name, custom_id),
                where(device_id, serial),
                wall_time,
                _second(at),
                clock(zone, utc_offset_s),
                _millisecond(received_at),
                how(direction, direction_code, verify, verify_code, transport),
                nothing if latitude is None else latitude,
                nothing if longitude is None else longitude,
                nothing if accuracy_m is None else accuracy_m,
                nothing if temperature_c is None else temperature_c,
                rest(mask, work_code, flags),
            )

    return lines


def _second(at: int) -> str:
    return f"{_hour(at // 3600)}{_within(at % 3600)}Z"


def _millisecond(received_at: int) -> str:
    at, ms = divmod(received_at, 1000)
    return f"{_hour(at // 3600)}{_within(at % 3600)}.{ms:03}Z"


@lru_cache(1_000)
def _hour(number: int) -> str:
    return datetime.fromtimestamp(number * 3600, UTC).isoformat(timespec="hours")[:13]


@lru_cache(3_600)
def _within(second: int) -> str:
    return f":{second // 60:02}:{second % 60:02}"
