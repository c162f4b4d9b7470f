"""Attendance, live and from the store: the printed samples, the filters, one dead among many.

Real: the app, the engine, the store, sockets on loopback. The terminals are virtual and their logs
invented, or written by the test.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.ids import DeviceId
from punchgate.engines.terminals import Terminals
from tests import ports
from tests.asgi import Response
from tests.contracts.terminals_rest.conftest import Stage, compact, data, error
from tests.contracts.terminals_rest.logs import BODEGA, PRINCIPAL, write_log
from tests.gateway import MAIN
from tests.simulators import virtual
from tests.store.stage import until

GOLDEN = Path(__file__).parents[1] / "golden"
HOUR_MS = 3_600_000


def golden(name: str) -> bytes:
    """Give a printed sample in the compact form."""
    return compact(json.loads((GOLDEN / name).read_text("utf-8")))


def target(name: str) -> str:
    """Give the request target of a printed request."""
    return (GOLDEN / name).read_text("ascii").split(" ")[1]


def times(answer: Response) -> list[str]:
    return [row["timestamp"] for row in data(answer)]


def stored(*items: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"user_id": code, "att_time": time} for code, time in items]


async def test_the_printed_answer_comes_out(stage: Stage) -> None:
    async with virtual.playing() as played:
        await stage.play(played, "principal", name="Entrada Principal")
        write_log(played.terminal.memory, *PRINCIPAL)
        answer = await stage.ask(target("terminals-attendance.request.http"))
        assert played.terminal.memory.is_enabled
    assert answer.body == golden("terminals-attendance.json")
    assert answer.status == 200
    assert "quarantined" not in answer.headers
    # What a client has seen is in the store.
    kept = await stage.ask("/devices/principal/attendance?source=store")
    assert kept.body == answer.body


async def test_the_printed_answer_of_all_comes_out(stage: Stage) -> None:
    async with virtual.playing(count=2) as played:
        await stage.register("principal", played.ports[0], "Entrada Principal")
        await stage.register("bodega", played.ports[1], "Bodega Principal")
        write_log(played.terminals[0].memory, *PRINCIPAL)
        write_log(played.terminals[1].memory, *BODEGA)
        answer = await stage.ask(target("terminals-attendance-all.request.http"))
    assert answer.body == golden("terminals-attendance-all.json")
    kept = await stage.ask("/attendance/all?source=store")
    assert kept.body == answer.body


async def test_the_printed_404_comes_out(stage: Stage) -> None:
    await stage.register("principal")
    await stage.register("bodega")
    answer = await stage.ask("/devices/invalid_id/attendance")
    assert answer.status == 404
    assert answer.body == golden("terminals-attendance.404.json")


async def test_the_printed_500_comes_out(stage: Stage) -> None:
    async with virtual.playing("silent-before-count:*") as played:
        await stage.play(played, "principal", timeout=1)
        answer = await stage.ask("/devices/principal/attendance")
    assert answer.status == 500
    assert answer.body == golden("terminals-attendance.500.json")


async def test_nobody_answers_where_no_terminal_is(stage: Stage) -> None:
    port = ports.free_port()
    await stage.register("bodega", port)
    answer = await stage.ask("/devices/bodega/attendance")
    assert error(answer) == (500, "[Errno 111] Connection refused")


async def test_a_log_that_was_cleared_shows_only_what_came_after(stage: Stage) -> None:
    async with virtual.playing() as played:
        await stage.play(played, "principal")
        memory = played.terminal.memory
        write_log(memory, *PRINCIPAL)
        assert len(data(await stage.ask("/devices/principal/attendance"))) == 2
        write_log(memory, (5, "5", "2026-03-07 08:00:00", 1, 0))
        assert times(await stage.ask("/devices/principal/attendance")) == ["2026-03-07 08:00:00"]
        write_log(memory)
        empty = await stage.ask("/devices/principal/attendance")
        assert empty.body == b'{"success":true,"total":0,"data":[]}'
    assert len(data(await stage.ask("/devices/principal/attendance?source=store"))) == 3


async def test_rows_with_an_impossible_date_are_counted_and_not_shown(stage: Stage) -> None:
    async with virtual.playing("impossible-dates", records=30) as played:
        await stage.play(played, "principal")
        one = await stage.ask("/devices/principal/attendance")
        every = await stage.ask("/attendance/all")
    assert one.headers["quarantined"] == every.headers["quarantined"] == "3"
    assert len(data(one)) == len(data(every)) == 27


async def test_identical_rows_are_one_punch_and_reading_again_changes_nothing(
    stage: Stage,
) -> None:
    async with virtual.playing() as played:
        await stage.play(played, "principal")
        write_log(played.terminal.memory, *PRINCIPAL, *PRINCIPAL)
        first = await stage.ask("/devices/principal/attendance")
        assert len(data(first)) == 2
        assert (await stage.ask("/devices/principal/attendance")).body == first.body


async def test_two_requests_at_once_get_the_same_reading(stage: Stage) -> None:
    async with virtual.playing(records=20_000) as played:
        await stage.play(played, "principal")
        engine, whose = stage.settings.caller, (MAIN, DeviceId("principal"))
        assert isinstance(engine, Terminals)

        def both_wait() -> bool:
            reading = engine._waiting.get(whose)
            return reading is not None and reading.waiters == 2

        # Until both have come, somebody else talks to it.
        async with engine._desk.turn(whose, is_urgent=True):
            asking = [
                asyncio.create_task(stage.ask("/devices/principal/attendance")) for _ in range(2)
            ]
            await until(both_wait)
        first, second = await asyncio.gather(*asking)
        assert first.body == second.body
        assert played.terminal.sessions_begun == 1


ALL = ["2026-03-06 09:15:23", "2026-03-06 09:15:23", "2026-03-05 17:30:45", "2025-12-31 23:59:59"]
FILTERS = [
    ("", ALL),
    ("user_id=5", ["2026-03-06 09:15:23", "2026-03-05 17:30:45"]),
    ("user_id=05", ["2025-12-31 23:59:59"]),
    ("user_id=15", ["2026-03-06 09:15:23"]),
    ("user_id=1", []),
    ("user_id=", ALL),
    ("user_id=&date=&limit=", ALL),
    ("user_id=&user_id=05", ["2025-12-31 23:59:59"]),
    ("user_id=%20", []),
    ("date=2026-03-06", ["2026-03-06 09:15:23", "2026-03-06 09:15:23"]),
    ("date=2026-03", ["2026-03-06 09:15:23", "2026-03-06 09:15:23", "2026-03-05 17:30:45"]),
    ("date=2026-0", ["2026-03-06 09:15:23", "2026-03-06 09:15:23", "2026-03-05 17:30:45"]),
    ("date=2026-03-0", ["2026-03-06 09:15:23", "2026-03-06 09:15:23", "2026-03-05 17:30:45"]),
    ("date=2025", ["2025-12-31 23:59:59"]),
    ("date=2025-12-31%2023:59", ["2025-12-31 23:59:59"]),
    ("date=2025-12-31+23:59:59", ["2025-12-31 23:59:59"]),
    ("date=2026-02-30", []),
    ("date=2026-13", []),
    ("date=2026-00", []),
    ("date=0000", []),
    ("date=9999-12-31", []),
    ("user_id=5&date=2026-03-05", ["2026-03-05 17:30:45"]),
    ("limit=1", ["2026-03-06 09:15:23"]),
    ("limit=3", ["2026-03-06 09:15:23", "2026-03-06 09:15:23", "2026-03-05 17:30:45"]),
    ("limit=100000&user_id=05", ["2025-12-31 23:59:59"]),
]  # fmt: skip


@pytest.mark.parametrize("source", ["live", "store"])
async def test_filters_leave_the_newest_first(stage: Stage, source: str) -> None:
    async with virtual.playing(users=20) as played:
        await stage.play(played, "principal")
        write_log(
            played.terminal.memory,
            (1, "05", "2025-12-31 23:59:59", 1, 0),
            *PRINCIPAL,
            (2, "15", "2026-03-06 09:15:23", 1, 0),
        )
        await stage.ask("/devices/principal/attendance")
        for query, expected in FILTERS:
            found = await stage.ask(f"/devices/principal/attendance?source={source}&{query}")
            assert times(found) == expected, query
            assert found.json()["total"] == len(expected)
            every = await stage.ask(f"/attendance/all?source={source}&{query}")
            assert data(every) == data(found)
            assert every.json()["errors"] == {}


BAD = [
    ("date=6", "date debe tener el formato YYYY-MM-DD."),
    ("date=202", "date debe tener el formato YYYY-MM-DD."),
    ("date=06/03/2026", "date debe tener el formato YYYY-MM-DD."),
    ("date=2026-3-6", "date debe tener el formato YYYY-MM-DD."),
    ("date=2026-03-06T09", "date debe tener el formato YYYY-MM-DD."),
    ("date=2026-03-06 09:15:23.5", "date debe tener el formato YYYY-MM-DD."),
    ("date=%D9%A2%D9%A0%D9%A2%D9%A6", "date debe tener el formato YYYY-MM-DD."),
    ("source=cache", "source debe ser live o store."),
    ("source=LIVE", "source debe ser live o store."),
    ("limit=0", "limit debe estar entre 1 y 100000."),
    ("limit=100001", "limit debe estar entre 1 y 100000."),
    ("limit=-1", "limit debe estar entre 1 y 100000."),
    ("limit=ten", "limit debe estar entre 1 y 100000."),
    ("limit=1.0", "limit debe estar entre 1 y 100000."),
]


@pytest.mark.parametrize(("query", "text"), BAD)
async def test_a_parameter_that_will_not_do_is_named(stage: Stage, query: str, text: str) -> None:
    await stage.register("principal")
    encoded = query.replace(" ", "%20")
    assert error(await stage.ask(f"/devices/principal/attendance?{encoded}")) == (400, text)
    assert error(await stage.ask(f"/attendance/all?{encoded}")) == (400, text)


async def test_equal_times_are_ordered_by_device_person_and_direction(stage: Stage) -> None:
    moment = "2026-03-06 09:15:23"
    async with virtual.playing(count=2, users=20) as played:
        await stage.play(played, "zaguan", "bodega")
        for terminal in played.terminals:
            write_log(
                terminal.memory,
                (1, "7", moment, 1, 1),
                (2, "12", moment, 1, 0),
                (1, "7", moment, 1, 0),
            )
        rows = data(await stage.ask("/attendance/all"))
    assert [(row["device_id"], row["user_id"], row["punch"]) for row in rows] == [
        ("bodega", "12", 0),
        ("bodega", "7", 0),
        ("bodega", "7", 1),
        ("zaguan", "12", 0),
        ("zaguan", "7", 0),
        ("zaguan", "7", 1),
    ]
    assert len(data(await stage.ask("/attendance/all?source=store&limit=4"))) == 4


async def test_devices_of_other_engines_answer_from_the_store_alone(stage: Stage) -> None:
    gateway = stage.gateway
    await gateway.add_device("SN1", id="puerta", name="Puerta")
    await gateway.punch(
        "SN1",
        {"user_id": "1", "att_time": "2026-06-20 08:00:00", "att_state": 0, "input_type": 0},
        {"user_id": "1", "att_time": "2026-06-20 09:00:00", "att_state": 1, "input_type": 1},
        {"user_id": "1", "att_time": "2026-06-20 10:00:00", "att_state": 3, "input_type": 3},
        {"user_id": "1", "att_time": "2026-06-20 11:00:00", "input_type": 4},
        {"user_id": "1", "att_time": "2026-06-20 12:00:00", "input_type": 50},
        {"user_id": "1", "att_time": "2026-06-20 13:00:00", "att_state": 9},
    )
    answer = await stage.ask("/devices/puerta/attendance?source=store")
    assert [(row["status"], row["punch"]) for row in data(answer)] == [
        (255, 255),
        (50, 255),
        (0, 255),
        (2, 3),
        (15, 1),
        (1, 0),
    ]
    assert data(answer)[0]["device_name"] == "Puerta"
    live = await stage.ask("/devices/puerta/attendance")
    assert error(live) == (501, "Operacion no soportada por este dispositivo.")
    assert (await stage.ask("/attendance/all")).json()["total"] == 0
    assert (await stage.ask("/attendance/all?source=store")).json()["total"] == 0


async def test_codes_of_a_terminal_are_shown_as_they_are(stage: Stage) -> None:
    async with virtual.playing() as played:
        await stage.play(played, "principal")
        write_log(
            played.terminal.memory,
            (1, "1", "2026-03-06 09:00:00", 25, 5),
            (1, "1", "2026-03-06 09:00:01", 15, 255),
            *((1, "1", f"2026-03-06 10:00:{n:02}", 1, 0) for n in range(10)),
        )
        rows = data(await stage.ask("/devices/principal/attendance"))
    assert [(row["status"], row["punch"]) for row in rows[-2:]] == [(15, 255), (25, 5)]


async def test_an_id_is_read_in_any_case_and_a_trailing_slash_is_as_good_as_none(
    stage: Stage,
) -> None:
    await stage.register("puerta_norte")
    for written in ("puerta_norte", "Puerta_Norte", "PUERTA%20NORTE", "puerta norte"):
        for tail in ("", "/"):
            asked = f"/devices/{written.replace('%20', ' ')}/attendance{tail}?source=store"
            assert (await stage.ask(asked)).status == 200, asked


async def test_the_name_in_a_404_is_the_callers_own_cut_and_cleaned(stage: Stage) -> None:
    answer = await stage.ask(f"/devices/{'Ñ' * 70}\x07/attendance")
    assert error(answer) == (404, f"Dispositivo '{'Ñ' * 64}' no encontrado.")
    assert answer.json()["disponibles"] == []
    odd = await stage.ask("/devices/Bo\x1bdega/attendance")
    assert error(odd) == (404, "Dispositivo 'Bodega' no encontrado.")


async def test_a_device_may_be_called_all(stage: Stage) -> None:
    await stage.register("all")
    assert (await stage.ask("/devices/all/attendance?source=store")).status == 200
    assert (await stage.ask("/attendance/all?source=store")).json()["errors"] == {}


async def test_what_cannot_be_recorded_is_not_shown(stage: Stage) -> None:
    async with virtual.playing() as played:
        await stage.play(played, "principal")
        await stage.gateway.context.writer.run(
            lambda tx: tx.exec_driver_sql(
                "CREATE TRIGGER planted BEFORE INSERT ON punch BEGIN DELETE FROM missing; END"
            ).close()
        )
        one = await stage.ask("/devices/principal/attendance")
        every = await stage.ask("/attendance/all")
        assert played.terminal.memory.is_enabled
    for answer in (one, every):
        assert error(answer) == (503, "Almacenamiento no disponible.")
        assert answer.headers["retry-after"] == "5"
