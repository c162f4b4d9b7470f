"""API keys: make, list, limit, revoke, and recognise the one that a request presents.

Which contract accepts a key from where, and what it answers without one, is the contract's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from punchgate import vault
from punchgate.domain.error import Invalid, NotFound, Refused
from punchgate.domain.ids import AccountNo, DeviceId, KeyId
from punchgate.domain.key import DEFAULT_SCOPES, SCOPES, Key, read_scopes
from punchgate.store import devices, keys
from punchgate.store.database import Connection
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.store.keys import StoredKey
from punchgate.usecases import audit
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context

__all__ = [
    "Added", "New", "StoredKey", "add", "find", "limit", "list_keys", "note_uses", "revoke",
]  # fmt: skip

#: Keys that one list may hold; more than a few dozen have never been made for one account.
MOST: Final = 10_000
#: A limit of this many is none; whoever wants none says 0.
_MOST_REQUESTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A key to be made; with the default scopes and account-wide unless it says otherwise."""

    name: str
    scopes: Sequence[str] = ()
    devices: Sequence[DeviceId] = ()
    #: Milliseconds since 1970 UTC from which it is refused.
    expires_at: int | None = None
    #: Reports that it may ask for within a window; 0 is no limit, None what the settings say.
    report_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A key just made; `text` is the whole key and is shown this once."""

    key: Key
    text: str = field(repr=False)


async def add(context: Context, account: AccountNo, new: New, *, actor: str, now: int) -> Added:
    """Make a key.

    Errors:  Invalid for a name, a scope, an expiry or a limit that will not do; NotFound for a
             device that the account does not have.
    """
    _check(new, now)
    scopes = DEFAULT_SCOPES if not new.scopes else read_scopes(list(new.scopes))
    if scopes is None:
        unknown = sorted(set(new.scopes) - set(SCOPES))
        raise Invalid(f"There is no scope {unknown[0]!r}. The scopes are: {', '.join(SCOPES)}.")
    minted = vault.mint("pgk")
    key = Key(
        account=account,
        key_id=KeyId(minted.id),
        name=new.name.strip(),
        scopes=scopes,
        devices=frozenset(new.devices) or None,
        expires_at=new.expires_at,
        report_requests=new.report_requests,
    )

    def work(tx: Connection) -> None:
        for device_id in new.devices:
            if devices.find(tx, account, device_id) is None:
                raise NotFound(f"There is no device {device_id!r} to limit the key to.")
        keys.add(tx, account, StoredKey(key, minted.digest, created_at=now))
        audit.note(tx, account, Entry(now, actor, "key.add", _subject(key), after=_facts(key)))

    await context.writer.run(work)
    return Added(key, minted.text)


async def list_keys(context: Context, account: AccountNo) -> Sequence[StoredKey]:
    """List the keys of an account, revoked and expired ones included."""
    return await context.database.read(lambda tx: keys.list_keys(tx, account, limit=MOST))


async def limit(
    context: Context,
    account: AccountNo,
    key_id: KeyId,
    *,
    report_requests: int | None,
    actor: str,
    now: int,
) -> StoredKey:
    """Set how many reports a key may ask for within a window, and give the key as it is then.

    What it has used of its present window stays used. Every process knows within a second.

    Shapes:     0 is no limit, None is what the settings say.
    Errors:     NotFound; Refused for a key that was revoked; Invalid for a number out of bounds.
    Repeating:  nothing is written when it is so already.
    """
    _check_requests(report_requests)

    def work(tx: Connection) -> StoredKey:
        stored = keys.find(tx, account, key_id)
        if stored is None:
            raise NotFound(f"There is no key {key_id!r}.")
        if stored.revoked_at is not None:
            raise Refused(f"The key {key_id!r} was revoked. Make a new one.")
        changed = replace(stored.key, report_requests=report_requests)
        if changed != stored.key:
            keys.set_report_requests(tx, account, key_id, report_requests)
            before, after = _facts(stored.key), _facts(changed)
            audit.note(tx, account, Entry(now, actor, "key.set", _subject(changed), before, after))
        return replace(stored, key=changed)

    return await context.writer.run(work)


async def revoke(
    context: Context, account: AccountNo, key_id: KeyId, *, actor: str, now: int
) -> StoredKey:
    """Refuse a key from now on, in every process within a second.

    Errors:     NotFound.
    Repeating:  a key that was revoked before keeps its time, and nothing is written.
    """

    def work(tx: Connection) -> StoredKey:
        stored = keys.find(tx, account, key_id)
        if stored is None:
            raise NotFound(f"There is no key {key_id!r}.")
        if stored.revoked_at is None:
            keys.revoke(tx, account, key_id, now)
            entry = Entry(now, actor, "key.revoke", _subject(stored.key), _facts(stored.key))
            audit.note(tx, account, entry)
            return replace(stored, revoked_at=now)
        return stored

    return await context.writer.run(work)


async def find(context: Context, presented: str, *, now: int) -> Key | None:
    """Give the key that a request presents, or None: malformed, unknown, wrong, revoked, expired.

    The answer of the store is remembered for a second; that a key is unknown is never remembered.
    A text of the wrong form or with a wrong checksum costs no question.
    """
    key_id = vault.read_id(presented, "pgk")
    if key_id is None:
        return None
    keyring = context.directory.keyring
    stored = keyring.recall(KeyId(key_id), now)
    if stored is None:
        stored = await context.database.read(lambda tx: keys.find_anywhere(tx, KeyId(key_id)))
        if stored is None:
            return None
        keyring.keep(stored, now)
    if not vault.matches(presented, stored.digest):
        return None
    if stored.revoked_at is not None or stored.key.has_expired(now):
        return None
    keyring.use(stored, now)
    return stored.key


async def note_uses(context: Context) -> None:
    """Write when keys were last used; called now and then by a worker, never by a request.

    Errors:  StoreBusy and StoreUnavailable; it is all written with the next call then.
    """
    uses = context.directory.keyring.take_uses()
    if not uses:
        return
    try:
        await context.writer.run(lambda tx: keys.note_uses(tx, uses))
    except (StoreBusy, StoreUnavailable):
        context.directory.keyring.put_back(uses)
        raise


def _check(new: New, now: int) -> None:
    name = new.name.strip()
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise Invalid("A key needs a name of 1 to 100 printable characters.")
    if new.expires_at is not None and new.expires_at <= now:
        raise Invalid("The key would have expired already; give a later date.")
    _check_requests(new.report_requests)


def _check_requests(requests: int | None) -> None:
    if requests is not None and not 0 <= requests <= _MOST_REQUESTS:
        raise Invalid(f"A key's limit is a number from 0, for none, to {_MOST_REQUESTS}.")


def _subject(key: Key) -> str:
    return f"key:{key.key_id}"


def _facts(key: Key) -> dict[str, object]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "devices": None if key.devices is None else sorted(key.devices),
        "expires_at": key.expires_at,
        "report_requests": key.report_requests,
    }
