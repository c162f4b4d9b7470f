"""Punches as a file: CSV for spreadsheets, JSON lines for programs; of any size, in slices.

Spreadsheets execute what begins like a formula, and names and codes come from devices and imports:
a text that could begin one gets a leading apostrophe in CSV. JSON lines carry the raw text. Which
punches, and where the file goes, is the caller's decision.
"""

import csv
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from punchgate.domain.ids import AccountNo
from punchgate.reports import punches
from punchgate.reports.punches import Filter, Row
from punchgate.store import punches as stored
from punchgate.store.database import Connection, Database

Format = Literal["csv", "jsonl"]

#: Punches of one read: a megabyte or so, and a transaction of a few milliseconds.
SLICE: Final = 2_000

#: The columns in their order. Those of `_TEXTS` may hold what a device or an import said.
COLUMNS: Final = (
    "punch_id",
    "user_code",
    "person_no",
    "name",
    "custom_id",
    "device_id",
    "serial",
    "wall_time",
    "at",
    "zone",
    "utc_offset_s",
    "received_at",
    "direction",
    "direction_code",
    "verify",
    "verify_code",
    "transport",
    "latitude",
    "longitude",
    "accuracy_m",
    "temperature_c",
    "mask",
    "work_code",
    "flags",
)
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
    write_rows = _csv_writer(out, layout) if layout.form == "csv" else _jsonl_writer(out)
    total = 0
    async for rows in _slices(database, account, wanted):
        write_rows(rows)
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
        "at": _instant(punch.at * 1000, "seconds"),
        "received_at": _instant(punch.received_at, "milliseconds"),
    }
    return {name: values[name] for name in COLUMNS}


def guard(text: str) -> str:
    """Give a text as a CSV cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


async def _slices(
    database: Database, account: AccountNo, wanted: Filter
) -> AsyncIterator[Sequence[Row]]:
    after = ""
    while True:

        def work(tx: Connection, after: str = after) -> list[Row]:
            found = stored.list_after(tx, account, wanted, after=after, limit=SLICE)
            return punches.with_people(tx, account, found)

        rows = await database.read(work)
        if rows:
            yield rows
        if len(rows) < SLICE:
            return
        after = rows[-1].punch.punch_id


def _csv_writer(out: TextIO, layout: Layout) -> Callable[[Sequence[Row]], None]:
    if layout.has_bom:
        out.write("\ufeff")
    # RFC 4180: CRLF ends a line, quotes where needed.
    writer = csv.writer(out, delimiter=layout.delimiter, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    return lambda rows: writer.writerows(_cells(row) for row in rows)


def _cells(row: Row) -> list[Any]:
    return [
        guard(value) if name in _TEXTS and isinstance(value, str) else _cell(value)
        for name, value in record(row).items()
    ]


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _jsonl_writer(out: TextIO) -> Callable[[Sequence[Row]], None]:
    return lambda rows: out.writelines(
        json.dumps(record(row), ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows
    )


def _instant(milliseconds: int, precision: str) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
