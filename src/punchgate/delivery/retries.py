"""Parked keys on their way: those that are due, and, while the endpoint fails, one at a time.

A key's backlog is what stands in the log behind its row, up to where the window was loaded. It is
read again, not remembered; several keys share one read.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from punchgate.delivery import parking, schedule
from punchgate.delivery.form import Rendered, Unrendered
from punchgate.delivery.post import Result
from punchgate.delivery.state import State, rest
from punchgate.domain.event import Entry, Position
from punchgate.store.cursors import Parked

#: Parked keys that are taken up together, and entries of one key in a turn.
TURN_KEYS: Final = 256
TURN_ENTRIES: Final = 100
#: Entries that one turn reads.
READ: Final = 1_000
#: How often a key that may go looks whether the endpoint has room for it.
_SLOT_S: Final = 0.05


async def retry(state: State) -> None:
    """Take up the keys that are due, each in a task of its own."""
    async with asyncio.TaskGroup() as turns:
        while True:
            due, wait_s = _next_due(state)
            if due:
                await _take_up(state, due, turns)
            else:
                state.due.clear()
                await rest(state.due, wait_s)


def _next_due(state: State) -> tuple[list[Parked], float]:
    """Give the keys to take up now, or say how long to wait for one."""
    room = TURN_KEYS - len(state.busy)
    if not state.breaker.is_closed or room <= 0:
        return [], state.tools.tick_s
    now = state.tools.now()
    due: list[Parked] = []
    wait_ms = int(state.tools.tick_s * 1000)
    for item in state.notes.parked.values():
        if item.due_at is None or item.key in state.busy:
            continue
        if item.due_at <= now:
            due.append(item)
        else:
            wait_ms = min(wait_ms, item.due_at - now)
    due.sort(key=lambda item: item.after)
    return due[:room], wait_ms / 1000


async def _take_up(state: State, due: Sequence[Parked], turns: asyncio.TaskGroup) -> None:
    """Have what waits of some keys sent; what is not in memory any more is read in one go."""
    state.busy |= {item.key for item in due}
    unknown: list[Parked] = []
    for item in due:
        known = state.backlog.behind(item.key, item.after, TURN_ENTRIES)
        if known is None:
            unknown.append(item)
            continue
        reached = state.covered[item.key] if len(known) < TURN_ENTRIES else known[-1].position
        turns.create_task(_send_backlog(state, item, known, reached))
    if unknown:
        await _read_up(state, unknown, turns)


async def _read_up(state: State, due: Sequence[Parked], turns: asyncio.TaskGroup) -> None:
    keys = {item.key: item for item in due}
    try:
        until = max(state.covered[key] for key in keys)
        found = await state.read(due[0].after, limit=READ, until=until, keys=list(keys))
    except BaseException:
        state.busy -= keys.keys()
        raise
    backlog: dict[str, list[Entry]] = {key: [] for key in keys}
    for entry in found.entries:
        if entry.position > keys[entry.key].after:
            backlog[entry.key].append(entry)
    for key, entries in backlog.items():
        reached = max(keys[key].after, found.reached)
        if len(entries) > TURN_ENTRIES:
            reached = entries[TURN_ENTRIES - 1].position
        turns.create_task(_send_backlog(state, keys[key], entries[:TURN_ENTRIES], reached))


async def _send_backlog(
    state: State, item: Parked, entries: Sequence[Entry], reached: Position
) -> None:
    """Send what waits of one key, in order, until something fails."""
    try:
        for entry in entries:
            rendered = state.post.compose([entry]) if state.is_wanted(entry) else None
            if rendered is not None:
                after = await _send_head(state, item, entry, rendered)
                if after is None:
                    return
                item = after
            item = item._replace(after=entry.position)
            # What was taken is noted at once: a crash must not repeat a whole turn.
            state.notes.park(item)
        state.free(item._replace(after=reached))
    finally:
        state.busy.discard(item.key)
        state.due.set()


async def _send_head(
    state: State, item: Parked, entry: Entry, rendered: Rendered | Unrendered
) -> Parked | None:
    """Send a key's head; give the key as it goes on behind it, None when its turn ends here."""
    while not state.may_start:
        if not state.breaker.is_closed or state.stopping.is_set():
            return None
        await _look_soon(state.work)
    n = 1 if parking.is_spent(item, state.pace.schedule_s) else item.attempt + 1
    result = await state.send(rendered, [entry], n)
    if result is None:
        return None
    after = _judge(state, item, entry, result)
    state.note([entry], result, n)
    state.work.set()
    return after


async def _look_soon(work: asyncio.Event) -> None:
    """Wait for the next sign of work, or for a moment: the sign is given for everybody then.

    A time-out of its own for each who waits, of whom there may be as many as requests are on their
    way, cost a tenth of a busy lane.
    """
    work.clear()
    timer = asyncio.get_running_loop().call_later(_SLOT_S, work.set)
    try:
        await work.wait()
    finally:
        timer.cancel()


def _judge(state: State, item: Parked, entry: Entry, result: Result) -> Parked | None:
    """See what the answer to a parked key's head means; None when its turn ends here."""
    now = state.tools.now()
    blame = state.weigh(item.key, result)
    if blame == "nobody" and entry.id not in result.refused:
        return item._replace(attempt=0, due_at=now)
    after: Parked | None = None
    if blame == "endpoint":
        is_slow = result.meaning.outcome == "slow"
        due_at = now + schedule.probe_ms(0) if is_slow else now
        # It was tried, so it does not hold up the others any more (`State.is_folded`).
        reason = "refused" if is_slow else item.reason
        state.notes.park(item._replace(due_at=due_at, reason=reason, last_error=result.error))
    else:
        refused = state.refuse(item, entry, result, result.refused.get(entry.id, result.error))
        # A dead head makes way for the next one, which gets its one attempt at once.
        after = refused if refused.after == entry.position else None
    if not state.breaker.is_closed:
        state.fails()
        return None
    return after


async def probe(state: State) -> None:
    """While the endpoint fails, try one event after each wait, of another key each time."""
    last = ""
    while not state.stopping.is_set():
        health = state.breaker.health
        if health.state != "failing":
            state.trouble.clear()
            await state.trouble.wait()
            continue
        wait_ms = (health.retry_at or 0) - state.tools.now()
        if wait_ms > 0:
            await rest(state.stopping, min(wait_ms / 1000, state.tools.tick_s))
            continue
        state.fold()
        keys = sorted(state.notes.parked.keys() - state.busy)
        if not keys or not state.is_trusted:
            # Nothing is loaded that could be tried.
            state.room.set()
            await rest(state.stopping, state.tools.tick_s)
            continue
        last = next((key for key in keys if key > last), keys[0])
        await _probe_with(state, state.notes.parked[last])
        if last == keys[-1]:
            # All were tried: one event that makes the receiver hang must not hold the rest.
            state.wants_more = True
            state.room.set()


async def _probe_with(state: State, item: Parked) -> None:
    state.busy.add(item.key)
    try:
        found = await state.read(
            item.after, limit=1, until=state.covered[item.key], keys=[item.key]
        )
        for entry in found.entries:
            rendered = state.post.compose([entry]) if state.is_wanted(entry) else None
            if rendered is not None:
                await _probe_once(state, item, entry, rendered)
                return
        state.free(item._replace(after=found.reached))
    finally:
        state.busy.discard(item.key)


async def _probe_once(
    state: State, item: Parked, entry: Entry, rendered: Rendered | Unrendered
) -> None:
    n = item.attempt + 1
    result = await state.send(rendered, [entry], n, is_probe=True)
    if result is None:
        return
    if state.probed(entry, result):
        state.free(item._replace(after=entry.position, attempt=0, due_at=state.tools.now()))
        state.recovers()
    state.note([entry], result, n)
