"""The composition root: a whole gateway in this process, from settings to an orderly stop.

Real: the store, the listeners on free ports, the workers, an HTTP client on loopback. That SIGTERM
does the same is tested where a child process is started.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from punchgate import app, telemetry
from punchgate.app import Running
from punchgate.config import Settings
from punchgate.domain.ids import AccountNo
from punchgate.store import schema
from punchgate.store.error import StoreUnsafe
from punchgate.usecases import devices

MAIN = AccountNo(1)
INGEST = "/api/attendance/v1/punch"


@dataclass
class Served:
    """A running gateway: where it listens, and what ends it."""

    running: Running
    stop: asyncio.Event
    task: asyncio.Task[None]


@asynccontextmanager
async def _serving(directory: Path, **changes: Any) -> AsyncIterator[Served]:
    settings = Settings(
        data=directory,
        http={"listen": "127.0.0.1:0"},  # type: ignore[arg-type]  # read as from a file
        **{"devices": {"listen": "127.0.0.1:0"}, **changes},
    )
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[Running] = loop.create_future()
    stop = asyncio.Event()
    task = asyncio.ensure_future(app.serve(settings, ready=ready.set_result, stop=stop))
    waiting: list[asyncio.Future[Any]] = [ready, task]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield Served(await ready, stop, task)
    finally:
        stop.set()
        async with asyncio.timeout(40):
            await task


async def _get(address: str, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def _post(address: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{address}{INGEST}", json=body, headers=headers) as answer,
    ):
        await answer.read()
        return answer.status


async def _prepare(directory: Path) -> dict[str, str]:
    """Add a device and a key as the command line does; give the headers that let it in."""
    async with app.open_context(Settings(data=directory)) as context:
        added = await devices.add(
            context,
            MAIN,
            devices.New(serial="SN1", id=None, token="token-of-sn1"),
            actor="test",
            now=1,
        )
    assert added.device.serial == "SN1"
    return {"SN": "SN1", "Auth-Token": "token-of-sn1"}


async def test_a_gateway_is_ready_then_stops_in_order(tmp_path: Path) -> None:
    async with _serving(tmp_path) as served:
        assert await _get(served.running.http, "/readyz") == (200, '{"ready":true}')
        assert (await _get(served.running.http, "/livez"))[0] == 200
        served.stop.set()
        async with asyncio.timeout(40):
            await served.task
        with pytest.raises(aiohttp.ClientConnectorError):
            await _get(served.running.http, "/livez")

    # The directory is free again and nothing was left half done.
    async with app.open_context(Settings(data=tmp_path), serving=True) as context:
        assert context.writer.waiting == 0


@asynccontextmanager
async def _half_said(address: str, headers: Mapping[str, str]) -> AsyncIterator[None]:
    """Begin a request, and say the rest of it in the end: it is answered."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{name}: {text}" for name, text in {**headers, "Content-Length": "2"}.items()]
    writer.write("\r\n".join([f"POST {INGEST} HTTP/1.1", *lines, "", "{"]).encode())
    await writer.drain()
    yield
    writer.write(b"}")
    assert await reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    writer.close()


async def _takes_calls(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_every_listener_takes_no_more_calls_as_soon_as_it_is_to_stop(tmp_path: Path) -> None:
    headers = await _prepare(tmp_path)
    async with _serving(tmp_path) as served:
        both = (served.running.http, served.running.devices)
        async with _half_said(both[0], headers), _half_said(both[1], headers):
            served.stop.set()
            # Neither waits for what the other has under way.
            async with asyncio.timeout(40):
                for address in both:
                    while await _takes_calls(address):
                        pass


async def test_a_gateway_that_can_write_nothing_any_more_stops_in_order_too(tmp_path: Path) -> None:
    headers = await _prepare(tmp_path)
    async with _serving(tmp_path) as served:
        with closing(sqlite3.connect(tmp_path / "punchgate.db", timeout=60)) as db:
            # What the workers, the terminals and the last flush would write to.
            for table in ("cursor", "process", "presence", "terminal"):
                db.execute(f"ALTER TABLE {table} RENAME TO no_{table}")
        punch = {"user_id": "1", "att_time": "2026-06-21 09:30:00"}
        assert await _post(served.running.http, punch, headers) == 200
        served.stop.set()
        async with asyncio.timeout(40):
            await served.task


async def test_the_listener_for_devices_carries_only_what_terminals_need(tmp_path: Path) -> None:
    async with _serving(tmp_path) as served:
        assert served.running.http != served.running.devices
        for path in ("/readyz", "/metrics", "/livez", "/api/v1/attendance/summary"):
            assert (await _get(served.running.devices, path))[0] == 404, path
        # A method that it does not take, and not "nobody here".
        assert (await _get(served.running.devices, INGEST))[0] != 404


async def test_a_listener_that_was_not_asked_for_is_not_there(tmp_path: Path) -> None:
    async with _serving(tmp_path, devices={"listen": ""}) as served:
        assert served.running.devices == ""
        assert (await _get(served.running.http, "/livez"))[0] == 200


async def test_what_was_acknowledged_before_a_stop_is_there_after_it(tmp_path: Path) -> None:
    headers = await _prepare(tmp_path)
    async with _serving(tmp_path) as served:
        punch = {"user_id": "1", "att_time": "2026-06-20 09:00:00"}
        assert await _post(served.running.http, punch, headers) == 200
        posts = [
            asyncio.ensure_future(
                _post(served.running.http, {**punch, "user_id": f"p{number}"}, headers)
            )
            for number in range(20)
        ]
        await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        served.stop.set()
        answers = await asyncio.gather(*posts, return_exceptions=True)

    accepted = {f"p{number}" for number, status in enumerate(answers) if status == 200}
    assert accepted
    async with app.open_context(Settings(data=tmp_path)) as context:
        stored = await context.database.read(
            lambda tx: set(tx.execute(schema.punch.select()).scalars("user_code"))
        )
    assert accepted | {"1"} <= stored


async def test_workdays_are_computed_while_it_runs(tmp_path: Path) -> None:
    headers = await _prepare(tmp_path)
    async with _serving(tmp_path) as served:
        punch = {"user_id": "1", "att_time": "2026-06-20 09:00:00"}
        assert await _post(served.running.http, punch, headers) == 200
        async with (
            asyncio.timeout(60),
            app.open_context(Settings(data=tmp_path)) as context,
        ):
            while not await context.database.read(
                lambda tx: tx.execute(schema.workday.select()).all()
            ):
                pass


async def test_who_was_heard_last_is_written_before_it_ends(tmp_path: Path) -> None:
    headers = await _prepare(tmp_path)
    async with _serving(tmp_path) as served:
        punch = {"user_id": "1", "att_time": "2026-06-20 09:00:00"}
        assert await _post(served.running.http, punch, headers) == 200

    async with app.open_context(Settings(data=tmp_path)) as context:
        (row,) = await context.database.read(lambda tx: tx.execute(schema.presence.select()).all())
    assert row.device_id


async def test_metrics_are_those_of_the_running_gateway(tmp_path: Path) -> None:
    telemetry.FREE_BYTES.set(0)
    async with _serving(tmp_path) as served:
        status, text = await _get(served.running.http, "/metrics")

    assert status == 200
    assert "punchgate_build_info{version=" in text
    # Measured for who asks, whether or not anybody has asked for /readyz.
    assert telemetry.REGISTRY.get_sample_value("punchgate_storage_free_bytes")


async def test_a_disk_below_its_floor_is_not_ready_and_still_alive(tmp_path: Path) -> None:
    async with _serving(tmp_path, disk_floor_bytes=2**60) as served:
        status, text = await _get(served.running.http, "/readyz")
        assert (status, json.loads(text)) == (503, {"ready": False})
        assert (await _get(served.running.http, "/livez"))[0] == 200


async def test_a_second_server_on_the_directory_does_not_start(tmp_path: Path) -> None:
    async with _serving(tmp_path) as served:
        with pytest.raises(StoreUnsafe, match="Another server"):
            async with _serving(tmp_path):
                pass
        assert (await _get(served.running.http, "/readyz"))[0] == 200


async def test_an_address_in_use_fails_the_start_and_leaves_the_directory_free(
    tmp_path: Path,
) -> None:
    async with _serving(tmp_path / "one") as first:
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            async with _serving(tmp_path / "two", devices={"listen": first.running.devices}):
                pass
    async with _serving(tmp_path / "two") as second:
        assert (await _get(second.running.http, "/readyz"))[0] == 200
