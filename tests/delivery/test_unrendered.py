"""A format that stumbles over one event: its person waits, everybody else goes on.

Real: the log, the lanes, the sender, the receiver. Planted: bodies that no event has, which a
format has to read and cannot, and secrets that nobody can have.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from punchgate.domain.endpoint import Secrets, SigningKey
from punchgate.domain.event import Event
from punchgate.domain.ids import EndpointId
from punchgate.store import endpoints as stored
from punchgate.store import schema
from punchgate.usecases import endpoints
from tests import receiver
from tests.delivery import replaying
from tests.delivery.stage import Stage, event, ids, open_stage
from tests.gateway import MAIN
from tests.receiver import Answer, Receiver

ERROR = "render_failed: JSONDecodeError"


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture(name="r")
async def _receiver() -> AsyncIterator[Receiver]:
    async with receiver.open() as opened:
        yield opened


def bad(person: str, number: int) -> Event:
    """Make an event whose body cannot be read, as `gateway-v3` has to."""
    return event(person, number)._replace(body="{")


def good(person: str, number: int) -> Event:
    """Make one that it renders: a tombstone."""
    return event(person, number)._replace(body=f'{{"punch_id":"P{number}","erased":true}}')


async def parked(stage: Stage) -> list[Any]:
    return await stage.rows(schema.parked)


async def problems(stage: Stage) -> list[tuple[str, bool]]:
    return [(row.kind, row.cleared_at is None) for row in await stage.rows(schema.problem)]


async def test_what_cannot_be_rendered_parks_its_key_and_the_others_go_on(
    stage: Stage, r: Receiver
) -> None:
    endpoint_id = await stage.add_endpoint(r.url(), format="gateway-v3", schedule_s=(3_600,))
    # More than the number of failures that make an endpoint fail: it is not to blame.
    await stage.tell(*(bad(f"{who:04d}", 0) for who in range(25)))
    await stage.tell(good("0001", 1), *(good(f"{who:04d}", 0) for who in range(100, 110)))
    stage.deliver()
    await r.received(10)

    async def are_parked() -> bool:
        return len(await parked(stage)) == 25

    await stage.until(are_parked, "the bad ones to be parked")
    assert {(row.attempt, row.last_error) for row in await parked(stage)} == {(1, ERROR)}
    assert sorted(ids(r.requests)) == [f"evt_{who:04d}_000000" for who in range(100, 110)]
    assert await stage.state() == "active"
    assert await problems(stage) == [("render_failed", True)]
    (problem,) = await stage.rows(schema.problem)
    assert problem.subject == f"endpoint:{endpoint_id}"
    assert ERROR in problem.detail
    unsent = [row for row in await stage.rows(schema.attempt) if row.outcome == "unsent"]
    assert {(row.status, row.error, row.answer) for row in unsent} == {(None, ERROR, None)}


async def test_it_is_given_up_in_the_end_and_what_comes_after_it_is_sent(
    stage: Stage, r: Receiver
) -> None:
    await stage.add_endpoint(r.url(), format="gateway-v3", schedule_s=(5,))
    await stage.tell(bad("0001", 0), good("0001", 1))
    stage.deliver()
    await stage.until(lambda: r.count == 1, "the next of that person", passing_ms=1_000)
    await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
    (dead,) = await stage.rows(schema.dead)
    assert (dead.event_id, dead.reason, dead.attempts) == ("evt_0001_000000", ERROR, 2)
    assert sorted(await problems(stage)) == [("dead_letters", True), ("render_failed", True)]


async def test_of_a_batch_it_is_found_out_and_the_others_are_sent(
    stage: Stage, r: Receiver
) -> None:
    await stage.add_endpoint(
        r.url(), format="gateway-v3", schedule_s=(3_600,), batch_max=50, concurrency=1
    )
    await stage.tell(good("0001", 0), bad("0002", 0), good("0003", 0), good("0002", 1))
    stage.deliver()
    await stage.until(lambda: r.count == 2, "the others")

    async def is_parked() -> bool:
        return bool(await parked(stage))

    await stage.until(is_parked, "the bad one to be parked")
    (row,) = await parked(stage)
    assert (row.key, row.last_error) == ("person:0002", ERROR)
    sent = b"".join(request.body for request in r.requests)
    assert b"evt_0001_000000" in sent
    assert b"evt_0003_000000" in sent


async def test_to_resume_tries_at_once_and_clears_the_problem(stage: Stage, r: Receiver) -> None:
    endpoint_id = await stage.add_endpoint(r.url(), format="gateway-v3", schedule_s=(3_600,))
    await stage.tell(bad("0001", 0))
    stage.deliver()

    async def is_told() -> bool:
        return bool(await problems(stage))

    await stage.until(is_told, "the problem")
    # Another format has a word for it.
    changes = endpoints.Changes(format="standard")
    await endpoints.set_endpoint(
        stage.context, MAIN, endpoint_id, changes, actor="test", now=stage.clock()
    )
    await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    await r.received(1)
    await stage.until(stage.is_drained, "the end of the log")
    assert await problems(stage) == [("render_failed", False)]


async def keep(stage: Stage, endpoint_id: EndpointId, secrets: Secrets) -> None:
    """Write secrets as they are, past everything that looks at them."""
    vault = stage.context.vault

    def work(tx: Connection) -> None:
        endpoint = stored.find(tx, MAIN, endpoint_id, vault=vault)
        assert endpoint is not None
        stored.change(tx, MAIN, replace(endpoint, secrets=secrets), vault=vault)

    await stage.context.writer.run(work)


@pytest.mark.parametrize(
    ("wire_format", "secrets", "error"),
    [
        # One digit of base64 is no byte.
        ("standard", Secrets((SigningKey("whsec_A"),)), "send_failed: Error"),
        (
            "plain",
            Secrets((SigningKey("whsec_AAAA"),), auth_token="a\r\nb"),
            "send_failed: ValueError",
        ),
    ],
)
async def test_what_cannot_be_signed_or_headed_parks_its_key_and_is_told(
    stage: Stage, r: Receiver, wire_format: str, secrets: Secrets, error: str
) -> None:
    endpoint_id = await stage.add_endpoint(r.url(), format=wire_format, schedule_s=(3_600,))
    await keep(stage, endpoint_id, secrets)
    await stage.tell(good("0001", 0), good("0002", 0))
    stage.deliver()

    async def are_parked() -> bool:
        return len(await parked(stage)) == 2

    await stage.until(are_parked, "both to be parked")
    assert {row.last_error for row in await parked(stage)} == {error}
    assert set(await stage.outcomes()) == {"unsent"}
    assert await problems(stage) == [("render_failed", True)]
    assert r.count == 0


async def test_a_replay_counts_it_as_failed_and_sends_the_others(stage: Stage, r: Receiver) -> None:
    endpoint_id = await stage.add_endpoint(r.url(), format="gateway-v3", schedule_s=(1,))
    await stage.tell(bad("0001", 0), good("0002", 0), good("0001", 1))
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
    job = await replaying.start(stage, endpoint_id)
    done = await replaying.ends(stage, job)
    assert (done.counted, done.sent, done.failed) == (3, 2, 1)


async def test_while_the_endpoint_fails_it_is_no_probe_that_holds_up_the_others(
    stage: Stage, r: Receiver
) -> None:
    r.otherwise = Answer(503, {"Retry-After": "5"})
    await stage.add_endpoint(r.url(), format="gateway-v3", schedule_s=(3_600,), concurrency=1)
    await stage.tell(good("0009", 0), bad("0001", 0), good("0002", 0))
    stage.deliver()

    async def fails() -> bool:
        return await stage.state() == "failing"

    await stage.until(fails, "trouble to be noticed")
    r.otherwise = receiver.OK

    async def are_through() -> bool:
        return [row.key for row in await parked(stage)] == ["person:0001"]

    await stage.until(are_through, "the others to be taken", passing_ms=1_000)
    assert await stage.state() == "active"
