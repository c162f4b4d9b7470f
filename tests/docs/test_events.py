"""The page of events: every type has its part, and what is printed is what is written.

Real: the page and the functions that write entries. The punch's own body is compared where one is
uploaded, in tests/contracts/ingest_v1.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

import pytest

from punchgate.domain import event_device, event_summary
from punchgate.domain.device import Device, Engine, offline_after_s
from punchgate.domain.event import EVENT_TYPES, Event
from punchgate.domain.event_device import Stranger, Transition
from punchgate.domain.event_summary import REASONS, Change, Stand
from punchgate.domain.ids import AccountNo, DeviceId, PersonNo, SerialNumber, UserCode
from punchgate.domain.person import Person
from punchgate.domain.workday import Workday

PAGE: Final = (Path(__file__).parents[2] / "docs/reference/events.md").read_text("utf-8")
PARTS: Final[Mapping[str, str]] = {
    part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]
}
FOUR: Final = 1_782_014_400_000
DEVICE: Final = Device(
    AccountNo(1),
    DeviceId("main-gate"),
    SerialNumber("SN7A2300583"),
    "Main Gate",
    site="HQ",
    heartbeat_interval_s=30,
)
CAME: Final = Transition(DEVICE, FOUR, FOUR, "10.0.0.31", "offline")
WENT: Final = CAME._replace(since=FOUR + offline_after_s(DEVICE) * 1000, was="online")
DAY: Final = Workday(
    date="2026-06-20",
    is_off_shift=False,
    first_in="2026-06-20 08:58:00",
    last_out="2026-06-20 18:02:11",
    worked_s=32_651,
    exact_s=32_651,
    status="complete",
    missing=(),
    late_min=None,
    early_min=None,
    overtime_s=None,
    auto_break_s=None,
    punched_break_s=None,
    flags=(),
    activities=(),
    duplicates=0,
)
CHANGE: Final = Change(
    "2026-06-20",
    is_off_shift=False,
    before=Stand(3, replace(DAY, worked_s=None, status="incomplete")),
    after=Stand(4, DAY),
    reason="late_punch",
)
PERSON: Final = Person(
    AccountNo(1), PersonNo(1), UserCode("1001"), name="Rahul Sharma", custom_id="STU-001"
)
TAIL: Final = bytes(event_device.TAIL_BYTES)
PRINTED: Final = (
    event_device.online(CAME, now=FOUR, tail=TAIL),
    event_device.offline(WENT, now=FOUR, tail=TAIL),
    event_device.unclaimed(
        Stranger(SerialNumber("CKJF201260123"), "iclock", "10.0.0.44", FOUR), now=FOUR, tail=TAIL
    ),
    event_summary.summary_updated(CHANGE, PERSON, account_name="main", now=FOUR),
)


def test_every_type_has_its_part_and_every_part_is_a_type() -> None:
    assert [name for name in PARTS if "." in name] == list(EVENT_TYPES)


@pytest.mark.parametrize("made", PRINTED, ids=lambda made: made.type)
def test_what_is_printed_is_what_is_written(made: Event) -> None:
    printed = PARTS[made.type].partition("```json\n")[2].partition("```")[0]
    compact = json.dumps(json.loads(printed), separators=(",", ":"), ensure_ascii=False)
    assert compact == made.body


@pytest.mark.parametrize("made", PRINTED, ids=lambda made: made.type)
def test_every_field_is_explained(made: Event) -> None:
    table = PARTS[made.type].partition("| Field |")[2]
    explained = set(re.findall(r"`(\w+)`", table))
    # The device is explained with the punch.
    assert json.loads(made.body).keys() - explained <= {"device"}


def test_closed_lists_are_printed_whole() -> None:
    for name in REASONS:
        assert f"`{name}`" in PARTS["summary.updated"]
    for name in get_args(Engine):
        assert f"`{name}`" in PARTS["device.unclaimed"]
    told = PARTS["device.online"] + PARTS["device.offline"]
    for name in get_args(event_device.Was):
        assert f"`{name}`" in told


def test_what_an_erasure_leaves_is_printed_as_it_is_written() -> None:
    left = event_summary.tombstone("…", 1).replace(":1,", ":…,")
    assert f"`{left}`" in PARTS["What is left of an erased person"]
