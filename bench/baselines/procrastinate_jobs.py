"""A queue of jobs on PostgreSQL, as people build ordered webhooks: procrastinate, with locks.

Every event of a file is a job with the person's lock, so that per person one runs at a time and in
order; a worker with 64 at once posts them with aiohttp, the quickest client there is. A job that
fails is tried again by procrastinate.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import sys
import time
from pathlib import Path

import aiohttp
import msgspec
import procrastinate

KEY = b"0123456789abcdef0123456789abcdef"


async def main(url: str, lines: list[bytes], database: str, in_flight: int) -> None:
    """Queue everything, then work until standard input ends."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database))
    session: aiohttp.ClientSession

    @app.task(name="deliver", retry=procrastinate.RetryStrategy(wait=1), pass_context=True)
    async def deliver(context: procrastinate.JobContext, event: str, body: str) -> None:
        content = body.encode()
        at = str(int(time.time()))
        signed = f"{event}.{at}.".encode() + content
        signature = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        headers = {
            "content-type": "application/json",
            "webhook-id": event,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{signature}",
            "webhook-attempt": str(context.job.attempts + 1),
        }
        async with session.post(url, data=content, headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()

    async with app.open_async(), aiohttp.ClientSession() as session:
        await app.schema_manager.apply_schema_async()
        for line in lines:
            event = msgspec.json.decode(line)
            job = deliver.configure(lock=event["data"]["person"]["code"])
            await job.defer_async(event=event["id"], body=line.decode())
        print("queued", flush=True)
        worker = asyncio.create_task(
            app.run_worker_async(concurrency=in_flight, install_signal_handlers=False)
        )
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        worker.cancel()
        await asyncio.wait([worker])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--in-flight", type=int, default=64)
    given = parser.parse_args()
    events = given.events.read_bytes().splitlines()
    asyncio.run(main(given.url, events, given.database, given.in_flight))
