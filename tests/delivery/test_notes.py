"""What is to be written: the last word per key, once, and again after a failed write.

Pure. The property lays notes beside a dictionary that every settlement is applied to, as the store
does.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from punchgate.delivery.notes import Notes
from punchgate.domain.endpoint import Health
from punchgate.domain.event import Position
from punchgate.store.cursors import Buried, Parked, Settlement, Tried
from tests.gateway import NOON

START = Position(1, 0, 10, NOON)
FURTHER = Position(1, 0, 20, NOON)


def parked(key: str, attempt: int = 0) -> Parked:
    return Parked(key, START, attempt, NOON, NOON, "refused")


def tried(event_id: str) -> Tried:
    return Tried(event_id, 1, NOON, "accepted", 200, 5, None, None)


def test_nothing_learned_is_nothing_to_write() -> None:
    notes = Notes(START, [parked("a")])
    assert notes.count == 0
    assert not notes.has_moved(START)
    assert notes.take(START) == Settlement(None, [], [], [], [], health=None)


def test_everything_learned_is_given_once() -> None:
    notes = Notes(START, [parked("a")])
    health = Health("failing", NOON, "429", NOON)
    buried = Buried("evt_2", "b", "422", 422, 11, NOON)
    notes.tried(tried("evt_1"))
    notes.buried(buried)
    notes.park(parked("b"))
    notes.free("a")
    notes.fares(health)
    assert notes.count == 5
    learned = notes.take(FURTHER)
    assert learned.position == FURTHER
    assert (learned.tried, learned.buried) == ([tried("evt_1")], [buried])
    assert (learned.parked, learned.freed, learned.health) == ([parked("b")], ["a"], health)
    assert notes.count == 0
    assert notes.take(FURTHER) == Settlement(None, [], [], [], [], health=None)


def test_several_changes_of_a_key_are_one() -> None:
    notes = Notes(START, [])
    notes.park(parked("a", 1))
    notes.park(parked("a", 2))
    assert notes.take(START).parked == [parked("a", 2)]
    notes.free("a")
    notes.park(parked("a", 3))
    learned = notes.take(START)
    assert (learned.parked, learned.freed) == ([parked("a", 3)], [])


def test_a_state_that_was_told_is_not_told_again() -> None:
    notes = Notes(START, [])
    notes.fares(Health("active", NOON))
    notes.take(START)
    notes.fares(Health("active", NOON))
    assert notes.count == 0


def test_a_place_that_could_not_be_written_is_written_with_the_next() -> None:
    notes = Notes(START, [])
    notes.give_back(notes.take(FURTHER))
    assert notes.has_moved(FURTHER)
    assert notes.take(FURTHER).position == FURTHER


def test_what_was_learned_after_a_failed_write_is_the_later_word() -> None:
    notes = Notes(START, [parked("a")])
    notes.tried(tried("evt_1"))
    notes.park(parked("b", 1))
    notes.free("a")
    notes.fares(Health("failing", NOON, "429", NOON))
    lost = notes.take(FURTHER)
    notes.tried(tried("evt_2"))
    notes.free("b")
    notes.park(parked("a", 7))
    notes.fares(Health("active", NOON + 1))
    notes.give_back(lost)
    learned = notes.take(FURTHER)
    assert learned.tried == [tried("evt_1"), tried("evt_2")]
    assert (learned.parked, learned.freed) == ([parked("a", 7)], ["b"])
    assert learned.health == Health("active", NOON + 1)


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["park"]), st.sampled_from("abc"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["free"]), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["write", "fail"])),
    ),
    max_size=30,
)


@given(steps)
def test_after_the_last_write_the_store_knows_what_is_known(steps: list[Any]) -> None:
    notes, store = Notes(START, []), dict[str, Parked]()
    log: list[Tried] = []
    for number, step in enumerate([*steps, ("write",)], 1):
        match step:
            case ("park", key, attempt):
                notes.park(parked(key, attempt))
                notes.tried(tried(f"evt_{number}"))
            case ("free", key) if key in notes.parked:
                notes.free(key)
            case ("fail",):
                notes.give_back(notes.take(START._replace(seq=START.seq + number)))
            case ("write",):
                learned = notes.take(START._replace(seq=START.seq + number))
                assert not {item.key for item in learned.parked} & set(learned.freed)
                store |= {item.key: item for item in learned.parked}
                for key in learned.freed:
                    store.pop(key, None)
                log.extend(learned.tried)
                assert learned.position == START._replace(seq=START.seq + number)
    assert store == notes.parked
    ids = [item.event_id for item in log]
    assert len(ids) == sum(step[0] == "park" for step in steps)
    assert ids == sorted(set(ids), key=lambda one: int(one[4:]))
