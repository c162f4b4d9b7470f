"""Ten million stored punches: made once by our own gateway, kept outside the repository.

The load generator sends them in batches to `punchgate serve`, as a migrating customer would, so
that punches, events, people, workdays and counters are what our code makes of them. Interrupted, it
goes on where it stopped. The naive baseline gets the same punches in a table and file of its own. A
change of the schema or of how workdays are computed makes a new set; the old one is deleted.
"""

import asyncio
import hashlib
import inspect
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.schema import CreateTable

from bench import gateway, load
from bench.gateway import Place
from bench.load import Load, LoadError
from bench.rivals import HEADERS
from bench.setting import PUNCH, Target
from punchgate import app, config
from punchgate.domain.punch import Punch
from punchgate.domain.workday import Workday
from punchgate.store import schema
from punchgate.store import workdays as stored_workdays
from punchgate.usecases import workdays

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
#: Counted up when `loadgen.c` makes other punches of the same numbers.
_PATTERN: Final = 1
#: Passes between two lines that say how far it is.
_PASSES: Final = 100
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
            sent = send(target, sent, wanted, people, connections=1 if first > 0 else _CONNECTIONS)
            print(f"  {sent:,} of {punches:,} punches", file=sys.stderr, flush=True)
        if place.count_punches() != punches:
            raise LoadError(f"{place.count_punches()} punches stored instead of {punches}.")
    asyncio.run(_compute_workdays(place))
    (place.folder / "filled").touch()


def send(target: Target, first: int, wanted: int, people: int, *, connections: int) -> int:
    """Send so many punches from number `first` on in batches; the number of the next one.

    Errors: LoadError if they did not all arrive.
    """
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


async def _compute_workdays(place: Place) -> None:
    """Compute every stale day, as the server's worker does but without its rests."""
    settings = config.load(None, {"data": place.folder}).settings
    async with app.open_context(settings, serving=True) as context:
        # Counting millions of stale days takes longer than computing some, so it is done rarely.
        while left := await context.database.read(stored_workdays.count_stale):
            print(f"  {left:,} days to compute", file=sys.stderr, flush=True)
            for _ in range(_PASSES):
                await workdays.refresh(context, app.now)


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
    """Name what decides how stored rows look; a change of words or of speed is none."""
    tables = [str(CreateTable(table)) for table in schema.metadata.sorted_tables]
    facts = [str(_PATTERN), *tables, str(inspect.signature(Workday)), str(inspect.signature(Punch))]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:10]


def _delete_older(cache: Path, current: Path) -> None:
    prefix = current.name.rpartition("-")[0]
    for folder in cache.glob(f"{prefix}-*"):
        if folder != current:
            shutil.rmtree(folder)
