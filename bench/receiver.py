"""A receiver of webhooks that counts, and refuses a share: `python bench/receiver.py --port N`.

It prints its port, then one line of JSON for each line that it is given, and ends with its input.
An attempt is refused (500) by the hash of its event and number, so that every sender meets the same
share and no event is refused for ever. Of each person the punches must come in the order of their
times; whatever comes the first time behind a later one is counted as out of order. With `--lags` it
says of each that is no replay how long after its `timestamp` it came, in milliseconds, once.
"""

import argparse
import asyncio
import sys
import time
from datetime import datetime
from typing import Final, cast
from zlib import crc32

import httptools
import msgspec
import uvloop

_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_NO: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno"


class Counts:
    """What came so far."""

    def __init__(self, refuse: int, *, keeps_lags: bool) -> None:
        #: Of a thousand attempts.
        self.refuse = refuse
        self.keeps_lags = keeps_lags
        self.lags_ms: list[float] = []
        self.replayed = 0
        self.accepted = self.refused = self.out_of_order = 0
        self.seen: set[str] = set()
        self.last: dict[str, str] = {}

    def take(self, event: str, attempt: str, body: bytes, *, is_replay: bool) -> bytes:
        """Count one request and give its answer."""
        if is_replay:
            self.replayed += 1
        elif self.keeps_lags:
            at = datetime.fromisoformat(msgspec.json.decode(body)["timestamp"])
            self.lags_ms.append((time.time() - at.timestamp()) * 1000)
        if crc32(f"{event} {attempt}".encode()) % 1000 < self.refuse:
            self.refused += 1
            return _NO
        self.accepted += 1
        if event not in self.seen:
            self.seen.add(event)
            data = msgspec.json.decode(body)["data"]
            person, at = data["person"]["code"], data["at"]
            if at < self.last.get(person, ""):
                self.out_of_order += 1
            self.last[person] = at
        return _OK

    def line(self) -> bytes:
        """Write everything as a line of JSON."""
        lags_ms, self.lags_ms = self.lags_ms, []
        return msgspec.json.encode(
            {
                "at": time.monotonic(),
                "accepted": self.accepted,
                "distinct": len(self.seen),
                "refused": self.refused,
                "out_of_order": self.out_of_order,
                "replayed": self.replayed,
                "lags_ms": lags_ms,
                "cpu_s": time.process_time(),
            }
        )


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._parser = httptools.HttpRequestParser(self)
        self._event = self._attempt = ""
        self._is_replay = False
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        # uvloop's is one by what it does, not by its class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the headers that count."""
        match name.lower():
            case b"webhook-id":
                self._event = value.decode()
            case b"webhook-attempt":
                self._attempt = value.decode()
            case b"webhook-replay":
                self._is_replay = True

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer."""
        self._transport.write(
            self._counts.take(self._event, self._attempt, self._body, is_replay=self._is_replay)
        )
        self._body, self._is_replay = b"", False


async def serve(port: int, counts: Counts) -> None:
    """Take requests until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(counts), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(counts.line().decode(), flush=True)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--refuse", type=int, default=0, help="of a thousand attempts")
    parser.add_argument("--lags", action="store_true", help="keep how late each one came")
    given = parser.parse_args()
    uvloop.run(serve(given.port, Counts(given.refuse, keeps_lags=given.lags)))
