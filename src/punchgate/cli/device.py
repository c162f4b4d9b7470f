"""`punchgate device`: what produces punches, and how its punches are read."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from punchgate.cli import device_call, output, parse, session
from punchgate.cli.session import Here, account_command
from punchgate.domain.codes import DirectionPolicy
from punchgate.domain.device import Engine
from punchgate.domain.ids import DeviceId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.domain.device import Device
    from punchgate.usecases.devices import Added, Listed, Removed, Unclaimed
    from punchgate.usecases.terminal_register import Added as AddedTerminal

app = typer.Typer(no_args_is_help=True)

#: Given in place of a secret, it says that the secret stands on stdin.
_STDIN = "-"
Serial = Annotated[str, typer.Argument(help="What the device calls itself.")]
Id = Annotated[str, typer.Argument(help="Our name for the device.")]
OwnId = Annotated[
    str | None, typer.Option("--id", help="Our name for it; made from the serial else.")
]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
Zone = Annotated[str | None, typer.Option(help="IANA zone of its clock: Asia/Kolkata.")]
Site = Annotated[str | None, typer.Option(help="The place that it stands in.")]
EngineName = Annotated[Engine | None, typer.Option(help="How it speaks with us.")]
Token = Annotated[
    str | None,
    typer.Option(help="Its secret, 8 to 128 characters, - reads it from stdin; random else."),
]
ValidUntil = Annotated[
    str | None, typer.Option(help="Last day of its subscription; empty is no end.", metavar="DATE")
]
Policy = Annotated[
    DirectionPolicy | None, typer.Option("--direction-policy", help="What its directions mean.")
]
Codes = Annotated[
    str | None,
    typer.Option(help='Its own direction codes: {"1":"check-in"}; {} is none.', metavar="JSON"),
]
Methods = Annotated[
    str | None,
    typer.Option(help='Its own verify codes: {"2":"card"}; {} is none.', metavar="JSON"),
]
Heartbeat = Annotated[int | None, typer.Option(help="Seconds between its heartbeats, 10 to 3600.")]


@account_command(app, "add", creates=True)
def add(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    serial: Serial,
    *,
    own_id: OwnId = None,
    name: Name = None,
    zone: Zone = None,
    site: Site = None,
    engine: EngineName = None,
    token: Token = None,
    valid_until: ValidUntil = None,
    host: device_call.Host = None,
    port: device_call.Port = None,
    comm_key: device_call.CommKey = None,
    udp: device_call.Udp = None,
    timeout: device_call.Timeout = None,
    disable_for: device_call.Disable = None,
    encoding: device_call.Encoding = None,
    order16: device_call.Order = None,
    unlock_unit: device_call.Unit = None,
    unlock_confirmed: device_call.UnitSeen = None,
    backfill: device_call.Backfill = None,
    realtime: device_call.Realtime = None,
) -> None:
    """Add a device and print its token; it is shown this once.

    With a host it is a terminal that we call; such a one has no token.
    """
    from punchgate.usecases import devices
    from punchgate.usecases import terminal_register as register

    called = device_call.changes(
        comm_key,
        host=host,
        port=port,
        is_udp=udp,
        timeout_s=timeout,
        disable_for=disable_for,
        encoding=encoding,
        order16=order16,
        unlock_unit=unlock_unit,
        unlock_confirmed=unlock_confirmed,
        backfill_s=backfill,
        realtime=realtime,
    )
    changes = devices.Changes(
        name=name, zone=zone, site=site, engine=engine, valid_until=_last_day(valid_until)
    )
    secret = _read_token(token)
    if called.says_something:
        terminal = register.New(
            id=own_id, serial=serial, token=secret, device=changes, terminal=called
        )
        called_one = session.run_account(
            here,
            lambda s, account: register.add(
                s.context, account.no, terminal, actor=s.actor, now=s.now
            ),
        )
        _tell(here, called_one)
        return
    new = devices.New(serial=serial, id=own_id, token=secret, changes=changes)
    added = session.run_account(
        here,
        lambda s, account: devices.add(s.context, account.no, new, actor=s.actor, now=s.now),
    )
    _tell(here, added)
    if not added.token:
        output.say("Nobody calls it: give it a host, or remove it and add it with its --engine.")


@account_command(app, "claim", creates=True)
def claim(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    serial: Serial,
    *,
    own_id: OwnId = None,
    name: Name = None,
    zone: Zone = None,
    site: Site = None,
    token: Token = None,
    valid_until: ValidUntil = None,
) -> None:
    """Accept a device that has called and that nobody has claimed; print its token."""
    from punchgate.usecases import devices

    changes = devices.Changes(name=name, zone=zone, site=site, valid_until=_last_day(valid_until))
    new = devices.New(serial=serial, id=own_id, token=_read_token(token), changes=changes)
    added = session.run_account(
        here,
        lambda s, account: devices.claim(s.context, account.no, new, actor=s.actor, now=s.now),
    )
    _tell(here, added)


@account_command(app, "list")
def list_devices(
    here: Here,
    *,
    unclaimed: Annotated[
        bool, typer.Option("--unclaimed", help="Those that call and that nobody has claimed.")
    ] = False,
) -> None:
    """List the devices of an account."""
    if unclaimed:
        _list_unclaimed(here)
        return
    rows = session.run_account(here, _rows)
    columns = ("device_id", "serial", "name", "site", "zone", "valid_until", "last_seen_at")
    output.many(columns, rows, as_json=here.as_json)


@account_command(app, "show")
def show(here: Here, device_id: Id) -> None:
    """Show a device with everything that is set on it, and what it said where we call it."""
    from punchgate.usecases import devices
    from punchgate.usecases import terminal_register as register

    async def show_all(s: "Session", account: "Account") -> dict[str, Any]:
        device = await devices.get(s.context, account.no, DeviceId(device_id))
        terminal = await register.find(s.context, account.no, device.id)
        called = {} if terminal is None else device_call.shown(terminal)
        return {**_shown(device), **called}

    output.one(session.run_account(here, show_all), as_json=here.as_json)


@account_command(app, "set")
def set_device(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    device_id: Id,
    *,
    name: Name = None,
    zone: Zone = None,
    site: Site = None,
    engine: EngineName = None,
    valid_until: ValidUntil = None,
    suspended: Annotated[
        bool | None,
        typer.Option(
            "--suspended/--active",
            help="Whether its punches are refused; the log of a terminal waits unread.",
        ),
    ] = None,
    direction_policy: Policy = None,
    directions: Codes = None,
    verify_methods: Methods = None,
    heartbeat_interval: Heartbeat = None,
    host: device_call.Host = None,
    port: device_call.Port = None,
    comm_key: device_call.CommKey = None,
    udp: device_call.Udp = None,
    timeout: device_call.Timeout = None,
    disable_for: device_call.Disable = None,
    encoding: device_call.Encoding = None,
    order16: device_call.Order = None,
    unlock_unit: device_call.Unit = None,
    unlock_confirmed: device_call.UnitSeen = None,
    backfill: device_call.Backfill = None,
    realtime: device_call.Realtime = None,
) -> None:
    """Change what is set on a device; an empty text takes a value away."""
    from punchgate.usecases import devices, terminal_moves

    called = device_call.changes(
        comm_key,
        host=host,
        port=port,
        is_udp=udp,
        timeout_s=timeout,
        disable_for=disable_for,
        encoding=encoding,
        order16=order16,
        unlock_unit=unlock_unit,
        unlock_confirmed=unlock_confirmed,
        backfill_s=backfill,
        realtime=realtime,
    )
    changes = devices.Changes(
        name=name,
        zone=zone,
        site=site,
        engine=engine,
        valid_until=_last_day(valid_until),
        is_suspended=suspended,
        direction_policy=direction_policy,
        directions=parse.codes(directions, "--directions"),
        verify_methods=parse.codes(verify_methods, "--verify-methods"),
        heartbeat_interval_s=heartbeat_interval,
    )

    async def set_all(s: "Session", account: "Account") -> tuple[dict[str, Any], str | None]:
        if not called.says_something:
            device = await devices.set_device(
                s.context, account.no, DeviceId(device_id), changes, actor=s.actor, now=s.now
            )
            return _shown(device), None
        async with device_call.placed(s, account, device_id) as place:
            after = await terminal_moves.set_terminal(
                s.context, place, called, device=changes, actor=s.actor, now=s.now
            )
        return {**_shown(after.device), **device_call.shown(after.terminal)}, after.left_address

    shown, left_address = session.run_account(here, set_all)
    output.one(shown, as_json=here.as_json)
    _tell_left(left_address)
    if engine not in {None, "zk"} and not shown["has_token"]:
        output.say("It has no token and cannot call: remove it and add it again to give it one.")


@account_command(app, "remove")
def remove(here: Here, device_id: Id) -> None:
    """Remove a device; what it sent stays, its token is refused within a second."""
    from punchgate.usecases import terminal_moves

    async def remove_one(s: "Session", account: "Account") -> "Removed":
        async with device_call.placed(s, account, device_id) as place:
            return await terminal_moves.remove(s.context, place, actor=s.actor, now=s.now)

    removed = session.run_account(here, remove_one)
    device = removed.device
    output.one({"device_id": device.id, "serial": device.serial}, as_json=here.as_json)
    _tell_left(removed.left_address)


def _list_unclaimed(here: Here) -> None:
    from punchgate.usecases import devices

    strangers = session.run(here, lambda s: devices.list_unclaimed(s.context))
    columns = ("serial", "engine", "address", "operation", "last_seen_at", "requests")
    output.many(columns, (_stranger(each) for each in strangers), as_json=here.as_json)


def _read_token(token: str | None) -> str | None:
    # What is typed into a command can be read by everybody on the machine.
    return sys.stdin.readline().rstrip("\n") if token == _STDIN else token


def _last_day(text: str | None) -> date | Literal[""] | None:
    if not text:
        return "" if text == "" else None
    return parse.day(text, "--valid-until")


def _tell(here: Here, added: "Added | AddedTerminal") -> None:
    device = added.device
    values = {"device_id": device.id, "serial": device.serial}
    if not added.token:
        output.one(values, as_json=here.as_json)
        return
    output.one({**values, "token": added.token}, as_json=here.as_json)
    output.say("Keep the token now: it cannot be shown again.")


def _tell_left(left_address: str | None) -> None:
    if left_address is not None:
        output.say(
            f"It was disabled for a reading and did not answer at {left_address} any more, so"
            " people may be unable to punch there: restart it."
        )


async def _rows(s: "Session", account: "Account") -> list[dict[str, Any]]:
    return [
        {**_shown(listed.device), "last_seen_at": output.instant(listed.last_seen_at)}
        async for listed in _pages(s, account)
    ]


async def _pages(s: "Session", account: "Account") -> "AsyncIterator[Listed]":
    from punchgate.usecases import devices

    after = ""
    while page := await devices.list_devices(s.context, account.no, after=after):
        for listed in page:
            yield listed
        after = page[-1].device.id


def _stranger(unclaimed: "Unclaimed") -> dict[str, Any]:
    return {
        "serial": unclaimed.serial,
        "engine": unclaimed.engine,
        "address": unclaimed.address,
        "operation": unclaimed.operation,
        "first_seen_at": output.instant(unclaimed.first_seen_at),
        "last_seen_at": output.instant(unclaimed.last_seen_at),
        "requests": unclaimed.requests,
    }


def _shown(device: "Device") -> dict[str, Any]:
    return {
        "device_id": device.id,
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
        "has_token": device.token_hash is not None,
        "version": device.version,
    }
