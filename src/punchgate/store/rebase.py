"""A log that has moved to another cluster: its transaction numbers mean nothing there.

PostgreSQL's transaction numbers do not survive a dump and restore. Entries whose number lies above
the new cluster's counter would never be read: delivery would stop without an error. So before
anyone reads, the numbers of such a log are set to 0, and its generation rises: places of an older
generation are found again by their time (`events.resolve`).

Functions here take an address, because they run before the store is open.
"""

from typing import Final

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from punchgate.store import schema
from punchgate.store.database import POSTGRES_ERRORS, Address, postgres_engine
from punchgate.store.error import StoreUnavailable, because

_INSTALLATION: Final = schema.installation
_EVENT: Final = schema.event
#: Entries of one transaction.
_SOME: Final = 20_000
#: Two processes that start at once take turns.
_LOCK: Final = 0x70756E64


async def adopt(where: Address) -> bool:
    """See to it that the log can be read in this cluster; say whether it came from another one.

    Errors: StoreUnavailable.
    """
    if where.dialect == "sqlite":
        return False
    engine = postgres_engine(where)
    try:
        return await _adopt(engine)
    except POSTGRES_ERRORS as error:
        raise StoreUnavailable(f"PostgreSQL cannot be asked{because(error)}.") from error
    finally:
        await engine.dispose()


async def _adopt(engine: AsyncEngine) -> bool:
    async with engine.connect() as guard:
        await guard.execute(select(func.pg_advisory_lock(_LOCK)))
        try:
            async with engine.begin() as connection:
                before, now = await connection.run_sync(_identify)
            if before == now:
                return False
            if before is not None:
                await _forget_numbers(engine)
            async with engine.begin() as connection:
                await connection.run_sync(_settle, now, before is not None)
            return before is not None
        finally:
            await guard.execute(select(func.pg_advisory_unlock(_LOCK)))


async def _forget_numbers(engine: AsyncEngine) -> None:
    last = 0
    while True:
        async with engine.begin() as connection:
            reached = await connection.run_sync(_forget_some, last)
        if reached is None:
            return
        last = reached


def _identify(tx: Connection) -> tuple[str | None, str]:
    """Give the cluster that the log was written in, as it was noted, and this one."""
    before = tx.execute(select(_INSTALLATION.c.system_identifier)).scalar_one()
    now = tx.execute(text("SELECT system_identifier FROM pg_control_system()")).scalar_one()
    return before, str(now)


def _forget_some(tx: Connection, last: int) -> int | None:
    """Set the numbers of the next entries to 0; give the last of them, None when none is left."""
    part = select(_EVENT.c.seq).where(_EVENT.c.seq > last).order_by(_EVENT.c.seq).limit(_SOME)
    reached = tx.execute(select(func.max(part.subquery().c.seq))).scalar_one()
    if reached is None:
        return None
    tx.execute(update(_EVENT).where(_EVENT.c.seq > last, _EVENT.c.seq <= reached).values(tx=0))
    return int(reached)


def _settle(tx: Connection, identifier: str, has_moved: bool) -> None:  # noqa: FBT001 (run_sync)
    tx.execute(
        update(_INSTALLATION).values(
            system_identifier=identifier,
            generation=_INSTALLATION.c.generation + int(has_moved),
        )
    )
