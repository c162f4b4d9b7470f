"""The method: parts of a benchmark take turns, and the median of the quiet rounds counts.

    round 1: ours, baseline, limit
    round 2: baseline, limit, ours     (who begins changes: nobody always runs warm)
    ...

A part begins when the servers have come to rest after the one before it. A round in which other
work on the machine used more than a quarter of a core is thrown away and counted. Nothing here
knows what a part measures.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench import machine

#: More than this of somebody else's work, in cores, and a round says nothing.
OTHER_WORK: Final = 0.25
#: Below this our own tree is at rest: idle servers tick a little.
_AT_REST: Final = 0.1
_LOOK_S: Final = 0.25
#: Long enough for the days of a part to be computed: whoever comes next must not pay for them.
_REST_S: Final = 180.0
_QUIET_S: Final = 60.0
#: A machine that is never quiet would keep us for ever: so many attempts for each wanted round.
_ATTEMPTS: Final = 3


class NeverQuiet(Exception):
    """No round of a benchmark could be kept."""


class Sample(NamedTuple):
    """One part of one round."""

    per_s: float
    p50_ms: float
    p99_ms: float
    generator_cores: float


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is measured: `measure` sends its load and returns when the load is over."""

    name: str
    measure: Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was kept: for each part its samples, one of each round, in the same order."""

    samples: Mapping[str, Sequence[Sample]]
    kept: int
    thrown_away: int
    #: The longest time that the servers still worked after a part, in seconds: work that its figure
    #: does not show.
    after_s: Mapping[str, float]

    def median(self, part: str) -> Sample:
        """Give the median of every figure of a part."""
        columns = zip(*self.samples[part], strict=True)
        return Sample(*(statistics.median(column) for column in columns))

    def ratios(
        self, ratio: Callable[[Sample, Sample], float], ours: str, theirs: str
    ) -> list[float]:
        """Give the ratio of two parts in each round."""
        pairs = zip(self.samples[ours], self.samples[theirs], strict=True)
        return [ratio(mine, other) for mine, other in pairs]


class Witness(NamedTuple):
    """What looks at the machine while rounds run; `MACHINE` is the real one."""

    #: Run something and say how many cores were used by others meanwhile.
    watch: Callable[[Callable[[], Sample]], tuple[Sample, float]]
    #: Wait until our own processes are at rest and say how many seconds that took.
    rest: Callable[[], float]
    #: Wait, for a while, until nobody else works.
    wait_for_quiet: Callable[[], None]


def alternate(
    parts: Sequence[Part], wanted: int, *, keep_noisy: bool, witness: Witness | None = None
) -> Rounds:
    """Run rounds until `wanted` quiet ones are kept, or three times as many were tried.

    Errors: NeverQuiet if not one round could be kept.
    """
    witness = witness or MACHINE
    kept: list[Mapping[str, Sample]] = []
    after_s = dict.fromkeys((part.name for part in parts), 0.0)
    tried = 0
    while len(kept) < wanted and tried < wanted * _ATTEMPTS:
        if not keep_noisy:
            witness.wait_for_quiet()
        turn = tried % len(parts)
        order = [*parts[turn:], *parts[:turn]]
        found = _one_round(order, after_s, witness, keep_noisy=keep_noisy)
        tried += 1
        if found is not None:
            kept.append(found)
        _say(f"  round {tried}: {'thrown away, other work' if found is None else 'kept'}")
    if not kept:
        raise NeverQuiet(f"Others worked on this machine in each of {tried} rounds.")
    samples = {part.name: [found[part.name] for found in kept] for part in parts}
    return Rounds(samples, len(kept), tried - len(kept), after_s)


def _one_round(
    parts: Sequence[Part], after_s: dict[str, float], witness: Witness, *, keep_noisy: bool
) -> Mapping[str, Sample] | None:
    found: dict[str, Sample] = {}
    for part in parts:
        sample, other = witness.watch(part.measure)
        after_s[part.name] = max(after_s[part.name], witness.rest())
        figures = f"{sample.per_s:,.0f}/s, p50 {sample.p50_ms:.2f} ms, p99 {sample.p99_ms:.1f} ms"
        _say(f"    {part.name}: {figures}, other work {other:.2f} core")
        if other > OTHER_WORK and not keep_noisy:
            return None
        found[part.name] = sample
    return found


def _watch(measure: Callable[[], Sample]) -> tuple[Sample, float]:
    before = machine.read_clocks(os.getpid())
    sample = measure()
    return sample, machine.other_cores(before, machine.read_clocks(os.getpid()))


def _rest() -> float:
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        before = machine.read_clocks(os.getpid())
        time.sleep(_LOOK_S)
        used = machine.our_cores(before, machine.read_clocks(os.getpid()))
        if used < _AT_REST or waited > _REST_S:
            return waited


def _wait_for_quiet() -> None:
    deadline = time.monotonic() + _QUIET_S
    while time.monotonic() < deadline:
        before = machine.read_clocks(os.getpid())
        time.sleep(_LOOK_S * 4)
        if machine.other_cores(before, machine.read_clocks(os.getpid())) < OTHER_WORK:
            return


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


MACHINE: Final = Witness(_watch, _rest, _wait_for_quiet)
