"""The loop that people write for webhooks: httpx, 64 in flight, sign and post; no order, no log.

It holds everything in memory and posts what a file has, again and again, until its input ends. What
fails is tried again at once.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import itertools
import sys
import time
from pathlib import Path

import httpx
import msgspec

KEY = b"0123456789abcdef0123456789abcdef"


async def post(client: httpx.AsyncClient, url: str, event: str, body: bytes) -> None:
    """Deliver one event."""
    for attempt in itertools.count(1):
        at = str(int(time.time()))
        signed = f"{event}.{at}.".encode() + body
        signature = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        answer = await client.post(
            url,
            content=body,
            headers={
                "content-type": "application/json",
                "webhook-id": event,
                "webhook-timestamp": at,
                "webhook-signature": f"v1,{signature}",
                "webhook-attempt": str(attempt),
            },
        )
        if answer.is_success:
            return


async def main(url: str, lines: list[bytes], in_flight: int) -> None:
    """Post until standard input ends."""
    bodies = [(msgspec.json.decode(line)["id"], line) for line in lines]
    events = iter(bodies)

    async def work(client: httpx.AsyncClient) -> None:
        for event, body in events:
            await post(client, url, event, body)

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits) as client:
        workers = [asyncio.create_task(work(client)) for _ in range(in_flight)]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--in-flight", type=int, default=64)
    given = parser.parse_args()
    asyncio.run(main(given.url, given.events.read_bytes().splitlines(), given.in_flight))
