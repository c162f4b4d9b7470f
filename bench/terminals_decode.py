"""Our side of the decoding benchmark: a table in a file to readings, timed; prints JSON.

What is timed is everything between the bytes and the readings: the layout is found, the rows are
decoded in slices.
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path

from punchgate.protocols.zk import choice, records, tables
from punchgate.wire.event import Reading


def main() -> None:
    """Decode the table named on the command line."""
    data = Path(sys.argv[1]).read_bytes()
    count = int(sys.argv[3])
    people = {uid: str(uid) for uid in range(1, 501)}
    began = time.perf_counter()
    rows = tables.rows_of(data)
    found = choice.choose(rows, choice.Known(datetime(2027, 1, 1), count=count))  # noqa: DTZ001 (a wall time)
    if found is None:
        raise SystemExit("The layout is unknown.")
    reader = records.Reader(found.layout, users=people)
    read, last = 0, None
    for piece in reader.slices(rows, skip=found.skip):
        read += len(piece.items)
        last = piece.items[-1]
    seconds = time.perf_counter() - began
    wall_time = last.wall_time if isinstance(last, Reading) else None
    print(json.dumps({"records": read, "seconds": seconds, "last": str(wall_time)}))


if __name__ == "__main__":
    main()
