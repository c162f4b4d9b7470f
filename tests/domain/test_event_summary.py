"""The entry about a day that changed after it had ended, beside the published sample.

Pure; nothing is simulated.
"""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import event_summary
from punchgate.domain.event import EVENT_TYPES, Event
from punchgate.domain.event_summary import REASONS, Change, Reason, Stand
from punchgate.domain.ids import AccountNo, PersonNo, UserCode
from punchgate.domain.person import Person
from punchgate.domain.workday import Workday

NOW = 1_782_014_400_000
PERSON = Person(AccountNo(1), PersonNo(7), UserCode("1001"), name="Rahul Sharma", custom_id="STU-1")
DAY = Workday(
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
BEFORE = replace(DAY, last_out=None, worked_s=None, exact_s=None, status="incomplete")
CHANGE = Change(
    "2026-06-20",
    is_off_shift=False,
    before=Stand(3, BEFORE),
    after=Stand(4, DAY),
    reason="late_punch",
)
#: The `data` of the published sample.
PUBLISHED = (
    '{"person":{"code":"1001","custom_id":"STU-1","name":"Rahul Sharma"},"date":"2026-06-20",'
    '"version":4,"reason":"late_punch","first_in":"2026-06-20T08:58:00",'
    '"last_out":"2026-06-20T18:02:11","worked_seconds":32651,"working_hours":"9h 4m",'
    '"hours_decimal":9.07,"status":"complete","missing":[],"flags":[],"final":false,'
    '"previous":{"version":3,"worked_seconds":null,"status":"incomplete"}}'
)


def tell(change: Change, person: Person = PERSON, account: str = "main") -> Event:
    return event_summary.summary_updated(change, person, account_name=account, now=NOW)


def test_the_published_sample_comes_out() -> None:
    made = tell(CHANGE)
    assert made.body == PUBLISHED
    assert (made.type, made.key) == ("summary.updated", "person:1001")
    assert (made.occurred_at, made.received_at) == (NOW, NOW)
    assert made.type in EVENT_TYPES


def test_a_day_that_nobody_had_before_was_version_0() -> None:
    read = json.loads(tell(CHANGE._replace(before=Stand(0, None), after=Stand(1, DAY))).body)
    assert read["version"] == 1
    assert read["previous"] == {"version": 0, "worked_seconds": None, "status": None}


def test_a_day_whose_last_punch_went_elsewhere_has_nothing_and_misses_both() -> None:
    read = json.loads(tell(CHANGE._replace(before=Stand(4, DAY), after=Stand(5, None))).body)
    assert (read["first_in"], read["last_out"], read["worked_seconds"]) == (None, None, None)
    assert (read["working_hours"], read["hours_decimal"]) == (None, None)
    assert (read["status"], read["missing"]) == ("incomplete", ["in", "out"])
    assert read["previous"] == {"version": 4, "worked_seconds": 32_651, "status": "complete"}


def test_no_worked_time_is_null_and_never_zero() -> None:
    read = json.loads(tell(CHANGE._replace(after=Stand(4, replace(BEFORE, missing=("out",))))).body)
    assert read["worked_seconds"] is None
    assert read["missing"] == ["out"]
    zero = json.loads(tell(CHANGE._replace(after=Stand(4, replace(DAY, worked_s=0)))).body)
    assert (zero["worked_seconds"], zero["working_hours"]) == (0, "0h 0m")
    assert zero["hours_decimal"] == 0


def test_flags_of_the_day_are_listed_and_an_off_shift_row_says_so() -> None:
    flagged = replace(DAY, flags=("fold_inferred", "nonexistent_local_time"))
    read = json.loads(tell(CHANGE._replace(after=Stand(4, flagged), is_off_shift=True)).body)
    assert read["flags"] == ["fold_inferred", "nonexistent_local_time", "off_shift"]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_written_as_it_is(reason: Reason) -> None:
    assert json.loads(tell(CHANGE._replace(reason=reason)).body)["reason"] == reason


def test_the_same_version_of_the_same_day_has_the_same_id_whenever_it_is_told() -> None:
    again = event_summary.summary_updated(
        CHANGE._replace(reason="policy_changed"), PERSON, account_name="main", now=NOW + 9
    )
    assert again.id == tell(CHANGE).id == "evt_01KVH57G00BS2EKXV78T1734PH"


def test_another_account_person_date_version_or_row_has_another_id() -> None:
    ids = {
        tell(CHANGE).id,
        tell(CHANGE, account="other").id,
        tell(CHANGE, replace(PERSON, code=UserCode("1002"))).id,
        tell(CHANGE._replace(date="2026-06-21")).id,
        tell(CHANGE._replace(after=Stand(5, DAY))).id,
        tell(CHANGE._replace(is_off_shift=True)).id,
    }
    assert len(ids) == 6
    assert {len(each) for each in ids} == {30}


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "9999-12-31"])
def test_any_date_of_the_calendar_has_an_id(day: str) -> None:
    assert len(tell(CHANGE._replace(date=day)).id) == 30


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_awkward_names_stay_json(name: str) -> None:
    person = replace(PERSON, code=UserCode(name), name=name, custom_id=name)
    read = json.loads(tell(CHANGE, person).body)
    assert read["person"] == {"code": name, "custom_id": name, "name": name}


def test_I8_what_an_erasure_leaves_names_the_day_and_nobody() -> None:
    left = event_summary.tombstone("2026-06-20", 4)
    assert left == '{"date":"2026-06-20","version":4,"erased":true}'
