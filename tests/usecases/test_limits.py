"""Counted requests, on both databases: the real store, a clock that a test turns."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from punchgate.domain.ids import AccountNo, KeyId
from punchgate.domain.key import Key
from punchgate.usecases import limits
from punchgate.usecases.limits import Window
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

KEY = Key(MAIN, KeyId("key1"), "one", frozenset())


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as opened:
        yield opened


async def count(
    opened: Gateway, key: Key = KEY, name: str = "report", *, now: int = NOON, quota: int = 3
) -> Window:
    return await limits.count(opened.context, key, name, quota=quota, window_s=60, now=now)


async def test_a_window_is_used_up_and_what_goes_beyond_does_not_count(opened: Gateway) -> None:
    assert await count(opened) == Window(2, 60, is_exceeded=False)
    assert await count(opened, now=NOON + 1) == Window(1, 60, is_exceeded=False)
    assert await count(opened, now=NOON + 1_000) == Window(0, 59, is_exceeded=False)
    assert await count(opened, now=NOON + 30_001) == Window(0, 30, is_exceeded=True)
    assert await count(opened, now=NOON + 59_999) == Window(0, 1, is_exceeded=True)
    # The window is over after its last millisecond, and the refused ones are not in the next.
    assert await count(opened, now=NOON + 60_000) == Window(2, 60, is_exceeded=False)


async def test_the_next_window_begins_with_the_next_request(opened: Gateway) -> None:
    await count(opened)
    later = NOON + 1_000_000
    assert await count(opened, now=later) == Window(2, 60, is_exceeded=False)
    assert await count(opened, now=later + 59_000) == Window(1, 1, is_exceeded=False)


async def test_keys_names_and_accounts_are_counted_apart(opened: Gateway) -> None:
    await count(opened, quota=1)
    assert (await count(opened, quota=1)).is_exceeded
    others = [replace(KEY, key_id=KeyId("key2")), replace(KEY, account=AccountNo(2))]
    for key in others:
        assert await count(opened, key, quota=1) == Window(0, 60, is_exceeded=False)
    assert await count(opened, name="export", quota=1) == Window(0, 60, is_exceeded=False)


async def test_a_quota_that_was_lowered_counts_at_once(opened: Gateway) -> None:
    for _ in range(3):
        await count(opened)
    assert await count(opened, quota=2) == Window(0, 60, is_exceeded=True)
    assert await count(opened, quota=5) == Window(1, 60, is_exceeded=False)


async def test_a_clock_that_was_set_back_begins_a_new_window(opened: Gateway) -> None:
    await count(opened, now=NOON + 86_400_000, quota=1)
    assert await count(opened, now=NOON, quota=1) == Window(0, 60, is_exceeded=False)
    assert await count(opened, now=NOON, quota=1) == Window(0, 60, is_exceeded=True)


async def test_of_many_at_once_exactly_the_quota_gets_through(opened: Gateway) -> None:
    windows = await asyncio.gather(*[count(opened, quota=7) for _ in range(30)])
    assert sum(not window.is_exceeded for window in windows) == 7
    assert sorted(window.left for window in windows if not window.is_exceeded) == list(range(7))


async def test_a_restart_gives_nothing_back(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as first:
        await count(first, quota=1)
    async with gateway.open(tmp_path) as second:
        assert (await count(second, quota=1)).is_exceeded
