"""The benchmark of age: what a punch costs when ten million are stored, against a hundred thousand.

Both gateways are ours, on copies of the stored sets; they are sent the same new days.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import partial
from typing import Final

from bench import dataset, gateway, ingest
from bench.setting import Setting, Target
from bench.table import Comparison, Line

#: After the last day of every set.
_FROM: Final = date(2025, 1, 1)


def growth(setting: Setting) -> list[Line]:
    """Measure single punches and batches on a small and on a large store."""
    with ExitStack() as open_until_the_end:
        targets = [
            open_until_the_end.enter_context(_aged(setting, punches))
            for punches in (dataset.LARGE, dataset.SMALL)
        ]
        large, small = targets
        compare = partial(
            Comparison, ours=large.name, theirs=small.name, ratio="dearer", at_most=1.5
        )
        connections = ingest.CONNECTIONS[0]
        single = f"cost of a punch with {dataset.LARGE:,} stored, {connections} connections"
        batches = f"cost of a punch in a batch with {dataset.LARGE:,} stored"
        lines = ingest.measure(
            setting,
            targets,
            [partial(target.punch, setting, connections=connections) for target in targets],
            [compare(what=single)],
        )
        connections = ingest.BATCH_CONNECTIONS
        return lines + ingest.measure(
            setting,
            targets,
            [partial(target.batch, setting, connections=connections) for target in targets],
            [compare(what=batches)],
        )


@contextmanager
def _aged(setting: Setting, punches: int) -> Iterator[Target]:
    found = dataset.build(setting.cache, punches)
    folder = setting.scratch / f"growth-{punches}"
    place = dataset.copy(found, folder)
    try:
        with gateway.running(place, name=f"{punches:,} stored") as target:
            target.people, target.from_day = found.people, _FROM
            target.stored = lambda: place.count_punches() - punches
            yield target
    finally:
        shutil.rmtree(folder, ignore_errors=True)
