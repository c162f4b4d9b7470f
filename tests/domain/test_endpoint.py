"""What an endpoint's filter lets through, which part objects, and what it forgets. Pure tables."""

from typing import Any

import pytest

from punchgate.domain.endpoint import CLOSED, ERASED, Condition, Filter, Operation
from punchgate.domain.person import is_user_code

DATA: dict[str, Any] = {
    "person": {"code": "1001", "custom_id": "STU-1", "name": "Rahul"},
    "device": {"id": "gate", "serial": "SN1", "site": "HQ"},
    "direction": "check-in",
    "mask": None,
    "has_photo": False,
    "verify_code": 15,
}
RAHUL = {"person.code": "1001", "person.custom_id": "STU-1", "person.name": "Rahul"}


def condition(field: str, operation: Operation, *values: str) -> Condition:
    return Condition(field, operation, values)


@pytest.mark.parametrize(
    ("wanted", "objection"),
    [
        (Filter(), None),
        (Filter(events=("punch.recorded",)), None),
        (Filter(events=("device.online",)), "events"),
        (Filter(devices=("gate",)), None),
        (Filter(devices=("SN1",)), None),
        (Filter(devices=("SN2",)), "devices"),
        (Filter(people=("1001", "1002")), None),
        (Filter(people=("1002",)), "people"),
        (Filter(sites=("North",)), "sites"),
        (Filter(fields=(condition("direction", "eq", "check-in"),)), None),
        (Filter(fields=(condition("verify_code", "in", "1", "15"),)), None),
        (Filter(fields=(condition("has_photo", "eq", "false"),)), None),
        (Filter(fields=(condition("mask", "exists"),)), "mask?"),
        (Filter(fields=(condition("mask", "eq", "true"),)), "mask=true"),
        (Filter(fields=(condition("direction", "prefix", "break"),)), "direction^=break"),
        (Filter(fields=(condition("direction", "in", "a", "b"),)), "direction~a,b"),
        # The first part that objects is named, in this order.
        (Filter(devices=("SN2",), people=("1002",), sites=("North",)), "devices"),
        (Filter(people=("1002",), fields=(condition("mask", "exists"),)), "people"),
        (Filter(fields=(condition("direction", "exists"), condition("x", "exists"))), "x?"),
    ],
)
def test_the_part_that_excludes_an_event_is_named(wanted: Filter, objection: str | None) -> None:
    assert wanted.objection("punch.recorded", DATA) == objection
    assert wanted.passes("punch.recorded", DATA) is (objection is None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Filter(people=("1001",)), Filter(people=(ERASED,))),
        (Filter(people=("1000", "1001")), Filter(people=("1000", ERASED))),
        (
            Filter(fields=(condition("person.code", "in", "1001", "7"),)),
            Filter(fields=(condition("person.code", "in", ERASED, "7"),)),
        ),
        (
            Filter(fields=(condition("person.name", "eq", "Rahul"),)),
            Filter(fields=(condition("person.name", "eq", ERASED),)),
        ),
        (
            Filter(fields=(condition("person.custom_id", "eq", "STU-1"),)),
            Filter(fields=(condition("person.custom_id", "eq", ERASED),)),
        ),
    ],
)
def test_a_filter_that_forgets_a_person_names_nobody_and_wants_no_one_more(
    before: Filter, after: Filter
) -> None:
    forgotten = before.forget(RAHUL)
    assert forgotten == after
    assert forgotten.forget(RAHUL) == forgotten
    stranger = {**DATA, "person": {"code": "9", "custom_id": None, "name": "N"}}
    assert before.passes("punch.recorded", DATA)
    for data in (DATA, stranger, {"erased": True}):
        assert not forgotten.passes("punch.recorded", data)


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(people=("10011",), devices=("1001",)),
        # Of many people, and of something that only has the same text.
        Filter(fields=(condition("person.code", "prefix", "1001"),)),
        Filter(fields=(condition("person.code", "exists"), condition("verify", "eq", "1001"))),
    ],
)
def test_what_does_not_name_the_person_stays(wanted: Filter) -> None:
    assert wanted.forget(RAHUL) == wanted
    assert wanted.forget({"person.code": "1001"}) == wanted


def test_nobody_can_be_called_what_stands_for_an_erased_person() -> None:
    assert not is_user_code(ERASED)


def test_closed_secrets_sign_nothing() -> None:
    assert CLOSED.live(0) == ()
