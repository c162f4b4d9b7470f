"""Attendance where something goes wrong: with the only terminal that is asked, or with one of many.

Real: the app, the engine, the store, sockets on loopback. The terminals are virtual.
"""

import asyncio
import io
import json
import socket

import pytest

from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.usecases import devices
from punchgate.usecases.terminals import Caller, LogRead
from tests import ports
from tests.contracts.terminals_rest.conftest import HERE, Stage, data, error
from tests.contracts.terminals_rest.logs import BODEGA, PRINCIPAL, write_log
from tests.gateway import MAIN
from tests.simulators import virtual


async def test_a_wrong_comm_key_is_said_at_once(stage: Stage) -> None:
    async with virtual.playing(key=123_456) as played:
        await stage.play(played, "principal", password=1)
        refused = await stage.ask("/devices/principal/attendance")
        assert error(refused) == (500, "Invalid password")
        await stage.put("/devices/principal", {"password": "123456"})
        assert data(await stage.ask("/devices/principal/attendance?limit=1"))


async def test_a_suspended_device_is_said_and_its_log_is_as_it_was_afterwards(stage: Stage) -> None:
    async with virtual.playing(records=3) as played:
        await stage.play(played, "principal")
        for is_suspended in (True, False):
            await devices.set_device(
                stage.gateway.context,
                MAIN,
                DeviceId("principal"),
                devices.Changes(is_suspended=is_suspended),
                actor="test",
                now=stage.gateway.clock(),
            )
            answer = await stage.ask("/devices/principal/attendance")
            if is_suspended:
                assert error(answer) == (500, "Suscripcion inactiva.")
    assert len(data(answer)) == 3


async def test_a_terminal_that_hangs_up_is_said_and_works_again_later(stage: Stage) -> None:
    async with virtual.playing("reset-after-prepare", records=3_000) as played:
        await stage.play(played, "principal")
        answers = [await stage.ask("/devices/principal/attendance") for _ in range(3)]
        assert played.terminal.memory.is_enabled
    texts = [error(each)[1] for each in answers if each.status != 200]
    assert set(texts) <= {"[Errno 104] Connection reset by peer"}
    assert len(data(answers[-1])) == 3_000


async def test_one_that_breaks_the_protocol_is_said_without_its_address(stage: Stage) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, HERE, 0)
    async with server:
        await stage.register("principal", server.sockets[0].getsockname()[1])
        answer = await stage.ask("/devices/principal/attendance")
    status, text = error(answer)
    assert status == 500
    assert text.startswith("Protocol error: ")
    assert HERE not in text


async def test_one_dead_terminal_takes_nothing_from_the_others(stage: Stage) -> None:
    stage.set(all_deadline_s=10)
    # The system takes calls for it, and nobody ever answers one.
    with socket.create_server((HERE, 0)) as dead:
        async with virtual.playing(count=2) as good:
            await stage.register("mudo", dead.getsockname()[1], timeout=60)
            await stage.play(good, "bodega", "principal")
            write_log(good.terminals[0].memory, *BODEGA)
            write_log(good.terminals[1].memory, *PRINCIPAL)
            answer = await stage.ask("/attendance/all")
    assert answer.status == 200
    assert answer.json()["errors"] == {"mudo": "Connection timeout"}
    assert [row["device_id"] for row in data(answer)] == ["principal", "bodega", "principal"]


class Faulty:
    """Calls terminals as another does, but trips over one of them."""

    def __init__(self, caller: Caller, device_id: str) -> None:
        self._caller = caller
        self._device_id = device_id

    async def read_log(
        self, account: AccountNo, device_id: DeviceId, *, is_live: bool, deadline_s: float | None
    ) -> LogRead:
        if device_id == self._device_id:
            raise RuntimeError("a fault of ours")
        return await self._caller.read_log(
            account, device_id, is_live=is_live, deadline_s=deadline_s
        )


async def test_a_fault_of_ours_with_one_terminal_takes_nothing_from_the_others(
    stage: Stage, log: io.StringIO
) -> None:
    stage.set(caller=Faulty(stage.settings.caller, "bodega"))
    async with virtual.playing(count=2) as played:
        await stage.play(played, "bodega", "principal")
        write_log(played.terminals[1].memory, *PRINCIPAL)
        answer = await stage.ask("/attendance/all")
    assert answer.json()["errors"] == {"bodega": "Error interno."}
    assert [row["device_id"] for row in data(answer)] == ["principal", "principal"]
    # An id of a device may be its serial number, which is in no line.
    (line,) = [line for line in log.getvalue().splitlines() if "a fault of ours" in line]
    assert json.loads(line)["request_id"] != "bodega"


@pytest.mark.parametrize("kind", ["drop", "reset"])
async def test_a_log_that_broke_off_is_an_error_and_what_came_of_it_is_recorded(
    stage: Stage, kind: str
) -> None:
    async with (
        virtual.playing(f"{kind}-before-chunk:*", "buffer-parts", serial="N1") as nothing,
        virtual.playing(
            *(f"{kind}-before-chunk:{n}" for n in (2, 4)), records=2_000, serial="B1"
        ) as broken,
        virtual.playing() as good,
    ):
        await stage.play(nothing, "muda")
        await stage.play(broken, "bodega")
        await stage.play(good, "principal")
        write_log(good.terminal.memory, *PRINCIPAL)
        reset = "[Errno 104] Connection reset by peer"
        answer = await stage.ask("/attendance/all")
        assert answer.json()["errors"] == {"muda": reset, "bodega": reset}
        assert [row["device_id"] for row in data(answer)] == ["principal", "principal"]
        again = await stage.ask("/devices/bodega/attendance")
        assert error(again) == (500, reset)
        kept = await stage.ask("/devices/bodega/attendance?source=store")
        # 65,472 bytes, without the head of the table and the row that was cut.
        assert len(data(kept)) == 1_636
        whole = await stage.ask("/devices/bodega/attendance")
        assert len(data(whole)) == 2_000


async def test_errors_stand_in_the_order_of_registration_and_the_status_is_200(
    stage: Stage,
) -> None:
    nothing = await stage.ask("/attendance/all")
    assert nothing.body == b'{"success":true,"total":0,"errors":{},"data":[]}'
    port = ports.free_port()
    for name in ("zeta", "alfa", "media"):
        await stage.register(name, port)
    answer = await stage.ask("/attendance/all")
    assert list(answer.json()["errors"]) == ["zeta", "alfa", "media"]
    assert data(answer) == []
