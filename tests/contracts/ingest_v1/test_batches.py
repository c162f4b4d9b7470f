"""Batches: one result per item in the order of the items, one transaction, one request.

Real: the app, the store.
"""

from typing import Any

from tests.contracts.ingest_v1.conftest import PUNCH, Stage


def punch(code: int, **fields: Any) -> dict[str, Any]:
    return {**PUNCH, "user_id": str(code), **fields}


async def test_the_printed_batch_gets_the_printed_answer(stage: Stage) -> None:
    answer = await stage.post(
        b'[{"user_id":"1001","att_time":"2026-06-21 09:30:00","att_state":1,"input_type":1},\n'
        b' {"user_id":"1001","att_time":"2026-06-21 09:30:00","att_state":1,"input_type":1},\n'
        b' {"user_id":"1002","att_time":"yesterday"}]'
    )
    ((punch_id,),) = stage.rows("SELECT punch_id FROM punch")
    ((held_id,),) = stage.rows("SELECT quarantine_id FROM quarantine")
    assert answer.status == 200
    assert answer.body.decode() == (
        f'{{"ok":true,"results":[{{"ok":true,"status":"recorded","punch_id":"{punch_id}"}},'
        f'{{"ok":true,"status":"duplicate","punch_id":"{punch_id}"}},'
        '{"ok":true,"status":"quarantined","reason":"unreadable_time",'
        f'"quarantine_id":"{held_id}"}}]}}'
    )
    assert not {"punch-id", "punch-status", "quarantine-id"} & answer.headers.keys()


async def test_results_follow_the_order_of_the_items(stage: Stage) -> None:
    items: list[Any] = [punch(code) for code in (5, 3, 9, 3, 1)]
    items.insert(2, "nothing")
    results = await stage.batch(*items)
    stored = dict(stage.rows("SELECT punch_id, user_code FROM punch"))
    assert [stored.get(one.get("punch_id")) for one in results] == ["5", "3", None, "9", "3", "1"]
    assert [one["status"] for one in results] == [
        "recorded", "recorded", "quarantined", "recorded", "duplicate", "recorded",
    ]  # fmt: skip


async def test_a_repeat_is_settled_inside_the_batch_and_by_the_first_one(stage: Stage) -> None:
    results = await stage.batch(punch(1, input_type=50), punch(1, input_type=3), punch(1))
    assert [one["status"] for one in results] == ["recorded", "duplicate", "duplicate"]
    assert len({one["punch_id"] for one in results}) == 1
    # The first copy's facts stand.
    assert stage.rows("SELECT verify FROM punch") == [("app",)]
    assert stage.rows("SELECT count(*) FROM event") == [(1,)]


async def test_flags_follow_the_id(stage: Stage) -> None:
    plain, flagged = await stage.batch(punch(1), punch(2, att_state=77, temperature=99))
    assert list(plain) == ["ok", "status", "punch_id"]
    assert list(flagged) == ["ok", "status", "punch_id", "flags"]
    assert flagged["flags"] == ["bad_temperature", "unknown_state"]


async def test_an_empty_batch_is_acknowledged(stage: Stage) -> None:
    for body in (b"[]", b" [ ] ", b"\n[\t]"):
        answer = await stage.post(body)
        assert (answer.status, answer.body) == (200, b'{"ok":true,"results":[]}')


async def test_a_thousand_items_are_one_batch_and_one_transaction(stage: Stage) -> None:
    results = await stage.batch(*[punch(code) for code in range(1_000)])
    assert len(results) == 1_000
    assert {one["status"] for one in results} == {"recorded"}
    assert stage.rows("SELECT count(*), count(DISTINCT tx) FROM event") == [(1_000, 1)]


async def test_one_bad_item_never_blocks_its_neighbours_wherever_it_is(stage: Stage) -> None:
    for place in range(5):
        items: list[Any] = [punch(10 * place + code) for code in range(4)]
        items.insert(place, {"user_id": ["x"]})
        results = await stage.batch(*items)
        assert [one["status"] for one in results].index("quarantined") == place
    assert stage.rows("SELECT count(*) FROM punch") == [(20,)]
    assert stage.rows("SELECT count(*) FROM quarantine") == [(1,)]


async def test_a_batch_counts_as_one_request(stage: Stage) -> None:
    limited = stage.with_settings(monotonic=lambda: 0.0, rate_requests=2)
    first = await limited.post([punch(code) for code in range(10)])
    assert first.headers["ratelimit"] == '"device";r=1;t=30'


async def test_the_size_of_a_batch_is_a_setting(stage: Stage) -> None:
    small = stage.with_settings(batch_max=2)
    assert (await small.post([punch(1), punch(2)])).status == 200
    refused = await small.post([punch(1), punch(2), punch(3)])
    assert refused.json()["error"]["message"] == "At most 2 punches in one request."
    assert (await small.ask("config")).json()["limits"]["batch_max"] == 2
