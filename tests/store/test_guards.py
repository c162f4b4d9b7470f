"""What the database itself refuses, whoever asks: to change or take away what was said.

Real: the triggers, on both databases. Asked past every function of ours, in plain SQL.
"""

import asyncio
from functools import partial

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from punchgate.domain.error import PunchgateError
from punchgate.domain.ids import PersonNo, UserCode
from punchgate.domain.person import Person
from punchgate.store import audit, erasure, events, schema
from punchgate.store.database import PostgresDatabase
from tests.store.stage import MAIN, NOW, Stage, fact

#: What a device said, by column; all others of `punch` are derived and may be derived anew.
SAID = {
    "account": "2",
    "punch_id": "'01JY0000000000000000000000'",
    "serial": "'SN2'",
    "user_code": "'1002'",
    "wall_time": "'2026-06-20 09:00:01'",
    "time_text": "'9 a.m.'",
    "received_at": "1",
    "direction_code": "1",
    "verify_code": "NULL",
    "code_table": "'pull'",
    "transport": "'zk'",
    "latitude": "0.5",
    "longitude": "NULL",
    "accuracy_m": "1.5",
    "temperature_c": "NULL",
    "mask": "NULL",
    "work_code": "'w'",
    "raw": "NULL",
}
DERIVED = {
    "device_id": "'gate'",
    "zone": "'Europe/Berlin'",
    "zone_source": "'account'",
    "utc_offset_s": "7200",
    "at": "1",
    "direction": "'check-out'",
    "verify": "'card'",
    "flags": "'late_upload'",
}
REFUSALS = (DBAPIError, PunchgateError)


@pytest.fixture(name="stage")
async def _stage(stage: Stage) -> Stage:
    await stage.store.writer.record([fact(), fact("1002")])
    await stage.store.writer.run(
        lambda tx: audit.append(tx, MAIN, audit.Entry(NOW, "test", "device.add", "device:sn1"))
    )
    return stage


def test_every_column_of_a_punch_was_said_or_is_derived() -> None:
    assert {*SAID, *DERIVED} == {column.name for column in schema.punch.columns}
    assert not SAID.keys() & DERIVED.keys()


@pytest.mark.parametrize("column", SAID)
async def test_I2_what_a_device_said_cannot_be_changed(stage: Stage, column: str) -> None:
    await _is_refused(stage, f"UPDATE punch SET {column} = {SAID[column]}")


async def test_I2_not_even_with_permission_to_remove(stage: Stage) -> None:
    await _is_refused(
        stage,
        "INSERT INTO removal VALUES (1, '1001')",
        "UPDATE punch SET user_code = '1003' WHERE user_code = '1001'",
    )


@pytest.mark.parametrize("column", DERIVED)
async def test_what_we_derived_may_be_derived_anew(stage: Stage, column: str) -> None:
    await stage.sql(f"UPDATE punch SET {column} = {DERIVED[column]}")

    (one, _) = await stage.rows(schema.punch)
    assert repr(getattr(one, column)) == DERIVED[column]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM punch",
        "DELETE FROM event",
        "UPDATE event SET body = '{}'",
        "UPDATE event SET seq = seq + 10",
        "UPDATE event SET id = 'evt_x' WHERE seq = 1",
        "UPDATE event SET key = 'person:1003'",
        "UPDATE event SET type = 'x'",
        "UPDATE event SET occurred_at = 0",
        "UPDATE event SET received_at = 0",
        "UPDATE event SET account = 2",
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit SET after = NULL",
        "DELETE FROM audit",
    ],
)
async def test_I2_the_log_and_the_audit_are_append_only(stage: Stage, statement: str) -> None:
    await _is_refused(stage, statement)


@pytest.mark.parametrize("table", ["punch", "event", "audit"])
async def test_I2_on_postgresql_no_table_of_them_is_emptied(stage: Stage, table: str) -> None:
    if stage.is_sqlite:
        # SQLite has no other word than DELETE.
        await _is_refused(stage, f"DELETE FROM {table}")
    else:
        await _is_refused(stage, f"TRUNCATE {table}")


async def test_I2_a_punch_goes_only_with_permission_for_its_own_person(stage: Stage) -> None:
    await _is_refused(
        stage,
        "INSERT INTO removal VALUES (1, '1001')",
        "DELETE FROM punch WHERE user_code = '1002'",
    )
    await _is_refused(
        stage,
        "INSERT INTO removal VALUES (2, '1001')",
        "DELETE FROM punch WHERE user_code = '1001'",
    )
    await stage.sql(
        "INSERT INTO removal VALUES (1, '1001')",
        "DELETE FROM punch WHERE user_code = '1001'",
        "DELETE FROM removal",
    )

    assert [row.user_code for row in await stage.rows(schema.punch)] == ["1002"]


async def test_I2_an_event_is_blanked_only_with_permission_for_its_own_person(
    stage: Stage,
) -> None:
    await _is_refused(
        stage,
        "INSERT INTO removal VALUES (1, '1001')",
        "UPDATE event SET body = '{}' WHERE key = 'person:1002'",
    )
    await _is_refused(stage, "INSERT INTO removal VALUES (1, '1001')", "DELETE FROM event")


async def test_an_erasure_takes_one_person_and_leaves_no_permission_behind(stage: Stage) -> None:
    person = Person(MAIN, PersonNo(1), UserCode("1001"))

    await stage.store.writer.run(lambda tx: erasure.erase(tx, MAIN, person))

    assert await stage.sizes(schema.punch, schema.event, schema.removal) == [1, 2, 0]
    event_id = f"evt_{fact().punch.punch_id}"
    found = await stage.read(lambda tx: events.find(tx, MAIN, event_id))
    assert found is not None
    assert found.body == f'{{"punch_id":"{fact().punch.punch_id}","erased":true}}'
    await _is_refused(stage, "DELETE FROM punch")


async def test_a_reading_transaction_cannot_write(stage: Stage) -> None:
    for statement in ("INSERT INTO removal VALUES (1, 'x')", "CREATE TABLE own (no INTEGER)"):
        with pytest.raises(REFUSALS):
            await stage.read(partial(Connection.execute, statement=text(statement)))

    assert await stage.sizes(schema.removal) == [0]


async def test_a_reading_transaction_sees_one_store_from_its_first_question_on(
    stage: Stage,
) -> None:
    """The second question is asked after a commit that happened between them."""
    loop = asyncio.get_running_loop()
    count = text("SELECT count(*) FROM punch")

    if not stage.is_sqlite:
        assert isinstance(stage.store.database, PostgresDatabase)
        async with stage.store.database.engine.connect() as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            first = (await connection.execute(count)).scalar_one()
            await stage.store.writer.record([fact("new")])
            assert (await connection.execute(count)).scalar_one() == first == 2
        return

    def work(tx: Connection) -> tuple[int, int]:
        first = tx.execute(count).scalar_one()
        writing = asyncio.run_coroutine_threadsafe(_record_new(stage), loop)
        writing.result(timeout=30)
        return first, tx.execute(count).scalar_one()

    assert await stage.read(work) == (2, 2)
    assert await stage.sizes(schema.punch) == [3]


async def _record_new(stage: Stage) -> None:
    await stage.store.writer.record([fact("new")])


async def _is_refused(stage: Stage, *statements: str) -> None:
    tables = (schema.punch, schema.event, schema.audit, schema.removal)
    before = [await stage.rows(table) for table in tables]
    with pytest.raises(REFUSALS):
        await stage.sql(*statements)
    assert [await stage.rows(table) for table in tables] == before
