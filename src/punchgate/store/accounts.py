"""Accounts as rows. How far one's policies spread punches over neighbouring days is said with it.

Several functions have no account as their second argument: they are how an account is found.
"""

from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from punchgate.domain.account import Account
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.store import policies, schema

_ACCOUNT: Final = schema.account


def add(tx: Connection, name: str, zone: str | None, now: int) -> Account:
    """Write a new account and give it its number."""
    last = tx.execute(select(func.coalesce(func.max(_ACCOUNT.c.no), 0))).scalar_one()
    no = AccountNo(int(last) + 1)
    tx.execute(insert(_ACCOUNT).values(no=no, name=name, zone=zone, next_person=1, created_at=now))
    return Account(no, name, zone, spread=0)


def find(tx: Connection, name: str) -> Account | None:
    """Give an account by its name."""
    row = tx.execute(select(_ACCOUNT).where(_ACCOUNT.c.name == name)).one_or_none()
    return None if row is None else _account(tx, row)


def find_no(tx: Connection, no: AccountNo) -> Account | None:
    """Give an account by its number."""
    row = tx.execute(select(_ACCOUNT).where(_ACCOUNT.c.no == no)).one_or_none()
    return None if row is None else _account(tx, row)


def list_accounts(tx: Connection, *, limit: int) -> list[Account]:
    """List the accounts in the order in which they were made."""
    rows = tx.execute(select(_ACCOUNT).order_by(_ACCOUNT.c.no).limit(limit)).all()
    return [_account(tx, row) for row in rows]


def set_zone(tx: Connection, account: AccountNo, zone: str | None) -> None:
    """Write the zone of an account's devices that have none of their own."""
    tx.execute(update(_ACCOUNT).where(_ACCOUNT.c.no == account).values(zone=zone))


def take_person_no(tx: Connection, account: AccountNo) -> PersonNo:
    """Give the next number of a person; none is ever given twice."""
    taken = tx.execute(
        update(_ACCOUNT)
        .where(_ACCOUNT.c.no == account)
        .values(next_person=_ACCOUNT.c.next_person + 1)
        .returning(_ACCOUNT.c.next_person)
    ).scalar_one()
    return PersonNo(int(taken) - 1)


def _account(tx: Connection, row: Row[Any]) -> Account:
    no = AccountNo(row.no)
    return Account(no, row.name, row.zone, spread=policies.spread(tx, no))
