"""Pages of events: their bytes, their order, and that following them misses and repeats nothing.

Real: both databases, and writers that append while somebody reads.
"""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from punchgate import registry
from punchgate.contracts import manage_v1
from punchgate.domain import event
from punchgate.domain.endpoint import Endpoint, Filter, Health, Pace, Secrets, SigningKey
from punchgate.domain.event import Entry, Position
from punchgate.domain.ids import EndpointId
from punchgate.usecases import accounts, keys
from tests import gateway
from tests.contracts import described
from tests.contracts.manage_v1.conftest import PATH, Stage, cursor_of, made
from tests.gateway import MAIN, NOON

BEGINNING = Position(1, 0, 0, 0)
ENDPOINT = Endpoint(
    account=MAIN,
    id=EndpointId("ep_000000000000"),
    address="https://hr.example/",
    format="standard",
    filter=Filter(),
    pace=Pace(),
    secrets=Secrets((SigningKey("whsec_AAAA"),)),
    unspecified_as="in",
    version=1,
    created_at=NOON,
    health=Health("active", NOON),
)


async def log_of(stage: Stage) -> list[Entry]:
    """Give everything that is in the log of the account `main`."""
    entries: list[Entry] = []
    place = BEGINNING
    while True:
        window = await stage.gateway.context.log.read(MAIN, place, limit=1_000)
        entries += window.entries
        place = window.reached
        if window.is_end:
            return entries


async def test_events_are_byte_for_byte_those_of_a_webhook(stage: Stage) -> None:
    await stage.gateway.add_device("SN1", name='Gate "Ñ" \\ 1', site="HQ")
    for person in ("1", "Zoë", "3"):
        await stage.punch(person)
    entries = await log_of(stage)
    answer = await stage.ask()
    content = answer.json()
    bodies = [event.envelope(entry, "main") for entry in entries]
    assert len(bodies) == 3
    assert (
        answer.body
        == (
            f'{{"events":[{",".join(bodies)}],'
            f'"next_cursor":"{content["next_cursor"]}","has_more":false}}'
        ).encode()
    )
    assert content["events"] == [json.loads(body) for body in bodies]
    rendered = [registry.FORMATS["standard"].render(entry, ENDPOINT, "main") for entry in entries]
    assert [one.content.decode() for one in rendered if one is not None] == bodies
    schema = described.answer_schema(PATH, "get", 200)
    assert described.faults(content, schema) == []


async def test_an_empty_log_has_a_place_to_go_on_from(stage: Stage) -> None:
    first = await stage.read()
    assert (first["events"], first["has_more"]) == ([], False)
    await stage.gateway.add_device("SN1")
    told = await stage.punch("1")
    assert await stage.ids(cursor_of(first)) == [told]


async def test_a_page_says_whether_there_is_more(stage: Stage) -> None:
    await stage.append(*(made(number) for number in range(6)))
    first = await stage.read("limit=3")
    assert (len(first["events"]), first["has_more"]) == (3, True)
    second = await stage.read(f"limit=3&{cursor_of(first)}")
    # Exactly as many as were left: there is no empty page to come.
    assert (len(second["events"]), second["has_more"]) == (3, False)
    third = await stage.read(f"limit=3&{cursor_of(second)}")
    assert (third["events"], third["has_more"]) == ([], False)
    # A cursor is a place, not a turn: asking again gives the same again.
    assert await stage.read(f"limit=3&{cursor_of(first)}") == second


async def test_a_page_has_a_hundred_events_unless_it_is_asked_for_others(stage: Stage) -> None:
    await stage.append(*(made(number) for number in range(1_001)))
    assert len(await stage.ids()) == 100
    assert len(await stage.ids("limit=1")) == 1
    most = await stage.read("limit=1000")
    assert (len(most["events"]), most["has_more"]) == (1_000, True)


async def test_head_is_get_without_the_body(stage: Stage) -> None:
    await stage.append(made(1))
    get, head = await stage.ask(), await stage.ask(method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))
    assert head.headers["content-type"] == "application/json"


async def test_an_account_hears_of_nothing_but_its_own(stage: Stage) -> None:
    opened = stage.gateway
    other = await accounts.add(opened.context, "other", actor="test", now=NOON)
    new = keys.New(name="other")
    made_key = await keys.add(opened.context, other.no, new, actor="test", now=NOON)
    await stage.append(made(1), made(3))
    await stage.append(made(2), account=other.no)
    theirs = await stage.read(key=made_key.text)
    assert [one["id"] for one in theirs["events"]] == ["evt_punch.recorded2"]
    assert theirs["events"][0]["account"] == "other"
    assert await stage.ids() == ["evt_punch.recorded1", "evt_punch.recorded3"]


async def test_what_was_erased_stays_in_its_place(stage: Stage) -> None:
    entries = [made(1), made(2)._replace(body='{"punch_id":"X","erased":true}'), made(3)]
    await stage.append(*entries)
    content = await stage.read()
    assert [one["id"] for one in content["events"]] == [entry.id for entry in entries]
    assert content["events"][1]["data"] == {"punch_id": "X", "erased": True}
    assert await stage.ids("person=2") == []


@pytest.mark.slow
async def test_I6_a_pull_cursor_passes_no_event_and_repeats_none_while_others_write(
    stage: Stage,
) -> None:
    before, writers, rounds, each = 8_000, 4, 50, 10
    for start in range(0, before, 1_000):
        await stage.append(*(made(number) for number in range(start, start + 1_000)))

    async def write(writer: int) -> None:
        for turn in range(rounds):
            start = before + (writer * rounds + turn) * each
            await stage.append(*(made(number) for number in range(start, start + each)))

    async def follow() -> list[str]:
        found: list[str] = []
        query = "limit=7"
        while len(found) < before + writers * rounds * each:
            content = await stage.read(query)
            found += [one["id"] for one in content["events"]]
            assert len(content["events"]) <= 7
            query = f"limit=7&{cursor_of(content)}"
        assert not (await stage.read(query))["has_more"]
        return found

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        for writer in range(writers):
            group.create_task(write(writer))
    assert len(set(following.result())) == 10_000
    assert following.result() == [entry.id for entry in await log_of(stage)]


async def test_a_log_of_many_accounts_is_read_on_past_the_others(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as opened:
        app = manage_v1.build(opened.edge, manage_v1.Settings())
        stage = Stage(opened, app, await opened.add_key())
        other = await accounts.add(opened.context, "other", actor="test", now=NOON)
        await stage.append(made(0))
        for start in range(0, 25_000, 5_000):
            numbers = range(start, start + 5_000)
            await stage.append(*(made(number) for number in numbers), account=other.no)
        await stage.append(made(1))
        assert await stage.ids() == ["evt_punch.recorded0", "evt_punch.recorded1"]
        unlimited = replace(stage, app=manage_v1.build(opened.edge, manage_v1.Settings(0)))
        assert await unlimited.ids("limit=1") == ["evt_punch.recorded0"]
