"""`punchgate doctor`: is this installation in order, and what should somebody look at?"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, command
from punchgate.domain.error import PunchgateError

if TYPE_CHECKING:
    from punchgate.cli.session import Session
    from punchgate.config import Settings
    from punchgate.store.database import Connection
    from punchgate.store.diagnosis import Findings
    from punchgate.store.endpoints import SecretsClosed
    from punchgate.vault import Vault


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    command(app, "doctor")(doctor)


def doctor(here: Here) -> None:
    """Check the installation; exit code 1 if something is wrong."""
    from punchgate.store import database

    with session.telling():
        settings = here.load().settings
        where = database.address(settings.database_url)
    rows = list(_surroundings(settings, where.path.parent if where.dialect == "sqlite" else None))
    try:
        found, closed = session.run_quietly(here, _examine)
        rows += [*_store(found), *_secrets(closed)]
    except PunchgateError as error:
        rows.append(_row("store", "wrong", str(error)))
    except Exception as error:  # noqa: BLE001 (a store that breaks in a new way is a finding)
        rows.append(_row("store", "wrong", f"{type(error).__name__}: the store cannot be opened"))
    output.many(("check", "state", "says"), rows, as_json=here.as_json)
    if any(row["state"] == "wrong" for row in rows):
        raise typer.Exit(session.FAILED)


async def _examine(s: "Session") -> "tuple[Findings, list[SecretsClosed]]":
    from punchgate.store import diagnosis, installation

    # The same probe as /readyz: a write that reaches the disk.
    await s.context.writer.run(lambda tx: installation.probe(tx, s.now))
    found = await s.context.database.read(diagnosis.examine)
    return found, await s.context.database.read(lambda tx: _closed(tx, s.context.vault))


def _closed(tx: "Connection", vault: "Vault") -> "list[SecretsClosed]":
    from punchgate.store import accounts, endpoints
    from punchgate.usecases.accounts import MOST

    return [
        error
        for account in accounts.list_accounts(tx, limit=MOST)
        for error in endpoints.list_closed(tx, account.no, vault=vault)
    ]


def _surroundings(settings: "Settings", directory: Path | None) -> Iterator[dict[str, Any]]:
    from punchgate.domain import localtime

    yield _row("zone rules", "ok", f"release {localtime.ZONE_DATA_VERSION}")
    if directory is None or not directory.exists():
        return
    free = shutil.disk_usage(directory).free
    state = "ok" if free >= settings.disk_floor_bytes else "wrong"
    says = f"{free // 2**20} MiB free, floor {settings.disk_floor_bytes // 2**20} MiB"
    yield _row("disk", state, says)
    if directory.stat().st_mode & 0o007:
        yield _row("data directory", "look", "others on this machine may read it: chmod o= it")


def _store(found: "Findings") -> Iterator[dict[str, Any]]:
    yield _row("tables", "ok", "up to date")
    yield _row("writing", "ok", "a write reached the disk")
    warning = ": before 3.51.3 let no other program write to the file" if found.has_race else ""
    yield _row("database", "look" if warning else "ok", found.database + warning)
    intact = found.integrity == "ok"
    yield _row("integrity", "ok" if intact else "wrong", found.integrity)
    for what, count, hint in (
        ("quarantine", found.quarantined, "items are open: `punchgate quarantine list`"),
        ("unclaimed", found.unclaimed, "serials call: `punchgate device list --unclaimed`"),
        ("problems", found.problems, "are open: `punchgate problems` of each account"),
        ("workdays", found.stale, "days wait to be computed; a running server does it"),
    ):
        yield _row(what, "look" if count else "ok", f"{count} {hint}" if count else "none")


def _secrets(closed: "list[SecretsClosed]") -> Iterator[dict[str, Any]]:
    if not closed:
        yield _row("secrets", "ok", "those of every endpoint open")
    for error in closed:
        yield _row("secrets", "wrong", str(error))


def _row(check: str, state: str, says: str) -> dict[str, Any]:
    return {"check": check, "state": state, "says": says}
