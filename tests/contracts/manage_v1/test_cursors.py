"""Cursors: bound to account and filter, unchangeable, good after a restart and after a restore."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.contracts import manage_v1
from punchgate.contracts.manage_v1.cursor import Seal
from punchgate.contracts.manage_v1.errors import Refused
from punchgate.domain.endpoint import Filter
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.reports.events import Wanted
from punchgate.usecases import accounts, keys
from tests import gateway
from tests.contracts.manage_v1.conftest import Stage, cursor_of, made
from tests.contracts.manage_v1.test_errors import problem
from tests.gateway import MAIN, NOON, Gateway

SECRET = bytes(range(32))
SEAL = Seal(SECRET, MAIN, Wanted(Filter()))
REFUSED = (400, "invalid-cursor")
NUMBERS = st.integers(0, 2**63 - 1)


@asynccontextmanager
async def opened_stage(directory: Path, url: str | None = None) -> AsyncIterator[Stage]:
    async with gateway.open(directory, url) as opened:
        app = manage_v1.build(opened.edge, manage_v1.Settings(rate_requests=0))
        yield Stage(opened, app, await opened.add_key())


async def limited_key(opened: Gateway, serial: str = "SN1") -> str:
    added = await opened.add_device(serial)
    return await opened.add_key(devices=[added.device.id])


@given(generation=st.integers(0, 2**32 - 1), tx=NUMBERS, seq=NUMBERS, at=NUMBERS)
def test_a_place_comes_back_as_it_was_written(generation: int, tx: int, seq: int, at: int) -> None:
    place = Position(generation, tx, seq, at)
    text = SEAL.write(place)
    assert SEAL.read(text) == place
    # It stands in a query string as it is.
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=100))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        SEAL.read(text)


@given(st.integers(0, 45 * 8 - 1))
def test_no_bit_of_a_cursor_can_be_changed(bit: int) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(SEAL.write(Position(1, 2, 3, 4))))
    assert len(sealed) == 45
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refused):
        SEAL.read(base64.urlsafe_b64encode(sealed).decode())


@pytest.mark.parametrize(
    "other",
    [
        Seal(bytes(32), MAIN, Wanted(Filter())),
        Seal(SECRET, AccountNo(2), Wanted(Filter())),
        Seal(SECRET, MAIN, Wanted(Filter(events=("punch.recorded",)))),
        Seal(SECRET, MAIN, Wanted(Filter(people=("1",)))),
        Seal(SECRET, MAIN, Wanted(Filter(devices=("1",)))),
        Seal(SECRET, MAIN, Wanted(Filter(), frozenset({DeviceId("1")}))),
        Seal(SECRET, MAIN, Wanted(Filter(), frozenset())),
    ],
)
def test_each_thing_that_a_cursor_is_bound_to_makes_another_one(other: Seal) -> None:
    place = Position(1, 2, 3, 4)
    with pytest.raises(Refused):
        SEAL.read(other.write(place))
    with pytest.raises(Refused):
        other.read(SEAL.write(place))
    assert other.read(other.write(place)) == place


def test_the_order_of_a_list_is_no_other_filter() -> None:
    one, same = (
        Seal(SECRET, MAIN, Wanted(Filter(people=people, devices=("a", "b"))))
        for people in (("1", "2"), ("2", "1"))
    )
    assert one.write(Position(1, 2, 3, 4)) == same.write(Position(1, 2, 3, 4))


async def test_a_cursor_is_refused_under_another_account_filter_or_scope(stage: Stage) -> None:
    opened = stage.gateway
    bound = await limited_key(opened)
    other = await accounts.add(opened.context, "other", actor="test", now=NOON)
    foreign = await keys.add(opened.context, other.no, keys.New(name="x"), actor="test", now=NOON)
    await stage.append(made(1), made(2))
    given_out = cursor_of(await stage.read("limit=1"))
    assert problem(await stage.ask(given_out, key=foreign.text)) == REFUSED
    assert problem(await stage.ask(given_out, key=bound)) == REFUSED
    for more in ("type=punch.recorded", "person=1", "device=sn1"):
        assert problem(await stage.ask(f"{given_out}&{more}")) == REFUSED
    narrow = cursor_of(await stage.read("limit=1&person=1"))
    assert problem(await stage.ask(narrow)) == REFUSED
    assert problem(await stage.ask(f"{narrow}&person=2")) == REFUSED
    assert await stage.ids(given_out) == ["evt_punch.recorded2"]


async def test_another_key_of_the_account_goes_on_where_the_first_was(stage: Stage) -> None:
    await stage.append(made(1), made(2))
    given_out = cursor_of(await stage.read("limit=1"))
    assert await stage.ids(given_out, await stage.gateway.add_key()) == ["evt_punch.recorded2"]


async def test_a_page_may_have_another_size_than_the_one_before(stage: Stage) -> None:
    await stage.append(*(made(number) for number in range(5)))
    given_out = cursor_of(await stage.read("limit=1&wait=0"))
    assert len(await stage.ids(f"{given_out}&limit=3")) == 3


async def test_a_restart_changes_nothing(tmp_path: Path, database_url: str) -> None:
    async with opened_stage(tmp_path, database_url) as first:
        await first.append(made(1), made(2))
        given_out = cursor_of(await first.read("limit=1"))
    async with opened_stage(tmp_path, database_url) as second:
        assert await second.ids(given_out) == ["evt_punch.recorded2"]


async def test_another_installation_has_other_cursors(tmp_path: Path) -> None:
    async with opened_stage(tmp_path / "one") as one, opened_stage(tmp_path / "other") as other:
        given_out = cursor_of(await one.read())
        assert problem(await other.ask(given_out)) == REFUSED


async def test_after_a_restore_a_cursor_repeats_a_minute_and_skips_nothing(stage: Stage) -> None:
    minutes = [made(number * 61_000) for number in range(4)]
    await stage.append(*minutes)
    given_out = cursor_of(await stage.read("limit=3"))

    def restore(tx: Any) -> None:
        tx.exec_driver_sql("UPDATE installation SET generation = generation + 1")

    await stage.gateway.context.writer.run(restore)
    # The third was seen; what was received in the minute before it is given again.
    content = await stage.read(given_out)
    assert [one["id"] for one in content["events"]] == [entry.id for entry in minutes[2:]]
    assert await stage.ids(cursor_of(content)) == []
