"""What the suites about endpoints share: one that is there, punches, and a receiver beside them.

Real: a SQLite file and a receiver on loopback. A row that only a delivery would write is put there
by hand.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import receiver
from tests.cli.line import Line
from tests.receiver import Receiver

URL = "https://receiver.example/hook"


def add(line: Line, *words: str) -> Any:
    return line.json("endpoint", "add", URL, *words).one


def punches(line: Line, count: int = 3) -> None:
    line.run("device", "add", "SN1", "--id", "gate")
    items = [
        {"user_id": str(n % 2), "att_time": f"2026-06-0{n + 1} 09:00:00"} for n in range(count)
    ]
    line.replay({"serial": "SN1", "body": items})


def catch_up(line: Line, endpoint_id: str) -> None:
    """Put an endpoint's cursor at the end of the log, as a delivery would have done."""
    line.run("endpoint", "resume", endpoint_id, "--skip-to", "now")


def sql(line: Line, statement: str) -> None:
    with sqlite3.connect(line.data / "punchgate.db") as db:
        db.execute(statement)
    db.close()


@contextmanager
def other_side(behaviour: receiver.Behaviour) -> Iterator[Receiver]:
    """Run a receiver in a thread of its own: the command line has its own loop."""
    opened: list[Receiver] = []
    is_open, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with receiver.open() as running:
            running.otherwise = behaviour
            opened.append(running)
            is_open.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_open.wait(60)
        yield opened[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
