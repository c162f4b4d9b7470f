"""Punches as an operator asks for them: one, or the latest that pass a filter. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from punchgate.domain.error import NotFound
from punchgate.domain.ids import AccountNo, PunchId
from punchgate.domain.person import Person
from punchgate.domain.punch import Punch
from punchgate.store import people, punches
from punchgate.store.database import Connection, Database
from punchgate.store.punches import Filter

__all__ = ["Filter", "Row", "get", "list_punches"]

#: Punches that one question may ask for; whoever wants more exports them.
MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """One punch with who made it.

    Whoever punches is a person from the same transaction on, and erasing one takes the punches
    along; None would be a store that somebody else has changed.
    """

    punch: Punch
    person: Person | None


async def get(database: Database, account: AccountNo, punch_id: PunchId) -> Row:
    """Give one punch; NotFound when this account has none of that id."""

    def work(tx: Connection) -> Row:
        punch = punches.find(tx, account, punch_id)
        if punch is None:
            raise NotFound(f"There is no punch {punch_id!r}. It may be in quarantine.")
        return Row(punch, people.find(tx, account, punch.user_code))

    return await database.read(work)


async def list_punches(
    database: Database, account: AccountNo, wanted: Filter, *, limit: int
) -> Sequence[Row]:
    """List the latest punches by the device's wall time, newest first."""
    bounded = min(limit, MOST)

    def work(tx: Connection) -> list[Row]:
        found = punches.list_latest(tx, account, wanted, limit=bounded)
        return with_people(tx, account, found)

    return await database.read(work)


def with_people(tx: Connection, account: AccountNo, found: Sequence[Punch]) -> list[Row]:
    """Put each punch beside its person."""
    known = people.find_codes(tx, account, {punch.user_code for punch in found})
    return [Row(punch, known.get(punch.user_code)) for punch in found]
