"""pyzk's side of the decoding benchmark: the same table to its records, timed; prints JSON.

pyzk reads and decodes in one call; what it would ask a terminal is answered from the file here, so
that only decoding is timed, in processor time, with the collector set as on our side. It stands
under the GPL: this process is the only one that imports it, and it imports nothing of ours.
"""

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from zk import ZK  # type: ignore[import-untyped]  # it has none
from zk.user import User  # type: ignore[import-untyped]  # it has none


class _FromFile(ZK):  # type: ignore[misc]  # a class without types
    """A terminal whose table lies in a file."""

    def __init__(self, data: bytes, count: int) -> None:
        super().__init__("127.0.0.1")
        self.is_connect = True
        self.given = data
        self.records = count

    def read_sizes(self) -> bool:
        return True

    def get_users(self) -> list[Any]:
        return [User(uid, f"Person {uid}", 0, user_id=str(uid)) for uid in range(1, 501)]

    def read_with_buffer(self, *_: Any, **__: Any) -> tuple[bytes, int]:
        return self.given, len(self.given)


def main() -> None:
    """Decode the table named on the command line."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    terminal = _FromFile(Path(sys.argv[1]).read_bytes(), int(sys.argv[3]))
    began = time.process_time()
    found = terminal.get_attendance()
    seconds = time.process_time() - began
    last = str(found[-1].timestamp) if found else ""
    print(json.dumps({"records": len(found), "seconds": seconds, "last": last}))


if __name__ == "__main__":
    main()
