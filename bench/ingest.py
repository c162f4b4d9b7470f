"""The benchmarks of the way in: a punch over HTTP on both databases, a slow disk, batches.

Each gives the lines of its table. Every server has its own data; after the last round each durable
one must have on disk exactly what it acknowledged.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from bench import cluster, gateway, load, rivals, rounds, table
from bench.rounds import Part
from bench.setting import Setting, Target
from bench.table import Comparison, Line

#: A site in its morning rush, and a large installation behind a front.
CONNECTIONS: Final = (64, 256)
#: Enough to keep the writer busy while the next bodies are read.
BATCH_CONNECTIONS: Final = 4
_FLUSH_MS: Final = 5


def http_sqlite(setting: Setting) -> list[Line]:
    """Measure one punch per request on SQLite, against two baselines and from memory."""
    lines = []
    for connections in CONNECTIONS:
        folder = setting.scratch / f"http-sqlite-{connections}"
        with ExitStack() as open_until_the_end:
            enter = open_until_the_end.enter_context
            ours = enter(gateway.running(gateway.prepare(folder / "ours")))
            orm = enter(rivals.orm_sqlite(folder))
            careful = enter(rivals.careful(folder))
            memory = enter(gateway.from_memory(gateway.prepare(folder / "memory")))
            targets = (ours, orm, careful, memory)
            compare = partial(
                Comparison,
                what=f"one punch a request, SQLite, {connections} connections",
                ours=ours.name,
            )
            lines += measure(
                setting,
                targets,
                [partial(target.punch, setting, connections=connections) for target in targets],
                [
                    compare(theirs=orm.name, ratio="faster", at_least=25, per_s_at_least=15_000),
                    compare(theirs=careful.name, ratio="faster", at_least=6),
                    compare(theirs=memory.name, ratio="share", at_least=0.5),
                ],
            )
    return lines


def http_postgresql(setting: Setting) -> list[Line]:
    """Measure one punch per request on PostgreSQL, against the ORM on the same server."""
    lines = []
    folder = setting.scratch / "http-postgresql"
    folder.mkdir()
    with ExitStack() as open_until_the_end:
        enter = open_until_the_end.enter_context
        server = enter(cluster.running(setting.cache))
        place = gateway.prepare(folder / "ours", url=cluster.create_database(server, "ours"))
        ours = enter(gateway.running(place))
        orm = enter(rivals.orm_postgresql(folder, cluster.create_database(server, "orm")))
        memory = enter(gateway.from_memory(gateway.prepare(folder / "memory")))
        targets = (ours, orm, memory)
        for connections in CONNECTIONS:
            compare = partial(
                Comparison,
                what=f"one punch a request, PostgreSQL, {connections} connections",
                ours=ours.name,
            )
            lines += measure(
                setting,
                targets,
                [partial(target.punch, setting, connections=connections) for target in targets],
                [
                    compare(theirs=orm.name, ratio="faster", per_s_at_least=15_000),
                    compare(theirs=memory.name, ratio="share"),
                ],
            )
    return lines


def http_sqlite_slow_flush(setting: Setting) -> list[Line]:
    """Measure one punch per request on SQLite with 5 ms added to every flush: a cheap disk."""
    folder = setting.scratch / "http-sqlite-slow-flush"
    extra = {
        "LD_PRELOAD": str(load.compile_slow_flush()),
        "BENCH_FLUSH_MS": str(_FLUSH_MS),
    }
    connections = CONNECTIONS[-1]
    with ExitStack() as open_until_the_end:
        enter = open_until_the_end.enter_context
        ours = enter(gateway.running(gateway.prepare(folder / "ours"), extra=extra))
        careful = enter(rivals.careful(folder, extra))
        targets = (ours, careful)
        comparison = Comparison(
            what=f"the same with {_FLUSH_MS} ms added to every flush, {connections} connections",
            ours=ours.name,
            theirs=careful.name,
            ratio="faster",
            at_least=20,
        )
        return measure(
            setting,
            targets,
            [partial(target.punch, setting, connections=connections) for target in targets],
            [comparison],
        )


def batch(setting: Setting) -> list[Line]:
    """Measure batches of 1,000 punches on SQLite, in punches a second."""
    folder = setting.scratch / "batch"
    with ExitStack() as open_until_the_end:
        enter = open_until_the_end.enter_context
        ours = enter(gateway.running(gateway.prepare(folder / "ours")))
        orm = enter(rivals.orm_sqlite(folder))
        memory = enter(gateway.from_memory(gateway.prepare(folder / "memory")))
        targets = (ours, orm, memory)
        compare = partial(
            Comparison,
            what=f"batches of 1,000 punches, SQLite, {BATCH_CONNECTIONS} connections",
            ours=ours.name,
        )
        remark = "theirs: add_all and one commit a batch"
        return measure(
            setting,
            targets,
            [partial(target.batch, setting, connections=BATCH_CONNECTIONS) for target in targets],
            [
                compare(theirs=orm.name, ratio="faster", per_s_at_least=40_000, remark=remark),
                compare(theirs=memory.name, ratio="share"),
            ],
        )


def measure(
    setting: Setting,
    targets: Sequence[Target],
    measures: Sequence[partial[rounds.Sample]],
    comparisons: Sequence[Comparison],
) -> list[Line]:
    """Let targets take turns, check what they stored, and give the lines of the comparisons."""
    parts = [Part(target.name, measure) for target, measure in zip(targets, measures, strict=True)]
    found = rounds.alternate(parts, setting.rounds, keep_noisy=setting.is_quick)
    for target in targets:
        target.check_stored()
    return [table.line(comparison, found) for comparison in comparisons]
