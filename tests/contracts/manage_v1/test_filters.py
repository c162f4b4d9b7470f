"""Which events a request hears of: type, person, device, since when, and what its key may see."""

import pytest

from punchgate.reports import events
from tests.contracts.manage_v1.conftest import Stage, cursor_of, made
from tests.contracts.manage_v1.test_errors import problem
from tests.gateway import NOON

HALL = {"id": "hall", "serial": "SN2", "name": "Hall", "site": None}
SUMMARY = made(20, "summary.updated", device=None)
ONLINE = made(21, "device.online", person=None)
UNCLAIMED = made(22, "device.unclaimed", person=None, device=None, serial="SN9")
#: As they stand in the log; `made(n)` is of person `n % 7` at device `sn1`.
LOG = (made(1), made(2), made(3, device=HALL), made(8, device=HALL), SUMMARY, ONLINE, UNCLAIMED)


def names(*entries: object) -> list[str]:
    return [getattr(entry, "id", "") for entry in entries]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", LOG),
        ("type=punch.recorded", LOG[:4]),
        ("type=device.online,summary.updated", (SUMMARY, ONLINE)),
        ("type=device.offline", ()),
        ("person=1", (LOG[0], LOG[3])),
        ("person=1,2", (LOG[0], LOG[1], LOG[3])),
        ("person=01", ()),
        ("person=6", (SUMMARY,)),
        # By our name for it or by its own; somebody's day is of no device.
        ("device=hall", (LOG[2], LOG[3])),
        ("device=SN2", (LOG[2], LOG[3])),
        ("device=SN2,sn1", (*LOG[:4], ONLINE)),
        ("device=SN9", (UNCLAIMED,)),
        ("device=Hall", ()),
        ("device=hall&person=1", (LOG[3],)),
        ("device=sn1&type=punch.recorded&person=2,3", (LOG[1],)),
        ("type=&person=&device=", LOG),
    ],
)
async def test_a_filter_keeps_what_it_names(
    stage: Stage, query: str, wanted: tuple[object, ...]
) -> None:
    await stage.append(*LOG)
    assert await stage.ids(query) == names(*wanted)
    # The same in pages of one.
    found: list[str] = []
    content = await stage.read(f"{query}&limit=1")
    while content["events"]:
        found += [one["id"] for one in content["events"]]
        content = await stage.read(f"{query}&limit=1&{cursor_of(content)}")
    assert found == names(*wanted)
    assert not content["has_more"]


async def test_a_key_limited_to_devices_hears_of_those_alone(stage: Stage) -> None:
    await stage.append(*LOG)
    opened = stage.gateway
    gate = await opened.add_device("SN1", id="sn1")
    hall = await opened.add_device("SN2", id="hall")
    of_gate = await opened.add_key(devices=[gate.device.id])
    of_hall = await opened.add_key(devices=[hall.device.id])
    of_both = await opened.add_key(devices=[gate.device.id, hall.device.id])
    assert await stage.ids(key=of_gate) == names(LOG[0], LOG[1], ONLINE)
    assert await stage.ids(key=of_hall) == names(LOG[2], LOG[3])
    # A day and an unclaimed device are about more than these two.
    assert await stage.ids(key=of_both) == names(*LOG[:4], ONLINE)
    assert await stage.ids("person=1", of_hall) == names(LOG[3])
    assert await stage.ids("device=sn1", of_hall) == []
    assert await stage.ids("device=SN9", of_both) == []


async def test_a_device_that_is_called_like_another_ones_serial_is_not_that_one(
    stage: Stage,
) -> None:
    added = await stage.gateway.add_device("SN7", id="gate7")
    key = await stage.gateway.add_key(devices=[added.device.id])
    await stage.append(made(1, device={**HALL, "serial": "gate7"}))
    assert await stage.ids(key=key) == []
    # Asking for a device by either name is another thing.
    assert await stage.ids("device=gate7") == names(made(1))


@pytest.mark.parametrize(
    ("since", "wanted"),
    [
        ("2026-06-21", 4),
        ("2026-06-22", 0),
        ("2026-06-21T12:00:00Z", 4),
        ("2026-06-21t12:00:00.001z", 3),
        ("2026-06-21T12:00:00.002999999Z", 2),
        ("2026-06-21T12:00:00.003Z", 1),
        ("2026-06-21T12:00:01Z", 0),
        ("2026-06-21T17:30:00.001%2B05:30", 3),
        # A plus that was not escaped.
        ("2026-06-21T17:30:00.001+05:30", 3),
        ("2026-06-21T10:00:00.001-02:00", 3),
        ("2000-01-01", 4),
        ("2100-12-31", 0),
    ],
)
async def test_the_first_call_may_say_since_when(stage: Stage, since: str, wanted: int) -> None:
    entries = [made(number) for number in range(4)]
    await stage.append(*entries)
    content = await stage.read(f"since={since}")
    assert [one["id"] for one in content["events"]] == names(*entries[4 - wanted :])
    # What is recorded later is heard of either way.
    await stage.append(made(9))
    assert await stage.ids(cursor_of(content)) == names(made(9))


async def test_without_cursor_and_since_the_log_is_read_from_its_beginning(stage: Stage) -> None:
    await stage.append(made(-NOON), made(0), made(1))
    assert await stage.ids() == names(made(-NOON), made(0), made(1))


@pytest.mark.slow
async def test_a_request_looks_at_a_bounded_part_of_the_log_and_says_where_it_stopped(
    stage: Stage,
) -> None:
    bound = events.STEP * events.MOST_READS
    for start in range(0, bound, 5_000):
        await stage.append(*(made(number, device=HALL) for number in range(start, start + 5_000)))
    wanted = made(bound)
    await stage.append(wanted)
    # Also where it might wait: the next call may find something at once.
    content = await stage.read("device=sn1&wait=30")
    assert (content["events"], content["has_more"]) == ([], True)
    content = await stage.read(f"device=sn1&{cursor_of(content)}")
    assert [one["id"] for one in content["events"]] == names(wanted)
    assert not content["has_more"]


async def test_a_type_that_there_is_not_is_refused(stage: Stage) -> None:
    for wrong in ("punch", "punch.recorded,x", "Punch.Recorded", "*", "punch.*"):
        assert problem(await stage.ask(f"type={wrong}")) == (400, "invalid-parameter")
