"""The ledger: what a fleet says it sent and was told, laid beside what a gateway has kept.

The fleet is another process and writes to another directory than the gateway's, so nothing that
happens to the gateway touches what it noted. This module reads the ledger and the store and says
whether L1 to L3 and L6 hold; who is killed when is decided by the tests.
"""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from punchgate.domain import policy, workday
from tests.journeys import gateway
from tests.postgres import Cluster

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class Ledger:
    """What the fleet has noted so far; `read` catches up with the file."""

    path: Path
    #: Serial and body of each item that was sent, by its number.
    sent: dict[int, tuple[str, str]] = field(default_factory=dict)
    #: Status and id that the gateway gave, by number.
    acked: dict[int, tuple[str, str]] = field(default_factory=dict)
    #: Why tries were in vain, in their order.
    troubles: list[str] = field(default_factory=list)
    _offset: int = 0

    def read(self) -> "Ledger":
        """Take in what has been written since the last time, up to the last whole line."""
        if not self.path.exists():
            return self
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))
        return self

    def acknowledged_ids(self) -> set[str]:
        """Give the ids that devices were told, of punches and of quarantined items."""
        return {identity for _, identity in self.acked.values()}

    def summary(self) -> str:
        """Say in one line how much there was to lose."""
        said = {**Counter(status for status, _ in self.acked.values()), **Counter(self.troubles)}
        return f"{len(self.sent)} sent, {len(self.acked)} acknowledged: {said}"

    def _take(self, said: dict[str, Any]) -> None:
        match said:
            case {"sent": number, "serial": serial, "body": body}:
                self.sent[number] = (serial, body)
            case {"acked": number, "status": status, "id": identity}:
                # Before the first byte leaves: no acknowledgement of what was not noted.
                assert number in self.sent
                self.acked[number] = (status, identity)
            case {"trouble": trouble}:
                self.troubles.append(trouble)


class Kept(NamedTuple):
    """What a store holds: ids of punches, ids that events speak of, and raw items by their id."""

    punches: Sequence[str]
    events: Sequence[str]
    quarantine: Mapping[str, bytes]


def in_sqlite(data: Path, scratch: Path) -> Kept:
    """Read what a dead gateway left in its files, from a copy of them.

    A copy, because opening the files mends them, and that is what the next start has to prove.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in ("punchgate.db", "punchgate.db-wal"):
        if (data / name).exists():
            shutil.copy(data / name, scratch / name)
    with closing(sqlite3.connect(scratch / "punchgate.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return Kept(
            [row[0] for row in store.execute("SELECT punch_id FROM punch")],
            [row[0] for row in store.execute(_EVENTS)],
            dict(store.execute("SELECT quarantine_id, raw FROM quarantine")),
        )


def in_postgresql(cluster: Cluster, database: str) -> Kept:
    """Read what a gateway has committed, all of it as of one moment.

    A commit that a dead gateway had asked for may still be on its way.
    """
    found: dict[str, list[str]] = {"punch": [], "event": [], "raw": []}
    for line in cluster.execute(_ALL, database=database).splitlines():
        what, _, said = line.partition(" ")
        found[what].append(said)
    raws = {said[:26]: bytes.fromhex(said[27:]) for said in found["raw"]}
    return Kept(found["punch"], found["event"], raws)


#: The log tells of days and devices, too.
_EVENTS: Final = "SELECT substr(id, 5) FROM event WHERE type = 'punch.recorded'"
#: What PostgreSQL keeps, a line each, by one statement: it sees one moment.
_ALL: Final = """
SELECT 'punch ' || punch_id FROM punch
UNION ALL SELECT 'event ' || substr(id, 5) FROM event WHERE type = 'punch.recorded'
UNION ALL SELECT 'raw ' || quarantine_id || ' ' || encode(raw, 'hex') FROM quarantine
"""


def check(ledger: Ledger, kept: Kept) -> None:
    """Assert L1, L2 and L3.

    Shapes:  `ledger` was read before `kept` if the gateway is alive, in any order if it is not.
    """
    stored, told = set(kept.punches), dict[int, tuple[str, str]](ledger.acked)
    for number, (status, identity) in told.items():
        serial, body = ledger.sent[number]
        if status == "quarantined":
            assert kept.quarantine[identity] == body.encode(), f"L1: {number} is not as it was sent"
            continue
        assert identity == punch_id(serial, body), f"L1: {number} was taken for another punch"
        assert identity in stored, f"L1: {number} was acknowledged as {identity} and is lost"
    sent = {punch_id(serial, body) for serial, body in ledger.sent.values()}
    assert stored <= sent, f"L2: never sent: {sorted(stored - sent)[:3]}"
    bodies = {body.encode() for _, body in ledger.sent.values()}
    assert set(kept.quarantine.values()) <= bodies, "L2: quarantined, but never sent"
    assert len(stored) == len(kept.punches), "L3: a punch has two rows"
    assert Counter(kept.events) == Counter(kept.punches), "L3: not one event for each punch"
    raws = list(kept.quarantine.values())
    assert len(set(raws)) == len(raws), "L3: the same bytes are in quarantine twice"


def check_complete(ledger: Ledger, kept: Kept) -> None:
    """Assert that a fleet which ended in peace has nothing left that nobody answered for."""
    check(ledger, kept)
    punches = {punch_id(serial, body) for serial, body in ledger.sent.values()} - {None}
    assert set(kept.punches) == punches, "L3: each sent punch is one row"


def punch_id(serial: str, body: str) -> str | None:
    """Derive the id of a sent item from the page alone; None for what can never be a punch.

    Source:  the project's decision on derived ids. Written a second time on purpose: the code that
             is tested must not be what says that it is right.
    """
    said = json.loads(body)
    wall_time = _wall_time(said.get("att_time", ""))
    user_code = said.get("user_id", "")
    if wall_time is None or wall_time.year > 2100 or not user_code.isprintable() or not user_code:
        return None
    texts = ("main", serial, user_code, said["att_time"], str(said.get("att_state", 255)))
    digest = hashlib.sha256("\x1f".join(texts).encode()).digest()
    milliseconds = int(wall_time.replace(tzinfo=UTC).timestamp()) * 1000
    number = (milliseconds << 80) | int.from_bytes(digest[:10], "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _wall_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 (wall times have no zone)
    except ValueError:
        return None


class Row(NamedTuple):
    """One row of the summary, as far as it follows from punches and the default rules."""

    first_in: str | None
    last_out: str | None
    working_hours: str | None
    activities: tuple[tuple[str, str, str | None], ...]


_SIDES: Final = {"in": "entry", "out": "exit", None: "general"}


def check_summary(running: gateway.Gateway, key: str, scratch: Path) -> int:
    """Assert L6: the summary equals one computed from the exported punches; give its rows."""
    shown = _summary(running, key)
    computed = _from_scratch(_exported(running, scratch))
    assert shown.keys() == computed.keys(), "L6: not the same days"
    for day, row in computed.items():
        assert shown[day] == row, f"L6: {day}"
    return len(shown)


def _summary(running: gateway.Gateway, key: str) -> dict[tuple[str, str], Row]:
    rows: dict[tuple[str, str], Row] = {}
    page, has_next = 1, True
    while has_next:
        query = f"start_date=2026-05-31&end_date=2026-12-31&limit=100&page={page}"
        status, body = gateway.ask(
            f"{running.url}/api/v1/attendance/summary?{query}", {"X-API-Key": key}
        )
        assert status == 200, body
        for user in body["data"]["users"]:
            activities = tuple(
                (each["time"], each["event"], each["details"]) for each in user["activities"]
            )
            rows[user["user_name"], user["date"]] = Row(
                user["first_in"], user["last_out"], user["working_hours"], activities
            )
        page, has_next = page + 1, body["data"]["pagination"]["has_next"]
    return rows


def _exported(running: gateway.Gateway, scratch: Path) -> list[dict[str, Any]]:
    out = scratch / "punches.jsonl"
    running.command("punch", "export", "--format", "jsonl", "--out", str(out))
    with out.open() as lines:
        return [json.loads(line) for line in lines]


def _from_scratch(exported: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Row]:
    by_person: dict[str, list[workday.DayPunch]] = {}
    for said in exported:
        by_person.setdefault(said["user_code"], []).append(
            workday.DayPunch(
                punch_id=said["punch_id"],
                at=int(datetime.fromisoformat(said["at"]).timestamp()),
                utc_offset_s=said["utc_offset_s"],
                direction=said["direction"],
                device_id=said["device_id"],
                direction_policy="as-reported",
                flags=(),
            )
        )
    rules = policy.always(policy.parse({}))
    return {
        (code, day.date): Row(
            day.first_in,
            day.last_out,
            None if day.worked_s is None else workday.working_hours(day.worked_s),
            tuple(
                (each.time, _SIDES[each.side], "duplicate" if each.is_duplicate else None)
                for each in day.activities
            ),
        )
        for code, punches in by_person.items()
        for day in workday.compute(punches, rules)
    }


@dataclass
class Fleet:
    """A running fleet. `end` lets it send what it keeps, and waits for it."""

    process: "subprocess.Popen[bytes]"

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=gateway.LIMIT_S) == 0


@contextmanager
def sending(
    server: str, devices: Sequence[tuple[str, str]], ledger: Path, seed: int
) -> Iterator[Fleet]:
    """Let a fleet send to a server, whether it is there or not, until the end."""
    order = {"server": server, "devices": devices, "ledger": str(ledger), "seed": seed}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journeys.fleet", json.dumps(order)],
        stdin=subprocess.PIPE,
        env=dict(gateway.environment()),
    )
    try:
        yield Fleet(process)
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
