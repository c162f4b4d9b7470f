"""A store that cannot be asked for a while: lanes wait for it, and nothing that is known is let go.

Real: the store, the lanes, the sender, the receiver. The fault is a table that is not there.
"""

import io
from pathlib import Path

from sqlalchemy import text

from tests import receiver
from tests.delivery import replaying
from tests.delivery.stage import Stage, event, open_stage


async def _is_missed(stage: Stage, log: io.StringIO) -> None:
    await stage.until(lambda: "store.failed" in log.getvalue(), "a read in vain")


async def _leases(stage: Stage) -> int:
    """Say how often the only endpoint was leased."""
    return int((await stage.cursor()).epoch)


async def test_a_lane_that_cannot_ask_for_replays_goes_on(tmp_path: Path, log: io.StringIO) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        endpoint_id = await stage.add_endpoint(r.url())
        await stage.tell(event("0001", 0))
        stage.deliver()
        await r.received(1)

        await stage.write(text("ALTER TABLE replay RENAME TO away"))
        await _is_missed(stage, log)
        await stage.write(text("ALTER TABLE away RENAME TO replay"))

        await stage.tell(event("0001", 1))
        await r.received(2)
        await stage.until(stage.is_drained, "the end of the log")
        assert await _leases(stage) == 1
        job = await replaying.ends(stage, await replaying.start(stage, endpoint_id))
        assert (job.sent, job.failed) == (2, 0)


async def test_a_replay_that_cannot_read_on_goes_on_where_it_was(
    tmp_path: Path, log: io.StringIO
) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        endpoint_id = await stage.add_endpoint(r.url())
        await stage.tell_many(3, 20)
        stage.deliver()
        await stage.until(stage.is_drained, "the end of the log")
        await stage.stop()
        job = await replaying.start(stage, endpoint_id)

        await stage.write(text("ALTER TABLE dead RENAME TO away"))
        stage.deliver()
        await _is_missed(stage, log)
        await stage.write(text("ALTER TABLE away RENAME TO dead"))

        done = await replaying.ends(stage, job)
        assert (done.sent, done.failed) == (60, 0)
        # Once before the replay was made, and once since.
        assert await _leases(stage) == 2
