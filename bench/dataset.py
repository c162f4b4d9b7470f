"""Ten million stored punches: made once by our own gateway, kept outside the repository.

The load generator sends them in batches to `punchgate serve`, as a migrating customer would, so
that punches, events, people, workdays and counters are what our code makes of them. Interrupted, it
goes on where it stopped. The naive baseline gets the same punches in a table and file of its own. A
change of the schema or of how workdays are computed makes a new set; the old one is deleted.
"""

import hashlib
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from bench import gateway, load
from bench.gateway import Place
from bench.load import Load, LoadError
from bench.processes import ROOT
from bench.rivals import HEADERS
from bench.setting import PUNCH, Target

FIRST_DAY: Final = date(2024, 1, 1)
PEOPLE: Final = 10_000
LARGE: Final = 10_000_000
SMALL: Final = 100_000
_BATCH: Final = 1_000
_CONNECTIONS: Final = 4
#: Punches between two lines that say how far it is.
_SLICE: Final = 500_000
#: A slice that takes longer is a fault, not a slow machine.
_SLICE_S: Final = 600.0
#: How long the days may take to be computed after the last punch.
_SETTLE_S: Final = 1800.0
#: What decides how the stored rows look.
_SOURCES: Final = ("store/schema.py", "store/record.py", "store/workdays.py", "domain/workday.py")
_NAIVE: Final = """
CREATE TABLE punches (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id TEXT NOT NULL,
  att_time TEXT NOT NULL,
  att_state INTEGER NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A stored set: the gateway's place, the naive table's file, and a key that reads reports."""

    place: Place
    naive: Path
    key: str
    punches: int
    people: int

    @property
    def last_day(self) -> date:
        """Give the last day that everybody has punched to its end."""
        return FIRST_DAY + timedelta(days=load.days(self.punches, self.people) - 1)


def build(cache: Path, punches: int, *, people: int = PEOPLE) -> Dataset:
    """Give a set of so many punches, making what of it is missing.

    Shapes:  `punches` is a multiple of ten times `people`, so that every day is whole.
    """
    if punches % (people * load.TURNS):
        raise ValueError(f"{punches} punches are not whole days of {people} people.")
    folder = cache / f"dataset-{punches}-{_fingerprint()}"
    _delete_older(cache, folder)
    place = Place(folder / "data")
    if not place.folder.exists():
        # A folder is there whole or not at all.
        gateway.prepare(folder / "new")
        (folder / "new").rename(place.folder)
    _fill(place, punches, people)
    naive = folder / "naive.db"
    if not naive.exists():
        _copy_naive(place, naive)
    return Dataset(place, naive, _key(place, folder / "key"), punches, people)


def copy(found: Dataset, folder: Path) -> Place:
    """Copy the gateway's part, for a benchmark that writes."""
    shutil.copytree(found.place.folder, folder)
    return Place(folder)


def _fill(place: Place, punches: int, people: int) -> None:
    if (place.folder / "filled").exists():
        return
    with gateway.running(place) as target:
        # The last requests before an interruption may have left holes: they are sent again.
        sent = max(0, place.count_punches() // _BATCH - 2 * _CONNECTIONS) * _BATCH
        while sent < punches:
            # Everybody's first punch comes over one connection: people are numbered in its order.
            first = max(people, _BATCH) - sent
            wanted = first if first > 0 else min(_SLICE, punches - sent)
            sent = _send(target, sent, wanted, people, connections=1 if first > 0 else _CONNECTIONS)
            print(f"  {sent:,} of {punches:,} punches", file=sys.stderr, flush=True)
        if place.count_punches() != punches:
            raise LoadError(f"{place.count_punches()} punches stored instead of {punches}.")
        _wait_for_workdays(place)
    (place.folder / "filled").touch()


def _send(target: Target, first: int, wanted: int, people: int, *, connections: int) -> int:
    count = load.run(
        Load(
            port=target.port,
            path=PUNCH,
            kind="batch",
            connections=connections,
            seconds=_SLICE_S,
            requests=wanted // _BATCH,
            headers=HEADERS,
            expect_prefix='{"ok":true',
            items=_BATCH,
            people=people,
            first=first,
            from_day=FIRST_DAY,
        )
    )
    if count.next != first + wanted:
        raise LoadError(f"Only {count.next - first} of {wanted} punches were sent in time.")
    return count.next


def _wait_for_workdays(place: Place) -> None:
    deadline = time.monotonic() + _SETTLE_S
    with closing(sqlite3.connect(f"file:{_file(place)}?mode=ro", uri=True)) as db:
        while time.monotonic() < deadline:
            (stale,) = db.execute("SELECT count(*) FROM workday_stale").fetchone()
            if not stale:
                return
            print(f"  {stale:,} days to compute", file=sys.stderr, flush=True)
            time.sleep(2)
    raise LoadError("The workdays were not computed in time.")


def _copy_naive(place: Place, naive: Path) -> None:
    fresh = naive.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh)) as db:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("ATTACH ? AS ours", (f"{_file(place)}",))
        db.execute(_NAIVE)
        db.execute(
            "INSERT INTO punches (user_id, att_time, att_state)"
            " SELECT user_code, wall_time, direction_code FROM ours.punch ORDER BY punch_id"
        )
        db.execute("CREATE INDEX punches_user ON punches (user_id)")
        db.execute("CREATE INDEX punches_time ON punches (att_time)")
        db.commit()
        db.execute("DETACH ours")
        db.execute("ANALYZE")
        db.commit()
    fresh.rename(naive)


def _key(place: Place, kept: Path) -> str:
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(gateway.add_key(place))
    return kept.read_text()


def _file(place: Place) -> Path:
    return place.folder / "punchgate.db"


def _fingerprint() -> str:
    package = ROOT / "src" / "punchgate"
    paths = [package / name for name in _SOURCES]
    paths += sorted((package / "store" / "migrations").rglob("*.py"))
    digest = hashlib.sha256(load.GENERATOR.read_bytes())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


def _delete_older(cache: Path, current: Path) -> None:
    prefix = current.name.rpartition("-")[0]
    for folder in cache.glob(f"{prefix}-*"):
        if folder != current:
            shutil.rmtree(folder)
