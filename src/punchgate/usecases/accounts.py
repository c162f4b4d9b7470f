"""Accounts: whose data it is. Add, get, list, and the zone of devices that have none of their own.

An account is never renamed: its name is part of every punch id. Its workday rules are
`policies.py`.
"""

import re
from collections.abc import Sequence
from typing import Final

from punchgate.domain import localtime
from punchgate.domain.account import Account
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import AccountNo
from punchgate.store import accounts
from punchgate.store.database import Connection
from punchgate.usecases import audit
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context

__all__ = ["add", "get", "list_accounts", "set_zone"]

#: Accounts that one list may hold.
MOST: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


async def add(
    context: Context, name: str, zone: str | None = None, *, actor: str, now: int
) -> Account:
    """Add an account; Invalid for a bad name or zone, AlreadyExists for a taken name."""
    if _NAME.fullmatch(name) is None:
        raise Invalid(
            "An account's name has 1 to 64 letters, digits, dots, underscores and hyphens,"
            " and begins with a letter or digit."
        )
    _check_zone(zone)

    def work(tx: Connection) -> Account:
        if accounts.find(tx, name) is not None:
            raise AlreadyExists(f"There is an account {name!r} already.")
        account = accounts.add(tx, name, zone or None, now)
        entry = Entry(now, actor, "account.add", _subject(account), after={"zone": account.zone})
        audit.note(tx, account.no, entry)
        return account

    return await context.writer.run(work)


async def get(context: Context, name: str) -> Account:
    """Give an account by its name; NotFound names those that there are."""

    def work(tx: Connection) -> Account:
        account = accounts.find(tx, name)
        if account is None:
            known = ", ".join(each.name for each in accounts.list_accounts(tx, limit=10))
            raise NotFound(f"There is no account {name!r}. There are: {known}.")
        return account

    return await context.database.read(work)


async def list_accounts(context: Context) -> Sequence[Account]:
    """List the accounts in the order in which they were made."""
    return await context.database.read(lambda tx: accounts.list_accounts(tx, limit=MOST))


async def set_zone(
    context: Context, account: AccountNo, zone: str, *, actor: str, now: int
) -> Account:
    """Set the zone of devices that have none of their own; an empty text takes it away.

    It counts for punches that arrive from now on: what was derived once stays.

    Errors:     Invalid for a zone that there is not; NotFound.
    Repeating:  the zone that is set already changes nothing.
    """
    _check_zone(zone)

    def work(tx: Connection) -> Account:
        before = _get_no(tx, account)
        if before.zone == (zone or None):
            return before
        accounts.set_zone(tx, account, zone or None)
        after = _get_no(tx, account)
        values = ({"zone": before.zone}, {"zone": after.zone})
        audit.note(tx, account, Entry(now, actor, "account.set", _subject(after), *values))
        return after

    return await context.writer.run(work)


def _get_no(tx: Connection, no: AccountNo) -> Account:
    account = accounts.find_no(tx, no)
    if account is None:
        raise NotFound("There is no such account.")
    return account


def _check_zone(zone: str | None) -> None:
    if zone:
        localtime.find_zone(zone)


def _subject(account: Account) -> str:
    return f"account:{account.name}"
