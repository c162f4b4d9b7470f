"""An open store for each test of this suite, once on SQLite and once on PostgreSQL.

A module that says `WHICH_WRITERS = ("here", "apart")` gets its store with both writers of each
database: the one inside the process, and the one with a process of its own.
"""

from collections.abc import AsyncIterator

import pytest

from tests.store import stage as stages
from tests.store.stage import Stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for each writer that a module names."""
    if "which_writer" in metafunc.fixturenames:
        metafunc.parametrize("which_writer", getattr(metafunc.module, "WHICH_WRITERS", ("here",)))


@pytest.fixture
async def stage(database_url: str, which_writer: str) -> AsyncIterator[Stage]:
    """Give a migrated, empty store."""
    async with stages.open_stage(database_url, writes_apart=which_writer == "apart") as opened:
        yield opened
