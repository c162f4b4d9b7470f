"""The event log for everyone who follows it: what comes next, and word that something has come.

One question to the store for all who wait, ten times a second; nobody rings anybody. A wake-up
between threads or processes could be lost and would need this question beside it anyway
(docs/decisions/0016-delivery.md).
"""

import asyncio
from collections.abc import Collection
from functools import partial

from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo
from punchgate.store import events
from punchgate.store.database import Database
from punchgate.store.events import Window


class Log:
    """The log of every account, as one process follows it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[AccountNo, dict[asyncio.Future[None], Position]] = {}

    async def read(
        self,
        account: AccountNo,
        after: Position,
        *,
        limit: int,
        until: Position | None = None,
        keys: Collection[str] | None = None,
    ) -> Window:
        """Read on from a place; see `store.events.read`."""
        return await self._database.read(
            partial(events.read, account=account, after=after, limit=limit, until=until, keys=keys)
        )

    async def wait(self, account: AccountNo, after: Position, timeout_s: float) -> bool:
        """Wait until the account's log goes on behind a place; False when the time was up.

        Concurrency: any number of callers; a wake-up may come early, so read and wait again.
        """
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(account, {})[news] = after
        try:
            async with asyncio.timeout(timeout_s):
                await news
        except TimeoutError:
            return False
        finally:
            waiting = self._waiting[account]
            del waiting[news]
            if not waiting:
                del self._waiting[account]
        return True

    async def poll(self) -> None:
        """Ask once for everyone who waits, and wake those whose account's log went on."""
        ends = {account: min(waiting.values()) for account, waiting in self._waiting.items()}
        if not ends:
            return
        for account in await self._database.read(partial(events.with_news, ends=ends)):
            for news in list(self._waiting.get(account, ())):
                if not news.done():
                    news.set_result(None)
