"""What can be wrong with a virtual terminal of port 4370: every switch by its name.

A switch of `FAULTS` holds for the terminal's whole life. A step fault, such as
`drop-after-chunk:3`, happens at one request. This module reads and counts; `zk.py` plays what goes
wrong on the way, `zk_memory.py` and `zk_log.py` invent the contents.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from punchgate.protocols.zk.commands import Command

#: Each switch and what it does; the order is that of docs/how-to/virtual-terminal.md.
FAULTS: Final[Mapping[str, str]] = {
    # On the way.
    "split": "Each frame leaves in pieces of random size, down to one byte.",
    "merge": "All frames of an answer leave in one write.",
    "slow": "Answers leave at 100 bytes a second.",
    "udp-loss": "Datagrams get lost, 10 % or `udp-loss:PERCENT`.",
    "udp-double": "Datagrams arrive twice, 10 % or `udp-double:PERCENT`.",
    "udp-reorder": "A datagram is overtaken by the next, 10 % or `udp-reorder:PERCENT`.",
    # The session.
    "busy-refused": "A second session is refused while one is open.",
    "busy-silent": "A second session is accepted and gets no answer while one is open.",
    "session-0": "Every session has the number 0.",
    "session-1": "Every session has the number 1.",
    "session-65535": "Every session has the number 65535.",
    "session-garbled": "Packets of a table have random numbers in their session field.",
    # How tables are told.
    "users-28": "Users are rows of 28 bytes, as on old models.",
    "order-swapped": "16-byte rows have the direction before the method.",
    "junk-prefix": "Nine bytes stand before the first attendance row.",
    "cut-row": "The last attendance row is cut.",
    "size-short": "A table is announced 100 bytes shorter than it is.",
    "size-long": "A table is announced 100 bytes longer than it is.",
    "size-4g": "A table is announced with 4 GiB.",
    "head-short": "The length in a table's head is 100 bytes too small.",
    "head-long": "The length in a table's head is 100 bytes too large.",
    "free-4": "Free sizes are answered with 4 bytes.",
    "free-80": "Free sizes are answered with 80 bytes.",
    "free-112": "Free sizes are answered with 112 bytes.",
    "free-zero": "All counts of free sizes are 0.",
    "buffer-refused": "Tables cannot be buffered (1503); they can be read the old way.",
    "buffer-parts": "Even the smallest table is read in parts.",
    "buffer-whole": "A buffered table comes at once, in one packet on TCP.",
    "data-1024": "Table data comes in packets of 1,024 bytes, on TCP too.",
    "prepare-random": "The second word before table data is random.",
    # What is in them; every tenth row is meant.
    "impossible-dates": "Rows of 30 February, of the year 2133, and of a clock that was reset.",
    "future-dates": "Rows two years ahead.",
    "identical-rows": "Rows that repeat the one before them.",
    "no-user": "Rows of people who are not in the user table.",
    "garbage-after-nul": "Text fields hold garbage behind their end.",
    "names-gb2312": "Names are Chinese, in GB2312.",
    "names-cp1256": "Names are Arabic, in CP1256.",
    "codes-alphanumeric": "User codes hold letters.",
    "finger-slots": "The user table holds finger slots, with permission 0x31, between the people.",
    "wrapped": "The log was full and began anew: its newest rows come first.",
    # Live events.
    "event-10": "Attendance events have 10 bytes.",
    "event-12": "Attendance events have 12 bytes.",
    "event-14": "Attendance events have 14 bytes.",
    "event-36": "Attendance events have 36 bytes.",
    "event-37": "Attendance events have 37 bytes.",
    "event-52": "Attendance events have 52 bytes.",
    "event-rows": "One event holds the rows of three punches.",
    "event-burst": "Three people punch at a time: three events in one write.",
    "event-insists": "The next event waits until the last one was acknowledged.",
    # Orders.
    "enrol-fails": "Enrolling a finger ends with result 4.",
    "disabled-for-good": "A terminal that was disabled for a time stays disabled.",
    "restart-silent": "RESTART gets no answer.",
}

#: What can happen at a step, and where. `within` is between two packets of the answer.
STEP_FAULTS: Final[Mapping[str, str]] = {
    "drop": "The connection is closed.",
    "reset": "The connection is reset.",
    "silent": "Nothing more is said; the connection stays open.",
    "punch": "Somebody punches.",
    "clear": "The attendance log is cleared.",
}
_PLACES: Final = ("before", "within", "after")
#: `error-CODE-STEP` answers the step with this code; any other number will do too.
ERRORS: Final = (2001, 2003, 65535, 4989)

#: The steps of a conversation, by the commands that make them.
STEPS: Final[Mapping[str, Container[int]]] = {
    "connect": frozenset({Command.CONNECT}),
    "auth": frozenset({Command.AUTH}),
    "version": frozenset({Command.GET_VERSION}),
    "options": frozenset({Command.OPTIONS_RRQ}),
    "time": frozenset({Command.GET_TIME}),
    "count": frozenset({Command.GET_FREE_SIZES}),
    "disable": frozenset({Command.DISABLEDEVICE}),
    "prepare": frozenset({Command.PREPARE_BUFFER}),
    "chunk": frozenset({Command.READ_BUFFER}),
    "table": frozenset({
        Command.DB_RRQ, Command.USERTEMP_RRQ, Command.ATTLOG_RRQ, Command.OPLOG_RRQ,
    }),
    "free": frozenset({Command.FREE_DATA}),
    "events": frozenset({Command.REG_EVENT}),
    "enable": frozenset({Command.ENABLEDEVICE}),
    "exit": frozenset({Command.EXIT}),
    "any": range(0x10000),
}  # fmt: skip

_STEP: Final = re.compile(
    rf"(?:(?P<kind>{'|'.join(STEP_FAULTS)})-(?P<place>{'|'.join(_PLACES)})|error-(?P<code>\d{{1,5}}))"
    rf"-(?P<step>{'|'.join(STEPS)})"
)
_RATES: Final = frozenset({"udp-loss", "udp-double", "udp-reorder"})
_RATE_PERCENT: Final = 10


class UnknownFault(ValueError):
    """No switch has this name."""


class StepFault(NamedTuple):
    """Something that happens at a step.

    Shapes:  `kind` is a name of `STEP_FAULTS` or `error`; `place` is `before`, `within` or `after`
             the answer; `nth` counts from 1, and None is every time.
    """

    kind: str
    place: str
    step: str
    code: int = 0
    nth: int | None = 1


@dataclass(frozen=True, slots=True)
class Faults:
    """What was asked for, read."""

    switches: frozenset[str] = frozenset()
    percents: Mapping[str, int] = field(default_factory=dict)
    steps: Sequence[StepFault] = ()

    def __contains__(self, switch: str) -> bool:
        return switch in self.switches

    def chosen(self, prefix: str) -> int | None:
        """Give the number of a switch such as `free-80`; None where none of its kind is on."""
        numbers = (one.removeprefix(prefix) for one in sorted(self.switches))
        return next((int(text) for text in numbers if text.isdigit()), None)


def read(wishes: Iterable[str]) -> Faults:
    """Read switches: `NAME`, or `NAME:N`.

    Behind a step fault, N says at which time the step fails (1 without it, `*` for every time);
    behind a fault of UDP, how many datagrams of a hundred.

    Errors:  UnknownFault.
    """
    switches: set[str] = set()
    percents: dict[str, int] = {}
    steps: list[StepFault] = []
    for wish in wishes:
        name, _, count = wish.partition(":")
        if name in _RATES:
            percents[name] = _number(wish, count or str(_RATE_PERCENT))
        elif name in FAULTS and not count:
            switches.add(name)
        else:
            steps.append(_step(wish, name, count))
    return Faults(frozenset(switches), percents, tuple(steps))


def lines() -> Iterable[tuple[str, str]]:
    """List every switch with its sentence; step faults as patterns."""
    yield from FAULTS.items()
    for kind, sentence in STEP_FAULTS.items():
        yield f"{kind}-PLACE-STEP[:N]", sentence
    codes = ", ".join(map(str, ERRORS))
    yield "error-CODE-STEP[:N]", f"The step is answered with this code: {codes}, or another."
    yield "PLACE", f"{', '.join(_PLACES)} the answer of the step."
    yield "STEP", f"{', '.join(STEPS)}."
    yield "N", "the N-th time that the step is reached; 1 without it, * for every time."


class Plan:
    """Which step faults are due; counts the steps of a terminal over all its sessions."""

    def __init__(self, steps: Sequence[StepFault]) -> None:
        self._steps = steps
        self._seen: Counter[str] = Counter()

    def due(self, command: int) -> Sequence[StepFault]:
        """Count a request, and give what happens at it."""
        reached = [name for name, commands in STEPS.items() if command in commands]
        self._seen.update(reached)
        return [
            fault
            for fault in self._steps
            if fault.step in reached and fault.nth in {None, self._seen[fault.step]}
        ]


def _step(wish: str, name: str, count: str) -> StepFault:
    match = _STEP.fullmatch(name)
    if match is None:
        raise UnknownFault(f"There is no fault `{wish}`; `--fault list` prints them.")
    nth = None if count == "*" else _number(wish, count or "1")
    if match["code"]:
        return StepFault("error", "before", match["step"], int(match["code"]) & 0xFFFF, nth)
    return StepFault(match["kind"], match["place"], match["step"], nth=nth)


def _number(wish: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise UnknownFault(f"`{wish}` ends with something that is no number.")
    return int(text)
