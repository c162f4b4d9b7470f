"""The attendance log of a virtual terminal: as many rows as one likes, and none of them in memory.

A week is invented (`day.py`) and repeated up to the last day: row n is computed when somebody reads
it. What is added later, by live punches, is kept. Rows that are wrong on purpose are made here too;
how a row is written is `protocols/zk/records.py`'s.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from punchgate.protocols.zk import moment
from punchgate.protocols.zk.moment import Said
from punchgate.simulators import day
from punchgate.simulators.zk_faults import Faults

#: The verify codes of this protocol for what `day.py` invents.
_VERIFY: Final = {day.FINGER: 1, day.FACE: 15, day.CARD: 2}
#: A terminal's clock begins here; a log that would begin before has too few people.
_EARLIEST: Final = date(2001, 1, 1)
#: Weeks are repeated; with very many people a day is, so that what is repeated stays small.
_WEEK: Final = 7
_MANY_PEOPLE: Final = 2_000
#: So many rows of each person fit into the years since terminals have clocks, at three a day.
_PLENTY: Final = 10_000
_DAY_S: Final = 86_400
#: The packed calendar has 12 months of 31 days.
_YEAR_DAYS: Final = 12 * 31
#: Where the rows of `future-dates` lie: two years ahead.
_AHEAD: Final = 2 * _YEAR_DAYS * _DAY_S
#: Every how many rows one is wrong on purpose.
_STRANGE_EVERY: Final = 10
#: Nobody in the user table has a number this high.
NOBODY: Final = 65_000
#: Days and moments that terminals have been seen to say.
IMPOSSIBLE: Final = (
    Said(2025, 2, 30, 21, 12, 20),
    Said(2133, 8, 18, 6, 28, 15),
    Said(2000, 1, 1, 0, 0, 0),
)


class Punched(NamedTuple):
    """One row: the terminal's number of the person, not a code.

    Units:   `packed` as in `protocols/zk/moment.py`.
    """

    uid: int
    packed: int
    verify: int
    state: int


_Week = Sequence[tuple[int, int, Punched]]


class TooFewPeople(ValueError):
    """So few people cannot have punched so often since terminals have clocks."""


class Log:
    """The rows of a terminal, oldest first unless its log has wrapped.

    Shapes:  `last` is the last day with punches; `users` are the row numbers 1 to `users`.
    Errors:  TooFewPeople.
    """

    def __init__(self, *, users: int, records: int, last: date, seed: int, faults: Faults) -> None:
        self._users = users
        self._seed = seed
        self._last = last
        self._days = _WEEK if users <= _MANY_PEOPLE else 1
        self._faults = faults
        self._week: _Week | None = None
        self._invented = records
        self._added: list[Punched] = []
        # Inventing a week takes time and memory: only where the answer is not plain anyway.
        if records > users * _PLENTY and self._begins() < _EARLIEST:
            raise TooFewPeople(
                f"{users} people cannot have punched {records} times since {_EARLIEST}:"
                f" give more people."
            )

    def __len__(self) -> int:
        return self._invented + len(self._added)

    def add(self, punched: Punched) -> None:
        """Keep one more row."""
        self._added.append(punched)

    def clear(self) -> None:
        """Forget all rows."""
        # What somebody is reading has its own view of the old ones.
        self._invented, self._added = 0, []

    def view(self) -> "View":
        """Give the rows as they are now; later changes do not show in it."""
        # The list is only ever appended to: a view remembers how far it went.
        return View(self, self._invented, self._added, len(self._added))

    def invented(self, index: int, count: int) -> Punched:
        """Compute the row at `index` of a log that was invented with `count` rows."""
        if "wrapped" in self._faults:
            # The newest third has overwritten the oldest rows: it stands in front.
            index = (index - count // 3) % count
        if index % _STRANGE_EVERY == _STRANGE_EVERY - 1:
            return self._strange(index, count)
        return self._plain(index, count)

    def _strange(self, index: int, count: int) -> Punched:
        faults = self._faults
        if "identical-rows" in faults:
            return self._plain(index - 1, count)
        row = self._plain(index, count)
        if "impossible-dates" in faults:
            said = IMPOSSIBLE[index // _STRANGE_EVERY % len(IMPOSSIBLE)]
            row = row._replace(packed=said.packed())
        if "future-dates" in faults:
            row = row._replace(packed=row.packed + _AHEAD)
        if "no-user" in faults:
            row = row._replace(uid=NOBODY + index % 10)
        return row

    def _plain(self, index: int, count: int) -> Punched:
        week = self._pattern()
        # Counted from the end: the last invented row is the last of the last week.
        weeks_back, from_end = divmod(count - 1 - index, len(week))
        offset, second, row = week[len(week) - 1 - from_end]
        on = self._last - timedelta(days=weeks_back * self._days - offset)
        return row._replace(packed=_midnight(on) + second)

    def _pattern(self) -> _Week:
        """Give the repeated days: days after the last one (0, -1, …), second of the day, row."""
        if self._week is None:
            first = self._last - timedelta(days=self._days - 1)
            planned = day.plan(first, self._days, people=self._users, devices=1, seed=self._seed)
            uids = {code: number for number, code in enumerate(day.user_codes(self._users), 1)}
            self._week = tuple(
                (
                    (one.wall_time.date() - self._last).days,
                    moment.pack(one.wall_time) % _DAY_S,
                    Punched(uids[one.user_code], 0, _VERIFY[one.verify_code], one.direction_code),
                )
                for one in planned
            )
        return self._week

    def _begins(self) -> date:
        weeks = -(-self._invented // len(self._pattern()))
        return self._last - timedelta(days=weeks * self._days)


class View:
    """The rows of a log at one moment."""

    def __init__(self, log: Log, invented: int, added: list[Punched], count: int) -> None:
        self._log = log
        self._invented = invented
        self._added = added
        self._count = count

    def __len__(self) -> int:
        return self._invented + self._count

    def __getitem__(self, index: int) -> Punched:
        if index < self._invented:
            return self._log.invented(index, self._invented)
        return self._added[index - self._invented]


def at(uid: int, wall_time: datetime, *, verify: int = 1, state: int = 0) -> Punched:
    """Give the row of somebody who punches at this moment."""
    return Punched(uid, moment.pack(wall_time), verify, state)


def _midnight(on: date) -> int:
    return ((on.year - moment.FIRST_YEAR) * _YEAR_DAYS + (on.month - 1) * 31 + on.day - 1) * _DAY_S
