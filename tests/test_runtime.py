"""The supervisor: what fails is started again, what is stopped ends, and who fails is known.

Real: the event loop and its clock; the first rest is made short by its argument.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from punchgate.runtime import Supervisor, Worker, every, paced
from punchgate.store.error import StoreUnavailable


@asynccontextmanager
async def _running(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(supervisor.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 (what is waited for is a value of the supervisor)
            await asyncio.sleep(0)  # noqa: TID251 (looks again until the deadline)


async def test_every_worker_runs() -> None:
    began: set[str] = set()

    def worker(name: str) -> Worker:
        async def run() -> None:
            began.add(name)
            await asyncio.Event().wait()

        return Worker(name, run)

    async with _running(Supervisor([worker("a"), worker("b"), worker("c")])):
        await _until(lambda: began == {"a", "b", "c"})


async def test_a_worker_that_fails_is_started_again_and_the_others_go_on() -> None:
    starts = 0
    beats = 0

    async def fail() -> None:
        nonlocal starts
        starts += 1
        raise ValueError("broken")

    async def beat() -> None:
        nonlocal beats
        beats += 1

    workers = [Worker("bad", fail), Worker("good", every(0, beat))]
    async with _running(Supervisor(workers, first_backoff_s=0.0)):
        await _until(lambda: starts >= 4)
        seen = beats
        await _until(lambda: beats > seen)


async def test_who_rests_after_a_failure_is_named_and_who_recovered_is_not() -> None:
    starts = 0
    is_up = asyncio.Event()

    async def limp() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise ValueError("broken")
        is_up.set()
        await asyncio.Event().wait()

    supervisor = Supervisor([Worker("limp", limp)], first_backoff_s=0.01)
    async with _running(supervisor):
        await _until(lambda: supervisor.failing == {"limp"})
        async with asyncio.timeout(20):
            await is_up.wait()
        assert supervisor.failing == set()


@pytest.mark.parametrize(
    ("error", "field", "words"),
    [
        (StoreUnavailable("The database file cannot be written."), "slug", "store.unavailable"),
        # Which says by itself no more than that something failed in it.
        (ExceptionGroup("tasks", [ValueError("broken")]), "trace", "ValueError: broken"),
    ],
)
async def test_a_failure_is_one_line_that_says_why(
    log: io.StringIO, error: Exception, field: str, words: str
) -> None:

    async def fail() -> None:
        raise error

    supervisor = Supervisor([Worker("bad", fail)], first_backoff_s=3600)
    async with _running(supervisor):
        await _until(lambda: "bad" in supervisor.failing)
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["event"], line["worker"]) == ("worker.failed", "bad")
    assert words in line[field]


async def test_rests_double_after_each_failure() -> None:
    """Asked of the loop's own timers: which moments were the starts put off to."""
    loop = asyncio.get_running_loop()
    began: list[float] = []

    async def fail() -> None:
        began.append(loop.time())
        raise ValueError("broken")

    async with _running(Supervisor([Worker("bad", fail)], first_backoff_s=0.004)):
        await _until(lambda: len(began) >= 5)

    rests = [later - earlier for earlier, later in pairwise(began)]
    # A rest may be longer than it should be, never shorter.
    for rest_s, least_s in zip(rests, (0.004, 0.008, 0.016, 0.032), strict=False):
        assert rest_s >= least_s - 0.001


async def test_a_worker_that_comes_to_its_end_is_not_started_again() -> None:
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1

    supervisor = Supervisor([Worker("short", run)], first_backoff_s=0.0)
    async with asyncio.timeout(20):
        await supervisor.run()

    assert (starts, supervisor.failing) == (1, set())


async def test_stopping_ends_every_worker_and_lets_each_leave_things_in_order() -> None:
    left: list[str] = []
    began: list[str] = []

    def worker(name: str) -> Worker:
        async def run() -> None:
            began.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                left.append(name)

        return Worker(name, run)

    async with _running(Supervisor([worker("a"), worker("b")])) as task:
        await _until(lambda: len(began) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert sorted(left) == ["a", "b"]


async def test_stopping_ends_a_worker_that_cannot_leave_things_in_order() -> None:
    """As one that would give its leases back, and the database is away."""
    began = 0

    async def run() -> None:
        nonlocal began
        began += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("nobody takes it")

    supervisor = Supervisor([Worker("bad", run)], first_backoff_s=0.0)
    async with _running(supervisor) as task:
        await _until(lambda: began == 1)
        task.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait([task])

    assert (began, task.cancelled()) == (1, True)


async def test_stopping_ends_a_worker_that_rests_after_a_failure() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    supervisor = Supervisor([Worker("bad", fail)], first_backoff_s=3600)
    async with _running(supervisor) as task:
        await _until(lambda: "bad" in supervisor.failing)
        task.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait([task])

    assert task.cancelled()


async def test_a_paced_worker_rests_as_long_as_its_act_says() -> None:
    acts = 0

    async def act() -> float:
        nonlocal acts
        acts += 1
        return 0.0 if acts < 5 else 3600.0

    task = asyncio.ensure_future(_await(paced(act)))
    await _until(lambda: acts == 5)
    task.cancel()
    await asyncio.wait([task])

    assert acts == 5


async def _await(run: Callable[[], object]) -> None:
    await run()  # type: ignore[misc]  # a coroutine function
