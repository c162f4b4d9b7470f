"""API keys as rows: the key itself, the digest of its secret, and when it was last used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlalchemy import Connection, Row, insert, or_, select, update

from punchgate.domain.ids import AccountNo, DeviceId, KeyId
from punchgate.domain.key import Key, Scope
from punchgate.store import schema

_KEY: Final = schema.api_key


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key with what the store knows beside it; instants in milliseconds."""

    key: Key
    digest: bytes = field(repr=False)
    created_at: int
    revoked_at: int | None = None
    last_used_at: int | None = None


def add(tx: Connection, account: AccountNo, stored: StoredKey) -> None:
    """Write a new key."""
    key = stored.key
    tx.execute(
        insert(_KEY).values(
            account=account,
            key_id=key.key_id,
            name=key.name,
            secret_hash=stored.digest,
            scopes=" ".join(sorted(key.scopes)),
            devices=None if key.devices is None else " ".join(sorted(key.devices)),
            expires_at=key.expires_at,
            created_at=stored.created_at,
            report_requests=key.report_requests,
        )
    )


def find_anywhere(tx: Connection, key_id: KeyId) -> StoredKey | None:
    """Give a key of whatever account.

    An exception to "the account comes second": the account follows from the key.
    """
    row = tx.execute(select(_KEY).where(_KEY.c.key_id == key_id)).one_or_none()
    return None if row is None else _stored(row)


def find(tx: Connection, account: AccountNo, key_id: KeyId) -> StoredKey | None:
    """Give a key of this account, revoked or not."""
    row = tx.execute(
        select(_KEY).where(_KEY.c.account == account, _KEY.c.key_id == key_id)
    ).one_or_none()
    return None if row is None else _stored(row)


def list_keys(tx: Connection, account: AccountNo, *, limit: int) -> list[StoredKey]:
    """List the keys of an account in the order in which they were made, revoked ones included."""
    rows = tx.execute(
        select(_KEY)
        .where(_KEY.c.account == account)
        .order_by(_KEY.c.created_at, _KEY.c.key_id)
        .limit(limit)
    )
    return [_stored(row) for row in rows]


def set_report_requests(
    tx: Connection, account: AccountNo, key_id: KeyId, requests: int | None
) -> None:
    """Write how many reports a key may ask for within a window; None: what the settings say."""
    tx.execute(
        update(_KEY)
        .where(_KEY.c.account == account, _KEY.c.key_id == key_id)
        .values(report_requests=requests)
    )


def revoke(tx: Connection, account: AccountNo, key_id: KeyId, now: int) -> None:
    """Write that a key is refused from now on."""
    tx.execute(
        update(_KEY)
        .where(_KEY.c.account == account, _KEY.c.key_id == key_id)
        .values(revoked_at=now)
    )


def note_uses(tx: Connection, uses: Mapping[tuple[AccountNo, KeyId], int]) -> None:
    """Write when keys were last used, never backwards.

    An exception to "the account comes second": one call holds keys of several accounts.
    """
    for (account, key_id), used_at in uses.items():
        tx.execute(
            update(_KEY)
            .where(
                _KEY.c.account == account,
                _KEY.c.key_id == key_id,
                or_(_KEY.c.last_used_at.is_(None), _KEY.c.last_used_at < used_at),
            )
            .values(last_used_at=used_at)
        )


def _stored(row: Row[Any]) -> StoredKey:
    return StoredKey(
        key=Key(
            account=AccountNo(row.account),
            key_id=KeyId(row.key_id),
            name=row.name,
            scopes=frozenset(cast("list[Scope]", row.scopes.split())),
            devices=None
            if row.devices is None
            else frozenset(DeviceId(name) for name in row.devices.split()),
            expires_at=row.expires_at,
            report_requests=row.report_requests,
        ),
        digest=bytes(row.secret_hash),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
