"""`punchgate replay`: captured traffic, fed in again through the one door.

A capture is a text file with one upload on a line: `{"serial": …, "body": …}`. The body is what the
device posted, a punch object or an array of them, as JSON or as the text itself. Feeding a capture
in twice is harmless. What a line means is read by `usecases/captures.py`.

A file that begins as `punchgate capture zk` writes it is no upload: it holds a conversation with a
terminal, whose side of it is played to whoever calls.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from punchgate.cli import listening, output, session
from punchgate.cli.session import Here, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from punchgate.cli.session import Session
    from punchgate.usecases.captures import Tally, Upload


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    command(app, "replay", creates=True)(replay)


def replay(
    here: Here,
    file: Annotated[Path, typer.Argument(help="The capture.", exists=True, dir_okay=False)],
    *,
    listen: Annotated[
        str,
        typer.Option(
            help="Where the terminal of a captured conversation is played.", metavar="HOST:PORT"
        ),
    ] = "127.0.0.1:4370",
) -> None:
    """Feed captured uploads in again, or play the terminal of a captured conversation."""
    if _is_conversation(file):
        _play(here, file, listen)
        return
    tally = session.run(here, lambda s: _feed(s, file))
    values = {
        "uploads": tally.uploads,
        "recorded": tally.recorded,
        "duplicate": tally.duplicate,
        "quarantined": tally.quarantined,
        "unknown_serials": sorted(tally.unknown),
    }
    output.one(values, as_json=here.as_json)
    if tally.unknown:
        output.say("Nobody has claimed these serials, so nothing of them was stored.")
        raise typer.Exit(session.FAILED)


def _is_conversation(file: Path) -> bool:
    from punchgate.simulators import zk_tape

    with file.open("rb") as lines:
        return lines.read(len(zk_tape.HEAD)) == zk_tape.HEAD.encode()


def _play(here: Here, file: Path, listen: str) -> None:
    import asyncio
    from contextlib import suppress

    from punchgate.domain.error import Invalid
    from punchgate.httpkit import server
    from punchgate.simulators import zk_tape

    try:
        address = server.Address.read(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from None
    with session.telling(), listening.telling({"--listen": listen}):
        try:
            exchanges = zk_tape.read(file.read_text("utf-8", "replace").splitlines())
        except zk_tape.NotATape as error:
            raise Invalid(str(error)) from error

        def ready(port: int) -> None:
            where = f"{address.host}:{port}"
            if here.as_json:
                output.one({"listen": where, "exchanges": len(exchanges)}, as_json=True)
            output.say(f"A captured terminal answers at {where}. Ctrl-C ends it.")

        with suppress(KeyboardInterrupt):
            asyncio.run(zk_tape.play(exchanges, (address.host, address.port), ready=ready))


async def _feed(s: "Session", file: Path) -> "Tally":
    from punchgate.domain.error import Invalid
    from punchgate.usecases import captures

    fed = 0
    with output.progress("uploads") as show:

        def count(uploads: int) -> None:
            nonlocal fed
            fed += uploads
            show(uploads)

        try:
            return await captures.feed(s.context, _uploads(file), now=s.now, on_upload=count)
        except Invalid as error:
            raise Invalid(f"{error} Uploads fed in before it: {fed}.") from error


def _uploads(file: Path) -> "Iterator[Upload]":
    from punchgate.usecases import captures

    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield captures.read(line, number)
