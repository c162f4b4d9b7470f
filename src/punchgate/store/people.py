"""People as rows. Who punches unknown is written by the punch's own transaction instead."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from punchgate.domain.ids import AccountNo, PersonNo, UserCode
from punchgate.domain.person import Person
from punchgate.store import schema
from punchgate.store.database import slices

_PERSON: Final = schema.person


def add(tx: Connection, account: AccountNo, person: Person, now: int) -> None:
    """Write a new person."""
    tx.execute(
        insert(_PERSON).values(
            account=account,
            person_no=person.no,
            user_code=person.code,
            name=person.name,
            custom_id=person.custom_id,
            type=person.type,
            created_at=now,
        )
    )


def put(tx: Connection, account: AccountNo, person: Person) -> None:
    """Write a person's name, own id and type over what stood there."""
    tx.execute(
        update(_PERSON)
        .where(_PERSON.c.account == account, _PERSON.c.person_no == person.no)
        .values(name=person.name, custom_id=person.custom_id, type=person.type)
    )


def find(tx: Connection, account: AccountNo, code: UserCode) -> Person | None:
    """Give a person by the user code."""
    return _one(tx, account, _PERSON.c.user_code == code)


def find_custom_id(tx: Connection, account: AccountNo, custom_id: str) -> Person | None:
    """Give a person by the customer's own id."""
    return _one(tx, account, _PERSON.c.custom_id == custom_id)


def find_codes(
    tx: Connection, account: AccountNo, codes: Collection[UserCode]
) -> dict[UserCode, Person]:
    """Give those of these user codes that have a person."""
    found: dict[UserCode, Person] = {}
    for some in slices(sorted(codes)):
        rows = tx.execute(
            select(_PERSON).where(_PERSON.c.account == account, _PERSON.c.user_code.in_(some))
        )
        found.update((UserCode(row.user_code), _person(row)) for row in rows)
    return found


def find_numbers(
    tx: Connection, account: AccountNo, numbers: Collection[PersonNo]
) -> dict[PersonNo, Person]:
    """Give the people of these numbers."""
    found: dict[PersonNo, Person] = {}
    for some in slices(sorted(numbers)):
        rows = tx.execute(
            select(_PERSON).where(_PERSON.c.account == account, _PERSON.c.person_no.in_(some))
        )
        found.update((PersonNo(row.person_no), _person(row)) for row in rows)
    return found


def list_people(tx: Connection, account: AccountNo, *, after: PersonNo, limit: int) -> list[Person]:
    """List the people whose numbers come after `after`, in their order."""
    rows = tx.execute(
        select(_PERSON)
        .where(_PERSON.c.account == account, _PERSON.c.person_no > after)
        .order_by(_PERSON.c.person_no)
        .limit(limit)
    )
    return [_person(row) for row in rows]


def _one(tx: Connection, account: AccountNo, condition: Any) -> Person | None:
    row = tx.execute(select(_PERSON).where(_PERSON.c.account == account, condition)).one_or_none()
    return None if row is None else _person(row)


def _person(row: Row[Any]) -> Person:
    return Person(
        account=AccountNo(row.account),
        no=PersonNo(row.person_no),
        code=UserCode(row.user_code),
        name=row.name,
        custom_id=row.custom_id,
        type=row.type,
    )
