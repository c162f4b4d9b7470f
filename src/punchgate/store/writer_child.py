"""The writing process of a server: reads parcels, commits what has arrived as one group, answers.

    python -m punchgate.store.writer_child      with a socket to the server as its standard input

It has no event loop, no thread and no second connection: what it does is wait for the disk. It ends
when the server closes the socket or dies, and not by a signal that a terminal or a service manager
sends to everyone: the server, which gets the same signal, still has requests to finish.
"""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from punchgate.store import parcel
from punchgate.store.committer_sqlite import SqliteCommitter
from punchgate.store.error import Failure, StoreUnavailable, StoreUnsafe, describe
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.parcel import Answer, Orders, Parcel

Commit = Callable[[Sequence[Fact], Sequence[Held]], list[Outcome]]

#: Most that is read from the socket at once.
_READ_BYTES: Final = 1 << 18


class Channel:
    """The socket to the server."""

    def __init__(self, own: socket.socket) -> None:
        self._socket = own
        self._frames = parcel.Frames()

    def take(self, waiting: deque[Parcel | Answer]) -> bool:
        """Move what has arrived to what waits; stands still only if nothing does. False ends it."""
        while data := self._receive(may_wait=not waiting):
            waiting.extend(map(_read, self._frames.feed(data)))
        return bool(waiting)

    def first(self) -> bytes | None:
        """Wait for the first message, which comes alone; None when the server is gone."""
        while data := self._receive(may_wait=True):
            for message in self._frames.feed(data):
                return message
        return None

    def _receive(self, *, may_wait: bool) -> bytes:
        """Give what has arrived; nothing if that is nothing, or if the server is gone."""
        try:
            return self._socket.recv(_READ_BYTES, 0 if may_wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def send(self, answers: Sequence[Answer]) -> None:
        """Answer parcels."""
        self._socket.sendall(b"".join(map(parcel.frame, answers)))


def serve(channel: Channel) -> None:
    """Do as ordered until the server is gone."""
    first = channel.first()
    if first is None:
        return
    orders = parcel.ORDERS.decode(first)
    try:
        commit = _open(orders)
        # What would be refused with the first punch is told now.
        commit([], [])
    except StoreUnsafe as error:
        channel.send([Answer([], fault=str(error))])
        return
    except StoreUnavailable as error:
        channel.send([Answer([], failure=describe(error.__cause__))])
        return
    channel.send([Answer([])])
    _settle_in()
    waiting: deque[Parcel | Answer] = deque()
    while channel.take(waiting):
        channel.send(answer(_group(waiting, orders.group_rows), commit))


def answer(group: Sequence[Parcel | Answer], commit: Commit) -> list[Answer]:
    """Commit parcels as one group and give the answer to each, whatever happens."""
    parcels = [one for one in group if isinstance(one, Parcel)]
    facts = [fact for one in parcels for fact in one.facts]
    held = [item for one in parcels for item in one.held]
    failure: Failure | None = None
    fault: str | None = None
    outcomes: list[Outcome] = []
    started = time.perf_counter()
    try:
        outcomes = commit(facts, held)
    except (StoreUnavailable, StoreUnsafe) as error:
        failure = describe(error.__cause__ or error)
    except Exception as error:  # noqa: BLE001 (whatever it is, its callers must hear of it)
        fault = _words(error)
    done = parcel.Commit(time.perf_counter() - started, len(facts) + len(held))
    answers: list[Answer] = []
    told: parcel.Commit | None = done
    rest = iter(outcomes)
    for one in group:
        if isinstance(one, Answer):
            answers.append(one)
            continue
        share = list(islice(rest, len(one.facts)))
        answers.append(Answer(share, told, failure, fault))
        told = None
    return answers


def _read(message: bytes) -> Parcel | Answer:
    """Read a parcel; one that cannot be read has its answer already, and its neighbours go on."""
    try:
        return parcel.PARCELS.decode(message)
    except msgspec.ValidationError as error:
        return Answer([], fault=_words(error))


def _words(error: Exception) -> str:
    found = describe(error)
    return f"{found.error}: {found.reason}"


def _group(waiting: deque[Parcel | Answer], most: int) -> list[Parcel | Answer]:
    """Take the next group from what waits, as many parcels as fit."""
    group = [waiting.popleft()]
    rows = _rows(group[0])
    while waiting and rows + _rows(waiting[0]) <= most:
        group.append(waiting.popleft())
        rows += _rows(group[-1])
    return group


def _rows(one: Parcel | Answer) -> int:
    return len(one.facts) + len(one.held) if isinstance(one, Parcel) else 0


def _open(orders: Orders) -> Commit:
    if orders.dialect == "sqlite":
        pages = orders.checkpoint_pages
        return SqliteCommitter(Path(orders.place), checkpoint_pages=pages).commit
    # Forty megabytes that a process which writes to SQLite does without.
    from punchgate.store.committer_postgres import PostgresCommitter  # noqa: PLC0415 (above)

    loop = asyncio.new_event_loop()
    committer = PostgresCommitter(orders.place)
    return lambda facts, held: loop.run_until_complete(committer.commit(facts, held))


def _settle_in() -> None:
    # What is loaded stays, a punch leaves no cycles behind, and nobody is held up by a pass.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main() -> None:
    """Serve the server whose socket is our standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=sys.stdin.fileno()) as own:
        try:
            serve(Channel(own))
        except ConnectionError:
            # The server died before it heard the answer; nobody acknowledges then.
            return


if __name__ == "__main__":
    main()
