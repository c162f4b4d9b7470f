"""Our side of the decoding benchmark: a table in a file to readings, timed; prints JSON.

What is timed, in processor time, is everything between the bytes and the readings: the layout is
found, the rows are decoded in slices, as the engine does it and with the collector set as in
`serve`. Once is over in a twentieth of a second, too short for a machine with other work, so the
table is decoded several times with nothing remembered of the last; the mean counts.
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Final

from punchgate import app
from punchgate.protocols.zk import choice, records, tables
from punchgate.wire.event import Reading

_TIMES: Final = 10


def main() -> None:
    """Decode the table named on the command line."""
    data = Path(sys.argv[1]).read_bytes()
    count = int(sys.argv[3])
    app.spare_the_collector()
    began = time.process_time()
    for _ in range(_TIMES):
        read, last = _decode(data, count)
    seconds = (time.process_time() - began) / _TIMES
    wall_time = last.wall_time if isinstance(last, Reading) else None
    print(json.dumps({"records": read, "seconds": seconds, "last": str(wall_time)}))


def _decode(data: bytes, count: int) -> tuple[int, records.Item | None]:
    """Decode a table; give how many items it has, and the last."""
    people = {uid: str(uid) for uid in range(1, 501)}
    rows = tables.rows_of(data)
    found = choice.choose(rows, choice.Known(datetime(2027, 1, 1), count=count))  # noqa: DTZ001 (a wall time)
    if found is None:
        raise SystemExit("The layout is unknown.")
    reader = records.Reader(found.layout, users=people)
    read, last = 0, None
    for piece in reader.slices(rows, skip=found.skip):
        read += len(piece.items)
        last = piece.items[-1]
    return read, last


if __name__ == "__main__":
    main()
