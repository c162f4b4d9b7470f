"""The workday cases, field by field: the published ones where they are, and our own beside them.

The expectations of `cases.json` were worked out by hand from docs/reference/workday.md; each `id`
begins with the rule that it shows. Pure; nothing is simulated.
"""

import json
import random
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from punchgate.domain import localtime, policy, workday
from punchgate.domain.fields import Fields
from punchgate.reports import trial
from tests import shared_data

Case = Mapping[str, object]

OWN: list[Case] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
_shared = shared_data.find("cases/workdays.json")
SHARED: list[Case] = [] if _shared is None else json.loads(_shared.read_text("utf-8"))
EVERY = OWN + SHARED


@pytest.mark.parametrize("case", EVERY, ids=lambda case: str(case["id"]))
def test_a_case_comes_out_as_expected(case: Case) -> None:
    result = trial.run(case)
    assert result.computed == result.expected
    assert result.is_equal


@pytest.mark.skipif(_shared is None, reason="the published cases are not beside this checkout")
def test_the_published_cases_are_all_there() -> None:
    assert len(SHARED) == 25


def test_every_rule_that_a_day_decides_has_cases_of_its_own() -> None:
    shown = {rule for case in OWN for rule in str(case["rules"]).strip("[]").split(", ")}
    assert {f"'R{number}'" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)} <= shown
    assert len(OWN) >= 40
    assert len({str(case["id"]) for case in EVERY}) == len(EVERY)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: str(case["id"]))
def test_I3_order_and_repetition_change_no_case(case: Case) -> None:
    fields = Fields(case)
    rule, zone = trial._policy(fields)
    resolved = trial._punches(fields.objects("punches"), zone)
    rules = policy.always(rule)
    expected = workday.compute(resolved, rules)
    for order in range(5):
        arrived = sorted(
            resolved * 2, key=lambda punch: sha256(f"{order}{punch}".encode()).digest()
        )
        assert workday.compute(arrived, rules) == expected


@pytest.mark.parametrize("case", EVERY, ids=lambda case: str(case["id"]))
def test_a_case_without_its_order_of_devices_is_the_same(case: Case) -> None:
    """Shuffle the upload itself, but keep the order of each device: that order is information."""
    punches = Fields(case).objects("punches")
    by_device: dict[object, list[Mapping[str, object]]] = {}
    for punch in punches:
        by_device.setdefault(punch.data.get("dev"), []).append(punch.data)
    regrouped = [punch for device in reversed(by_device.values()) for punch in device]
    assert trial.run({**case, "punches": regrouped}).is_equal


@pytest.mark.parametrize("case", EVERY, ids=lambda case: str(case["id"]))
def test_I3_a_case_is_the_same_however_its_punches_arrive(case: Case) -> None:
    """Only the order of one device's punches in an ambiguous hour is information (R13)."""
    zone = trial._policy(Fields(case))[1]
    punches = [item.data for item in Fields(case).objects("punches")]
    draw = random.Random(str(case["id"]))  # noqa: S311 (an order, no secret)
    for _ in range(10):
        shuffled = draw.sample(punches, len(punches))
        kept = {
            device: iter([each for each in punches if _tells(each, zone) == device])
            for device in map(partial(_tells, zone=zone), punches)
        }
        arrived = [
            next(kept[device]) if (device := _tells(each, zone)) else each for each in shuffled
        ]
        assert trial.run({**case, "punches": arrived}).is_equal


def _tells(punch: Case, zone: ZoneInfo) -> str | None:
    """Name the device of a punch whose place among the others is information."""
    is_ambiguous = localtime.is_ambiguous(datetime.fromisoformat(str(punch["at"])), zone)
    return f"device {punch.get('dev')}" if is_ambiguous else None
