"""What every benchmark is run with, and a running server as the load generator sees it.

Holds values and the one conversion from a count to a sample; it starts nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

from bench import load
from bench.load import Count, Load, LoadError
from bench.rounds import Sample

PUNCH: Final = "/api/attendance/v1/punch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How long, how often, and where."""

    rounds: int
    seconds: float
    warmup_s: float
    #: A quick run shows that everything works; it keeps noisy rounds and measures nothing.
    is_quick: bool
    #: Where data goes that outlives a run; on the disk that is measured.
    cache: Path
    #: Where this run's data goes.
    scratch: Path
    #: So many requests end a part before its time.
    requests: int = 10_000_000


@dataclass(slots=True, kw_only=True)
class Target:
    """A running server that takes punches. Not frozen: it counts what it was sent."""

    name: str
    port: int
    headers: tuple[str, ...]
    #: What an answer must carry beside `{"ok":true}`, so that a duplicate does not pass as a punch.
    expect_header: str | None = None
    batch_path: str = PUNCH
    #: How many punches it has on disk; None where it keeps none.
    stored: Callable[[], int] | None = None
    people: int = 5000
    from_day: date = load.FIRST_DAY
    #: Number of the first punch that it was not sent yet.
    next: int = 0

    def punch(self, setting: Setting, *, connections: int) -> Sample:
        """Send single punches for the time of a part."""
        return self._send(setting, "punch", connections, PUNCH)

    def batch(self, setting: Setting, *, connections: int) -> Sample:
        """Send batches of 1,000 punches for the time of a part; the sample counts punches."""
        return self._send(setting, "batch", connections, self.batch_path)

    def check_stored(self) -> None:
        """Compare what was acknowledged with what is on the disk; LoadError if they differ."""
        found = self.next if self.stored is None else self.stored()
        if found != self.next:
            raise LoadError(f"{self.name}: {self.next} acknowledged, {found} stored.")

    def _send(
        self, setting: Setting, kind: Literal["punch", "batch"], connections: int, path: str
    ) -> Sample:
        is_single = kind == "punch"
        count = load.run(
            Load(
                port=self.port,
                path=path,
                kind=kind,
                connections=connections,
                seconds=setting.seconds,
                warmup_s=setting.warmup_s,
                requests=setting.requests,
                headers=self.headers,
                expect='{"ok":true}' if is_single else None,
                expect_prefix=None if is_single else '{"ok":true',
                expect_header=self.expect_header if is_single else None,
                people=self.people,
                from_day=self.from_day,
                first=self.next,
            )
        )
        self.next = count.next
        return sample(count)


def sample(count: Count) -> Sample:
    """Make a sample of what the generator counted."""
    return Sample(
        per_s=count.items / count.seconds,
        p50_ms=count.p50_us / 1000,
        p99_ms=count.p99_us / 1000,
        generator_cores=count.cores,
    )
