"""`punchgate punch`: what was stored, as a list, as one, as a file, and why it is as it is."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from punchgate.cli import output, parse, session
from punchgate.cli.session import Here, account_command
from punchgate.domain.error import NotFound
from punchgate.domain.ids import DeviceId, PunchId, UserCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.reports.exports import Layout
    from punchgate.reports.punches import Filter, Row

app = typer.Typer(no_args_is_help=True)

#: The formats of `reports/exports.py`, which is imported late.
Form = Literal["csv", "jsonl"]
Id = Annotated[str, typer.Argument(help="The punch_id.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Of this device.", metavar="ID")]
PersonOption = Annotated[
    str | None, typer.Option("--person", help="Of this user code.", metavar="CODE")
]
Since = Annotated[
    str | None,
    typer.Option(help="From this wall time on: 2026-06-21 or with 09:30.", metavar="TIME"),
]
Until = Annotated[str | None, typer.Option(help="Before this wall time.", metavar="TIME")]


@account_command(app, "list")
def list_punches(
    here: Here,
    *,
    device: DeviceOption = None,
    person: PersonOption = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """List punches, the latest wall time first."""
    from punchgate.reports import punches

    wanted = _filter(device, person, since, until)

    async def work(s: "Session", account: "Account") -> "Sequence[Row]":
        await _ensure_known(s, account, wanted)
        return await punches.list_punches(s.context.database, account.no, wanted, limit=limit)

    rows = session.run_account(here, work)
    columns = ("punch_id", "wall_time", "user_code", "name", "device_id", "direction", "verify")
    output.many(columns, (_shown(row) for row in rows), as_json=here.as_json)


@account_command(app, "show")
def show(here: Here, punch_id: Id) -> None:
    """Show a punch with everything that is kept of it."""
    from punchgate.reports import punches

    row = session.run_account(
        here, lambda s, account: punches.get(s.context.database, account.no, PunchId(punch_id))
    )
    raw = row.punch.raw.decode("utf-8", "backslashreplace")
    said = {
        "time_text": row.punch.time_text,
        "zone_source": row.punch.zone_source,
        "code_table": row.punch.code_table,
        "raw": raw,
    }
    output.one({**_shown(row), **said}, as_json=here.as_json)


@account_command(app, "export")
def export(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    *,
    form: Annotated[Form, typer.Option("--format", help="csv or jsonl.")] = "csv",
    out: Annotated[
        Path | None, typer.Option(help="File to write; stdout else.", metavar="FILE")
    ] = None,
    device: DeviceOption = None,
    person: PersonOption = None,
    since: Since = None,
    until: Until = None,
    semicolon: Annotated[bool, typer.Option("--semicolon", help="Separate CSV by ;.")] = False,
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark.")] = False,
) -> None:
    """Write punches to a file, the earliest wall time first."""
    from punchgate.reports import exports

    layout = exports.Layout(form=form, delimiter=";" if semicolon else ",", has_bom=bom)
    wanted = _filter(device, person, since, until)
    if out is None:
        session.run_account(here, lambda s, account: _write(s, account, wanted, layout))
        return
    with session.telling(), _speaking_of(out), exports.replacing(out) as file:
        rows = session.run_account(
            here, lambda s, account: _write(s, account, wanted, layout, file)
        )
    output.say(f"{rows} punches are in {out}.")
    if here.as_json:
        output.one({"file": str(out), "rows": rows}, as_json=True)


@account_command(app, "explain")
def explain(here: Here, punch_id: Id) -> None:
    """Tell a punch's whole story: bytes, reading, identity, zone, day, deliveries, and why."""
    from punchgate.reports import explain as stories

    story = session.run_account(
        here,
        lambda s, account: stories.explain(s.context.database, account, PunchId(punch_id)),
    )
    if here.as_json:
        output.one(stories.as_data(story), as_json=True)
        return
    for number, step in enumerate(story.steps, start=1):
        typer.echo(f"{number}. {step.title}")
        for name, value in step.values.items():
            typer.echo(f"     {name}: {output.text(value)}")
        typer.echo(f"   {output.clean(step.reason)}")


async def _write(
    s: "Session", account: "Account", wanted: "Filter", layout: "Layout", out: Any = None
) -> int:
    from punchgate.reports import exports

    await _ensure_known(s, account, wanted)
    with output.progress("punches written") as count:
        return await exports.write(
            s.context.database,
            account.no,
            wanted,
            layout,
            sys.stdout if out is None else out,
            on_rows=count,
        )


async def _ensure_known(s: "Session", account: "Account", wanted: "Filter") -> None:
    """Raise NotFound for a device or a person that there is not, and of whom nothing is stored."""
    from punchgate.reports import punches
    from punchgate.reports.punches import Filter
    from punchgate.usecases import devices, people

    async def check(asked: Awaitable[object], alone: Filter) -> None:
        try:
            await asked
        except NotFound:
            # A device that was removed has left its punches.
            if not await punches.list_punches(s.context.database, account.no, alone, limit=1):
                raise

    device, person = wanted.device_id, wanted.user_code
    if device is not None:
        await check(devices.get(s.context, account.no, device), Filter(device_id=device))
    if person is not None:
        await check(people.get(s.context, account.no, person), Filter(user_code=person))


@contextmanager
def _speaking_of(path: Path) -> Iterator[None]:
    """Have an error name the file that was asked for, and not the one written beside it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _filter(
    device: str | None, person: str | None, since: str | None, until: str | None
) -> "Filter":
    from punchgate.reports.punches import Filter

    first, end = parse.period(since, until)
    return Filter(
        device_id=None if device is None else DeviceId(device),
        user_code=None if person is None else UserCode(person),
        since=first,
        until=end,
    )


def _shown(row: "Row") -> dict[str, Any]:
    from punchgate.reports import exports

    return exports.record(row)
