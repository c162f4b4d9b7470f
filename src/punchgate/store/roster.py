"""Who is who, remembered by a writer: user code -> person number and the event's object.

Only a writer uses it, inside its transactions. It is forgotten whenever the installation's revision
has moved, so it never says what was true yesterday, and it never says "unknown": whoever is missing
is looked up.
"""

from typing import Final, NamedTuple

from punchgate.domain.ids import AccountNo, PersonNo

#: About 40 MB of people; beyond that everyone is looked up again.
BOUND: Final = 200_000


class Seat(NamedTuple):
    """A person as the record statements need them."""

    no: PersonNo
    json: str


class Roster:
    """The people that one writer remembers."""

    def __init__(self) -> None:
        self.seats: dict[tuple[AccountNo, str], Seat] = {}
        self._revision: int | None = None

    def forget_unless(self, revision: int) -> None:
        """Forget everyone if people may have changed since, or if there are too many."""
        if revision != self._revision or len(self.seats) > BOUND:
            self.seats.clear()
            self._revision = revision

    def forget(self) -> None:
        """Forget everyone: a transaction failed, and those whom it would have made are nobody."""
        self.seats.clear()
