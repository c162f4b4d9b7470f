"""Terminals as rows: where they stand, who talks to one, what the last readings said.

The comm key is sealed here for the row that it stands in. A terminal is leased by one process at a
time, on the clock of the database; whoever waits for one that its holder only listens to says so in
the row. What is done in a conversation is `engines/terminals.py`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Exists, Row, delete, exists, func, insert, or_, select, update

from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.terminal import Hints, Known, Settings, Terminal, Watermark
from punchgate.store import dialect, schema, terminal_users
from punchgate.store.endpoints import SecretsClosed
from punchgate.vault import Vault, VaultError

_TERMINAL: Final = schema.terminal
_DEVICE: Final = schema.device

#: How long a lease lasts from its last renewal.
LEASE_MS: Final = 20_000
#: For how long a wish to talk to a terminal stands unless it is repeated.
WISH_MS: Final = 5_000

Whose = tuple[AccountNo, DeviceId]


def add(tx: Connection, account: AccountNo, terminal: Terminal, *, vault: Vault) -> None:
    """Write a new terminal; SecretsClosed where its comm key cannot be sealed."""
    tx.execute(
        insert(_TERMINAL).values(
            account=account,
            device_id=terminal.device_id,
            created_at=terminal.created_at,
            lease_until=0,
            wanted_until=0,
            known=_text(terminal.known),
            last_read_at=terminal.last_read_at,
            last_error=terminal.last_error,
            **_set(terminal, vault),
        )
    )


def find(
    tx: Connection, account: AccountNo, device_id: DeviceId, *, vault: Vault
) -> Terminal | None:
    """Give a terminal; SecretsClosed when its comm key does not open."""
    row = tx.execute(select(_TERMINAL).where(*_is(account, device_id))).one_or_none()
    return None if row is None else _terminal(row, vault)


def hints(tx: Connection, account: AccountNo, device_id: DeviceId) -> Hints:
    """Give what is known of the rows of a device's log; nothing of one that is no terminal."""
    row = tx.execute(
        select(_TERMINAL.c.settings, _TERMINAL.c.known).where(*_is(account, device_id))
    ).one_or_none()
    if row is None:
        return Hints()
    settings = msgspec.json.decode(row.settings, type=Settings)
    known = msgspec.json.decode(row.known, type=Known)
    users = terminal_users.list_users(tx, account, device_id)
    codes = {user.uid: user.user_code for user in users}
    return Hints(known.layout, settings.order16, codes)


def list_terminals(
    tx: Connection, account: AccountNo, *, vault: Vault, limit: int
) -> list[Terminal]:
    """List the terminals of an account in the order in which they were registered."""
    rows = tx.execute(
        select(_TERMINAL)
        .where(_TERMINAL.c.account == account)
        .order_by(_TERMINAL.c.created_at, _TERMINAL.c.device_id)
        .limit(limit)
    )
    return [_terminal(row, vault) for row in rows]


def change(tx: Connection, account: AccountNo, terminal: Terminal, *, vault: Vault) -> None:
    """Write what is set on a terminal over its row; what is known of it stays as it is."""
    tx.execute(
        update(_TERMINAL)
        .where(*_is(account, terminal.device_id))
        .values(**_set(terminal, vault), updated_at=terminal.updated_at)
    )


def call_away(tx: Connection, account: AccountNo, device_id: DeviceId) -> None:
    """Have whoever listens to a terminal end: it, or its device, is set otherwise now."""
    tx.execute(
        update(_TERMINAL)
        .where(*_is(account, device_id))
        .values(wanted_until=dialect.now(tx) + WISH_MS)
    )


def remove(tx: Connection, account: AccountNo, device_id: DeviceId) -> bool:
    """Remove a terminal, its comm key and what was known of it; say whether there was one."""
    terminal_users.put_all(tx, account, device_id, ())
    return tx.execute(delete(_TERMINAL).where(*_is(account, device_id))).rowcount == 1


def take(
    tx: Connection, account: AccountNo, device_id: DeviceId, *, owner: str, is_urgent: bool
) -> bool:
    """Lease a terminal that nobody holds; else say that somebody waits, if that is urgent."""
    now = dialect.now(tx)
    taken = tx.execute(
        update(_TERMINAL)
        .where(
            *_is(account, device_id),
            or_(_TERMINAL.c.lease_until < now, _TERMINAL.c.lease_owner == owner),
        )
        .values(lease_owner=owner, lease_until=now + LEASE_MS, wanted_until=0)
    )
    if taken.rowcount == 0 and is_urgent:
        tx.execute(
            update(_TERMINAL).where(*_is(account, device_id)).values(wanted_until=now + WISH_MS)
        )
    return taken.rowcount == 1


def renew(tx: Connection, account: AccountNo, device_id: DeviceId, *, owner: str) -> bool:
    """Renew a lease; False where it is somebody else's by now, or the terminal is gone."""
    renewed = tx.execute(
        update(_TERMINAL)
        .where(*_is(account, device_id), _TERMINAL.c.lease_owner == owner)
        .values(lease_until=dialect.now(tx) + LEASE_MS)
    )
    return renewed.rowcount == 1


def give_back(tx: Connection, account: AccountNo, device_id: DeviceId, *, owner: str) -> None:
    """Give a lease back."""
    tx.execute(
        update(_TERMINAL)
        .where(*_is(account, device_id), _TERMINAL.c.lease_owner == owner)
        .values(lease_owner=None, lease_until=0)
    )


def leave(tx: Connection, owner: str) -> None:
    """Give back everything that a process holds."""
    tx.execute(
        update(_TERMINAL)
        .where(_TERMINAL.c.lease_owner == owner)
        .values(lease_owner=None, lease_until=0)
    )


def list_wanted(tx: Connection, owner: str) -> list[Whose]:
    """List the terminals of a process that somebody else waits for."""
    rows = tx.execute(
        select(_TERMINAL.c.account, _TERMINAL.c.device_id).where(
            _TERMINAL.c.lease_owner == owner, _TERMINAL.c.wanted_until > dialect.now(tx)
        )
    )
    return [(AccountNo(row.account), DeviceId(row.device_id)) for row in rows]


def mark_disabled(tx: Connection, account: AccountNo, device_id: DeviceId, now: int) -> bool:
    """Write that we are about to disable a terminal; the first such moment stands.

    False for a terminal that is gone: nothing would remember that it was disabled.
    """
    marked = tx.execute(
        update(_TERMINAL)
        .where(*_is(account, device_id))
        .values(disabled_at=func.coalesce(_TERMINAL.c.disabled_at, now))
    )
    return marked.rowcount == 1


def mark_enabled(tx: Connection, account: AccountNo, device_id: DeviceId) -> None:
    """Write that a terminal was seen enabled again."""
    tx.execute(update(_TERMINAL).where(*_is(account, device_id)).values(disabled_at=None))


def find_disabled(tx: Connection, account: AccountNo, device_id: DeviceId) -> str | None:
    """Give where a terminal stands that we disabled and have not yet seen enabled again."""
    row = tx.execute(
        select(_TERMINAL.c.host, _TERMINAL.c.port).where(
            *_is(account, device_id), _TERMINAL.c.disabled_at.is_not(None)
        )
    ).one_or_none()
    return None if row is None else f"{row.host}:{row.port}"


def list_disabled(tx: Connection, limit: int) -> list[tuple[AccountNo, DeviceId, bool]]:
    """List terminals that we disabled, longest first, each with whether somebody talks to it."""
    rows = tx.execute(
        select(
            _TERMINAL.c.account,
            _TERMINAL.c.device_id,
            (_TERMINAL.c.lease_until >= dialect.now(tx)).label("is_held"),
        )
        .where(_TERMINAL.c.disabled_at.is_not(None))
        .order_by(_TERMINAL.c.disabled_at)
        .limit(limit)
    )
    return [(AccountNo(row.account), DeviceId(row.device_id), bool(row.is_held)) for row in rows]


def note_known(tx: Connection, account: AccountNo, device_id: DeviceId, known: Known) -> None:
    """Write what a terminal said of itself."""
    tx.execute(update(_TERMINAL).where(*_is(account, device_id)).values(known=_text(known)))


def note_reading(  # noqa: PLR0913 (one fact about a reading each)
    tx: Connection,
    account: AccountNo,
    device_id: DeviceId,
    *,
    known: Known,
    watermark: Watermark | None,
    now: int,
    due_at: int | None,
) -> None:
    """Write that a log was read; without a watermark the last one stands."""
    values: dict[str, Any] = {} if watermark is None else {"watermark": _text(watermark)}
    tx.execute(
        update(_TERMINAL)
        .where(*_is(account, device_id))
        .values(
            known=_text(known),
            last_read_at=now,
            last_error=None,
            failures=0,
            due_at=due_at,
            **values,
        )
    )


def note_error(tx: Connection, account: AccountNo, device_id: DeviceId, error: str | None) -> None:
    """Write how the last conversation ended; None is well."""
    tx.execute(update(_TERMINAL).where(*_is(account, device_id)).values(last_error=error))


def note_failure(
    tx: Connection,
    account: AccountNo,
    device_id: DeviceId,
    error: str,
    *,
    due_at: int | None,
) -> None:
    """Write that a scheduled reading failed, and when it is tried again."""
    tx.execute(
        update(_TERMINAL)
        .where(*_is(account, device_id))
        .values(last_error=error, failures=_TERMINAL.c.failures + 1, due_at=due_at)
    )


def list_due(tx: Connection, *, now: int, limit: int) -> list[Whose]:
    """List the terminals that are to be read and that nobody talks to, those due longest first."""
    rows = tx.execute(
        select(_TERMINAL.c.account, _TERMINAL.c.device_id)
        .where(
            _TERMINAL.c.due_at <= now,
            _TERMINAL.c.lease_until < dialect.now(tx),
            ~_is_left_alone(now),
        )
        .order_by(_TERMINAL.c.due_at, _TERMINAL.c.account, _TERMINAL.c.device_id)
        .limit(limit)
    )
    return [(AccountNo(row.account), DeviceId(row.device_id)) for row in rows]


def list_listenable(tx: Connection, *, now: int, limit: int) -> list[Whose]:
    """List the terminals that may be listened to: nobody talks to them, and their log is read.

    One that is due is read first. One whose last reading failed is not called for this.
    """
    rows = tx.execute(
        select(_TERMINAL.c.account, _TERMINAL.c.device_id)
        .where(
            _TERMINAL.c.realtime,
            _TERMINAL.c.failures == 0,
            or_(_TERMINAL.c.due_at.is_(None), _TERMINAL.c.due_at > now),
            _TERMINAL.c.lease_until < dialect.now(tx),
            ~_is_left_alone(now),
        )
        .order_by(_TERMINAL.c.account, _TERMINAL.c.device_id)
        .limit(limit)
    )
    return [(AccountNo(row.account), DeviceId(row.device_id)) for row in rows]


def _is_left_alone(now: int) -> Exists:
    """Say that nobody calls a terminal by himself: its device calls us now, or is not active.

    On which day a subscription ends is known only in the device's zone; here it is over
    everywhere.
    """
    yesterday = datetime.fromtimestamp(now / 1000, UTC).date() - timedelta(days=1)
    return exists().where(
        _DEVICE.c.account == _TERMINAL.c.account,
        _DEVICE.c.device_id == _TERMINAL.c.device_id,
        or_(
            _DEVICE.c.engine != "zk",
            _DEVICE.c.is_suspended,
            _DEVICE.c.valid_until < yesterday.isoformat(),
        ),
    )


def _is(account: AccountNo, device_id: DeviceId) -> tuple[Any, ...]:
    return _TERMINAL.c.account == account, _TERMINAL.c.device_id == device_id


def _set(terminal: Terminal, vault: Vault) -> dict[str, Any]:
    sealed = None
    if terminal.comm_key:
        try:
            sealed = vault.seal(
                str(terminal.comm_key).encode(), _place(terminal.account, terminal.device_id)
            )
        except VaultError as error:
            raise SecretsClosed(str(error)) from error
    return {
        "host": terminal.host,
        "port": terminal.port,
        "is_udp": terminal.is_udp,
        "comm_key": sealed,
        "timeout_s": terminal.timeout_s,
        "settings": _text(terminal.settings),
        "watermark": None if terminal.watermark is None else _text(terminal.watermark),
        "realtime": terminal.settings.realtime,
        "failures": terminal.failures,
        "due_at": terminal.due_at,
    }


def _terminal(row: Row[Any], vault: Vault) -> Terminal:
    key = 0
    if row.comm_key is not None:
        try:
            key = int(vault.open(bytes(row.comm_key), _place(row.account, row.device_id)))
        except VaultError as error:
            raise SecretsClosed(f"{error} It is the comm key of {row.device_id}.") from error
    mark = row.watermark
    return Terminal(
        account=AccountNo(row.account),
        device_id=DeviceId(row.device_id),
        host=row.host,
        port=row.port,
        is_udp=row.is_udp,
        comm_key=key,
        timeout_s=row.timeout_s,
        settings=msgspec.json.decode(row.settings, type=Settings),
        known=msgspec.json.decode(row.known, type=Known),
        watermark=None if mark is None else msgspec.json.decode(mark, type=Watermark),
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_read_at=row.last_read_at,
        last_error=row.last_error,
        failures=row.failures,
        due_at=row.due_at,
        disabled_at=row.disabled_at,
    )


def _place(account: int, device_id: str) -> bytes:
    return f"terminal:{account}:{device_id}".encode()


def _text(value: Settings | Known | Watermark) -> str:
    return msgspec.json.encode(value).decode()
