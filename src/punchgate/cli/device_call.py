"""The options of `punchgate device` about devices that we call, and how they are read.

One place for `add` and `set`; the rules are `usecases/terminal_register.py`'s.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from punchgate.domain.terminal import DisableFor, Order16, UnlockUnit

if TYPE_CHECKING:
    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.domain.terminal import Terminal
    from punchgate.usecases.terminal_orders import Place
    from punchgate.usecases.terminal_register import Changes

#: Given in place of a secret, it says that the secret stands on stdin.
_STDIN = "-"

Host = Annotated[str | None, typer.Option(help="Where it is called: its address or its name.")]
Port = Annotated[int | None, typer.Option(help="Its port. [default: 4370]")]
CommKey = Annotated[
    str | None,
    typer.Option(help="Its comm key, - reads it from stdin; 0 is none. Never shown again."),
]
Udp = Annotated[bool | None, typer.Option("--udp/--tcp", help="Whether it is called over UDP.")]
Timeout = Annotated[
    float | None, typer.Option(help="Seconds to connect and for each answer, 1 to 60.")
]
Disable = Annotated[
    DisableFor | None, typer.Option("--disable-for", help="For what nobody can punch meanwhile.")
]
Encoding = Annotated[
    str | None, typer.Option(help="How names on it are encoded: utf-8, gb2312, cp1256.")
]
Order = Annotated[
    Order16 | None, typer.Option("--order16", help="What comes first in rows of 16 bytes.")
]
Unit = Annotated[
    UnlockUnit | None, typer.Option("--unlock-unit", help="What the number of an unlock counts.")
]
UnitSeen = Annotated[
    bool | None,
    typer.Option(
        "--unlock-confirmed/--unlock-unconfirmed",
        help="Whether somebody has seen that the unit is right; 3 s at most else.",
    ),
]
Backfill = Annotated[
    int | None, typer.Option(help="Seconds between readings of its log, 30 to 86400; 0 is never.")
]
Realtime = Annotated[
    bool | None,
    typer.Option("--realtime/--no-realtime", help="Whether live events are listened to."),
]


def changes(comm_key: str | None, **given: Any) -> "Changes":
    """Give what was said about calling; a comm key that is no number is a usage error."""
    from punchgate.usecases.terminal_register import Changes

    return Changes(comm_key=_key(comm_key), **given)


@asynccontextmanager
async def placed(s: "Session", account: "Account", device_id: str) -> "AsyncIterator[Place]":
    """Give a device with what could call it from here, should it have to be called."""
    import asyncio

    from punchgate.cli import session
    from punchgate.domain.ids import DeviceId
    from punchgate.engines import terminals
    from punchgate.usecases.terminal_orders import Place

    caller = terminals.build(s.context, session.clock, asyncio.sleep, max_sessions=1)
    try:
        yield Place(caller, account.no, DeviceId(device_id))
    finally:
        await caller.close()


def shown(terminal: "Terminal") -> dict[str, Any]:
    """Give what an operator may see of a terminal, and what it last said."""
    from punchgate.cli import output
    from punchgate.usecases import terminal_register as register

    return {
        **register.facts(terminal),
        **register.known_facts(terminal),
        "last_read_at": output.instant(terminal.last_read_at),
        "disabled_at": output.instant(terminal.disabled_at),
    }


def _key(text: str | None) -> int | None:
    if text is None:
        return None
    # What is typed into a command can be read by everybody on the machine.
    said = sys.stdin.readline().strip() if text == _STDIN else text
    if not (said.isascii() and said.isdecimal()):
        raise typer.BadParameter("A comm key is a number.", param_hint="--comm-key")
    return int(said)
