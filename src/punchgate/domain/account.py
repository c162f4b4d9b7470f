"""An account: whose data it is. Every key of every table begins with its number."""

from dataclasses import dataclass
from typing import Final

from punchgate.domain.ids import AccountNo

#: The account that exists from the start.
DEFAULT_ACCOUNT: Final = "main"


@dataclass(frozen=True, slots=True)
class Account:
    """One account as the directory knows it."""

    no: AccountNo
    #: As given at its creation; part of every punch id, and therefore never changed.
    name: str
    #: IANA zone of devices that have none of their own; `None` leaves it to the installation.
    zone: str | None
    #: How many days beside its own date a punch can change by some workday policy of this account.
    spread: int
