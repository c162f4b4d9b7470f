"""What became of a punch's event at each endpoint, in words: the end of `explain`'s story.

It says what is kept and no more: an attempt that was forgotten by age is not guessed.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from punchgate.domain import target
from punchgate.domain.event import Entry, Position, instant_text
from punchgate.domain.ids import AccountNo
from punchgate.store import fates
from punchgate.store.cursors import Buried, Parked, Tried
from punchgate.store.database import Connection
from punchgate.store.fates import Fate

_WAITING: Final[Mapping[str, str]] = {
    "active": "It stands before the endpoint's place in the log; a running server sends it.",
    "failing": "The endpoint fails and is probed; what waits is sent once it answers.",
    "paused": "The endpoint is paused; it is sent once it is resumed.",
    "disabled": "The endpoint is disabled; it is sent once it is resumed.",
}
_ACCEPTED: Final = "accepted"


class Told(NamedTuple):
    """An event at one endpoint: what is there, and why it is so."""

    values: Mapping[str, Any]
    reason: str


def tell(tx: Connection, account: AccountNo, entry: Entry) -> list[Told]:
    """Tell of each endpoint what became of an event there."""
    return [_tell(fate, entry) for fate in fates.list_fates(tx, account, entry)]


def _tell(fate: Fate, entry: Entry) -> Told:
    told = _outcome(fate, entry)
    state = "removed" if fate.cursor is None else fate.state
    about = {"endpoint_id": fate.endpoint_id, "address": target.shown(fate.address)}
    return told._replace(values={**about, "endpoint_state": state, **told.values})


def _outcome(fate: Fate, entry: Entry) -> Told:
    """Say the first of these that is so: an acknowledgement outweighs all that came before it."""
    accepted = next((each for each in fate.tried if each.outcome == _ACCEPTED), None)
    if accepted is not None:
        return _delivered(fate, accepted)
    if fate.dead is not None:
        return _dead(fate.dead)
    if fate.cursor is None:
        why = "The endpoint was removed before it took it."
        return Told({"became": "given_up", **_last(fate)}, why)
    return _pending(fate, entry, fate.cursor)


def _pending(fate: Fate, entry: Entry, cursor: Position) -> Told:
    """Say where an event stands that was neither taken nor given up."""
    objection = fate.filter.objection(entry.type, json.loads(entry.body))
    if objection is not None:
        why = "The endpoint's filter does not let it through."
        return Told({"became": "not_wanted", "filter": objection}, why)
    if fate.parked is not None and fate.parked.after < entry.position:
        return _parked(fate, fate.parked)
    if cursor < entry.position:
        return Told({"became": "waiting", **_last(fate)}, _WAITING[fate.state])
    return _passed(fate, entry)


def _delivered(fate: Fate, accepted: Tried) -> Told:
    attempts = fate.tried.index(accepted) + 1
    values = {
        "became": "delivered",
        "at": instant_text(accepted.at),
        "attempts": attempts,
        "status": accepted.status,
    }
    why = "Accepted at once." if attempts == 1 else f"Accepted after {attempts} attempts."
    if accepted.replay_id is not None:
        why = f"{why} It was in the replay {accepted.replay_id}."
    return Told(values, why)


def _dead(dead: Buried) -> Told:
    values = {
        "became": "dead",
        "at": instant_text(dead.at),
        "attempts": dead.attempts,
        "status": dead.status,
        "error": dead.reason,
    }
    why = "It was refused to the end of the schedule; `endpoint replay --dead` sends it again."
    return Told(values, why)


def _parked(fate: Fate, parked: Parked) -> Told:
    due = None if parked.due_at is None else instant_text(parked.due_at)
    values = {"became": "parked", **_last(fate), "due_at": due}
    if parked.reason == "endpoint":
        why = "It waits for its endpoint, which failed when it was its turn."
    elif not fate.tried:
        why = f"It waits behind an earlier event of the same key: {parked.last_error}."
    else:
        why = f"It was not accepted ({parked.last_error}) and is tried again."
    if parked.due_at is None:
        why = f"{why} Its schedule is over: `endpoint resume` tries it once more."
    return Told(values, why)


def _passed(fate: Fate, entry: Entry) -> Told:
    if fate.tried:
        why = "An operator had the endpoint pass over it; a replay can send it."
    elif entry.received_at < fate.created_at:
        why = "It is older than the endpoint; a replay can send it."
    else:
        why = (
            "The endpoint is past it and no attempt is kept: it was sent longer ago than attempts"
            " are kept, or passed over, or excluded by an earlier filter."
        )
    return Told({"became": "passed", **_last(fate)}, why)


def _last(fate: Fate) -> dict[str, Any]:
    """Give how often it was tried in vain, and what the last attempt brought."""
    if not fate.tried:
        return {"attempts": 0}
    last = fate.tried[-1]
    return {"attempts": len(fate.tried), "status": last.status, "error": last.error}
