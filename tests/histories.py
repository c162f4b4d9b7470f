"""Random histories of punches, and their days computed from scratch, without any kept row.

Real: the punches in the store and the rules of the domain. A seed makes a history; nothing is drawn
otherwise.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from punchgate.domain import workday
from punchgate.domain.workday import DayPunch, Workday
from punchgate.store import schema, workdays
from tests.gateway import MAIN, Gateway

FIRST: Final = datetime(2026, 6, 8)  # noqa: DTZ001 (a device's clock)
DAYS: Final = 7
PEOPLE: Final = ("1001", "1002", "0042")

#: Rules by name; each puts punches on other dates in a way of its own.
RULES: Final[Mapping[str, dict[str, Any]]] = {
    "calendar": {},
    "pairs": {"pairing": "pairs", "dedupe_s": 0},
    "cutoff": {"attribution": "cutoff", "cutoff": "04:30"},
    "far zone": {"zone": "Pacific/Auckland"},
    "long repeats": {"dedupe_s": 1_800},
    "session": {"attribution": "session", "max_session_h": 16},
    "shift": {
        "attribution": "shift",
        "shifts": [
            {"date": f"2026-06-{day:02d}", "start": "21:00", "end": "06:00"}
            for day in range(8, 15, 2)
        ],
    },
}

Rows = list[tuple[int, Workday]]


def history(seed: int, name: str) -> list[dict[str, Any]]:
    """Make the punch objects of a history, out of order."""
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    make = _nights if name == "session" else _anything
    items = [
        {
            "user_id": code,
            "att_time": time.isoformat(" "),
            **({} if state is None else {"att_state": state}),
        }
        for code in PEOPLE
        for time, state in make(draw)
    ]
    draw.shuffle(items)
    return items


def forgetful(seed: int, start: datetime) -> list[dict[str, Any]]:
    """Make punch objects of a week in which sides are forgotten and stays last up to two days.

    Out of order; some lie ahead of the tests' clock if `start` does not lie a week behind it.
    """
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    items = []
    for code in PEOPLE[:2]:
        for day in range(DAYS):
            came = start + timedelta(days=day, seconds=draw.randrange(86_400))
            went = came + timedelta(seconds=draw.randrange(3_600, 48 * 3_600))
            for time, state, chance in (
                (came, 0, 0.7),
                (came + timedelta(seconds=30), 0, 0.2),
                (came + timedelta(hours=4), draw.choice((1, 2, 3)), 0.2),
                (went, 1, 0.6),
            ):
                if draw.random() < chance:
                    time_text = time.isoformat(" ")
                    items.append({"user_id": code, "att_time": time_text, "att_state": state})
    draw.shuffle(items)
    return items


def uploads(
    items: list[dict[str, Any]], seed: int, *, most: int = 12
) -> Iterator[list[dict[str, Any]]]:
    """Cut a history into uploads of `most` at most; some send again what was sent before."""
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    start = 0
    while start < len(items):
        end = start + draw.randint(1, most)
        yield items[start:end]
        if draw.random() < 0.3:
            yield draw.sample(items[:end], min(4, len(items[:end])))
        start = end


def _anything(draw: random.Random) -> Iterator[tuple[datetime, int | None]]:
    """Punches at any time; some repeat the one before, some stand around midnight."""
    for day in range(DAYS):
        for _ in range(draw.randint(0, 4)):
            time = FIRST + timedelta(days=day, seconds=draw.randrange(86_400))
            if draw.random() < 0.3:
                time = FIRST + timedelta(days=day + 1, seconds=draw.randint(-70, 70))
            state = draw.choice((0, 0, 1, 1, 2, 3, None))
            yield time, state
            while draw.random() < 0.3:
                time += timedelta(seconds=draw.randint(5, 70))
                yield time, state


def _nights(draw: random.Random) -> Iterator[tuple[datetime, int | None]]:
    """Shifts across midnight with rests between: what a punch changes is a date away at most.

    Ins that follow each other for days without a rest longer than a session would reach further
    than a punch touches.
    """
    for day in range(DAYS):
        start = FIRST + timedelta(days=day, hours=draw.randint(17, 22), minutes=draw.randint(0, 59))
        end = start + timedelta(minutes=draw.randint(120, 540))
        if draw.random() < 0.9:
            yield start, 0
        if draw.random() < 0.3:
            yield start + timedelta(seconds=draw.randint(5, 58)), 0
        if draw.random() < 0.8:
            yield end, 1


async def from_scratch(gate: Gateway) -> dict[str, Rows]:
    """Compute every day of everybody from all their punches; by date, by person within it."""
    return await gate.context.database.read(_from_scratch)


def _from_scratch(tx: Connection) -> dict[str, Rows]:
    punch, device, person = schema.punch, schema.device, schema.person
    policies = {
        row.device_id: row.direction_policy
        for row in tx.execute(select(device.c.device_id, device.c.direction_policy))
    }
    numbers = {
        row.user_code: row.person_no
        for row in tx.execute(select(person.c.user_code, person.c.person_no))
    }
    lines: dict[str, list[DayPunch]] = {}
    for row in tx.execute(select(punch).where(punch.c.account == MAIN)):
        lines.setdefault(row.user_code, []).append(
            DayPunch(
                row.punch_id,
                row.at,
                row.utc_offset_s,
                row.direction,
                row.device_id,
                policies[row.device_id],
                tuple(row.flags.split()),
                row.zone,
            )
        )
    rules = workdays.rules(tx, MAIN)
    found: dict[str, Rows] = {}
    for code, line in lines.items():
        for day in workday.compute(line, rules):
            found.setdefault(day.date, []).append((numbers[code], day))
    for rows in found.values():
        rows.sort(key=lambda row: (row[0], row[1].is_off_shift))
    return found
