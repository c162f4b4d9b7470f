"""`punchgate capture`: one conversation with a registered terminal, written into a file.

`punchgate replay` plays the terminal's side of it back, `punchgate decode` explains it.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, account_command
from punchgate.domain.ids import DeviceId

if TYPE_CHECKING:
    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.engines.zk.tape import Tape
    from punchgate.usecases.terminals import LogRead

app = typer.Typer(no_args_is_help=True)


@app.callback()
def capture() -> None:
    """Record what is said with a device."""


@account_command(app, "zk")
def zk(
    here: Here,
    device_id: Annotated[str, typer.Argument(help="Our name for the terminal.")],
    *,
    out: Annotated[Path, typer.Option(help="The file that is written.", metavar="FILE")],
    raw: Annotated[
        bool, typer.Option("--raw", help="Keep names, codes, cards, passwords and keys in it.")
    ] = False,
) -> None:
    """Read a terminal's log once, and write what was said: names, codes and keys left out.

    The punches are recorded as at every reading.
    """
    import asyncio

    from punchgate.engines import terminals
    from punchgate.engines.zk import tape

    kept = tape.Tape()

    async def listen(s: "Session", account: "Account") -> "LogRead":
        caller = terminals.build(s.context, session.clock, asyncio.sleep, max_sessions=1)
        try:
            return await caller.capture(account.no, DeviceId(device_id), kept.tap)
        finally:
            await caller.close()
            # What was said until it went wrong is what one wants to look at.
            _write(kept, out, is_raw=raw)

    read = session.run_account(here, listen)
    values = {
        "file": str(out),
        "packets": len(kept.said),
        "rows": read.rows,
        "recorded": read.recorded,
        "quarantined": read.quarantined,
    }
    output.one(values, as_json=here.as_json)


def _write(kept: "Tape", out: Path, *, is_raw: bool) -> None:
    from punchgate.domain import localtime
    from punchgate.engines.zk import tape

    if all(side == "client" for side, _ in kept.said):
        # Nobody answered: there is nothing to look at, and what stands there may be a capture.
        return
    # Rows lie before it, whatever their zone: a layout is believed by that.
    now, _ = localtime.wall_at(session.clock() // 1_000, localtime.find_zone("UTC"))
    shown = kept if is_raw else tape.scrub(kept, now)
    # Times of punches stand in it, and with --raw names and passwords too: for its owner alone.
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.writelines(f"{line}\n" for line in shown.lines())
