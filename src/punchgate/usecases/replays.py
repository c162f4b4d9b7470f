"""Replays: send a part of the log again, to one endpoint, beside what is live.

A replay is counted first and then a job in the database: whoever delivers walks it, slower than
live traffic, from a position that survives a restart. It covers what was in the log up to the
endpoint's cursor when it was made; later entries are the live cursor's.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from punchgate import vault
from punchgate.domain.endpoint import Endpoint, Filter, Selection
from punchgate.domain.error import Invalid, NotFound
from punchgate.domain.event import Entry as LogEntry
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId, ReplayId
from punchgate.store import deliveries, endpoints, events, installation, replays
from punchgate.store.database import Connection
from punchgate.store.replays import Replay
from punchgate.usecases import audit, endpoint_settings
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context
from punchgate.usecases.endpoints import ensure_in, find_in, subject

__all__ = [
    "DEFAULT_RATE",
    "New",
    "Replay",
    "cancel",
    "chosen",
    "count",
    "get",
    "list_replays",
    "start",
]

#: Events a second, so that live traffic and the receiver do not notice.
DEFAULT_RATE: Final = 50
_RATES: Final = range(1, 10_001)
#: Jobs of one list.
MOST: Final = 1_000
#: Entries that one question looks at.
_WINDOW: Final = 2_000
#: How far times of the log may be out of order, where a clock was set back.
_DISORDER_MS: Final = 300_000


class New(NamedTuple):
    """A replay to be made; `rate` is events a second."""

    selection: Selection
    rate: int = DEFAULT_RATE


class _Span(NamedTuple):
    """What of the log a selection can lie in, and for whom."""

    endpoint: Endpoint
    start: Position
    end: Position


async def count(
    context: Context, account: AccountNo, endpoint_id: EndpointId, selection: Selection
) -> int:
    """Count what a replay would send, and send nothing.

    Errors:  Invalid for a selection that will not do; NotFound.
    """
    _check(selection)
    span = await context.database.read(
        lambda tx: _span(tx, context, account, endpoint_id, selection)
    )
    return await _count(context, selection, span)


async def start(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    new: New,
    *,
    actor: str,
    now: int,
) -> Replay:
    """Count what is to be sent and leave the job for whoever delivers; one that is empty is done.

    Errors:  Invalid for a selection or a rate that will not do; NotFound.
    """
    selection = new.selection
    _check(selection)
    if new.rate not in _RATES:
        raise Invalid(f"A replay sends {_RATES[0]} to {_RATES[-1]} events a second.")
    span = await context.database.read(
        lambda tx: _span(tx, context, account, endpoint_id, selection)
    )
    counted = await _count(context, selection, span)
    replay = Replay(
        account,
        ReplayId(vault.mint_id("rp")),
        endpoint_id,
        selection,
        position=span.start,
        end=span.end,
        rate=new.rate,
        state="running" if counted else "done",
        counted=counted,
        sent=0,
        failed=0,
        created_at=now,
        created_by=actor,
        ended_at=None if counted else now,
    )

    def work(tx: Connection) -> Replay:
        ensure_in(tx, account, endpoint_id)
        replays.add(tx, account, replay)
        entry = Entry(now, actor, "replay.start", subject(endpoint_id), None, _facts(replay))
        audit.note(tx, account, entry)
        return replay

    return await context.writer.run(work)


async def get(context: Context, account: AccountNo, replay_id: ReplayId) -> Replay:
    """Give a job with how far it has come. NotFound."""
    return await context.database.read(lambda tx: _get(tx, account, replay_id))


async def list_replays(
    context: Context, account: AccountNo, endpoint_id: EndpointId | None = None
) -> Sequence[Replay]:
    """List the jobs of an endpoint, or of all, the newest first. NotFound."""

    def work(tx: Connection) -> Sequence[Replay]:
        if endpoint_id is not None:
            ensure_in(tx, account, endpoint_id)
        return replays.list_replays(tx, account, endpoint_id, limit=MOST)

    return await context.database.read(work)


async def cancel(
    context: Context, account: AccountNo, replay_id: ReplayId, *, actor: str, now: int
) -> Replay:
    """Stop a job; what it has sent is sent. One that has ended stays as it is. NotFound."""

    def work(tx: Connection) -> Replay:
        before = _get(tx, account, replay_id)
        if replays.end(tx, account, replay_id, "cancelled", now):
            states = ({"state": before.state}, {"state": "cancelled"})
            entry = Entry(now, actor, "replay.cancel", subject(before.endpoint_id), *states)
            audit.note(tx, account, entry)
        return _get(tx, account, replay_id)

    return await context.writer.run(work)


def chosen(
    entries: Sequence[LogEntry], selection: Selection, wanted: Filter, dead: Collection[str]
) -> list[LogEntry]:
    """Pick what a replay sends of a window: in its time, passed by it and by the endpoint's filter.

    `dead` are those of the window that are dead letters; it counts where only these are wanted.
    """
    filters = (selection.filter, wanted)
    needs_data = any(each.needs_data for each in filters)
    return [
        entry
        for entry in entries
        if (selection.since is None or entry.received_at >= selection.since)
        and (selection.until is None or entry.received_at < selection.until)
        and (not selection.only_dead or entry.id in dead)
        and _passes(entry, filters, needs_data=needs_data)
    ]


def _passes(entry: LogEntry, filters: tuple[Filter, ...], *, needs_data: bool) -> bool:
    data: dict[str, Any] = msgspec.json.decode(entry.body) if needs_data else {}
    return all(each.passes(entry.type, data) for each in filters)


def _check(selection: Selection) -> None:
    if selection.since is None and not selection.only_dead:
        raise Invalid("Say from when to send again, or that only dead letters are meant.")
    since, until = selection.since, selection.until
    if since is not None and until is not None and until <= since:
        raise Invalid("The replay would end before it begins.")
    endpoint_settings.check_filter(selection.filter)


def _span(
    tx: Connection,
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    selection: Selection,
) -> _Span:
    endpoint = find_in(tx, context, account, endpoint_id)
    cursor = endpoints.cursor(tx, account, endpoint_id)
    assert cursor is not None  # noqa: S101 (it is there as long as its endpoint)
    end = events.resolve(tx, account, cursor)
    begin = Position(installation.generation(tx), 0, 0, 0)
    if selection.since is not None:
        begin = events.start_of(tx, account, selection.since)
    if selection.only_dead:
        first = deliveries.first_dead(tx, account, endpoint_id)
        dead_from = end if first is None else first._replace(generation=begin.generation)
        begin = max(begin, dead_from, key=_order)
    if selection.until is not None:
        after = events.start_of(tx, account, selection.until + _DISORDER_MS)
        end = min(end, after, key=_order)
    return _Span(endpoint, min(begin, end, key=_order), end)


def _order(position: Position) -> tuple[int, int]:
    return position.tx, position.seq


async def _count(context: Context, selection: Selection, span: _Span) -> int:
    """Walk the log in short reads, so that nobody waits for one long transaction."""
    total, place, is_end = 0, span.start, False
    endpoint = span.endpoint

    def step(tx: Connection) -> tuple[int, Position, bool]:
        window = events.read(tx, endpoint.account, place, limit=_WINDOW, until=span.end)
        names = [entry.id for entry in window.entries] if selection.only_dead else []
        dead = deliveries.dead_among(tx, endpoint.account, endpoint.id, names)
        picked = chosen(window.entries, selection, endpoint.filter, dead)
        return len(picked), window.reached, window.is_end

    while not is_end:
        found, place, is_end = await context.database.read(step)
        total += found
    return total


def _get(tx: Connection, account: AccountNo, replay_id: ReplayId) -> Replay:
    replay = replays.find(tx, account, replay_id)
    if replay is None:
        raise NotFound(f"There is no replay {replay_id!r}.")
    return replay


def _facts(replay: Replay) -> dict[str, Any]:
    selection = replay.selection
    return {
        "replay_id": replay.id,
        "since": selection.since,
        "until": selection.until,
        "only_dead": selection.only_dead,
        "events": list(selection.filter.events),
        "devices": list(selection.filter.devices),
        "people": len(selection.filter.people),
        "rate": replay.rate,
        "counted": replay.counted,
    }
