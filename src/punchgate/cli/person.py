"""`punchgate person`: who punches, and the code that stands for them."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, account_command
from punchgate.domain.ids import UserCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.domain.person import Person
    from punchgate.usecases.people import Traces

app = typer.Typer(no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="The user code on the devices.")]
Name = Annotated[str | None, typer.Option(help="The person's name.")]
CustomId = Annotated[str | None, typer.Option(help="Your own id, unique in the account.")]
Type = Annotated[str | None, typer.Option("--type", help="Student, Employee, …")]


@account_command(app, "add", creates=True)
def add(
    here: Here,
    code: Code,
    *,
    name: Name = None,
    custom_id: CustomId = None,
    kind: Type = None,
) -> None:
    """Add a person, or name one who has only punched so far."""
    from punchgate.usecases import people

    changes = people.Changes(name=name, custom_id=custom_id, type=kind)
    person = session.run_account(
        here,
        lambda s, account: people.add(
            s.context, account.no, code, changes, actor=s.actor, now=s.now
        ),
    )
    output.one(_shown(person), as_json=here.as_json)


@account_command(app, "list")
def list_people(here: Here) -> None:
    """List the people of an account, by number."""
    rows = session.run_account(here, _rows)
    columns = ("person_no", "user_code", "name", "custom_id", "type")
    output.many(columns, rows, as_json=here.as_json)


@account_command(app, "show")
def show(here: Here, code: Code) -> None:
    """Show a person."""
    from punchgate.usecases import people

    person = session.run_account(
        here, lambda s, account: people.get(s.context, account.no, UserCode(code))
    )
    output.one(_shown(person), as_json=here.as_json)


@account_command(app, "set")
def set_person(
    here: Here,
    code: Code,
    *,
    name: Name = None,
    custom_id: CustomId = None,
    kind: Type = None,
) -> None:
    """Change a person's name, own id or type; an empty text takes a value away."""
    from punchgate.usecases import people

    changes = people.Changes(name=name, custom_id=custom_id, type=kind)
    person = session.run_account(
        here,
        lambda s, account: people.set_person(
            s.context, account.no, UserCode(code), changes, actor=s.actor, now=s.now
        ),
    )
    output.one(_shown(person), as_json=here.as_json)


@account_command(app, "erase")
def erase(
    here: Here,
    code: Code,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and leave it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a person: punches, days and name go, events are blanked. It cannot be undone."""
    from punchgate.usecases import people

    traces = session.run_account(
        here, lambda s, account: people.count_traces(s.context, account.no, UserCode(code))
    )
    if dry_run:
        output.one({**_counted(traces), "erased": False}, as_json=here.as_json)
        return
    if not (yes or traces.is_nothing):
        _ask(traces)
    erased = session.run_account(
        here,
        lambda s, account: people.erase(
            s.context, account.no, UserCode(code), actor=s.actor, now=s.now
        ),
    )
    output.one({**_counted(erased), "erased": not erased.is_nothing}, as_json=here.as_json)


def _ask(traces: "Traces") -> None:
    going = f"{traces.punches} punches, {traces.quarantined} quarantined items"
    going = f"{going}, {traces.workdays} days and the text of {traces.events} events"
    if traces.filters:
        going = f"{going}, and the name in {traces.filters} filters of endpoints and replays"
    output.say(f"This erases person {traces.person.no}: {going}. It cannot be undone.")
    if not sys.stdin.isatty():
        output.say("Nothing was erased: give `--yes` to erase without being asked.")
        raise typer.Exit(session.REFUSED)
    if not typer.confirm("Erase?", err=True):
        raise typer.Exit(session.REFUSED)


async def _rows(s: "Session", account: "Account") -> list[dict[str, Any]]:
    return [_shown(person) async for person in _pages(s, account)]


async def _pages(s: "Session", account: "Account") -> "AsyncIterator[Person]":
    from punchgate.usecases import people

    after = 0
    while page := await people.list_people(s.context, account.no, after=after):
        for person in page:
            yield person
        after = page[-1].no


def _counted(traces: "Traces") -> dict[str, Any]:
    return {
        "person_no": traces.person.no,
        "punches": traces.punches,
        "quarantined": traces.quarantined,
        "workdays": traces.workdays,
        "events": traces.events,
        "filters": traces.filters,
    }


def _shown(person: "Person") -> dict[str, Any]:
    return {
        "person_no": person.no,
        "user_code": person.code,
        "name": person.name,
        "custom_id": person.custom_id,
        "type": person.type,
    }
