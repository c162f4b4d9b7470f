"""How both databases mean to answer for a log and for the register: never by a whole table.

Real: the planners, on tables with rows; on PostgreSQL with statistics of a hundred thousand
punches, because without them it would not know that a table is large.
"""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from punchgate.domain.ids import DeviceId, UserCode
from punchgate.domain.punch import first_id_at
from punchgate.store import punches, register, schema
from punchgate.store.punches import Span
from tests.store import stage as stages
from tests.store.stage import MAIN, Stage, fact

DEVICES = (DeviceId("sn1"), DeviceId("sn2"))
MORNING = datetime(2026, 6, 20, 9)  # noqa: DTZ001 (a wall time)
NEXT = datetime(2026, 6, 21)  # noqa: DTZ001 (a wall time)
SPANS = [
    Span(DEVICES[:1]),
    Span(DEVICES),
    Span(DEVICES[:1], MORNING),
    Span(DEVICES, MORNING, NEXT, UserCode("7"), "2026-06-20"),
]

#: A hundred thousand punches of four devices over a year, as short as they can be.
MANY = """
INSERT INTO punch
SELECT 1, lpad((1750000000000 + n)::text, 26, '0'), 'sn' || n % 4, 'SN' || n % 4, (n % 500)::text,
  to_char(timestamp '2025-06-15' + n * interval '5 minutes', 'YYYY-MM-DD HH24:MI:SS'),
  '', 'UTC', 'device', 0, 1750000000 + n * 300, 0, 0, 'check-in', 1, 'finger', 'pull', 'zk',
  NULL, NULL, NULL, NULL, NULL, NULL, '', ''::bytea
FROM generate_series(1, 100000) AS n
"""


async def explained(stage: Stage, ask: Any) -> list[str]:
    """Give the plan of every SELECT that `ask` sends."""
    word = "EXPLAIN QUERY PLAN " if stage.is_sqlite else "EXPLAIN "
    sent: list[tuple[str, Any]] = []

    def listen(*call: Any) -> None:
        sent.append((call[2], call[3]))

    def work(tx: Connection) -> list[str]:
        event.listen(tx, "before_cursor_execute", listen)
        try:
            ask(tx)
        finally:
            event.remove(tx, "before_cursor_execute", listen)
        plans: list[str] = []
        for statement, values in tuple(sent):
            rows = tx.exec_driver_sql(word + statement, values)
            plans += [str(row[-1]) for row in rows]
        return plans

    plans = await stage.read(work)
    assert plans
    return plans


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, first_id_at(NEXT)])
@pytest.mark.parametrize("span", SPANS)
async def test_a_log_is_a_range_of_the_key_read_backwards(
    database_url: str, span: Span, before: Any
) -> None:
    async with stages.open_stage(database_url) as stage:
        if stage.is_sqlite:
            await stage.store.writer.record([fact(f"p{n}") for n in range(50)])
        else:
            await stage.store.writer.run(lambda tx: tx.execute(text(MANY)).close())
            await stage.sql("ANALYZE punch")
        plan = await explained(
            stage, lambda tx: punches.list_lines(tx, MAIN, span, before=before, limit=2_000)
        )
    if stage.is_sqlite:
        assert len(plan) == 1, plan
        assert plan[0].startswith("SEARCH punch USING INDEX"), plan
    else:
        assert any("Index Scan Backward using punch_pkey" in line for line in plan), plan
        assert not any("Seq Scan" in line or "Sort" in line for line in plan), plan


async def test_the_register_is_looked_up_by_account(database_url: str) -> None:
    async with stages.open_stage(database_url) as stage:
        listed = await explained(
            stage, lambda tx: register.list_registered(tx, MAIN, engine="zk", limit=100)
        )
        one = await explained(stage, lambda tx: register.find(tx, MAIN, DEVICES[0]))
        state = await explained(stage, lambda tx: register.find_state(tx, MAIN, DEVICES[0]))
    if stage.is_sqlite:
        for plan in (listed, one, state):
            assert not any(line.startswith("SCAN") for line in plan), plan
        assert schema.terminal.name == "terminal"
