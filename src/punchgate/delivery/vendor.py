"""What the formats of existing client programs share: the vendor's words, times and yes.

Answers for what `gateway-v3` and the three `cams` forms say alike, and for the acknowledgement that
receivers of the `cams` forms send. The shape of a request is the format's own.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from punchgate.delivery import render
from punchgate.delivery.form import Answer, Verdict
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry, instant_text

DIRECTIONS: Final[Mapping[str, str]] = {
    "check-in": "CheckIn",
    "check-out": "CheckOut",
    "break-out": "BreakOut",
    "break-in": "BreakIn",
    "overtime-in": "OverTimeIn",
    "overtime-out": "OverTimeOut",
}
#: Anything else is `Others`.
_METHODS: Final[Mapping[str, str]] = {
    "finger": "Fingerprint",
    "face": "Face",
    "palm": "Palm",
    "card": "Card",
    "password": "Password",
}
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
_OPERATION_DIGITS: Final = 12
_YES: Final = frozenset({"done", "ok"})
#: What scripts leave around their answer: a byte order mark, blanks, line breaks.
_AROUND: Final = " \t\r\n\v\f\ufeff"
_REASON_LENGTH: Final = 300
_ACCEPTED: Final = Verdict(is_accepted=True)


def direction(data: Mapping[str, Any], endpoint: Endpoint) -> str:
    """Name the direction of a punch; one without is what the endpoint wants it to be."""
    unspecified = "CheckIn" if endpoint.unspecified_as == "in" else "CheckOut"
    return DIRECTIONS.get(str(data.get("direction")), unspecified)


def method(data: Mapping[str, Any]) -> str:
    """Name how a person was recognised."""
    return _METHODS.get(str(data.get("verify")), "Others")


def device_time(data: Mapping[str, Any]) -> str:
    """Write when a punch was, as the device's clock showed it and with its offset then.

    `2026-06-21 09:30:00 GMT +0530`: receivers split at ` GMT `, so one blank stands on each side.
    """
    wall = str(data.get("at_local")).replace("T", " ")
    return f"{wall} GMT {str(data.get('utc_offset')).replace(':', '')}"


def recorded_time(entry: Entry) -> str:
    """Write when we recorded an event, in UTC and to the second, in the same form."""
    return f"{instant_text(entry.received_at)[:19].replace('T', ' ')} GMT +0000"


def operation_id(entry: Entry) -> str:
    """Derive the twelve characters by which a receiver knows a repeat: 60 bits, in base 32."""
    number = int.from_bytes(sha256(entry.id.encode()).digest()[:8], "big") >> 4
    places = range(5 * (_OPERATION_DIGITS - 1), -1, -5)
    return "".join([_DIGITS[number >> place & 31] for place in places])


def punch(entry: Entry) -> Mapping[str, Any] | None:
    """Read the punch of an entry; None where a receiver of punches has nothing to hear.

    That is the punch of an erased person: these forms have no word for "forget it", and one without
    a person and a time would be refused for ever.
    """
    data = render.read(entry)
    if entry.type != "punch.recorded" or render.is_erased(data):
        return None
    needed = (render.find(data, name) for name in ("person.code", "device.serial", "at_local"))
    return None if None in needed else data


def accepted(answer: Answer, _entries: Sequence[Entry], _endpoint: Endpoint) -> Verdict:
    """Take 200 or 201 with a JSON object whose `status` is `done` or `ok` as a yes, nothing else.

    The case of key and value does not matter, nor do blanks or a byte order mark around the object,
    nor its content type. Receivers answer 200 with an error, and 403 with `done`.
    """
    return judged(answer, spoken(answer.body))


def judged(answer: Answer, said: str) -> Verdict:
    """Judge an answer by its status and by what it says, as text."""
    if answer.status not in {200, 201}:
        return Verdict(is_accepted=False, reason=f"status {answer.status}")
    fields = json_object(said)
    if fields is None:
        return _refused("the answer is no JSON object", said)
    # All of them: an object can name its status twice, and a no counts.
    statuses = [value for key, value in fields if key.lower() == "status"]
    if statuses and all(isinstance(one, str) and one.lower() in _YES for one in statuses):
        return _ACCEPTED
    return _refused("the answer does not say `done`", said)


def is_yes(said: str) -> bool:
    """Say whether a text is the bare word of an acknowledgement."""
    return said.lower() in _YES


def spoken(body: bytes) -> str:
    """Read the text of an answer without what stands around it; strange bytes spoil no yes."""
    return body.decode("utf-8", "replace").strip(_AROUND)


def json_object(said: str) -> Sequence[tuple[str, Any]] | None:
    """Give the fields of a JSON object in their order, each as often as it is there, or None."""
    try:
        # Objects as tuples, so that they are told from lists.
        found = json.loads(said, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, tuple) else None


def _refused(reason: str, said: str) -> Verdict:
    return Verdict(is_accepted=False, reason=f"{reason}: {said[:_REASON_LENGTH]}")
