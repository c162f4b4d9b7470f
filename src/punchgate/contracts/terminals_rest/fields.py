"""How requests are read: parameters and the fields of a body, each with its published sentence.

What is read here is well-formed; whether a terminal can hold it is for whoever talks to it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec

from punchgate.contracts.terminals_rest.shapes import PERSON
from punchgate.domain import localtime
from punchgate.domain.device import is_device_id, is_serial
from punchgate.domain.error import Invalid
from punchgate.domain.ids import DeviceId, UserCode
from punchgate.domain.reach import NotCallable, Reach, check_host
from punchgate.reports.terminals import Query
from punchgate.usecases import devices, terminal_register
from punchgate.usecases.terminals import UserChange

Values = Mapping[str, Sequence[str]]
Fields = Mapping[str, Any]

MOST_ROWS: Final = 100_000
#: Of a comm key, a card, and a code on a terminal with small rows.
LARGEST: Final = 2**32 - 1
#: Of a password on a terminal with small rows.
SHORT_PASSWORD: Final = 5
UNFIT_CODE: Final = f"{PERSON} no valido."
UNFIT_SECRET: Final = "password no valido."  # noqa: S105 (a sentence about one)
_LAST_PORT: Final = 65_535
_NAME_LENGTH: Final = 64
_TIMEOUT_S: Final = (1, 60)
_LAST_FINGER: Final = 9
_BOM: Final = b"\xef\xbb\xbf"
_DIGITS_MAX: Final = 20
_PRIVILEGES: Final = (0, 2, 6, 14)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_CODE: Final = re.compile(r"[!-~]{1,24}", re.ASCII)
_PASSWORD: Final = re.compile(r"[0-9]{0,8}", re.ASCII)
#: Which characters stand where in a beginning of `YYYY-MM-DD HH:MM:SS`.
_MOMENT: Final = "0000-00-00 00:00:00"
_YEAR_LENGTH: Final = 4


class Asked(NamedTuple):
    """The parameters of attendance."""

    query: Query
    is_live: bool


class DeviceChanges(NamedTuple):
    """What to set of a device and of the terminal that it is."""

    name: str | None
    terminal: terminal_register.Changes


class Unfit(Exception):
    """A parameter or a field that will not do; its text is the published one."""


def read_device_id(written: str) -> DeviceId | None:
    """Read an id in any case, with blanks; None where it can be none of ours."""
    normal = written.lower().replace(" ", "_")
    return DeviceId(normal) if is_device_id(normal) else None


def read_attendance(values: Values) -> Asked:
    """Read the parameters of attendance.

    Errors:  Unfit.
    """
    beginning = one(values, "date")
    if beginning is not None and not _begins_a_moment(beginning):
        raise Unfit("date debe tener el formato YYYY-MM-DD.")
    is_now = is_live(values)
    limit = one(values, "limit")
    rows = None if limit is None else integer(limit, 1, MOST_ROWS)
    if limit is not None and rows is None:
        raise Unfit(f"limit debe estar entre 1 y {MOST_ROWS}.")
    code = one(values, PERSON)
    query = Query(None if code is None else UserCode(code), beginning, rows)
    return Asked(query, is_live=is_now)


def is_live(values: Values) -> bool:
    """Say whether the terminal is to be asked, and not what is kept of it.

    Errors:  Unfit.
    """
    source = one(values, "source") or "live"
    if source not in {"live", "store"}:
        raise Unfit("source debe ser live o store.")
    return source == "live"


def one(values: Values, name: str) -> str | None:
    """Give the first value of a parameter, None where it has none."""
    return next(iter(values.get(name, ())), None)


def integer(value: object, least: int, most: int) -> int | None:
    """Read a whole number or decimal digits; None for anything else or out of bounds."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if least <= value <= most else None


def read_object(content: bytes) -> dict[str, Any] | None:
    """Read a body that is a JSON object, whatever it says its type is; None for anything else."""
    try:
        found = msgspec.json.decode(content.removeprefix(_BOM))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_new_device(fields: Fields, reach: Reach) -> terminal_register.New:
    """Read a registration.

    Errors:  Unfit.
    """
    if not all(_is_given(fields.get(name)) for name in ("id", "name", "ip")):
        raise Unfit("id, name e ip son requeridos.")
    written = fields["id"]
    device_id = read_device_id(written) if isinstance(written, str) else None
    if device_id is None:
        raise Unfit("id no valido.")
    changes = read_device(fields, reach)
    is_udp = fields.get("udp")
    if not isinstance(is_udp, bool | None):
        raise Unfit("udp no valido.")
    return terminal_register.New(
        id=device_id,
        serial=_serial(fields.get("serial")),
        device=devices.Changes(name=changes.name, zone=_zone(fields.get("zone"))),
        terminal=replace(changes.terminal, is_udp=is_udp),
    )


def read_device(fields: Fields, reach: Reach) -> DeviceChanges:
    """Read what is to be set of a device; what is absent or null stays.

    Errors:  Unfit.
    """
    name, ip, timeout = fields.get("name"), fields.get("ip"), fields.get("timeout")
    if name is not None and not _is_line(name, _NAME_LENGTH):
        raise Unfit("name no valido.")
    host = None if ip is None else _host(ip, reach)
    port = _number(fields.get("port"), (1, _LAST_PORT), "port debe estar entre 1 y 65535.")
    comm_key = _number(fields.get("password"), (0, LARGEST), UNFIT_SECRET)
    if timeout is not None and not _is_timeout(timeout):
        raise Unfit("timeout debe estar entre 1 y 60.")
    terminal = terminal_register.Changes(host=host, port=port, comm_key=comm_key, timeout_s=timeout)
    return DeviceChanges(None if name is None else name.strip(), terminal)


def read_new_user(fields: Fields) -> tuple[UserCode, UserChange]:
    """Read who is to be put on a terminal.

    Errors:  Unfit.
    """
    code = fields.get(PERSON)
    if not _is_given(code) or not _is_given(fields.get("name")):
        raise Unfit(f"{PERSON} y name son requeridos.")
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        raise Unfit(UNFIT_CODE)
    return UserCode(code), read_user(fields)


def read_user(fields: Fields) -> UserChange:
    """Read what is to be set of somebody on a terminal; what is absent or null stays.

    Errors:  Unfit.
    """
    name, privilege = fields.get("name"), fields.get("privilege")
    if name is not None and not _is_line(name):
        raise Unfit("name no valido.")
    if privilege is not None and (type(privilege) is not int or privilege not in _PRIVILEGES):
        raise Unfit("privilege debe ser 0 o 14.")
    card = _number(fields.get("card"), (0, LARGEST), f"card debe estar entre 0 y {LARGEST}.")
    return UserChange(name, _password(fields.get("password")), privilege, card)


def names_credential(fields: Fields) -> bool:
    """Say whether a body sets a password or a card: that needs more than names do."""
    return any(fields.get(name) is not None for name in ("password", "card"))


def read_finger(fields: Fields) -> int:
    """Read which finger is to be enrolled.

    Errors:  Unfit.
    """
    finger = fields.get("finger_index")
    if not isinstance(finger, int) or isinstance(finger, bool) or not 0 <= finger <= _LAST_FINGER:
        raise Unfit("finger_index debe estar entre 0 y 9.")
    return finger


def _number(value: object, bounds: tuple[int, int], sentence: str) -> int | None:
    if value is None:
        return None
    found = integer(value, *bounds)
    if found is None:
        raise Unfit(sentence)
    return found


def _host(value: object, reach: Reach) -> str:
    try:
        return check_host(value, reach) if isinstance(value, str) else _no_host()
    except NotCallable:
        raise Unfit("Direccion no permitida.") from None
    except Invalid:
        raise Unfit("ip no valida.") from None


def _no_host() -> str:
    raise Unfit("ip no valida.")


def _serial(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not is_serial(value):
        raise Unfit("serial no valido.")
    return value


def _zone(value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            localtime.find_zone(value)
            return value
    except Invalid:
        pass
    raise Unfit("zone no valida.")


def _password(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        value = str(value)
    if not isinstance(value, str) or _PASSWORD.fullmatch(value) is None:
        raise Unfit(UNFIT_SECRET)
    return value


def _is_timeout(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return _TIMEOUT_S[0] <= value <= _TIMEOUT_S[1]


def _is_given(value: object) -> bool:
    """Say whether a required field is there: null and a blank text are not."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def _is_line(value: object, most: int | None = None) -> bool:
    """Say whether a value is a text that is not blank, without control characters."""
    return (
        isinstance(value, str)
        and bool(value.strip())
        and not _CONTROL.search(value)
        and (most is None or len(value.strip()) <= most)
    )


def _begins_a_moment(text: str) -> bool:
    if not _YEAR_LENGTH <= len(text) <= len(_MOMENT) or not text.isascii():
        return False
    return all(
        given.isdigit() if wanted == "0" else given == wanted
        for given, wanted in zip(text, _MOMENT, strict=False)
    )
