"""`punchgate simulate zk`: virtual terminals that wait for a call on port 4370.

Parses, prints where they are, and runs until interrupted; the terminals are in `simulators/`.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import sys
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from punchgate.cli import listening, output, parse, session
from punchgate.domain.device import is_serial

if TYPE_CHECKING:
    from punchgate.simulators.zk_fleet import Fleet

#: Twenty-five years: a clock that was reset to its first year is behind by as much.
_SKEW: Final = 800_000_000


_PORTS: Final = 65_536


class RowSize(StrEnum):
    """The layouts of an attendance row, by their bytes; `8` is 8A."""

    EIGHT_A = "8"
    EIGHT_B = "8b"
    SIXTEEN = "16"
    TWENTY_TWO = "22"
    FORTY = "40"
    FORTY_NINE = "49"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("zk")(zk_command)


def zk_command(  # noqa: PLR0913 (one parameter for each option)
    *,
    listen: Annotated[
        str, typer.Option(help="Address of the first terminal; port 0 finds a free one.")
    ] = "127.0.0.1:4370",
    users: Annotated[int, typer.Option(min=1, max=9000, help="How many people it knows.")] = 10,
    records: Annotated[
        int, typer.Option(min=0, max=2_000_000, help="How many punches are in its log.")
    ] = 1000,
    row_size: Annotated[
        RowSize, typer.Option(help="Layout of an attendance row, by its bytes; 8 is 8A.")
    ] = RowSize.FORTY,
    comm_key: Annotated[
        int, typer.Option(min=0, max=999_999, help="Comm key that it wants; 0 for none.")
    ] = 0,
    count: Annotated[
        int, typer.Option(min=1, max=1000, help="How many terminals, on consecutive ports.")
    ] = 1,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Something that is wrong with it; repeat it. `list` prints them all."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed invents the same terminal.")] = 1,
    serial: Annotated[
        str | None,
        typer.Option(help="Its serial; a fleet counts from it. [default: of its port and seed]"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Last day of its log. [default: the day before yesterday]"
        ),
    ] = None,
    clock_skew: Annotated[
        int,
        typer.Option(
            min=-_SKEW, max=_SKEW, help="Seconds that its clock is ahead of this machine's."
        ),
    ] = 0,
    punch_every: Annotated[
        float, typer.Option(min=0, help="Seconds between live punches; 0 for none.")
    ] = 0,
    frame_gap: Annotated[
        float, typer.Option(min=0, help="Milliseconds between two frames; Node clients need 5.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print where they are as JSON on stdout.")
    ] = False,
) -> None:
    """Play terminals that wait for a call, over TCP and UDP, until interrupted.

    Each has people, fingers and a log of plausible days. `--fault list` prints what can be wrong.
    """
    import asyncio

    from punchgate.httpkit import server
    from punchgate.simulators import zk_faults, zk_fleet, zk_log, zk_memory
    from punchgate.simulators.zk import Nature

    if fault == ["list"]:
        rows = ({"fault": name, "what_happens": said} for name, said in zk_faults.lines())
        output.many(("fault", "what_happens"), rows, as_json=as_json)
        return
    try:
        faults = zk_faults.read(fault or [])
    except zk_faults.UnknownFault as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    if serial is not None and not is_serial(serial):
        raise typer.BadParameter(f"{serial!r} is no serial.", param_hint="--serial")
    now = datetime.now()  # noqa: DTZ005 (a terminal's clock is a wall clock without a zone)
    fleet = zk_fleet.Fleet(
        contents=zk_memory.Contents(
            users=users,
            records=records,
            layout=zk_memory.ROW_SIZES[row_size],
            last=parse.invented(until, "--until") or now.date() - timedelta(days=2),
            seed=seed,
            serial=serial or "",
            faults=faults,
        ),
        nature=Nature(faults=faults, pause=asyncio.sleep, seed=seed, comm_key=comm_key),
        clock=datetime.now,
        skew=timedelta(seconds=clock_skew),
        count=count,
        frame_gap_s=frame_gap / 1000,
    )
    try:
        address = server.Address.read(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from None
    if address.port and address.port + count > _PORTS:
        sentence = f"There are no {count} ports from {listen} on."
        raise typer.BadParameter(sentence, param_hint="--count")
    place = (address.host, address.port)
    try:
        with session.telling(), listening.telling({"--listen": listen}):
            asyncio.run(_play(fleet, place, punch_every, as_json=as_json))
    except zk_log.TooFewPeople as error:
        raise typer.BadParameter(str(error), param_hint="--records") from None


async def _play(
    fleet: "Fleet", address: tuple[str, int], punch_every_s: float, *, as_json: bool
) -> None:
    import asyncio
    import signal

    from punchgate.simulators import zk_fleet

    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    terminals = fleet.terminals()
    async with (
        zk_fleet.listening(terminals, address, fleet.limits()) as ports,
        asyncio.TaskGroup() as group,
    ):
        places = [
            {"address": f"{address[0]}:{port}", "serial": terminal.memory.serial}
            for port, terminal in zip(ports, terminals, strict=True)
        ]
        output.many(("address", "serial"), places, as_json=as_json)
        sys.stdout.flush()
        if punch_every_s:
            tasks = [
                group.create_task(
                    zk_fleet.live(terminal, every_s=punch_every_s, pause=fleet.nature.pause)
                )
                for terminal in terminals
            ]
        else:
            tasks = []
        await over.wait()
        for task in tasks:
            task.cancel()
