"""What every command has in common: where the data is, how it is opened, and how an error ends.

A command is registered with `command` or `account_command`, which add the options that all commands
take and hand them over as one value. Nothing heavy is imported before a command runs, so that
`--help` stays fast; the settings, the store and the use cases come with `run`.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import getpass
import inspect
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import typer

from punchgate.cli import output
from punchgate.domain.account import DEFAULT_ACCOUNT
from punchgate.domain.error import AlreadyExists, Invalid, NotFound, PunchgateError, Refused

if TYPE_CHECKING:
    from punchgate.config import Loaded
    from punchgate.domain.account import Account
    from punchgate.usecases.context import Context

T = TypeVar("T")
P = ParamSpec("P")

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
REFUSED: Final = 4

_EXIT_CODES: Final[tuple[tuple[type[PunchgateError], int], ...]] = (
    (NotFound, NOT_FOUND),
    (AlreadyExists, REFUSED),
    (Refused, REFUSED),
    (Invalid, USAGE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What was said about where to work and how to answer."""

    data: Path | None = None
    database: str | None = None
    config: Path | None = None
    as_json: bool = False
    #: Name of the account, for commands that speak of one.
    account: str = DEFAULT_ACCOUNT
    #: Whether the command makes an installation where there is none.
    may_create: bool = False

    def load(self, **options: Any) -> "Loaded":
        """Read the settings; `options` are further ones by dotted name, None means not given."""
        from punchgate import config

        given = {"data": self.data, "database": self.database, **options}
        set_here = {name: value for name, value in given.items() if value is not None}
        return config.load(self.config, set_here)


@dataclass(frozen=True, slots=True)
class Session:
    """An open installation for the length of one command."""

    context: "Context"
    #: Who is changing something, for the audit.
    actor: str
    #: Milliseconds since 1970 UTC, read once per command.
    now: int


_DATA = inspect.Parameter(
    "data",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None, typer.Option(help="Directory of the data. [default: data]", metavar="DIR")
    ],
)
_DATABASE = inspect.Parameter(
    "database",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            help="sqlite:///FILE or postgresql://… instead of the directory.", metavar="URL"
        ),
    ],
)
_CONFIG = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[Path | None, typer.Option(help="Settings file in TOML.", metavar="FILE")],
)
_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="Print JSON, one object on a line.")],
)
_ACCOUNT = inspect.Parameter(
    "account",
    inspect.Parameter.KEYWORD_ONLY,
    default=DEFAULT_ACCOUNT,
    annotation=Annotated[str, typer.Option(help="Whose data it is.", metavar="NAME")],
)
_SHARED: Final = (_DATA, _DATABASE, _CONFIG, _JSON)


def command(
    app: typer.Typer, name: str, *, creates: bool = False
) -> Callable[[Callable[Concatenate[Here, P], None]], Callable[Concatenate[Here, P], None]]:
    """Register a command of the installation: `--data`, `--database`, `--config` and `--json`.

    One that does not create ends with NotFound where there is no data: a mistyped directory is
    told, and not made.
    """
    return _registered(app, name, _SHARED, creates=creates)


def account_command(
    app: typer.Typer, name: str, *, creates: bool = False
) -> Callable[[Callable[Concatenate[Here, P], None]], Callable[Concatenate[Here, P], None]]:
    """Register a command of one account: the same options and `--account`."""
    return _registered(app, name, (_ACCOUNT, *_SHARED), creates=creates)


def run(here: Here, work: Callable[[Session], Awaitable[T]]) -> T:
    """Open the installation, do one thing, close it, and give the result.

    Errors:  typer.Exit with the exit code of whatever PunchgateError was raised, its sentence said.
    """
    with telling():
        return run_quietly(here, work)


def run_quietly(here: Here, work: Callable[[Session], Awaitable[T]]) -> T:
    """Do one thing as `run`, and leave its error to the caller."""
    import asyncio

    return asyncio.run(_run(here, work))


def run_account(here: Here, work: Callable[[Session, "Account"], Awaitable[T]]) -> T:
    """Do one thing in the account that was named; otherwise as `run`."""

    async def in_account(session: Session) -> T:
        from punchgate.usecases import accounts

        return await work(session, await accounts.get(session.context, here.account))

    return run(here, in_account)


@contextmanager
def telling() -> Iterator[None]:
    """Turn an error of ours into its sentence on stderr and its exit code."""
    try:
        yield
    except PunchgateError as error:
        output.say(str(error))
        code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), FAILED)
        raise typer.Exit(code) from error
    except UnicodeEncodeError as error:
        # The database keeps text, and bytes of another locale are none.
        output.say("What was typed is not text in UTF-8.")
        raise typer.Exit(USAGE) from error
    except BrokenPipeError:
        # Nothing went wrong here: whoever read our output has enough.
        raise
    except OSError as error:
        output.say(_sentence(error))
        raise typer.Exit(FAILED) from error


def clock() -> int:
    """Give the time: milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def _sentence(error: OSError) -> str:
    what = error.strerror or str(error)
    if error.filename is None:
        return f"{what}."
    if isinstance(error, FileExistsError | NotADirectoryError):
        # Of the directories that we make, one that is there already is fine; a file is not.
        return f"{error.filename} is not a directory."
    return f"{what}: {error.filename}."


async def _run(here: Here, work: Callable[[Session], Awaitable[T]]) -> T:
    from punchgate import app

    settings = here.load().settings
    async with app.open_context(settings, may_create=here.may_create) as context:
        return await work(Session(context, _actor(), clock()))


def _actor() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return f"cli:{os.getuid()}"


@contextmanager
def _until_enough_was_read() -> Iterator[None]:
    """End well when nobody reads on, as in `… | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        output.drop_unwritten()
        raise typer.Exit(0) from None


def _registered(
    app: typer.Typer, name: str, shared: tuple[inspect.Parameter, ...], *, creates: bool
) -> Callable[[Callable[Concatenate[Here, P], None]], Callable[Concatenate[Here, P], None]]:
    def register(
        body: Callable[Concatenate[Here, P], None],
    ) -> Callable[Concatenate[Here, P], None]:
        def shell(**given: Any) -> None:
            here = Here(**{each.name: given.pop(each.name) for each in shared}, may_create=creates)
            with _until_enough_was_read():
                body(here, **given)  # type: ignore[call-arg]  # Typer has read the signature below

        _, *own = inspect.signature(body).parameters.values()
        parameters = [*own, *shared]
        # What Typer reads of a function: its signature, its annotations, its first words.
        vars(shell)["__signature__"] = inspect.Signature(parameters)
        shell.__annotations__ = {each.name: each.annotation for each in parameters}
        shell.__doc__ = body.__doc__
        shell.__name__ = body.__name__
        app.command(name)(shell)
        return body

    return register
