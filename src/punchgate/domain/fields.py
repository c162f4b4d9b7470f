"""Checked values out of data that somebody wrote: each wrong one is named, with what would do.

It knows what a whole number or a time of day is, and nothing of what the values are for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, cast

from punchgate.domain.error import Invalid

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fields:
    """The members of one object. A method given no default (`None`) insists on its member.

    Absent and null are the same. Every method raises Invalid, and nothing else, for a value that
    is not what its name says.
    """

    data: Mapping[str, object]
    #: Where the object stands, as written before its members: empty, or such as `ot.`.
    path: str = ""

    def refuse_unknown(self, *known: str) -> None:
        """Insist that there is no member but these."""
        for key in self.data:
            if key not in known:
                names = ", ".join(known)
                raise Invalid(f"There is no key `{self.path}{key}` here; there are {names}.")

    def text(self, key: str, default: str | None = None) -> str:
        """Read a text that is not empty."""
        value = self._or_default(key, default)
        if not isinstance(value, str) or not value:
            raise self.bad(key, "a text")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """Read one of some texts."""
        value = self._or_default(key, default)
        if not isinstance(value, str) or value not in choices:
            raise self.bad(key, f"one of {', '.join(choices)}")
        return value

    def flag(self, key: str) -> bool:
        """Read true or false; false when absent."""
        value = self._or_default(key, default=False)
        if not isinstance(value, bool):
            raise self.bad(key, "true or false")
        return value

    def whole(self, key: str, default: int | None, *, minimum: int = 0, maximum: int) -> int:
        """Read a whole number within bounds, both included."""
        value = self._or_default(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise self.bad(key, f"a whole number from {minimum} to {maximum}")
        return value

    def hours(self, key: str, default: int | None, *, minimum: int = 0, maximum: int) -> int:
        """Read hours, fractions allowed, and give them in whole seconds."""
        value = self._or_default(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(key, f"a number of hours from {minimum} to {maximum}")
        # The comparison also refuses NaN, which is in no order with anything.
        if not minimum <= value <= maximum:
            raise self.bad(key, f"a number of hours from {minimum} to {maximum}")
        return round(value * 3600)

    def clock(self, key: str, default: str | None = None) -> int:
        """Read a time of day `HH:MM`, and give it in seconds since midnight."""
        value = self._or_default(key, default)
        match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise self.bad(key, "a time of day from 00:00 to 23:59, written HH:MM")
        return int(match[1]) * 3600 + int(match[2]) * 60

    def date(self, key: str) -> date:
        """Read a calendar day `YYYY-MM-DD`."""
        value = self.data.get(key)
        if isinstance(value, str) and _DATE.fullmatch(value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass  # a day that no month has: refused below like any other text
        raise self.bad(key, "a date, written YYYY-MM-DD")

    def find_object(self, key: str) -> "Fields | None":
        """Find the object that stands there, if one does."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.bad(key, "an object")
        return Fields(cast("Mapping[str, object]", value), f"{self.path}{key}.")

    def objects(self, key: str) -> list["Fields"]:
        """List the objects that stand there; none when absent."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.bad(key, "a list")
        items = []
        for index, item in enumerate(cast("list[object]", value)):
            place = f"{key}[{index}]"
            if not isinstance(item, Mapping):
                raise Invalid(f"`{self.path}{place}` must be an object; it is {item!r}.")
            items.append(Fields(cast("Mapping[str, object]", item), f"{self.path}{place}."))
        return items

    def bad(self, key: str, wanted: str) -> Invalid:
        """Put into words that a member is not what was wanted."""
        value = self.data.get(key)
        found = "it is missing" if value is None else f"it is {value!r}"
        return Invalid(f"`{self.path}{key}` must be {wanted}; {found}.")

    def _or_default(self, key: str, default: object) -> object:
        value = self.data.get(key)
        return default if value is None else value
