"""Devices: add, claim, list, get, set, remove. How a device's punches are read is set here.

Every change raises the device's `version`, so that a client that asks for its configuration sees
it, and leaves one audit entry. What a removed device has sent stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal

from punchgate import vault
from punchgate.domain import localtime
from punchgate.domain.codes import (
    DEFAULT_DIRECTIONS,
    DIRECTION_POLICIES,
    DIRECTIONS,
    VERIFY_METHODS,
    Direction,
    DirectionPolicy,
    VerifyMethod,
)
from punchgate.domain.device import Device, Engine, is_device_id, is_serial
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.store import devices, policies, problems, terminals, workdays
from punchgate.store.database import Connection
from punchgate.store.devices import Unclaimed
from punchgate.usecases import audit
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context

__all__ = [
    "Added",
    "Changes",
    "IdTaken",
    "Listed",
    "New",
    "Removed",
    "Unclaimed",
    "add",
    "add_within",
    "claim",
    "get",
    "list_devices",
    "list_unclaimed",
    "note_left",
    "remove",
    "set_device",
    "set_within",
]

#: Before every punch that is no quarantined one.
_FIRST_DAY: Final = date(2000, 1, 1)
#: Devices of one page, and serials of one list.
MOST: Final = 1_000
#: Raw codes are bytes or small numbers in every protocol; this only keeps nonsense out.
_MOST_CODE: Final = 2**31 - 1
_HEARTBEAT_S: Final = range(10, 3_601)
_POLL_S: Final = range(60, 86_401)
_LABEL_LENGTH: Final = 100


class IdTaken(AlreadyExists):
    """An id belongs to a device of the account, or to one that it has removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to set on a device. None leaves a value as it is, an empty text takes it away.

    `directions` and `verify_methods` name the codes whose meaning differs from the default table;
    an empty one returns to that table.
    """

    name: str | None = None
    zone: str | None = None
    site: str | None = None
    engine: Engine | None = None
    valid_until: date | Literal[""] | None = None
    is_suspended: bool | None = None
    direction_policy: DirectionPolicy | None = None
    directions: Mapping[int, Direction] | None = None
    verify_methods: Mapping[int, VerifyMethod] | None = None
    heartbeat_interval_s: int | None = None
    poll_interval_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A device to be added; an id and a token are made where none is given.

    A terminal is called and never calls: it has a token only where one is given.
    """

    serial: str
    id: str | None = None
    token: str | None = field(default=None, repr=False)
    changes: Changes = Changes()


@dataclass(frozen=True, slots=True)
class Added:
    """A device just added; `token` is its secret, shown this once; empty for one without."""

    device: Device
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Removed:
    """A device just removed; a terminal may still be disabled at its `left_address`."""

    device: Device
    left_address: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A device with when it was last heard from, in milliseconds; None is never."""

    device: Device
    last_seen_at: int | None


async def add(context: Context, account: AccountNo, new: New, *, actor: str, now: int) -> Added:
    """Add a device. One that this account removed comes back under its old id, with a new token.

    Errors:  Invalid for a value that will not do; AlreadyExists when the serial or the id is taken.
    """
    return await context.writer.run(lambda tx: add_within(tx, account, new, actor=actor, now=now))


async def claim(context: Context, account: AccountNo, new: New, *, actor: str, now: int) -> Added:
    """Add a device that has called already and that nobody has claimed; it keeps its engine.

    Errors:  as `add`; NotFound when no such serial has called.
    """

    def work(tx: Connection) -> Added:
        heard = devices.find_unclaimed(tx, SerialNumber(new.serial))
        if heard is None:
            raise NotFound(
                f"No unclaimed device has called with the serial {new.serial!r}."
                " Use `device add` for one that has not called yet."
            )
        changes = replace(new.changes, engine=new.changes.engine or heard.engine)
        return add_within(tx, account, replace(new, changes=changes), actor=actor, now=now)

    return await context.writer.run(work)


async def get(context: Context, account: AccountNo, device_id: DeviceId) -> Device:
    """Give a device; NotFound names those that there are."""
    return await context.database.read(lambda tx: _get(tx, account, device_id))


async def list_devices(
    context: Context, account: AccountNo, *, after: str = "", limit: int = MOST
) -> Sequence[Listed]:
    """List devices by id, at most a page of them; the next page comes `after` the last id."""
    rows = await context.database.read(
        lambda tx: devices.list_devices(tx, account, after=after, limit=min(limit, MOST))
    )
    return [Listed(device, last_seen_at) for device, last_seen_at in rows]


async def list_unclaimed(context: Context) -> Sequence[Unclaimed]:
    """List the serials that called and that nobody has claimed, those heard last first."""
    return await context.database.read(lambda tx: devices.list_unclaimed(tx, limit=MOST))


async def set_device(
    context: Context,
    account: AccountNo,
    device_id: DeviceId,
    changes: Changes,
    *,
    actor: str,
    now: int,
) -> Device:
    """Change what is set on a device.

    Errors:     Invalid, NotFound.
    Repeating:  what is so already is not changed: no new version, no audit entry.
    """
    return await context.writer.run(
        lambda tx: set_within(tx, account, device_id, changes, actor=actor, now=now)
    )


async def remove(
    context: Context, account: AccountNo, device_id: DeviceId, *, actor: str, now: int
) -> Removed:
    """Remove a device: its token is refused within a second, what it sent stays. NotFound else.

    A terminal is removed by `terminal_moves.remove`, which enables it first where it has to.
    """

    def work(tx: Connection) -> Removed:
        before = _get(tx, account, device_id)
        after = replace(before, version=before.version + 1, token_hash=None)
        devices.remove(tx, account, after, now)
        left_address = terminals.find_disabled(tx, account, device_id)
        if terminals.remove(tx, account, device_id):
            problems.clear_all(tx, account, subject=_subject(after), now=now)
        entry = Entry(now, actor, "device.remove", _subject(after), _facts(before))
        audit.note(tx, account, entry)
        if left_address is not None:
            note_left(tx, after, left_address, actor=actor, now=now)
        return Removed(after, left_address)

    return await context.writer.run(work)


def note_left(tx: Connection, device: Device, left_address: str, *, actor: str, now: int) -> None:
    """Leave in the audit that a terminal may still be disabled where we call it no more."""
    entry = Entry(now, actor, "terminal.left", _subject(device), {"address": left_address})
    audit.note(tx, device.account, entry)


def apply(device: Device, changes: Changes) -> Device:
    """Give the device with its changes; Invalid names the first value that will not do."""
    label: dict[str, Any] = {
        name: text.strip() or None
        for name, text in (("name", changes.name), ("zone", changes.zone), ("site", changes.site))
        if text is not None
    }
    _check(changes, label)
    given = {
        "engine": changes.engine,
        "is_suspended": changes.is_suspended,
        "direction_policy": changes.direction_policy,
        "verify_methods": changes.verify_methods,
        "heartbeat_interval_s": changes.heartbeat_interval_s,
        "poll_interval_s": changes.poll_interval_s,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if changes.valid_until is not None:
        values["valid_until"] = changes.valid_until or None
    if changes.directions is not None:
        values["directions"] = {**DEFAULT_DIRECTIONS, **changes.directions}
    return replace(device, **label, **values)


def set_within(
    tx: Connection,
    account: AccountNo,
    device_id: DeviceId,
    changes: Changes,
    *,
    actor: str,
    now: int,
) -> Device:
    """Change a device as `set_device`, in a transaction in which more is done."""
    before = _get(tx, account, device_id)
    after = apply(before, changes)
    if after == before:
        return before
    after = replace(after, version=before.version + 1)
    _put(tx, before, after)
    terminals.call_away(tx, account, device_id)
    entry = Entry(now, actor, "device.set", _subject(after), _facts(before), _facts(after))
    audit.note(tx, account, entry)
    return after


def slug(serial: str) -> DeviceId:
    """Give the id that a device gets when nobody names it."""
    return DeviceId(serial.lower().replace(":", "-"))


def add_within(tx: Connection, account: AccountNo, new: New, *, actor: str, now: int) -> Added:
    """Add a device as `add`, in a transaction in which more is done."""
    _check_identity(new)
    serial = SerialNumber(new.serial)
    other = devices.find_serial(tx, serial)
    if other is not None:
        # Of other accounts nothing is said, not even that it is one of them.
        whose = f" by the device {other.id!r}" if other.account == account else ""
        raise AlreadyExists(f"The serial {serial} is in use{whose} already.")
    device_id = DeviceId(new.id) if new.id is not None else None
    removed = devices.find_removed(tx, account, serial)
    if removed is not None and device_id in {None, removed.id}:
        device = replace(removed, is_suspended=False, version=removed.version + 1)
        device, token = _with_token(apply(device, new.changes), new)
        _put(tx, removed, device)
    else:
        device_id = device_id or slug(serial)
        if devices.is_taken(tx, account, device_id):
            raise IdTaken(f"The id {device_id!r} is taken; give another one with `--id`.")
        device = apply(Device(account, device_id, serial), new.changes)
        device, token = _with_token(device, new)
        devices.add(tx, account, device, now)
    devices.forget_unclaimed(tx, serial)
    audit.note(tx, account, Entry(now, actor, "device.add", _subject(device), after=_facts(device)))
    return Added(device, token)


def _put(tx: Connection, before: Device, after: Device) -> None:
    devices.put(tx, after.account, after)
    if after.direction_policy != before.direction_policy:
        # Directions are judged anew whenever a day is computed, by the policy of today.
        spread = policies.spread(tx, after.account)
        workdays.mark_stale(tx, after.account, _FIRST_DAY, spread=spread)


def _check_identity(new: New) -> None:
    if not is_serial(new.serial):
        raise Invalid(
            "A serial has 1 to 64 letters, digits, dots, underscores, colons and hyphens,"
            " and begins with a letter or digit."
        )
    if new.id is not None and not is_device_id(new.id):
        raise Invalid(
            "A device id has 1 to 64 lower-case letters, digits, dots, underscores and hyphens,"
            " and begins with a letter or digit."
        )
    if new.token is not None and not vault.is_given_token(new.token):
        raise Invalid("A token has 8 to 128 printable ASCII characters, no blanks around them.")


def _with_token(device: Device, new: New) -> tuple[Device, str]:
    """Give a device with its secret, and the secret; empty for one that never calls."""
    if new.token is not None:
        return replace(device, token_hash=vault.digest(new.token)), new.token
    if device.engine == "zk":
        return replace(device, token_hash=None), ""
    minted = vault.mint("pgd")
    return replace(device, token_hash=minted.digest), minted.text


def _get(tx: Connection, account: AccountNo, device_id: DeviceId) -> Device:
    device = devices.find(tx, account, device_id)
    if device is None:
        known = devices.list_ids(tx, account, limit=10)
        there_are = f" There are: {', '.join(known)}." if known else " There are none yet."
        raise NotFound(f"There is no device {device_id!r}.{there_are}")
    return device


def _check(changes: Changes, label: Mapping[str, str | None]) -> None:
    for name, text in label.items():
        if text is not None and (len(text) > _LABEL_LENGTH or not text.isprintable()):
            raise Invalid(f"A {name} has at most {_LABEL_LENGTH} printable characters.")
    zone = label.get("zone")
    if zone is not None:
        localtime.find_zone(zone)
    policy = changes.direction_policy
    if policy is not None and policy not in DIRECTION_POLICIES:
        raise Invalid(f"A direction policy is one of: {', '.join(DIRECTION_POLICIES)}.")
    _check_codes("direction", changes.directions, DIRECTIONS)
    _check_codes("verify method", changes.verify_methods, VERIFY_METHODS)
    _check_interval("heartbeat", changes.heartbeat_interval_s, _HEARTBEAT_S)
    _check_interval("poll", changes.poll_interval_s, _POLL_S)


def _check_interval(what: str, seconds: int | None, bounds: range) -> None:
    if seconds is not None and seconds not in bounds:
        raise Invalid(f"A {what} interval is {bounds[0]} to {bounds[-1]} seconds.")


def _check_codes(what: str, table: Mapping[int, str] | None, allowed: Sequence[str]) -> None:
    for code, name in (table or {}).items():
        if not 0 <= code <= _MOST_CODE:
            raise Invalid(f"The code {code} cannot come from a device.")
        if name not in allowed:
            raise Invalid(f"{name!r} is no {what}. There are: {', '.join(allowed)}.")


def _subject(device: Device) -> str:
    return f"device:{device.id}"


def _facts(device: Device) -> dict[str, Any]:
    return {
        "serial": device.serial,
        "name": device.name,
        "zone": device.zone,
        "site": device.site,
        "engine": device.engine,
        "valid_until": None if device.valid_until is None else device.valid_until.isoformat(),
        "is_suspended": device.is_suspended,
        "direction_policy": device.direction_policy,
        "directions": {str(code): name for code, name in device.directions.items()},
        "verify_methods": {str(code): name for code, name in device.verify_methods.items()},
        "heartbeat_interval_s": device.heartbeat_interval_s,
        "poll_interval_s": device.poll_interval_s,
        "version": device.version,
    }
