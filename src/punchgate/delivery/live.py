"""The tail of the log on its way to one endpoint: loaded, sent in order per key, judged.

What was refused is parked with its key (`delivery/retries.py` takes it from there); what the
endpoint itself is to blame for goes back to where it was.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from punchgate.delivery import parking
from punchgate.delivery.form import Rendered, Unrendered
from punchgate.delivery.post import Result
from punchgate.delivery.state import State, rest
from punchgate.domain.event import Entry
from punchgate.store.cursors import ALL

#: Entries that are loaded and not done, at most: what a crash repeats.
WINDOW: Final = 1_000
#: Below this many it is loaded on.
LOW: Final = 500
#: Refusals that are about who we are, and of no event: alone each would be refused like the batch.
_OF_US: Final = frozenset({401, 403, 407})
#: How long to wait for the log, or for room, before looking again.
_WAIT_S: Final = 1.0


async def load(state: State) -> None:
    """Read on in the log while there is room."""
    log, account, window = state.tools.context.log, state.lease.account, state.window
    while True:
        if not _has_room(state):
            state.room.clear()
            await rest(state.room, _WAIT_S)
            continue
        found = await state.read(window.loaded, limit=WINDOW - window.open)
        window.load(_wanted(state, found.entries), found.reached)
        state.wants_more = False
        if window.has_ready:
            state.work.set()
        if not state.breaker.is_closed:
            state.fold()
            state.dirt.set()
        if found.is_end:
            await log.wait(account, window.loaded, _WAIT_S)


def _has_room(state: State) -> bool:
    """Say whether to read on: not before what the endpoint held up has gone."""
    if state.is_strict and state.notes.parked.keys() - {ALL}:
        # From a time with another order; they come first.
        return False
    if not state.breaker.is_closed:
        # A probe needs one key that was not tried in vain; more would only be written down.
        return not state.window.open and (state.wants_more or not state.notes.parked)
    return state.window.open < LOW and not state.is_folded


def _wanted(state: State, entries: Sequence[Entry]) -> list[Entry]:
    parked, wanted = state.notes.parked, []
    for entry in entries:
        if entry.key in parked:
            _cover(state, entry)
        elif state.is_wanted(entry):
            wanted.append(entry)
    return wanted


def _cover(state: State, entry: Entry) -> None:
    """Leave an entry to its parked key; a spent key has waited for just that."""
    state.covered[entry.key] = entry.position
    state.backlog.add(entry)
    item = state.notes.parked[entry.key]
    if parking.is_spent(item, state.pace.schedule_s) and item.due_at is not None:
        state.notes.park(item._replace(due_at=state.tools.now()))
        state.due.set()


async def send(state: State) -> None:
    """Send what is ready, one request after the other; a lane has several of these."""
    window, post = state.window, state.post
    while True:
        while not (window.has_ready and state.may_start):
            state.work.clear()
            await state.work.wait()
        entries = [window.take()] if post.most == 1 else await _take_batch(state)
        if not entries:
            continue
        rendered = post.compose(entries)
        if rendered is None:
            _done(state, entries)
        elif isinstance(rendered, Unrendered) and len(entries) > 1:
            _part(state, entries)
        else:
            await _send_one(state, rendered, entries)
        state.work.set()
        if window.open < LOW:
            state.room.set()


async def _send_one(state: State, rendered: Rendered | Unrendered, entries: list[Entry]) -> None:
    # What was refused in a batch comes again alone; that is its second attempt.
    n = 2 if state.window.is_alone(entries[0].key) else 1
    result = None
    try:
        result = await state.send(rendered, entries, n)
    finally:
        if result is None:
            _put_back(state, entries)
    if result is not None:
        _judge(state, entries, result)
        state.note(entries, result, n)
    elif not state.breaker.is_closed:
        state.fold()


async def _take_batch(state: State) -> list[Entry]:
    """Wait for a full batch, though not for longer than the endpoint allows."""
    window, post = state.window, state.post
    wait_ms = state.pace.batch_wait_ms
    if wait_ms and window.open < post.most and not window.goes_alone:
        await rest(state.stopping, wait_ms / 1000)
        if not (window.has_ready and state.may_start):
            return []
    if window.goes_alone:
        return [window.take()]
    return window.take_batch(post.most, post.form.batch_of)


def _judge(state: State, entries: list[Entry], result: Result) -> None:
    """See what the answer to events of the window means for their keys and for the endpoint."""
    blame = state.weigh(entries[0].key, result)
    if blame == "nobody":
        _accept(state, entries, result)
    elif blame == "key" and len(entries) > 1 and _is_of_an_event(result):
        # One of them is the reason, and the others need not wait with it.
        _part(state, entries)
    elif blame == "key":
        for key in dict.fromkeys(entry.key for entry in entries):
            _park(state, key, result, result.error)
    else:
        _put_back(state, entries)
    if not state.breaker.is_closed:
        state.fails()


def _is_of_an_event(result: Result) -> bool:
    """Say whether a batch was refused for what stands in it: by a 4xx, or a 2xx that says no."""
    status = result.status or 0
    return status // 100 in {2, 4} and status not in _OF_US


def _accept(state: State, entries: list[Entry], result: Result) -> None:
    """Go on behind what was taken; park the keys of what a batch's receiver did not take."""
    if not result.refused:
        _done(state, entries)
        return
    taken: list[Entry] = []
    bad: dict[str, Entry] = {}
    for entry in entries:
        if entry.id in result.refused:
            bad.setdefault(entry.key, entry)
        if entry.key not in bad:
            taken.append(entry)
    # A key that is parked in the middle of a batch is ready again only after it was dropped.
    _done(state, taken)
    for entry in bad.values():
        _park(state, entry.key, result, result.refused[entry.id])


def _part(state: State, entries: Sequence[Entry]) -> None:
    state.window.part(Counter(entry.key for entry in entries))


def _done(state: State, entries: Sequence[Entry]) -> None:
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.key] = counts.get(entry.key, 0) + 1
    for key, count in counts.items():
        state.window.done(key, count)


def _put_back(state: State, entries: Sequence[Entry]) -> None:
    state.window.put_back(dict.fromkeys(entry.key for entry in entries))


def _park(state: State, key: str, result: Result, error: str | None) -> None:
    """Take a key out of the window, because its head was refused."""
    window = state.window
    head = window.head(key)
    state.backlog.keep(key, window.rest(key))
    item = parking.first(key, window.drop(key), state.tools.now())
    state.covered[key] = window.loaded
    state.refuse(item, head, result, error)
