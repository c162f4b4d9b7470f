"""The fleet of the ledger: virtual devices in a process of their own, which note all that they do.

`python -m tests.journeys.fleet ORDER` takes its order as JSON and runs until its stdin is closed;
then it sends what it still keeps and ends with 0. Each `sent` is in the ledger before the
first byte leaves, each `acked` after the whole answer was read. The ledger is handed to the kernel
with every note, so it survives whatever happens to the gateway, which is another process.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from punchgate.simulators import fleet, http, note, retry

#: The first moment that anybody punches at; the last is a few days later, and long past.
_FIRST: Final = datetime(2026, 6, 1, 5, 0, 0)  # noqa: DTZ001 (wall times have no zone)
_PEOPLE: Final = 12
#: The contract's waits, a hundred times shorter: the test is about what is sent, not about waiting.
_BACKOFF: Final = retry.Backoff(first_s=0.02, longest_s=0.3, later_s=0.3)


class Ledger:
    """Writes notes to a file, one line of JSON each, in one system call."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._sent: set[int] = set()

    def __call__(self, said: note.Note) -> None:
        lines = "".join(json.dumps(line) + "\n" for line in self._lines(said))
        os.write(self._file, lines.encode())

    def _lines(self, said: note.Note) -> list[dict[str, Any]]:
        match said:
            case note.Sent(serial, items):
                new = [item for item in items if item.number not in self._sent]
                self._sent.update(item.number for item in new)
                return [
                    {"sent": item.number, "serial": serial, "body": item.body.decode()}
                    for item in new
                ]
            case note.Acknowledged(_, items, answers):
                return [
                    {"acked": item.number, "status": answer.status, "id": answer.id}
                    for item, answer in zip(items, answers, strict=True)
                ]
            case note.Failed(_, items, trouble):
                return [{"failed": [item.number for item in items], "trouble": trouble}]
            case note.Refused(_, items, reason):
                return [{"refused": item.number, "reason": reason} for item in items]


class Load:
    """What one device has to say, without end: single posts and batches, repeats, poisoned rows."""

    def __init__(self, device: int, seed: int) -> None:
        self._chance = Random(f"{seed}/{device}")  # noqa: S311 (a test that can be repeated)
        self._next_number = device * 10_000_000
        self._at = _FIRST + timedelta(seconds=device)
        self._past: list[bytes] = []

    def upload(self) -> list[note.Item]:
        """Give the items of the next upload, in the device's own order."""
        count = 1 if self._chance.random() < 0.5 else self._chance.randint(2, 60)
        return [self._item() for _ in range(count)]

    def _item(self) -> note.Item:
        self._next_number += 1
        fate = self._chance.random()
        if fate < 0.1 and self._past:
            return note.Item(self._next_number, self._chance.choice(self._past))
        body = self._poisoned() if fate > 0.97 else self._punch()
        self._past.append(body)
        return note.Item(self._next_number, body)

    def _punch(self) -> bytes:
        self._at += timedelta(seconds=self._chance.randint(1, 90))
        said: dict[str, Any] = {
            "user_id": str(1001 + self._chance.randrange(_PEOPLE)),
            "att_time": f"{self._at:%Y-%m-%d %H:%M:%S}",
            "input_type": self._chance.choice((0, 1, 3)),
        }
        direction = self._chance.choice((0, 1, 2, 3, None))
        if direction is not None:
            said["att_state"] = direction
        return json.dumps(said, separators=(",", ":")).encode()

    def _poisoned(self) -> bytes:
        """Give what cannot be a punch; the number in it tells it from the others."""
        said: dict[str, Any] = self._chance.choice(
            (
                {"user_id": "1001", "att_time": f"yesterday {self._next_number}"},
                {"user_id": "1001", "att_time": "2199-01-01 00:00:00", "n": self._next_number},
                {"user_id": "1\u0007", "att_time": "2026-06-01 05:00:00", "n": self._next_number},
                {"att_time": "2026-06-01 05:00:00", "n": self._next_number},
            )
        )
        return json.dumps(said, separators=(",", ":")).encode()


async def run(order: dict[str, Any]) -> None:
    """Let every device send until stdin ends."""
    chance = Random(order["seed"])  # noqa: S311 (a test that can be repeated)
    surroundings = http.Surroundings(
        clock=time.monotonic,
        pause=asyncio.sleep,  # noqa: TID251 (a device that waits before it tries again)
        chance=chance.random,
        noted=Ledger(order["ledger"]),
        backoff=_BACKOFF,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Ready when the harness closes its end, and only then: it writes nothing more.
    loop.add_reader(sys.stdin.fileno(), stop.set)
    async with fleet.open_session() as session, asyncio.TaskGroup() as tasks:
        for number, device in enumerate(order["devices"], start=1):
            terminal = http.Terminal(
                session, order["server"], http.Credentials(*device), surroundings
            )
            tasks.create_task(_send(terminal, Load(number, order["seed"]), stop))


async def _send(terminal: http.Terminal, load: Load, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await terminal.upload(load.upload())
        await terminal.heartbeat()


def main(order: Sequence[str]) -> None:
    """Read the order and carry it out."""
    asyncio.run(run(json.loads(order[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
