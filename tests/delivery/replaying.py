"""Replays as the tests of them begin and follow them; the stage is `stage.py`."""

import asyncio
from typing import Any, Final

from punchgate.domain.endpoint import Selection
from punchgate.domain.event import Event
from punchgate.domain.ids import EndpointId
from punchgate.usecases import endpoints, replays
from punchgate.usecases.replays import Replay
from tests.delivery.stage import Ledger, Stage, event
from tests.gateway import MAIN
from tests.receiver import Answer, Behaviour, Receiver, Request

HOUR_MS: Final = 3_600_000
#: As quickly as it goes.
FAST: Final = 10_000
EVERYTHING: Final = Selection(since=0)


async def start(
    stage: Stage,
    endpoint_id: EndpointId,
    selection: Selection = EVERYTHING,
    *,
    rate: int = FAST,
) -> Replay:
    new = replays.New(selection, rate)
    return await replays.start(
        stage.context, MAIN, endpoint_id, new, actor="test", now=stage.clock()
    )


async def look(stage: Stage, job: Replay) -> Replay:
    return await replays.get(stage.context, MAIN, job.id)


async def ends(stage: Stage, job: Replay, *, passing_ms: int = 0) -> Replay:
    """Wait for a replay to be done and give it as it is then."""

    async def is_over() -> bool:
        return (await look(stage, job)).state != "running"

    await stage.until(is_over, "the end of the replay", passing_ms=passing_ms)
    return await look(stage, job)


async def has_got(
    stage: Stage, r: Receiver, told: list[Event], **settings: Any
) -> tuple[EndpointId, Ledger]:
    """Let an endpoint have everything, and open new books for what comes then."""
    before = Ledger()
    r.otherwise = before
    endpoint_id = await stage.add_endpoint(r.url(), **settings)
    for first in range(0, len(told), 1_000):
        await stage.tell(*told[first : first + 1_000])
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log")
    assert sorted(before.taken) == sorted(one.id for one in told)
    r.requests.clear()
    return endpoint_id, before


async def is_set(stage: Stage, endpoint_id: EndpointId, **settings: Any) -> None:
    """Change an endpoint, as of `endpoints.Changes`, and wait for it to be in force."""
    before = (await stage.cursor()).epoch
    changes = endpoints.Changes(**settings)
    await endpoints.set_endpoint(
        stage.context, MAIN, endpoint_id, changes, actor="test", now=stage.clock()
    )

    async def is_taken_anew() -> bool:
        return bool((await stage.cursor()).epoch > before)

    await stage.until(is_taken_anew, "the change to be in force")


def of_people(count: int, each: int) -> list[Event]:
    return [event(f"{who:04d}", number) for number in range(each) for who in range(count)]


def has_lane(endpoint_id: EndpointId) -> bool:
    return any(task.get_name() == f"lane {endpoint_id}" for task in asyncio.all_tasks())


def again(r: Receiver, job: Replay) -> list[Request]:
    """Give the requests that a replay has sent."""
    return [one for one in r.requests if one.headers.get("webhook-replay") == job.id]


async def is_written(stage: Stage, seq: int) -> bool:
    return bool((await stage.cursor()).seq == seq)


def refuses(*names: str) -> Ledger:
    """Keep books, and refuse these events."""

    def refuse(request: Request) -> Behaviour | None:
        return Answer(422, body=b"who?") if request.headers["webhook-id"] in names else None

    return Ledger(refuse)
