"""Endpoints: add, list, get, set, rotate, pause, resume, remove.

What can be set is `endpoint_settings.py`, how deliveries went `deliveries.py`. Every change leaves
one audit entry with its secrets masked, and every process sees it within a second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from punchgate import vault
from punchgate.domain import target
from punchgate.domain.endpoint import Endpoint, Filter, Health, Pace, Secrets, SigningKey
from punchgate.domain.error import Invalid, NotFound, Refused
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import cursors, endpoints, events, problems, replays
from punchgate.store.database import Connection
from punchgate.usecases import audit, endpoint_settings, sealing
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context
from punchgate.usecases.endpoint_settings import Changes

__all__ = [
    "DEFAULT_OVERLAP_S",
    "Added",
    "Changes",
    "New",
    "Resumed",
    "add",
    "find_in",
    "get",
    "list_endpoints",
    "look",
    "pause",
    "remove",
    "resume",
    "rotate",
    "set_endpoint",
]

#: Endpoints of one account.
MOST: Final = 1_000
#: How long an old secret goes on signing beside the new one, by default and at most.
DEFAULT_OVERLAP_S: Final = 86_400
_LONGEST_OVERLAP_S: Final = 7 * 86_400
#: A signature header with more than this gets long for receivers.
_OLD_SECRETS: Final = 5
#: What `cursors.settle` raises for a state that an operator ends by resuming.
_STATE_PROBLEMS: Final = ("endpoint_failing", "endpoint_disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """An endpoint to be added; `start_at` (milliseconds) begins with what was recorded then."""

    address: str
    changes: Changes = field(default_factory=Changes)
    start_at: int | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """An endpoint with a fresh secret, which is shown this once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resumed:
    """An endpoint that delivers again.

    `dropped_keys` were passed over to begin at now, `released_keys` had waited for an operator.
    """

    endpoint: Endpoint
    dropped_keys: int = 0
    released_keys: int = 0


async def add(context: Context, account: AccountNo, new: New, *, actor: str, now: int) -> Added:
    """Add an endpoint; it gets what is recorded from now on, or from `start_at` on.

    Errors:  Invalid for a value that will not do; AddressRefused; Refused when there are too many.
    """
    if new.start_at is not None and new.start_at > now:
        raise Invalid("An endpoint cannot begin with what is yet to be recorded.")
    target.read(new.address, context.targets)
    secret = vault.mint_signing_secret()
    blank = Endpoint(
        account,
        EndpointId(vault.mint_id("ep")),
        new.address,
        format="standard",
        filter=Filter(),
        pace=Pace(),
        secrets=Secrets((SigningKey(secret),)),
        unspecified_as="in",
        version=1,
        created_at=now,
        health=Health("active", now),
    )
    endpoint = endpoint_settings.apply(blank, new.changes)

    def work(tx: Connection) -> Added:
        sealing.ensure_key(tx, context.vault)
        if len(endpoints.list_ids(tx, account, limit=MOST)) == MOST:
            raise Refused(f"An account has at most {MOST} endpoints; remove one first.")
        start = (
            events.end_of(tx, account)
            if new.start_at is None
            else events.start_of(tx, account, new.start_at)
        )
        endpoints.add(tx, account, endpoint, start, vault=context.vault)
        after = {**endpoint_settings.facts(endpoint), "start_at": new.start_at}
        audit.note(
            tx, account, Entry(now, actor, "endpoint.add", subject(endpoint.id), None, after)
        )
        return Added(endpoint, secret)

    return await context.writer.run(work)


async def get(context: Context, account: AccountNo, endpoint_id: EndpointId) -> Endpoint:
    """Give an endpoint; NotFound names those that there are."""
    return await context.database.read(lambda tx: find_in(tx, context, account, endpoint_id))


async def look(context: Context, account: AccountNo, endpoint_id: EndpointId) -> Endpoint:
    """Give an endpoint to look at: where its secrets do not open it has none. NotFound."""

    def work(tx: Connection) -> Endpoint:
        found = endpoints.look(tx, account, endpoint_id, vault=context.vault)
        if found is None:
            raise _not_found(tx, account, endpoint_id)
        return found

    return await context.database.read(work)


async def list_endpoints(context: Context, account: AccountNo) -> Sequence[Endpoint]:
    """List the endpoints of an account, to look at, in the order in which they were made."""
    return await context.database.read(
        lambda tx: endpoints.list_endpoints(tx, account, vault=context.vault, limit=MOST)
    )


async def set_endpoint(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    changes: Changes,
    *,
    actor: str,
    now: int,
) -> Endpoint:
    """Change what is set on an endpoint; it counts for what is sent from now on, retries too.

    Errors:     Invalid, AddressRefused, NotFound.
    Repeating:  what is so already is not changed: no new version, no audit entry.
    """
    if changes.address is not None:
        target.read(changes.address, context.targets)

    def change(before: Endpoint) -> Endpoint:
        return endpoint_settings.apply(before, changes)

    return await _change(context, account, endpoint_id, change, ("endpoint.set", actor, now))


async def rotate(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    *,
    overlap_s: int = DEFAULT_OVERLAP_S,
    actor: str,
    now: int,
) -> Added:
    """Give an endpoint a new secret; the old ones sign beside it for `overlap_s` at most.

    With 0 every old one ends at once. Of old ones the latest five are kept.

    Errors:  Invalid for more than seven days; NotFound.
    """
    if not 0 <= overlap_s <= _LONGEST_OVERLAP_S:
        raise Invalid("An old secret stays valid for 0 seconds to 7 days.")
    secret, until = vault.mint_signing_secret(), now + overlap_s * 1000

    def change(before: Endpoint) -> Endpoint:
        old = [
            SigningKey(key.text, until if key.until is None else min(key.until, until))
            for key in before.secrets.signing
        ]
        live = [key for key in old if key.until is not None and key.until > now]
        signing = (SigningKey(secret), *live[:_OLD_SECRETS])
        return replace(before, secrets=replace(before.secrets, signing=signing))

    after = await _change(context, account, endpoint_id, change, ("endpoint.rotate", actor, now))
    return Added(after, secret)


async def pause(
    context: Context, account: AccountNo, endpoint_id: EndpointId, *, actor: str, now: int
) -> Endpoint:
    """Let an endpoint stand still; nothing is lost, its cursor waits. NotFound."""

    def work(tx: Connection) -> Endpoint:
        before = find_in(tx, context, account, endpoint_id)
        if before.health.state == "paused":
            return before
        after = replace(before, health=Health("paused", now, "paused by an operator"))
        endpoints.set_health(tx, account, endpoint_id, after.health)
        for kind in _STATE_PROBLEMS:
            problems.clear(tx, account, kind, subject=subject(endpoint_id), now=now)
        _note_state(tx, before, after, ("endpoint.pause", actor, now))
        return after

    return await context.writer.run(work)


async def resume(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    *,
    skip_to_now: bool = False,
    actor: str,
    now: int,
) -> Resumed:
    """Let an endpoint go on from where it stood, or from now; a failing one is tried at once.

    Parked keys are tried now; those that waited for an operator (`on_dead = hold`) begin anew.
    What is skipped stays in the log: a replay sends it. NotFound.
    """

    def work(tx: Connection) -> Resumed:
        before = find_in(tx, context, account, endpoint_id)
        released = cursors.release_held(tx, account, endpoint_id, now)
        if before.health.state == "active" and not skip_to_now and not released:
            return Resumed(before)
        # Another version, so that whoever delivers begins anew.
        after = replace(before, health=Health("active", now), version=before.version + 1)
        endpoints.change(tx, account, after, vault=context.vault)
        endpoints.set_health(tx, account, endpoint_id, after.health)
        for kind in _STATE_PROBLEMS:
            problems.clear(tx, account, kind, subject=subject(endpoint_id), now=now)
        dropped = 0
        if skip_to_now:
            dropped = endpoints.skip(tx, account, endpoint_id, events.end_of(tx, account))
        action = "endpoint.skip" if skip_to_now else "endpoint.resume"
        _note_state(tx, before, after, (action, actor, now))
        return Resumed(after, dropped, released)

    return await context.writer.run(work)


async def remove(
    context: Context, account: AccountNo, endpoint_id: EndpointId, *, actor: str, now: int
) -> None:
    """Remove an endpoint with its secrets and its dead letters; its replays end.

    Its attempts stay as long as they are kept: `punch explain` tells of them. It does not need the
    master key, so that an endpoint whose secrets are lost can go. NotFound.
    """

    def work(tx: Connection) -> None:
        ensure_in(tx, account, endpoint_id)
        endpoints.remove(tx, account, endpoint_id, now)
        replays.cancel_all(tx, account, endpoint_id, now)
        problems.clear_all(tx, account, subject=subject(endpoint_id), now=now)
        audit.note(tx, account, Entry(now, actor, "endpoint.remove", subject(endpoint_id)))

    await context.writer.run(work)


def subject(endpoint_id: EndpointId) -> str:
    """Name an endpoint in the audit and on the list of problems."""
    return f"endpoint:{endpoint_id}"


def find_in(
    tx: Connection, context: Context, account: AccountNo, endpoint_id: EndpointId
) -> Endpoint:
    """Give an endpoint inside a transaction; NotFound names those that there are."""
    endpoint = endpoints.find(tx, account, endpoint_id, vault=context.vault)
    if endpoint is None:
        raise _not_found(tx, account, endpoint_id)
    return endpoint


def ensure_in(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> None:
    """Insist that there is such an endpoint, without opening its secrets."""
    if endpoints.cursor(tx, account, endpoint_id) is None:
        raise _not_found(tx, account, endpoint_id)


async def _change(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    change: Callable[[Endpoint], Endpoint],
    cause: tuple[str, str, int],
) -> Endpoint:
    """Write what `change` makes of an endpoint, as its next version, unless it is as before."""
    action, actor, now = cause

    def work(tx: Connection) -> Endpoint:
        before = find_in(tx, context, account, endpoint_id)
        after = change(before)
        if after == before:
            return before
        after = replace(after, version=before.version + 1)
        endpoints.change(tx, account, after, vault=context.vault)
        facts = (endpoint_settings.facts(before), endpoint_settings.facts(after))
        audit.note(tx, account, Entry(now, actor, action, subject(endpoint_id), *facts))
        return after

    return await context.writer.run(work)


def _note_state(
    tx: Connection, before: Endpoint, after: Endpoint, cause: tuple[str, str, int]
) -> None:
    action, actor, now = cause
    states = ({"state": before.health.state}, {"state": after.health.state})
    audit.note(tx, after.account, Entry(now, actor, action, subject(after.id), *states))


def _not_found(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> NotFound:
    known = endpoints.list_ids(tx, account, limit=10)
    there_are = f" There are: {', '.join(known)}." if known else " There are none yet."
    return NotFound(f"There is no endpoint {endpoint_id!r}.{there_are}")
