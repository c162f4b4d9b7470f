"""Which terminals we call, and how each is treated: add, set, list, get.

A terminal is a device with an address, so both are written in one transaction. The comm key goes in
and never comes out again. A terminal that goes, or goes elsewhere, is `terminal_moves.py`. What is
said to one is asked of a `Caller` (`terminals.py`).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, get_args

from punchgate.domain import reach
from punchgate.domain.device import Device, is_serial
from punchgate.domain.error import Invalid, NotFound
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.domain.terminal import DisableFor, Known, Order16, Settings, Terminal, UnlockUnit
from punchgate.store import devices as device_rows
from punchgate.store import problems, terminals
from punchgate.store.database import Connection
from punchgate.usecases import audit, devices, sealing
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context

#: Terminals of one list.
MOST: Final = 10_000
#: How the serial of a terminal begins that has not been asked for its own yet.
_PROVISIONAL: Final = "pending:"
_COMM_KEY_MOST: Final = 2**32 - 1
_TIMEOUT_S: Final = (1.0, 60.0)
_BACKFILL_S: Final = (30, 86_400)
#: A device is offline after three intervals; a terminal is heard when it is read.
_HEARTBEAT_S: Final = (60, 3_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to set on a terminal; None leaves a value as it is."""

    host: str | None = None
    port: int | None = None
    is_udp: bool | None = None
    #: 0 takes the key away.
    comm_key: int | None = field(default=None, repr=False)
    timeout_s: float | None = None
    disable_for: DisableFor | None = None
    encoding: str | None = None
    order16: Order16 | None = None
    unlock_unit: UnlockUnit | None = None
    unlock_confirmed: bool | None = None
    backfill_s: int | None = None
    realtime: bool | None = None

    @property
    def says_something(self) -> bool:
        """Say whether anything is to be set."""
        return self != Changes()


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A terminal to be added; without a serial its own is taken at the first contact."""

    id: str | None = None
    serial: str | None = None
    token: str | None = field(default=None, repr=False)
    device: devices.Changes = field(default_factory=devices.Changes)
    terminal: Changes


class Registered(NamedTuple):
    """A terminal and the device that it is; `created_at` of the terminal is its registration."""

    device: Device
    terminal: Terminal
    #: Where it stood until now, if it was disabled there and did not answer any more.
    left_address: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A terminal just added; `token` is the device's secret, empty unless it was given one."""

    device: Device
    terminal: Terminal
    token: str = field(repr=False)


async def add(context: Context, account: AccountNo, new: New, *, actor: str, now: int) -> Added:
    """Add a device that we call. It is not called here.

    One that this account removed comes back under its id with the serial that it had.

    Errors:  Invalid, AlreadyExists; NotCallable for an address that we never call.
    """
    if new.terminal.host is None:
        raise Invalid("A terminal needs a host: its address or its name.")
    blank = Terminal(account, DeviceId(""), "", created_at=now, due_at=now)
    proposed = apply(blank, new.terminal, context.reach, now=now)
    serial = new.serial or f"{_PROVISIONAL}{secrets.token_hex(8)}"
    beat = min(max(proposed.settings.backfill_s, _HEARTBEAT_S[0]), _HEARTBEAT_S[1])
    changes = replace(
        new.device,
        engine="zk",
        heartbeat_interval_s=new.device.heartbeat_interval_s or beat,
    )
    wanted = devices.New(serial=serial, id=new.id, token=new.token, changes=changes)

    def work(tx: Connection) -> Added:
        if proposed.comm_key:
            sealing.ensure_key(tx, context.vault)
        own = wanted if new.serial else replace(wanted, serial=_former(tx, account, wanted))
        added = devices.add_within(tx, account, own, actor=actor, now=now)
        terminal = replace(proposed, device_id=added.device.id)
        terminals.add(tx, account, terminal, vault=context.vault)
        audit.note(
            tx,
            account,
            Entry(now, actor, "terminal.add", _subject(terminal), after=facts(terminal)),
        )
        return Added(added.device, terminal, added.token)

    return await context.writer.run(work)


async def set_terminal(  # noqa: PLR0913 (a terminal and its device are set together)
    context: Context,
    account: AccountNo,
    device_id: DeviceId,
    changes: Changes,
    *,
    device: devices.Changes | None = None,
    actor: str,
    now: int,
) -> Registered:
    """Change a terminal, and what is set on its device. A conversation ends with the old values.

    A terminal that was given up for its comm key is called again. A device that nobody could call
    yet becomes a terminal with its first host. One that is marked as disabled stays so at another
    address: it may be the same terminal, and enabling another does no harm.

    Errors:  Invalid, NotFound, NotCallable.
    """

    def work(tx: Connection) -> Registered:
        owner = device_rows.find(tx, account, device_id)
        before = terminals.find(tx, account, device_id, vault=context.vault)
        if owner is None or (before is None and changes.host is None):
            raise _none(device_id)
        wanted = device or devices.Changes()
        if before is None:
            wanted = replace(wanted, engine="zk")
        owner = devices.set_within(tx, account, device_id, wanted, actor=actor, now=now)
        blank = Terminal(account, device_id, "", created_at=now)
        after = apply(before or blank, changes, context.reach, now=now)
        if after.comm_key:
            sealing.ensure_key(tx, context.vault)
        write = terminals.add if before is None else terminals.change
        write(tx, account, after, vault=context.vault)
        terminals.call_away(tx, account, device_id)
        old = None if before is None else facts(before)
        action = "terminal.add" if before is None else "terminal.set"
        audit.note(tx, account, Entry(now, actor, action, _subject(after), old, facts(after)))
        left_address = None if before is None else _left_address(before, after)
        if left_address is not None:
            devices.note_left(tx, owner, left_address, actor=actor, now=now)
        return Registered(owner, after, left_address)

    return await context.writer.run(work)


async def get(context: Context, account: AccountNo, device_id: DeviceId) -> Registered:
    """Give a terminal; NotFound for a device that is none as well."""
    return await context.database.read(lambda tx: _get(tx, context, account, device_id))


async def find(context: Context, account: AccountNo, device_id: DeviceId) -> Terminal | None:
    """Give what is known of a terminal; None for a device that we do not call."""
    return await context.database.read(
        lambda tx: terminals.find(tx, account, device_id, vault=context.vault)
    )


async def list_terminals(
    context: Context, account: AccountNo, *, limit: int = MOST
) -> Sequence[Registered]:
    """List the terminals of an account in the order of their registration."""
    bounded = min(limit, MOST)

    def work(tx: Connection) -> list[Registered]:
        found = terminals.list_terminals(tx, account, vault=context.vault, limit=bounded)
        owners = ((device_rows.find(tx, account, each.device_id), each) for each in found)
        return [Registered(device, each) for device, each in owners if device is not None]

    return await context.database.read(work)


async def take_serial(
    context: Context,
    account: AccountNo,
    device_id: DeviceId,
    said: str,
    *,
    is_first: bool,
    now: int,
) -> Device:
    """Compare what a terminal calls itself with what we call it; the first contact decides.

    A provisional serial gives way, before anything was recorded under it. A serial that was given
    stays, and another one that the terminal says is a problem for an operator.

    Errors:  SerialTaken where another device has that serial, as when two terminals have changed
             their addresses: its punches would count twice. Of a device with a serial of its own,
             only devices of this account are asked: nobody else can keep its log from being read.
    """

    def work(tx: Connection) -> Device:
        device = device_rows.find(tx, account, device_id)
        if device is None:
            raise NotFound(f"There is no device {device_id!r}.")
        subject = f"device:{device_id}"
        if not is_serial(said) or said == device.serial:
            if said:
                problems.clear(tx, account, "serial_differs", subject=subject, now=now)
            return device
        other = device_rows.find_serial(tx, SerialNumber(said))
        if other is not None and other.account == account:
            raise SerialTaken(f"The terminal's serial {said} is that of the device {other.id!r}.")
        if not (is_first and is_provisional(device)):
            detail = f"The terminal says that its serial is {said}; it is kept as {device.serial}."
            problems.raise_(tx, account, "serial_differs", subject=subject, detail=detail, now=now)
            return device
        if other is not None:
            # Of other accounts nothing is said, not even that it is one of them.
            raise SerialTaken(f"The terminal's serial {said} is in use already.")
        after = replace(device, serial=SerialNumber(said), version=device.version + 1)
        device_rows.put(tx, account, after)
        device_rows.forget_unclaimed(tx, after.serial)
        entry = Entry(
            now,
            "terminal",
            "device.serial",
            subject,
            {"serial": device.serial},
            {"serial": after.serial},
        )
        audit.note(tx, account, entry)
        return after

    return await context.writer.run(work)


class SerialTaken(Invalid):
    """A terminal says a serial that another device has."""

    slug = "terminal.serial_taken"


def is_provisional(device: Device) -> bool:
    """Say whether a device still waits for its own serial."""
    return device.serial.startswith(_PROVISIONAL)


def apply(terminal: Terminal, changes: Changes, allowed: reach.Reach, *, now: int) -> Terminal:
    """Give a terminal with its changes; Invalid names the first value that will not do."""
    _check(changes)
    own = {
        "port": changes.port,
        "is_udp": changes.is_udp,
        "comm_key": changes.comm_key,
        "timeout_s": changes.timeout_s,
    }
    values: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    if changes.host is not None:
        values["host"] = reach.check_host(changes.host, allowed)
    how = {
        "disable_for": changes.disable_for,
        "encoding": changes.encoding,
        "order16": changes.order16,
        "unlock_unit": changes.unlock_unit,
        "unlock_confirmed": changes.unlock_confirmed,
        "backfill_s": changes.backfill_s,
        "realtime": changes.realtime,
    }
    given: dict[str, Any] = {name: value for name, value in how.items() if value is not None}
    settings = replace(terminal.settings, **given)
    if settings.order16 != terminal.settings.order16:
        # The rows mean something else now: all of them are read again.
        values["watermark"] = None
    return replace(
        terminal,
        settings=settings,
        updated_at=now if terminal.device_id else None,
        failures=0,
        due_at=now if settings.backfill_s else None,
        **values,
    )


def facts(terminal: Terminal) -> dict[str, Any]:
    """Give what an operator may see of a terminal; whether there is a comm key, and not which."""
    settings: Settings = terminal.settings
    return {
        **terminal.facts(),
        "disable_for": settings.disable_for,
        "encoding": settings.encoding,
        "order16": settings.order16,
        "unlock_unit": settings.unlock_unit,
        "unlock_confirmed": settings.unlock_confirmed,
        "backfill_s": settings.backfill_s,
        "realtime": settings.realtime,
    }


def known_facts(terminal: Terminal) -> dict[str, Any]:
    """Give what the last readings of a terminal said."""
    known: Known = terminal.known
    return {
        "terminal_serial": known.serial or None,
        "terminal_name": known.name,
        "platform": known.platform,
        "firmware": known.firmware,
        "layout": known.layout,
        "users": known.users,
        "records": known.records,
        "clock_skew_s": known.clock_skew_s,
        "last_error": terminal.last_error,
    }


def _left_address(before: Terminal, after: Terminal) -> str | None:
    """Give where a terminal stood that is called elsewhere now, and may be disabled there."""
    has_moved = (before.host, before.port) != (after.host, after.port)
    return f"{before.host}:{before.port}" if has_moved and before.disabled_at is not None else None


def _get(tx: Connection, context: Context, account: AccountNo, device_id: DeviceId) -> Registered:
    terminal = terminals.find(tx, account, device_id, vault=context.vault)
    device = device_rows.find(tx, account, device_id)
    if terminal is None or device is None:
        raise _none(device_id)
    return Registered(device, terminal)


def _none(device_id: DeviceId) -> NotFound:
    return NotFound(f"There is no terminal {device_id!r} that we call.")


def _former(tx: Connection, account: AccountNo, wanted: devices.New) -> str:
    """Give the serial under which a device of this id was known, if it is free; else as wanted."""
    removed = None
    if wanted.id is not None:
        removed = device_rows.find_removed_id(tx, account, DeviceId(wanted.id))
    if removed is None or device_rows.find_serial(tx, removed.serial) is not None:
        return wanted.serial
    return removed.serial


def _check(changes: Changes) -> None:
    if changes.port is not None and not 1 <= changes.port <= 65_535:
        raise Invalid("A port is a number from 1 to 65535.")
    if changes.comm_key is not None and not 0 <= changes.comm_key <= _COMM_KEY_MOST:
        raise Invalid(f"A comm key is a number from 0 to {_COMM_KEY_MOST}; 0 is none.")
    _check_range("A timeout", changes.timeout_s, _TIMEOUT_S)
    if changes.backfill_s:
        _check_range("The time between two readings", changes.backfill_s, _BACKFILL_S)
    _check_word("disable_for", changes.disable_for, get_args(DisableFor))
    _check_word("order16", changes.order16, get_args(Order16))
    _check_word("unlock_unit", changes.unlock_unit, get_args(UnlockUnit))
    if changes.encoding is not None:
        try:
            # Not only looked up: some codecs are none of texts.
            "a".encode(changes.encoding)
        except LookupError:
            raise Invalid(f"There is no encoding {changes.encoding!r}.") from None


def _check_range(what: str, seconds: float | None, bounds: tuple[float, float]) -> None:
    if seconds is not None and not bounds[0] <= seconds <= bounds[1]:
        raise Invalid(f"{what} is {bounds[0]:g} to {bounds[1]:g} seconds.")


def _check_word(name: str, word: str | None, allowed: Sequence[str]) -> None:
    if word is not None and word not in allowed:
        raise Invalid(f"{name} is one of: {', '.join(allowed)}.")


def _subject(terminal: Terminal) -> str:
    return f"device:{terminal.device_id}"
