"""What `punchgate demo` plays: a server, three devices before it, their two days, the summary.

Everything in it is real: the server, the store and its flushes, the published API on a socket. The
devices and their day are invented (`simulators/`); what is shown is what the API answered. The
directory and the options are not its affair.
"""
# ruff: noqa: PLC0415 (what only one step needs is imported by that step)

import asyncio
import random
import signal
import socket
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from punchgate.cli import output, session
from punchgate.domain.error import PunchgateError

if TYPE_CHECKING:
    from rich.console import Console

    from punchgate.app import Running
    from punchgate.cli.demo_cast import Cast
    from punchgate.cli.demo_screen import Screen
    from punchgate.cli.demo_terminals import Standing
    from punchgate.config import Settings
    from punchgate.simulators import day, note

_HTTP: Final = ("127.0.0.1", 8080)
_DIRECTIONS: Final = ("in", "out", "break out", "break in")
_SEED: Final = 8
_PATIENCE_S: Final = 30


@dataclass(frozen=True, slots=True)
class Show:
    """How it is shown; `rate` is punches a second."""

    console: "Console"
    rate: float
    ends_after_summary: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Played:
    since: date
    until: date
    rows: Sequence[dict[str, Any]]


class _Teller:
    """Takes the terminals' notes and shows what was acknowledged."""

    def __init__(self, screen: "Screen") -> None:
        self.punches: Sequence[day.Planned] = ()
        self._screen = screen

    def __call__(self, said: "note.Note") -> None:
        from punchgate.cli.demo_cast import DEVICES
        from punchgate.cli.demo_screen import Line
        from punchgate.simulators import note

        if not isinstance(said, note.Acknowledged):
            return
        for item, answer in zip(said.items, said.answers, strict=True):
            punch = self.punches[item.number]
            self._screen.show(
                Line(
                    time=f"{punch.wall_time:%a %H:%M:%S}",
                    device=DEVICES[punch.device][2],
                    person=_name(punch.user_code),
                    direction=_DIRECTIONS[punch.direction_code],
                    status=answer.status,
                )
            )


async def run(settings: "Settings", show: Show) -> None:
    """Play everything; without `ends_after_summary` until a signal ends it."""
    from punchgate.cli import demo_cast, demo_terminals

    async with demo_terminals.standing(len(demo_cast.PEOPLE)) as there:
        await _serve(settings, show, there)


async def _serve(settings: "Settings", show: Show, there: "Standing") -> None:
    from punchgate import app, telemetry
    from punchgate.cli import demo_cast

    async with app.open_context(settings) as context:
        cast = await demo_cast.register(context, session.clock(), there)
    stop = _stop_on_signals()
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    with (settings.data / "serve.log").open("w", encoding="utf-8") as log:
        telemetry.configure(settings.log_level, log)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(app.serve(settings, ready=ready.set_result, stop=stop))
                server = f"http://{(await ready).http}"
                await _unless(stop, _show_all(server, cast, show, there))
                if not show.ends_after_summary:
                    await _unless(stop, there.punch())
                stop.set()
        except BaseExceptionGroup as group:
            # One thing went wrong; what it took down with it is of no interest.
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None


def settings(directory: Path, listen: str) -> "Settings":
    """Give the settings of a demo in a directory."""
    from punchgate import config

    # Every place is named, so that no setting of the environment points the demo at real data.
    options = {
        "data": directory,
        "database": f"sqlite:///{directory / config.DATABASE_FILE}",
        "http.listen": listen,
        "devices.listen": "",
        "facade.listen": "",
        "terminals.allowed_networks": ["127.0.0.0/8"],
    }
    return config.load(None, options).settings


def address() -> str:
    """Give the usual address, or one with a free port if that is taken."""
    host, port = _HTTP
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(_HTTP)
        except OSError:
            port = 0
    return f"{host}:{port}"


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, or leave it when `stop` is set."""
    async with asyncio.TaskGroup() as tasks:
        doing, stopping = tasks.create_task(work), tasks.create_task(stop.wait())
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        doing.cancel()
        stopping.cancel()


async def _show_all(server: str, cast: "Cast", show: Show, there: "Standing") -> None:
    from punchgate.cli import demo_terminals
    from punchgate.cli.demo_screen import show_summary
    from punchgate.simulators import http, payroll

    try:
        played = await _play(server, cast, show)
        pulled = await demo_terminals.read(server, cast.key, there)
    except (http.Stopped, payroll.Refused) as error:
        raise PunchgateError(f"The demo cannot go on. {error}") from error
    show_summary(show.console, played.rows)
    if show.as_json:
        told = {"server": server, "key": cast.key, "summary": played.rows}
        terminals = {"terminals": there.addresses, "pulled": pulled}
        output.one(told | terminals, as_json=True)
    gate = cast.devices[0]
    summary = (
        f"{server}/api/v1/attendance/summary?start_date={played.since}&end_date={played.until}"
    )
    punch = f'{{"user_id":"1001","att_time":"{played.until} 00:00:01","att_state":0}}'
    for line in (
        f"Two terminals at {' and '.join(there.addresses)} were called and {pulled} punches read.",
        f"The gateway serves on {server}. Its API key for reports is {cast.key}.",
        "",
        f"  curl -s -H 'X-API-Key: {cast.key}' \\",
        f"    '{summary}'",
        f"  curl -si -H 'sn: {gate.serial}' -H 'auth-token: {gate.token}' \\",
        f"    -d '{punch}' {server}/api/attendance/v1/punch",
    ):
        show.console.print(line, soft_wrap=True, highlight=False, markup=False)
    if not show.ends_after_summary:
        show.console.print("\nPress Ctrl-C to end it; ./demo-data is removed then.")


async def _play(server: str, cast: "Cast", show: Show) -> _Played:
    """Send yesterday and today, as far as it has passed, in the order in which it happened."""
    from punchgate.cli.demo_cast import PEOPLE
    from punchgate.cli.demo_screen import Screen
    from punchgate.simulators import day, fleet, http, payroll

    screen = Screen(show.console)
    teller = _Teller(screen)
    surroundings = http.Surroundings(
        clock=time.monotonic,
        pause=asyncio.sleep,
        chance=random.random,
        noted=teller,
        patience_s=_PATIENCE_S,
    )
    async with fleet.open_session() as opened:
        terminals = [http.Terminal(opened, server, one, surroundings) for one in cast.devices]
        now = (await terminals[0].config()).wall_time
        since = (now - timedelta(days=1)).date()
        planned = day.plan(since, 2, people=len(PEOPLE), devices=len(terminals), seed=_SEED)
        punches = tuple(punch for punch in planned if punch.wall_time <= now)
        teller.punches, screen.total = punches, len(punches)
        pace = fleet.Pace(show.rate, surroundings.clock, surroundings.pause)
        with screen:
            for number, punch in enumerate(punches):
                await pace.turn(1)
                await terminals[punch.device].upload([http.item(number, punch)])
        rows = await payroll.read_summary(opened, server, cast.key, since, now.date())
    return _Played(since, now.date(), rows)


def _name(code: str) -> str:
    from punchgate.cli.demo_cast import PEOPLE
    from punchgate.simulators import day

    return dict(zip(day.user_codes(len(PEOPLE)), PEOPLE, strict=True))[code]


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Also when the terminal is closed: the directory goes in any case.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop
