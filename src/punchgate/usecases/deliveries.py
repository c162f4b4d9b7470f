"""What an operator sees of an endpoint's deliveries: attempts, parked keys, dead letters, the sum.

Reading only. Nothing here opens a secret.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from punchgate.domain.endpoint import Endpoint
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import deliveries, endpoints, events
from punchgate.store.database import Connection
from punchgate.store.deliveries import Dead, Parked, Standing, Tried, Wanted
from punchgate.usecases.context import Context
from punchgate.usecases.endpoints import ensure_in

__all__ = [
    "MOST",
    "Dead",
    "Parked",
    "Standing",
    "Tried",
    "list_attempts",
    "list_dead",
    "list_parked",
    "standing",
]

T = TypeVar("T")

#: Rows of one list.
MOST: Final = 10_000


async def list_attempts(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    *,
    event_id: str | None = None,
    limit: int = 100,
) -> Sequence[Tried]:
    """List the latest attempts of an endpoint, or those of one event, newest first. NotFound."""

    def work(tx: Connection) -> Sequence[Tried]:
        return deliveries.list_attempts(
            tx, account, endpoint_id, event_id=event_id, limit=min(limit, MOST)
        )

    return await _of(context, account, endpoint_id, work)


async def list_parked(
    context: Context, account: AccountNo, endpoint_id: EndpointId, *, limit: int = 100
) -> Sequence[Parked]:
    """List the keys of an endpoint that wait after a failure, longest first. NotFound."""

    def work(tx: Connection) -> Sequence[Parked]:
        return deliveries.list_parked(tx, account, endpoint_id, limit=min(limit, MOST))

    return await _of(context, account, endpoint_id, work)


async def list_dead(
    context: Context, account: AccountNo, endpoint_id: EndpointId, *, limit: int = 100
) -> Sequence[Dead]:
    """List the events that an endpoint has refused to the end, latest first. NotFound."""

    def work(tx: Connection) -> Sequence[Dead]:
        return deliveries.list_dead(tx, account, endpoint_id, limit=min(limit, MOST))

    return await _of(context, account, endpoint_id, work)


async def standing(
    context: Context, endpoint: Endpoint, *, types: frozenset[str] = frozenset()
) -> Standing:
    """Sum up where an endpoint stands in the log; `types` are those of its format. NotFound."""
    account, wanted = endpoint.account, Wanted(endpoint.filter, types)

    def work(tx: Connection) -> Standing:
        cursor = endpoints.cursor(tx, account, endpoint.id)
        assert cursor is not None  # noqa: S101 (`_of` has just found it in this transaction)
        place = events.resolve(tx, account, cursor)
        return deliveries.standing(tx, account, endpoint.id, place, wanted)

    return await _of(context, account, endpoint.id, work)


async def _of(
    context: Context,
    account: AccountNo,
    endpoint_id: EndpointId,
    work: Callable[[Connection], T],
) -> T:
    def checked(tx: Connection) -> T:
        ensure_in(tx, account, endpoint_id)
        return work(tx)

    return await context.database.read(checked)
