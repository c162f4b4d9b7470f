"""`punchgate serve`: the gateway itself, until a signal ends it."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from punchgate.cli import listening, output, session
from punchgate.cli.session import Here, command

if TYPE_CHECKING:
    from punchgate.app import Running


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    command(app, "serve", creates=True)(serve)


def serve(  # noqa: PLR0913 (each is an option of the line)
    here: Here,
    *,
    http: Annotated[
        str | None,
        typer.Option(
            help="Listener for everything; empty is none. [default: 127.0.0.1:8080]",
            metavar="HOST:PORT",
        ),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            help="Listener for device paths alone; empty is none. [default: 0.0.0.0:8081]",
            metavar="HOST:PORT",
        ),
    ] = None,
    zk_facade: Annotated[
        str | None,
        typer.Option(help="Answer here as if we were a terminal, read only.", metavar="HOST:PORT"),
    ] = None,
    zk_facade_key: Annotated[
        str | None,
        typer.Option(
            help="Comm key of the facade; others on this machine can read a command line, so"
            " rather set PUNCHGATE_FACADE__KEY.",
            metavar="KEY",
        ),
    ] = None,
    zk_facade_scope: Annotated[
        str | None,
        typer.Option(
            help="What it shows: account, device:ID or site:NAME. [default: account]",
            metavar="SCOPE",
        ),
    ] = None,
    zk_facade_allow: Annotated[
        list[str] | None,
        typer.Option(help="A network that needs no key; may be repeated.", metavar="CIDR"),
    ] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; ready when /readyz answers 200."""
    from punchgate import app

    def ready(running: "Running") -> None:
        values = {
            "http": running.http or None,
            "devices": running.devices or None,
            "facade": running.facade or None,
        }
        if here.as_json:
            output.one(values, as_json=True)
        if running.http:
            output.say(f"Punchgate serves on http://{running.http}")
        if running.devices:
            output.say(f"Terminals are served on http://{running.devices}")
        if running.facade:
            output.say(f"We answer as a terminal on {running.facade}")

    with session.telling():
        settings = here.load(
            **{
                "http.listen": http,
                "devices.listen": devices,
                "facade.listen": zk_facade,
                "facade.key": zk_facade_key,
                "facade.scope": zk_facade_scope,
                "facade.allow": zk_facade_allow or None,
            }
        ).settings
        if not settings.facade.listen:
            _refuse_unused(
                {
                    "--zk-facade-key": zk_facade_key,
                    "--zk-facade-scope": zk_facade_scope,
                    "--zk-facade-allow": zk_facade_allow or None,
                }
            )
        addresses = {
            "--http": settings.http.listen,
            "--devices": settings.devices.listen,
            "--zk-facade": settings.facade.listen,
        }
        with listening.telling(addresses):
            app.run(settings, ready=ready)


def _refuse_unused(options: Mapping[str, object]) -> None:
    """Refuse options of a facade that there is none of; settings may stand ready for one."""
    for option, value in options.items():
        if value is not None:
            raise typer.BadParameter(
                "there is no facade: say where it listens, by --zk-facade HOST:PORT.",
                param_hint=option,
            )
