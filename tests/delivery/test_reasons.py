"""What a receiver gives as its reason is kept, whatever it is made of.

Real: both databases, the log, the lanes, the sender, the receiver. Invented: what it answers.
"""

import json
from pathlib import Path

import pytest

from punchgate.store import schema
from tests import receiver
from tests.delivery.stage import event, open_stage
from tests.receiver import Answer, Behaviour, Request

#: No database takes the first, no encoding the second.
_UNFIT = "no\0 such \ud800 employee"
_KEPT = "no\ufffd such ? employee"


async def test_a_reason_that_no_database_takes_is_kept_without_what_is_unfit(
    tmp_path: Path, database_url: str
) -> None:
    def refuse(request: Request) -> Behaviour:
        data = json.loads(request.body)["data"]
        failed = [{"id": each["id"], "reason": _UNFIT} for each in data]
        return Answer(200, body=json.dumps({"failed": failed}).encode())

    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = refuse
        await stage.add_endpoint(r.url(), batch_max=10, schedule_s=(3_600,))
        await stage.tell(event("0001", 0))
        stage.deliver()

        async def is_parked() -> bool:
            return bool(await stage.rows(schema.parked))

        await stage.until(is_parked, "the event to be parked")
        (parked,) = await stage.rows(schema.parked)
        (attempt,) = await stage.rows(schema.attempt)
        assert (parked.last_error, attempt.error) == (_KEPT, _KEPT)


@pytest.mark.parametrize("wire_format", ["cams", "cams-v1"])
async def test_an_answer_that_no_database_takes_is_kept_without_what_is_unfit(
    tmp_path: Path, database_url: str, wire_format: str
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = Answer(200, body=b"no\0")
        await stage.add_endpoint(r.url(), format=wire_format, schedule_s=(3_600,))
        await stage.gate.add_device("SN1")
        await stage.gate.punch("SN1", {"user_id": "1", "att_time": "2026-06-21 09:00:00"})
        stage.deliver()

        async def is_parked() -> bool:
            return bool(await stage.rows(schema.parked))

        await stage.until(is_parked, "the event to be parked")
        (parked,) = await stage.rows(schema.parked)
        assert parked.last_error.endswith("no\ufffd")
