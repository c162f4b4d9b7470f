"""Endpoints as rows, each with the cursor that says how far it has come in the log.

Secrets are sealed here, for the row that they stand in: nothing in the database opens them, and a
blob that was moved to another row does not open either. Who moves a cursor on while it delivers is
`cursors.py`; here it is set once, and passed on by an operator.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from punchgate.domain.endpoint import CLOSED, Endpoint, Filter, Health, Pace, Secrets
from punchgate.domain.error import PunchgateError
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import schema
from punchgate.vault import Vault, VaultError

_ENDPOINT: Final = schema.endpoint
_CURSOR: Final = schema.cursor
_PARKED: Final = schema.parked
_DEAD: Final = schema.dead


class SecretsClosed(PunchgateError):
    """The secrets of an endpoint cannot be sealed or opened: its master key is missing or wrong."""

    slug = "secrets.closed"


def add(
    tx: Connection, account: AccountNo, endpoint: Endpoint, start: Position, *, vault: Vault
) -> None:
    """Write a new endpoint, whose first event is the one behind `start`."""
    tx.execute(
        insert(_ENDPOINT).values(
            account=account,
            endpoint_id=endpoint.id,
            created_at=endpoint.created_at,
            **_settings(endpoint, vault),
            **_health(endpoint.health),
        )
    )
    tx.execute(
        insert(_CURSOR).values(
            account=account,
            endpoint_id=endpoint.id,
            lease_until=0,
            epoch=0,
            **start._asdict(),
        )
    )


def find(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, *, vault: Vault
) -> Endpoint | None:
    """Give an endpoint that is not removed; SecretsClosed when its secrets do not open."""
    row = _row(tx, account, endpoint_id)
    return None if row is None else _endpoint(row, _open(row, vault))


def look(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, *, vault: Vault
) -> Endpoint | None:
    """Give an endpoint to look at: where its secrets do not open it has none (`CLOSED`)."""
    row = _row(tx, account, endpoint_id)
    return None if row is None else _seen(row, vault)


def list_endpoints(
    tx: Connection, account: AccountNo, *, vault: Vault, limit: int
) -> list[Endpoint]:
    """List the endpoints of an account, to look at, in the order in which they were made."""
    rows = tx.execute(
        select(_ENDPOINT)
        .where(_ENDPOINT.c.account == account, _ENDPOINT.c.removed_at.is_(None))
        .order_by(_ENDPOINT.c.created_at, _ENDPOINT.c.endpoint_id)
        .limit(limit)
    )
    return [_seen(row, vault) for row in rows]


def list_ids(tx: Connection, account: AccountNo, *, limit: int) -> list[EndpointId]:
    """List the ids of the endpoints of an account, for messages that say what there is."""
    rows = tx.execute(
        select(_ENDPOINT.c.endpoint_id)
        .where(_ENDPOINT.c.account == account, _ENDPOINT.c.removed_at.is_(None))
        .order_by(_ENDPOINT.c.created_at, _ENDPOINT.c.endpoint_id)
        .limit(limit)
    )
    return [EndpointId(row.endpoint_id) for row in rows]


def change(tx: Connection, account: AccountNo, endpoint: Endpoint, *, vault: Vault) -> None:
    """Write what is set on an endpoint over its row; how it fares stays as it is."""
    tx.execute(
        update(_ENDPOINT).where(*_is(account, endpoint.id)).values(**_settings(endpoint, vault))
    )


def set_health(tx: Connection, account: AccountNo, endpoint_id: EndpointId, health: Health) -> None:
    """Write the state that an operator has decided; what a delivery learns is `cursors.settle`."""
    tx.execute(
        update(_ENDPOINT)
        .where(*_is(account, endpoint_id), _ENDPOINT.c.removed_at.is_(None))
        .values(**_health(health))
    )


def remove(tx: Connection, account: AccountNo, endpoint_id: EndpointId, now: int) -> None:
    """Remove an endpoint with its secrets, its cursor and all that waits or was given up there.

    Its row stays, because attempts name it for as long as they are kept.
    """
    tx.execute(
        update(_ENDPOINT).where(*_is(account, endpoint_id)).values(removed_at=now, secrets=b"")
    )
    for table in (_CURSOR, _PARKED, _DEAD):
        tx.execute(
            delete(table).where(table.c.account == account, table.c.endpoint_id == endpoint_id)
        )


def cursor(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> Position | None:
    """Give the place up to which an endpoint's events are settled."""
    row = tx.execute(
        select(_CURSOR.c.generation, _CURSOR.c.tx, _CURSOR.c.seq, _CURSOR.c.at).where(
            _CURSOR.c.account == account, _CURSOR.c.endpoint_id == endpoint_id
        )
    ).one_or_none()
    return None if row is None else Position(*row)


def skip(tx: Connection, account: AccountNo, endpoint_id: EndpointId, to: Position) -> int:
    """Pass over what waits, parked keys as well; give how many of those there were.

    The epoch rises, so that a delivery that is under way cannot put the cursor back.
    """
    tx.execute(
        update(_CURSOR)
        .where(_CURSOR.c.account == account, _CURSOR.c.endpoint_id == endpoint_id)
        .values(epoch=_CURSOR.c.epoch + 1, lease_owner=None, lease_until=0, **to._asdict())
    )
    dropped = tx.execute(
        delete(_PARKED).where(_PARKED.c.account == account, _PARKED.c.endpoint_id == endpoint_id)
    )
    return dropped.rowcount


def list_closed(tx: Connection, account: AccountNo, *, vault: Vault) -> list[SecretsClosed]:
    """List what keeps the secrets of an account's endpoints closed, one error for each of them."""
    rows = tx.execute(
        select(_ENDPOINT).where(_ENDPOINT.c.account == account, _ENDPOINT.c.removed_at.is_(None))
    )
    closed: list[SecretsClosed] = []
    for row in rows:
        try:
            _open(row, vault)
        except SecretsClosed as error:
            closed.append(error)
    return closed


def naming(
    tx: Connection, account: AccountNo, person: Mapping[str, str]
) -> list[tuple[EndpointId, Filter]]:
    """List the endpoints whose filter names a person, given by field, each with one that does not.

    Removed endpoints count as well.
    """
    found: list[tuple[EndpointId, Filter]] = []
    for row in tx.execute(
        select(_ENDPOINT.c.endpoint_id, _ENDPOINT.c.filter).where(_ENDPOINT.c.account == account)
    ):
        before = msgspec.json.decode(row.filter, type=Filter)
        after = before.forget(person)
        if after != before:
            found.append((EndpointId(row.endpoint_id), after))
    return found


def forget(tx: Connection, account: AccountNo, person: Mapping[str, str]) -> None:
    """Take a person out of the filters of an account, and have whoever delivers begin anew.

    Every endpoint gets another version, not only those that name the person: what was read for it
    before, and waits for its turn or its next try, may tell of them.
    """
    for endpoint_id, after in naming(tx, account, person):
        tx.execute(update(_ENDPOINT).where(*_is(account, endpoint_id)).values(filter=_text(after)))
    tx.execute(
        update(_ENDPOINT)
        .where(_ENDPOINT.c.account == account, _ENDPOINT.c.removed_at.is_(None))
        .values(version=_ENDPOINT.c.version + 1)
    )


def _is(account: AccountNo, endpoint_id: EndpointId) -> tuple[Any, ...]:
    return _ENDPOINT.c.account == account, _ENDPOINT.c.endpoint_id == endpoint_id


def _row(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> Row[Any] | None:
    return tx.execute(
        select(_ENDPOINT).where(*_is(account, endpoint_id), _ENDPOINT.c.removed_at.is_(None))
    ).one_or_none()


def _settings(endpoint: Endpoint, vault: Vault) -> dict[str, Any]:
    try:
        sealed = vault.seal(
            msgspec.json.encode(endpoint.secrets), _place(endpoint.account, endpoint.id)
        )
    except VaultError as error:
        raise SecretsClosed(str(error)) from error
    return {
        "address": endpoint.address,
        "format": endpoint.format,
        "filter": _text(endpoint.filter),
        "secrets": sealed,
        "pace": _text(endpoint.pace),
        "unspecified_as": endpoint.unspecified_as,
        "version": endpoint.version,
    }


def _health(health: Health) -> dict[str, Any]:
    return {
        "state": health.state,
        "state_since": health.since,
        "state_reason": health.reason,
        "retry_at": health.retry_at,
        "failures": health.failures,
    }


def _seen(row: Row[Any], vault: Vault) -> Endpoint:
    try:
        return _endpoint(row, _open(row, vault))
    except SecretsClosed:
        return _endpoint(row, CLOSED)


def _open(row: Row[Any], vault: Vault) -> Secrets:
    place = _place(row.account, row.endpoint_id)
    try:
        return msgspec.json.decode(vault.open(bytes(row.secrets), place), type=Secrets)
    except VaultError as error:
        raise SecretsClosed(f"{error} It is the secret of {row.endpoint_id}.") from error


def _endpoint(row: Row[Any], secrets: Secrets) -> Endpoint:
    return Endpoint(
        account=AccountNo(row.account),
        id=EndpointId(row.endpoint_id),
        address=row.address,
        format=row.format,
        filter=msgspec.json.decode(row.filter, type=Filter),
        pace=msgspec.json.decode(row.pace, type=Pace),
        secrets=secrets,
        unspecified_as=row.unspecified_as,
        version=row.version,
        created_at=row.created_at,
        health=Health(row.state, row.state_since, row.state_reason, row.retry_at, row.failures),
    )


def _place(account: int, endpoint_id: str) -> bytes:
    return f"endpoint:{account}:{endpoint_id}".encode()


def _text(value: Filter | Pace) -> str:
    return msgspec.json.encode(value).decode()
