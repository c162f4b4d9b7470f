"""`punchgate simulate http`: virtual terminals that send, against a server that is running.

Parses and prints; the terminals are in `simulators/`. It talks to the server as any device does and
opens no database: what it cannot do over the published API, it cannot do.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from punchgate.cli import output, parse, simulate_zk

if TYPE_CHECKING:
    from punchgate.simulators import day, fleet, http

app = typer.Typer(no_args_is_help=True, help="Play a virtual terminal, or a fleet of them.")


@app.callback()
def simulate() -> None:
    """Play a virtual terminal, or a fleet of them."""


simulate_zk.register(app)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What was asked for, checked."""

    server: str
    devices: Sequence["http.Credentials"]
    people: int
    days: int
    until: date | None
    rate: float
    batch: int
    seed: int
    patience_s: float


@app.command("http")
def http_command(  # noqa: PLR0913 (one parameter for each option)
    *,
    server: Annotated[str, typer.Option(help="Address of the gateway: http://127.0.0.1:8080")],
    serial: Annotated[list[str], typer.Option(help="Serial of a device; repeat it for a fleet.")],
    token: Annotated[list[str], typer.Option(help="Its token; one for each serial, in order.")],
    people: Annotated[int, typer.Option(min=1, max=9000, help="How many people punch.")] = 10,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days in a row.")] = 1,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Last of these days. [default: yesterday at the device]"
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Punches a second, of all devices; 0 for no limit.")
    ] = 50,
    batch: Annotated[
        int, typer.Option(min=1, max=1000, help="Punches in one request; 1 posts each by itself.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="The same seed invents the same days.")] = 1,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds that one request is tried in vain.")
    ] = 60,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on stdout.")
    ] = False,
) -> None:
    """Send plausible days of punches over HTTP, as terminals do.

    Late arrivals, lunch breaks, a double punch and a night shift are among them. What was not
    acknowledged is sent again. Sending the same days twice gives duplicates only.
    """
    import asyncio

    from punchgate.simulators import http

    if len(serial) != len(token):
        raise typer.BadParameter(
            f"{len(serial)} --serial and {len(token)} --token: give one token for each serial."
        )
    if not all(said.isprintable() for said in (*serial, *token)):
        raise typer.BadParameter("A --serial or a --token has no control characters.")
    if not _is_address(server):
        raise typer.BadParameter("--server is an address like http://127.0.0.1:8080.")
    devices = [http.Credentials(*pair) for pair in zip(serial, token, strict=True)]
    last = parse.invented(until, "--until")
    wish = _Wish(server, devices, people, days, last, rate, batch, seed, patience)
    outcome = asyncio.run(_play(wish))
    _report(outcome, as_json=as_json)
    raise typer.Exit(0 if outcome.is_complete else 1)


def _is_address(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Outcome:
    planned: int
    tally: "fleet.Tally"
    reasons: Sequence[str]
    first: date | None = None
    last: date | None = None

    @property
    def is_complete(self) -> bool:
        return not self.reasons and self.tally.acknowledged == self.planned


async def _play(wish: _Wish) -> _Outcome:
    import asyncio

    from punchgate.simulators import fleet, http

    counter = fleet.Counter()
    surroundings = http.Surroundings(
        clock=time.monotonic,
        pause=asyncio.sleep,
        chance=random.random,
        noted=counter,
        patience_s=wish.patience_s,
    )
    async with fleet.open_session() as session:
        terminals = [
            http.Terminal(session, wish.server, device, surroundings) for device in wish.devices
        ]
        try:
            punches, first, last = await _plan(wish, terminals[0])
        except http.Stopped as stopped:
            return _Outcome(0, counter.tally, (str(stopped),))
        pace = fleet.Pace(wish.rate, surroundings.clock, surroundings.pause)
        with output.progress(f"of {len(punches)} punches acknowledged") as advance:
            counter.on_acknowledged = advance
            reasons = await fleet.play(
                terminals, punches, batch=wish.batch, pace=pace, pause=surroundings.pause
            )
    return _Outcome(len(punches), counter.tally, reasons, first, last)


async def _plan(
    wish: _Wish, terminal: "http.Terminal"
) -> tuple[tuple["day.Planned", ...], date, date]:
    from punchgate.simulators import day

    # The device's calendar, not this machine's: the gateway tells which zone it stands in.
    now = (await terminal.config()).wall_time
    last = wish.until or (now - timedelta(days=1)).date()
    first = last - timedelta(days=wish.days - 1)
    planned = day.plan(
        first, wish.days, people=wish.people, devices=len(wish.devices), seed=wish.seed
    )
    # What has not happened yet cannot have been punched; the gateway would put it in quarantine.
    return tuple(punch for punch in planned if punch.wall_time <= now), first, last


def _report(outcome: _Outcome, *, as_json: bool) -> None:
    for reason in outcome.reasons:
        output.say(f"Stopped. {reason}")
    if not outcome.planned and not outcome.reasons:
        output.say("Nothing was sent: at the device, these days are still to come.")
    dates = {"first_date": outcome.first, "last_date": outcome.last}
    output.one({"planned": outcome.planned, **asdict(outcome.tally), **dates}, as_json=as_json)
