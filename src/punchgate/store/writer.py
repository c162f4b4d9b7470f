"""The group-commit writer: the only place that commits.

It offers two calls and takes both for all callers of the process: `record`, the path of a punch,
where everything that arrived while the last commit ran becomes one transaction; and `run`, a
transaction of its own for everything else. Nobody is answered before the commit has returned, and
the databases are set so that it returns after the flush. There is no timer: an idle writer commits
at once.

    record(facts) ─┐                      ┌─> outcomes, to each caller its own
    record(facts) ─┼─> queue ─> one group ┤      (after the commit)
    run(work) ─────┘   bounded  one commit└─> result

A failed commit fails its whole group and is never tried again: after a failed flush nobody knows
what is on the disk. The connection is thrown away and the next group begins with a new one. Only
where the database refuses a row itself is the group halved until the row is alone; its bytes go to
quarantine and its neighbours are stored (docs/decisions/0002-acknowledge-after-the-commit.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from punchgate.store.error import StoreBusy
from punchgate.store.fact import Fact, Held, Outcome

T = TypeVar("T")

#: Rows of one transaction. More would only make the first caller of a group wait for the last.
GROUP_ROWS: Final = 1_000
#: Requests that may wait. At 15,000 a second this is two thirds of a second; beyond it an honest
#: refusal serves the sender better than a longer queue.
QUEUE_BOUND: Final = 10_000
#: Items that may wait with them: each takes three kilobytes, here and where it is committed. Ten
#: thousand devices that come back with two hundred punches each must not fill the memory.
ITEMS_BOUND: Final = 100_000


class Writer(Protocol):
    """Who commits. Two implementations, one suite (`tests/store/`)."""

    async def record(self, items: Sequence[Fact | Held]) -> Sequence[Outcome]:
        """Store a group's share and say of each item what became of it, after the commit.

        Errors: StoreBusy before anything was tried; StoreUnavailable when the commit failed.
        Concurrency: any number of callers; those that wait together are committed together.
        """
        ...

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own and give its result back, after the commit.

        Errors: as `record`, and whatever `work` raises, which rolls everything back.
        """
        ...

    @property
    def waiting(self) -> int:
        """How many requests wait for a commit."""
        ...

    @property
    def rows(self) -> int:
        """How many items have been committed since it was opened: how busy punches keep it."""
        ...

    async def close(self) -> None:
        """Commit what waits, then close; nothing may be handed in afterwards."""
        ...


class Job(NamedTuple):
    """One caller's share: items for a group, or work for a transaction of its own."""

    done: asyncio.Future[Any]
    items: Sequence[Fact | Held] = ()
    work: Callable[[Connection], Any] | None = None


class Group(NamedTuple):
    """Jobs that are committed together, and their items split by kind, in order."""

    jobs: Sequence[Job]
    facts: list[Fact]
    held: list[Held]

    def share(self, outcomes: Sequence[Outcome]) -> list[Sequence[Outcome]]:
        """Give each job the outcomes of its own items; `outcomes` are those of `facts`."""
        if not self.held:
            shares: list[Sequence[Outcome]] = []
            start = 0
            for job in self.jobs:
                shares.append(outcomes[start : start + len(job.items)])
                start += len(job.items)
            return shares
        rest = iter(outcomes)
        return [
            ["quarantined" if isinstance(item, Held) else next(rest) for item in job.items]
            for job in self.jobs
        ]


def take_group(waiting: deque[Job]) -> list[Job]:
    """Take the jobs of the next group from what waits: punches alone, as many as fit."""
    jobs = [waiting.popleft()]
    rows = len(jobs[0].items)
    while waiting and waiting[0].work is None and rows + len(waiting[0].items) <= GROUP_ROWS:
        jobs.append(waiting.popleft())
        rows += len(jobs[-1].items)
    return jobs


def gather(jobs: Sequence[Job]) -> Group:
    """Lay the items of several jobs side by side."""
    facts: list[Fact] = []
    held: list[Held] = []
    for job in jobs:
        for item in job.items:
            if isinstance(item, Fact):
                facts.append(item)
            else:
                held.append(item)
    return Group(jobs, facts, held)


def answer(jobs: Sequence[Job], results: Sequence[Any] | Exception) -> None:
    """Give each job its own result, or all of them the error; who went away hears nothing."""
    if isinstance(results, Exception):
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(results)
        return
    for job, result in zip(jobs, results, strict=True):
        if not job.done.done():
            job.done.set_result(result)


def admit(waiting: int, items: int = 0) -> None:
    """Refuse a request when too many wait already, or too many items with them."""
    if waiting >= QUEUE_BOUND or items >= ITEMS_BOUND:
        raise StoreBusy("Too many requests wait for the store.")
