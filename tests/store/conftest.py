"""An open store for each test of this suite, once on SQLite and once on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from tests.store import stage as stages
from tests.store.stage import Stage


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """Give a migrated, empty store."""
    async with stages.open_stage(database_url) as opened:
        yield opened
