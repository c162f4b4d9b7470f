"""`explain`: a punch's whole story, every step with its reason. A real store; invented punches."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.error import NotFound
from punchgate.domain.ids import DeviceId, PunchId, UserCode
from punchgate.reports import explain
from punchgate.reports.explain import Step, Story
from punchgate.usecases import accounts, devices, people, policies, quarantine
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

TITLES = ["bytes", "reading", "identity", "zone", "workday", "event", "delivery"]


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate", zone="UTC", name="Main gate")
        yield gate


async def _send(gate: Gateway, serial: str = "SN1", **item: Any) -> PunchId:
    said = {"user_id": "1001", "att_time": "2026-06-20 09:00:00", "att_state": 0, **item}
    (receipt,) = await gate.punch(serial, said)
    assert receipt.punch_id is not None, receipt
    return receipt.punch_id


async def _tell(gate: Gateway, punch_id: PunchId, account: str = "main") -> Story:
    found = await accounts.get(gate.context, account)
    return await explain.explain(gate.context.database, found, punch_id)


async def _step(gate: Gateway, punch_id: PunchId, title: str) -> Step:
    (step,) = [step for step in (await _tell(gate, punch_id)).steps if step.title == title]
    return step


async def test_a_story_has_every_step_in_order_and_each_its_reason(gate: Gateway) -> None:
    story = await _tell(gate, await _send(gate))

    assert [step.title for step in story.steps] == TITLES
    assert all(step.reason.endswith(".") for step in story.steps)


async def test_a_story_is_plain_data_for_json(gate: Gateway) -> None:
    punch_id = await _send(gate)

    data = explain.as_data(await _tell(gate, punch_id))

    assert json.loads(json.dumps(data)) == data
    assert data["punch_id"] == punch_id
    assert [set(step) >= {"title", "reason"} for step in data["steps"]] == [True] * 7


async def test_the_bytes_are_those_of_the_device(gate: Gateway) -> None:
    step = await _step(gate, await _send(gate, user_id="Zoë"), "bytes")

    assert json.loads(step.values["raw"])["user_id"] == "Zoë"
    assert step.values["transport"] == "http"
    assert step.values["received_at"] == "2026-06-21T12:00:00.000Z"
    assert (step.values["serial"], step.values["device_id"]) == ("SN1", "gate")


async def test_the_identity_is_derived_again_from_its_five_texts(gate: Gateway) -> None:
    punch_id = await _send(gate)

    step = await _step(gate, punch_id, "identity")

    assert step.values["is_equal"] is True
    assert step.values["derived_again"] == punch_id
    assert step.values["texts"] == ["main", "SN1", "1001", "2026-06-20 09:00:00", "0"]


async def test_the_texts_of_a_punch_without_a_code_say_255(gate: Gateway) -> None:
    step = await _step(gate, await _send(gate, att_state=None), "identity")

    assert step.values["texts"][-1] == "255"
    assert step.values["is_equal"] is True


@pytest.mark.parametrize(
    ("zone", "time", "source", "words"),
    [
        ("UTC", "2026-06-20 09:00:00", "device", "the device's own zone"),
        (None, "2026-06-20 09:00:00", "installation", "the installation's counts"),
        ("UTC", "2026-06-20T09:00:00Z", "offset", "its offset from UTC"),
        ("UTC", 1_781_946_000, "epoch", "Unix time"),
    ],
)
async def test_the_zone_says_how_the_instant_is_known(
    gate: Gateway, zone: str | None, time: object, source: str, words: str
) -> None:
    await gate.add_device("SN2", zone=zone)

    step = await _step(gate, await _send(gate, "SN2", att_time=time), "zone")

    assert step.values["zone_source"] == source
    assert step.values["at"] == "2026-06-20T09:00:00.000Z"
    assert words in step.reason


async def test_an_accounts_zone_is_named_as_such(gate: Gateway) -> None:
    await accounts.set_zone(gate.context, MAIN, "Asia/Kolkata", actor="test", now=NOON)
    await gate.add_device("SN2")

    step = await _step(gate, await _send(gate, "SN2"), "zone")

    assert (step.values["zone_source"], step.values["utc_offset"]) == ("account", "+05:30")
    assert "the account's zone counts" in step.reason


async def test_flags_are_told_in_words(gate: Gateway) -> None:
    gate.clock.ms = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)
    await gate.add_device("BER", zone="Europe/Berlin")
    await _send(gate, "BER", att_time="2026-10-25 02:50:00", user_id="2")
    punch_id = await _send(gate, "BER", att_time="2026-10-25 02:10:00", att_state=77, input_type=88)

    reading = await _step(gate, punch_id, "reading")
    zone = await _step(gate, punch_id, "zone")

    assert zone.values["flags"] == [
        *("unknown_state", "unknown_input_type"),
        *("ambiguous_local_time", "fold_inferred", "late_upload"),
    ]
    for words in ("this wall time came twice", "The second pass", "more than a day after"):
        assert words in reading.reason
    for words in ("does not know the direction code", "does not know the verify code"):
        assert words in reading.reason


async def test_the_workday_says_what_the_punch_did_there(gate: Gateway) -> None:
    first = await _send(gate)
    repeat = await _send(gate, att_time="2026-06-20 09:00:30")
    await _send(gate, att_time="2026-06-20 17:00:00", att_state=1)

    counted, repeated = await _step(gate, first, "workday"), await _step(gate, repeat, "workday")

    assert counted.values == {
        "person_no": 1,
        "date": "2026-06-20",
        "counts_as": "in",
        "is_duplicate": False,
        "first_in": "2026-06-20 09:00:00",
        "last_out": "2026-06-20 17:00:00",
        "worked_s": 8 * 3600,
        "status": "complete",
    }
    assert counted.reason == "Counted on its own date."
    assert repeated.values["is_duplicate"] is True
    assert "it repeats a punch just before it" in repeated.reason


async def test_the_workday_may_be_another_date_than_the_punchs_own(gate: Gateway) -> None:
    rules = policies.StoredPolicy(date(2026, 1, 1), {"attribution": "cutoff", "cutoff": "04:00"})
    await policies.set_policy(gate.context, MAIN, rules, actor="test", now=NOON)

    step = await _step(gate, await _send(gate, att_time="2026-06-20 01:00:00"), "workday")

    assert step.values["date"] == "2026-06-19"
    assert "another date than its own" in step.reason


async def test_an_undirected_punch_is_told_as_such(gate: Gateway) -> None:
    step = await _step(gate, await _send(gate, att_state=None), "workday")

    assert step.values["counts_as"] == "undirected"


async def test_a_released_punch_tells_what_it_was_held_for(gate: Gateway) -> None:
    said = {"user_id": "1001", "att_time": "2026-06-22 09:00:00"}
    (receipt,) = await gate.punch("SN1", said)
    assert receipt.quarantine_id is not None
    item = await quarantine.release(
        gate.context, MAIN, receipt.quarantine_id, actor="ops", now=NOON + 60_000
    )
    assert item.punch_id is not None

    story = await _tell(gate, item.punch_id)

    assert [step.title for step in story.steps] == [*TITLES[:4], "quarantine", *TITLES[4:]]
    assert story.steps[4].values == {
        "quarantine_id": item.id,
        "reason_then": "future_time",
        "released_at": "2026-06-21T12:01:00.000Z",
    }
    assert "released it from quarantine" in story.steps[1].reason


@pytest.mark.parametrize("time", ["9999-12-31 20:00:00", "0001-01-01 01:00:00"])
async def test_a_released_punch_at_an_end_of_the_calendar_has_its_story(
    gate: Gateway, time: str
) -> None:
    """It is listed on no day: there is none beside it."""
    (receipt,) = await gate.punch("SN1", {"user_id": "1001", "att_time": time})
    assert receipt.quarantine_id is not None
    released = await quarantine.release(
        gate.context, MAIN, receipt.quarantine_id, actor="ops", now=NOON
    )
    assert released.punch_id is not None

    story = await _tell(gate, released.punch_id)

    assert [step.title for step in story.steps] == [*TITLES[:4], "quarantine", *TITLES[4:]]
    assert story.steps[-3].reason == "No day within reach lists it."


async def test_the_event_is_what_was_told_then_not_what_is_known_now(gate: Gateway) -> None:
    punch_id = await _send(gate)
    changes = people.Changes(name="Ada")
    await people.set_person(gate.context, MAIN, UserCode("1001"), changes, actor="test", now=NOON)
    await devices.set_device(
        gate.context, MAIN, DeviceId("gate"), devices.Changes(name="Door"), actor="test", now=NOON
    )

    step = await _step(gate, punch_id, "event")

    assert (step.values["event_id"], step.values["seq"]) == (f"evt_{punch_id}", 1)
    assert step.values["key"] == "person:1001"
    assert step.values["data"]["person"]["name"] is None
    assert step.values["data"]["device"]["name"] == "Main gate"


async def test_I12_what_is_not_there_and_what_is_another_accounts_read_alike(
    gate: Gateway,
) -> None:
    punch_id = await _send(gate)
    await accounts.add(gate.context, "other", None, actor="test", now=NOON)

    told = []
    for account, wanted in (("other", punch_id), ("other", PunchId("0" * 26))):
        with pytest.raises(NotFound) as caught:
            await _tell(gate, wanted, account)
        told.append(str(caught.value).replace(wanted, "ID"))

    assert told[0] == told[1]
    with pytest.raises(NotFound):
        await _tell(gate, PunchId("nonsense"))


async def test_an_erased_persons_punch_has_no_story(gate: Gateway) -> None:
    punch_id = await _send(gate)
    await people.erase(gate.context, MAIN, UserCode("1001"), actor="test", now=NOON)

    with pytest.raises(NotFound):
        await _tell(gate, punch_id)
