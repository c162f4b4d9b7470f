"""Reading what was typed: dates, periods, codes, secrets. A wrong value is a usage error."""

import json
import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)", re.ASCII)
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
#: Given in place of a secret, they say where it stands.
_STDIN, _FILE, _VARIABLE = "-", "@", "env:"
#: Whoever means "always" types the first day of the calendar, and no day lies before that one.
_EARLIEST: Final = date(1900, 1, 1)
#: Of what a virtual terminal invents: a terminal's clock begins with 2000, its log before its end.
_YEARS: Final = range(2001, 2100)


def day(text: str, option: str) -> date:
    """Read `YYYY-MM-DD`, of 1900 or later."""
    try:
        found = date.fromisoformat(text) if len(text) == 10 else _no_date(text, option)
    except ValueError:
        found = _no_date(text, option)
    if found < _EARLIEST:
        raise typer.BadParameter(f"{text} is before {_EARLIEST}.", param_hint=option)
    return found


def invented(day_read: datetime | None, option: str) -> date | None:
    """Take a day that a virtual terminal shall invent."""
    if day_read is not None and day_read.year not in _YEARS:
        raise typer.BadParameter(
            f"it is a day of the years {_YEARS.start} to {_YEARS.stop - 1}.",
            param_hint=option,
        )
    return None if day_read is None else day_read.date()


def wall_time(text: str | None, option: str) -> datetime | None:
    """Read a wall time: `YYYY-MM-DD`, or with `HH:MM` or `HH:MM:SS` after it."""
    if text is None:
        return None
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"):
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 (a wall time has no zone)
        except ValueError:
            continue
    raise typer.BadParameter(
        f"{text!r} is not a time like `2026-06-21 09:30:00`.", param_hint=option
    )


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Read `--since` and `--until`: half-open, in this order."""
    first, end = wall_time(since, "--since"), wall_time(until, "--until")
    if first is not None and end is not None and end < first:
        raise typer.BadParameter(f"it ends before it begins at {since}.", param_hint="--until")
    return first, end


def end_of_day(text: str | None, option: str) -> int | None:
    """Read a last day as the instant, in milliseconds, at which it is over in UTC."""
    if text is None:
        return None
    last = day(text, option)
    if last == date.max:
        raise typer.BadParameter(
            f"no day comes after {text}; leave it out if it shall never end.", param_hint=option
        )
    after = datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC)
    return int(after.timestamp()) * 1000


def codes(text: str | None, option: str) -> dict[int, Any] | None:
    """Read a code table: a JSON object from numbers to names."""
    if text is None:
        return None
    table = json_object(text, option)
    if not all(code.isdecimal() and isinstance(name, str) for code, name in table.items()):
        raise typer.BadParameter(
            'a code table is a JSON object from codes to names: {"1":"check-in"}.',
            param_hint=option,
        )
    return {int(code): name for code, name in table.items()}


def json_object(text: str, option: str) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"this is not JSON: {error}.", param_hint=option) from error
    if not isinstance(value, dict):
        raise typer.BadParameter("this is not a JSON object.", param_hint=option)
    return value


def json_file(path: Path, option: str) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    try:
        return json_object(path.read_text(encoding="utf-8"), option)
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read.", param_hint=option) from error


def names(given: list[str]) -> list[str]:
    """Read a list that may be repeated, separated by commas, or both."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def limits(given: list[str] | None, option: str) -> list[str]:
    """Read a list of the only ones: none where it was not given, and never none where it was."""
    found = names(given or [])
    if given and not found:
        raise typer.BadParameter(
            "it names nothing; leave it out if there is no limit.", param_hint=option
        )
    return found


def instant(text: str | None, option: str) -> int | None:
    """Read a moment in milliseconds: a date, or a date and time; UTC where it names no offset."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not a moment like `2026-06-21` or `2026-06-21T09:30:00+05:30`.",
            param_hint=option,
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def duration_s(text: str, option: str) -> int:
    """Read a duration in seconds: `5s`, `30m`, `2h`, `1d`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is not a duration like `5s`, `30m`, `2h` or `1d`.", param_hint=option
        )
    return int(found[1]) * _UNIT_S[found[2]]


def secret(text: str | None, option: str) -> str | None:
    """Read a secret that was given, or from where it says that it stands.

    `-` is a line of stdin, `@FILE` a file, `env:NAME` a variable. What is typed into a command can
    be read by everybody on the machine.
    """
    if text is None:
        return None
    if text == _STDIN:
        return sys.stdin.readline().rstrip("\r\n")
    if text.startswith(_FILE):
        path = Path(text.removeprefix(_FILE))
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{path} cannot be read.", param_hint=option) from error
    if text.startswith(_VARIABLE):
        name = text.removeprefix(_VARIABLE)
        if name not in os.environ:
            raise typer.BadParameter(f"there is no variable {name}.", param_hint=option)
        return os.environ[name]
    return text


def _no_date(text: str, option: str) -> NoReturn:
    raise typer.BadParameter(f"{text!r} is not a date like `2026-06-21`.", param_hint=option)
