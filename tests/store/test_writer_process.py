"""The writing process of a server: what its end, its slowness and bad rows mean to callers.

Real: the process, its socket, both databases, the signals. Invented: the facts. What both writers
promise alike is in `test_writer.py`, which runs with this one too.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, text

from punchgate.store import database, parcel, schema
from punchgate.store.error import StoreBusy, StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Outcome
from punchgate.store.opening import open_store
from punchgate.store.parcel import Answer, Orders, Parcel
from punchgate.store.writer import ITEMS_BOUND
from punchgate.store.writer_child import Channel, answer, serve
from punchgate.store.writer_process import ProcessWriter
from tests.store import stage as stages
from tests.store.stage import Stage, caused, fact, held, until


@pytest.fixture(name="apart")
async def _apart(database_url: str) -> AsyncIterator[Stage]:
    async with stages.open_stage(database_url, writes_apart=True) as opened:
        yield opened


def _writer(stage: Stage) -> ProcessWriter:
    assert isinstance(stage.store.writer, ProcessWriter)
    return stage.store.writer


async def _is_replaced(writer: ProcessWriter, dead: int) -> None:
    await until(lambda: writer.pid not in {None, dead})


async def test_I1_who_waits_when_the_process_dies_is_told_and_the_next_takes_over(
    apart: Stage,
) -> None:
    writer = _writer(apart)
    await writer.record([fact("before")])
    pid = apart.writing_pid
    # It cannot take what comes now, so its end falls before the commit of either.
    os.kill(pid, signal.SIGSTOP)
    calls = [asyncio.ensure_future(writer.record([fact(code)])) for code in "ab"]
    await until(lambda: writer.waiting == 2)
    os.kill(pid, signal.SIGKILL)

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
    assert writer.waiting == 0
    await _is_replaced(writer, pid)
    assert list(await writer.record([fact("a"), fact("before")])) == ["recorded", "duplicate"]
    assert await apart.sizes(schema.punch) == [2]


async def test_work_goes_on_while_there_is_no_process(apart: Stage) -> None:
    writer, pid = _writer(apart), apart.writing_pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: writer.pid is None)

    with pytest.raises(StoreUnavailable):
        await writer.record([fact()])
    assert await writer.run(lambda tx: tx.execute(text("SELECT 7")).scalar_one()) == 7


async def test_work_that_waits_for_punches_is_done_when_their_process_dies(apart: Stage) -> None:
    writer, pid = _writer(apart), apart.writing_pid
    os.kill(pid, signal.SIGSTOP)
    punch = asyncio.ensure_future(writer.record([fact()]))
    await until(lambda: writer.waiting == 1)
    work = asyncio.ensure_future(writer.run(lambda tx: tx.execute(text("SELECT 7")).scalar_one()))
    os.kill(pid, signal.SIGKILL)

    with pytest.raises(StoreUnavailable):
        await punch
    assert await work == 7


@asynccontextmanager
async def _impatient(url: str) -> AsyncIterator[ProcessWriter]:
    """Give a writer for which a tenth of a second is too long."""
    where = database.address(url)
    async with open_store(where, is_serving=False, now=stages.NOW) as store:
        writer = ProcessWriter(where, store.writer, commit_s=0.1)
        await writer.open()
        yield writer
        # Closes the other one too, which takes no harm from being closed again.
        await writer.close()


async def test_a_process_that_does_not_answer_is_replaced_and_nobody_waits_for_it(
    database_url: str,
) -> None:
    async with _impatient(database_url) as writer:
        pid = writer.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)

        with pytest.raises(StoreUnavailable):
            await writer.record([fact()])

        await _is_replaced(writer, pid)
        await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_punch_that_has_just_come_is_not_taken_for_one_that_waits(
    apart: Stage,
) -> None:
    writer = _writer(apart)
    await writer.record([fact("a")])
    call = asyncio.ensure_future(writer.record([fact("b")]))
    await asyncio.sleep(0)  # noqa: TID251 (it has come, and goes over in the next turn)

    writer._look()

    assert list(await call) == ["recorded"]


async def test_punches_do_not_wait_for_work_that_does_not_end(sqlite_url: str) -> None:
    may_go_on = threading.Event()
    async with _impatient(sqlite_url) as writer:
        work = asyncio.ensure_future(writer.run(lambda _: may_go_on.wait(30)))
        await until(lambda: writer.waiting == 1)

        with pytest.raises(StoreUnavailable):
            await writer.record([fact()])

        may_go_on.set()
        assert await work


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_what_a_terminal_or_a_service_manager_sends_to_everyone_does_not_end_it(
    apart: Stage, number: signal.Signals
) -> None:
    pid = apart.writing_pid
    await _writer(apart).record([fact("a")])

    os.kill(pid, number)

    assert list(await _writer(apart).record([fact("b")])) == ["recorded"]
    assert apart.writing_pid == pid


async def test_what_lies_in_the_working_directory_is_not_taken_for_a_module(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("msgspec", "sqlite3", "punchgate"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)

    async with stages.open_stage(sqlite_url, writes_apart=True) as stage:
        assert list(await stage.store.writer.record([fact()])) == ["recorded"]


async def test_uploads_that_wait_are_bounded_by_their_items(apart: Stage) -> None:
    writer, upload = _writer(apart), [held()] * 1_000
    os.kill(apart.writing_pid, signal.SIGSTOP)
    waiting = [
        asyncio.ensure_future(writer.record(upload)) for _ in range(ITEMS_BOUND // len(upload))
    ]
    await until(lambda: writer.waiting == len(waiting))

    with pytest.raises(StoreBusy):
        await writer.record([fact()])

    os.kill(apart.writing_pid, signal.SIGCONT)
    assert {len(outcomes) for outcomes in await asyncio.gather(*waiting)} == {1_000}
    assert list(await writer.record([fact()])) == ["recorded"]


async def test_closing_ends_the_process(database_url: str) -> None:
    async with stages.open_stage(database_url, writes_apart=True) as stage:
        pid = stage.writing_pid
        assert Path(f"/proc/{pid}").exists()

    assert not Path(f"/proc/{pid}").exists()


async def test_on_sqlite_punches_wait_for_work_and_go_before_the_next(sqlite_url: str) -> None:
    said: list[str] = []
    may_go_on = threading.Event()

    def hold_up(_: Connection) -> None:
        may_go_on.wait(30)
        said.append("first")

    async def punch() -> None:
        await writer.record([fact()])
        said.append("punch")

    async with stages.open_stage(sqlite_url, writes_apart=True) as stage:
        writer = _writer(stage)
        calls = [
            asyncio.ensure_future(writer.run(hold_up)),
            asyncio.ensure_future(writer.run(lambda _: said.append("second"))),
            asyncio.ensure_future(punch()),
        ]
        await until(lambda: writer.waiting == len(calls))
        assert not said
        may_go_on.set()
        await asyncio.gather(*calls)

    assert said == ["first", "punch", "second"]


async def test_closing_waits_for_punches_and_for_work(sqlite_url: str) -> None:
    may_go_on = threading.Event()

    async with stages.open_stage(sqlite_url, writes_apart=True) as stage:
        writer = stage.store.writer
        work = asyncio.ensure_future(writer.run(lambda _: may_go_on.wait(30)))
        punch = asyncio.ensure_future(writer.record([fact()]))
        await until(lambda: writer.waiting == 2)
        asyncio.get_running_loop().call_later(0, may_go_on.set)

    assert list(await punch) == ["recorded"]
    assert await work


async def test_while_it_is_closed_punches_wait_for_work_as_ever(sqlite_url: str) -> None:
    """Two connections that commit at once could meet in a checkpoint."""
    may_go_on = threading.Event()

    async with stages.open_stage(sqlite_url, writes_apart=True) as stage:
        writer = _writer(stage)
        work = asyncio.ensure_future(writer.run(lambda _: may_go_on.wait(30)))
        punch = asyncio.ensure_future(writer.record([fact()]))
        await until(lambda: writer.waiting == 2)
        closing = asyncio.ensure_future(writer.close())
        await until(lambda: writer._is_closing)
        assert not writer._sent
        may_go_on.set()
        await closing

    assert (await work, list(await punch)) == (True, ["recorded"])


async def test_I5_a_value_that_no_database_takes_is_held_alone(apart: Stage) -> None:
    good, other = fact("a"), fact("b")
    odd = fact("c")
    odd = odd._replace(punch=odd.punch._replace(time_text="\ud800"))

    outcomes = await _writer(apart).record([good, odd, held(b"x"), other])

    assert list(outcomes) == ["recorded", "refused", "quarantined", "recorded"]
    assert await apart.sizes(*caused(), schema.quarantine) == [2, 2, 2, 2, 2]


def _commit(facts: list[Fact], _: object) -> list[Outcome]:
    return ["recorded" if one.punch.user_code == "a" else "duplicate" for one in facts]


def test_each_parcel_of_a_group_has_its_own_answer_and_the_first_tells_of_the_commit() -> None:
    group = [
        Parcel([fact("a"), fact("b")], []),
        Parcel([], [held()]),
        Parcel([fact("a")], []),
    ]

    answers = answer(group, _commit)  # type: ignore[arg-type]  # lists are what it gives

    assert [list(one.outcomes) for one in answers] == [["recorded", "duplicate"], [], ["recorded"]]
    assert [one.commit is not None for one in answers] == [True, False, False]
    assert answers[0].commit is not None
    assert answers[0].commit.rows == 4


def test_a_group_of_nothing_but_quarantine_counts_its_rows() -> None:
    (only,) = answer([Parcel([], [held(), held()])], _commit)  # type: ignore[arg-type]  # as above

    assert only.commit is not None
    assert only.commit.rows == 2


def test_a_store_that_would_not_flush_any_more_is_unavailable_and_no_fault() -> None:
    def refuse(*_: object) -> list[Outcome]:
        raise StoreUnsafe("PostgreSQL would not flush at each commit (fsync off).")

    (only,) = answer([Parcel([fact("a")], [])], refuse)

    assert only.fault is None
    assert only.failure is not None
    assert "fsync off" in only.failure.reason


def test_a_file_that_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(parcel.frame(Orders("sqlite", str(tmp_path / "none" / "x.db"), 0, 1_000)))
        serve(Channel(theirs))
        (message,) = parcel.Frames().feed(ours.recv(65_536))

    said = parcel.ANSWERS.decode(message)
    assert said.failure is not None
    assert said.failure.state == "SQLITE_CANTOPEN"


def test_a_parcel_that_cannot_be_read_has_its_fault_and_its_neighbours_go_on() -> None:
    group = [Answer([], fault="odd"), Parcel([fact("a")], [])]

    answers = answer(group, _commit)  # type: ignore[arg-type]  # as above

    assert (answers[0].fault, answers[0].commit) == ("odd", None)
    assert answers[1].outcomes == ["recorded"]
    assert answers[1].commit is not None


@pytest.mark.parametrize("size", [1, 3, 7, 10_000])
def test_any_split_of_the_stream_gives_the_same_messages(size: int) -> None:
    sent = [Parcel([fact(code)], [held()]) for code in "abc"]
    stream = b"".join(map(parcel.frame, sent))
    frames = parcel.Frames()

    found = [
        parcel.PARCELS.decode(message)
        for start in range(0, len(stream), size)
        for message in frames.feed(stream[start : start + size])
    ]

    assert found == sent


def test_a_fact_comes_over_as_it_was() -> None:
    one = fact("ÄÖ 王")
    odd = one._replace(
        punch=one.punch._replace(raw=bytes(range(256)), mask=None, latitude=-0.0, work_code="x")
    )

    (message,) = parcel.Frames().feed(parcel.frame(Parcel([odd], [])))
    (found,) = parcel.PARCELS.decode(message).facts

    assert found == odd
    assert isinstance(found, Fact)
    assert msgspec.to_builtins(found.punch) == msgspec.to_builtins(odd.punch)
