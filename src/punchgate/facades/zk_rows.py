"""People and punches as the rows of a terminal, encoded once, and what cannot be served.

Answers for which row stands for whom: user code, name, direction and verify method in the words of
this protocol. Where they come from and who asks for them is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from punchgate.domain.codes import DEFAULT_DIRECTIONS, Direction, VerifyMethod
from punchgate.domain.person import Person
from punchgate.protocols.zk import events, layouts, users
from punchgate.protocols.zk.layouts import Row
from punchgate.protocols.zk.moment import FIRST_YEAR, LAST_YEAR, Said
from punchgate.protocols.zk.users import UserChange
from punchgate.reports.terminal_view import Seen

#: Characters that every client reads; what is longer the Node clients cut.
SURE_LENGTH: Final = 9
_USER_BYTES: Final = users.USER_72.size
_ROW_BYTES: Final = layouts.LAYOUT_40.width

_VERIFY: Final[dict[VerifyMethod, int]] = {"password": 0, "finger": 1, "card": 2, "face": 15}
#: What is none of them is called a finger: every client knows that one.
_OTHER: Final = 1
_STATES: Final[dict[Direction, int]] = {
    direction: code for code, direction in DEFAULT_DIRECTIONS.items()
}


@dataclass(frozen=True, slots=True)
class Omitted:
    """What is not served, or not to every client; people, not rows, but for `times`."""

    #: Their code has no room in a row, or their number is none that a terminal has.
    unfit: int = 0
    #: Their code is longer than the Node clients read.
    long: int = 0
    #: Punches with a time that a terminal's clock cannot show.
    times: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """The two tables, without their heads."""

    people: bytes = b""
    punches: bytes = b""
    omitted: Omitted = Omitted()

    @property
    def people_count(self) -> int:
        """Count the people."""
        return len(self.people) // _USER_BYTES

    @property
    def punch_count(self) -> int:
        """Count the punches."""
        return len(self.punches) // _ROW_BYTES


class Encoder:
    """Makes rows of what is added to it; a `reports.terminal_view.Room`.

    Shapes:  `shows_everybody` is for a whole account; otherwise who has no row in the log is left
             out.
    """

    def __init__(self, *, shows_everybody: bool) -> None:
        self._shows_everybody = shows_everybody
        self._people: dict[str, tuple[int, bytes]] = {}
        self._unfit: set[str] = set()
        self._active: set[str] = set()
        self._strange: set[str] = set()
        self._slices: list[bytes] = []
        self._days: dict[str, int | None] = {}
        self._times = 0

    def add_people(self, some: Sequence[Person]) -> bool:
        """Take people in the order of their numbers; False when a terminal has no more."""
        for person in some:
            if person.no > users.UID_MAX:
                return False
            if fits(person.code):
                self._people[person.code] = (person.no, user_row(person))
            else:
                self._unfit.add(person.code)
        return True

    def add_punches(self, some: Sequence[Seen]) -> None:
        """Take punches, newest first."""
        rows: list[bytes] = []
        for seen in some:
            known = self._people.get(seen.user_code)
            packed = self._packed(seen.wall_time)
            if known is None:
                self._strange.add(seen.user_code)
            elif packed is None:
                self._times += 1
            else:
                self._active.add(seen.user_code)
                rows.append(layouts.LAYOUT_40.encode(_row(known[0], seen, packed)))
        rows.reverse()
        self._slices.append(b"".join(rows))

    def rows(self) -> Rows:
        """Give what was made of everything; oldest first."""
        served = self._people if self._shows_everybody else sorted(self._active, key=self._uid)
        unserved = self._strange | self._unfit if self._shows_everybody else self._strange
        long = sum(len(code) > SURE_LENGTH for code in served)
        return Rows(
            b"".join(self._people[code][1] for code in served),
            b"".join(reversed(self._slices)),
            Omitted(len(unserved), long, self._times),
        )

    def _uid(self, code: str) -> int:
        return self._people[code][0]

    def _packed(self, wall_time: str) -> int | None:
        """Give the packed form of `YYYY-MM-DD HH:MM:SS`, None for a year that no terminal has."""
        day = wall_time[:10]
        if day not in self._days:
            self._days[day] = _midnight(day)
        midnight = self._days[day]
        if midnight is None:
            return None
        hour, minute, second = wall_time[11:13], wall_time[14:16], wall_time[17:19]
        return midnight + int(hour) * 3_600 + int(minute) * 60 + int(second)


def fits(code: str) -> bool:
    """Say whether a user code has room in a row of 40 bytes."""
    return code.isascii() and code.isprintable() and len(code) <= layouts.USER_ID_BYTES


def user_row(person: Person) -> bytes:
    """Give the row of a person whose code fits; the name is cut between two characters."""
    row = users.new(person.no, person.code)
    return users.changed(row, UserChange(name=person.name)) if person.name else row


def event(seen: Seen) -> bytes | None:
    """Give a punch as the data of a live event, None where it cannot be served."""
    midnight = _midnight(seen.wall_time[:10])
    if midnight is None or not fits(seen.user_code):
        return None
    hour, minute, second = map(int, seen.wall_time[11:19].split(":"))
    packed = midnight + hour * 3_600 + minute * 60 + second
    return events.attendance(_row(0, seen, packed))


def _row(uid: int, seen: Seen, packed: int) -> Row:
    verify = _VERIFY.get(seen.verify, _OTHER)
    return Row(uid, seen.user_code, packed, verify, _STATES[seen.direction])


def _midnight(day: str) -> int | None:
    year, month, date = map(int, day.split("-"))
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    return Said(year, month, date, 0, 0, 0).packed()
