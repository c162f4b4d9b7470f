"""Directions and verify methods: what the raw numbers of a device mean.

Numbers differ by protocol, so a table belongs to a protocol, may be replaced per device, and the
raw number is always kept beside its meaning. Nothing here decides which punch belongs to which day.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

Direction = Literal[
    "check-in", "check-out", "break-out", "break-in", "overtime-in", "overtime-out", "unspecified"
]
VerifyMethod = Literal["finger", "face", "palm", "card", "password", "app", "other", "unknown"]
#: Which table a verify code was read by.
CodeTable = Literal["http", "push", "pull"]
DirectionPolicy = Literal[
    "as-reported", "first-in-last-out", "alternate", "always-in", "always-out"
]

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
VERIFY_METHODS: Final[tuple[VerifyMethod, ...]] = get_args(VerifyMethod)
DIRECTION_POLICIES: Final[tuple[DirectionPolicy, ...]] = get_args(DirectionPolicy)

#: The code that stands for "the device said nothing": it is what terminals send, and what an absent
#: one is read as.
UNSPECIFIED_CODE: Final = 255

#: What terminals mean unless their settings say otherwise.
DEFAULT_DIRECTIONS: Final[Mapping[int, Direction]] = {
    0: "check-in",
    1: "check-out",
    2: "break-out",
    3: "break-in",
    4: "overtime-in",
    5: "overtime-out",
    255: "unspecified",
}

#: HTTP ingest, native TCP and MQTT: the `input_type` of the published contract.
HTTP_VERIFY: Final[Mapping[int, VerifyMethod]] = {
    0: "finger",
    1: "face",
    3: "card",
    4: "password",
    5: "other",
    9: "unknown",
    50: "app",
}

#: The pull protocol of port 4370.
PULL_VERIFY: Final[Mapping[int, VerifyMethod]] = {
    0: "password",
    1: "finger",
    2: "card",
    15: "face",
}

_SIDES: Final[Mapping[str, Literal["in", "out"]]] = {
    "check-in": "in",
    "break-in": "in",
    "overtime-in": "in",
    "check-out": "out",
    "break-out": "out",
    "overtime-out": "out",
}


def side(direction: Direction) -> Literal["in", "out"] | None:
    """Say which way a direction counts in a workday; `None` is undirected."""
    return _SIDES.get(direction)
