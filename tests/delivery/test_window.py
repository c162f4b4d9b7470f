"""The window against a model of twenty lines, through any order of loads, answers and failures.

Pure. The model remembers what was loaded, what is open and what is on its way, and nothing else.
"""

from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from punchgate.delivery.window import Window
from punchgate.domain.event import Entry, Position
from tests.gateway import NOON

KEYS = "abcde"


def place(seq: int) -> Position:
    return Position(1, seq // 7, seq, NOON + seq)


def entry(seq: int, key: str) -> Entry:
    return Entry(place(seq), f"evt_{seq}", key, "punch.recorded", NOON, NOON + seq, "{}")


def loaded(keys: str) -> Window:
    """Make a window with an entry of each of these keys, in this order, from 1 on."""
    window = Window(place(0))
    window.load([entry(seq, key) for seq, key in enumerate(keys, 1)], place(len(keys)))
    return window


class Model(RuleBasedStateMachine):
    """What a window has to hold, whatever is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(place(0))
        self.last = 0
        self.wanted: list[int] = []
        self.open: dict[int, str] = {}
        self.flying: dict[str, list[int]] = {}
        #: What a batch was refused for once.
        self.alone: set[int] = set()

    def of(self, key: str) -> list[int]:
        return [seq for seq, one in self.open.items() if one == key]

    @rule(keys=st.lists(st.sampled_from(KEYS + "-"), max_size=12))
    def load(self, keys: Sequence[str]) -> None:
        """Load some; `-` is one that nobody wants."""
        fresh = {self.last + number: key for number, key in enumerate(keys, 1)}
        wanted = {seq: key for seq, key in fresh.items() if key != "-"}
        self.last += len(keys)
        self.window.load([entry(seq, key) for seq, key in wanted.items()], place(self.last))
        self.open |= wanted
        self.wanted += wanted

    @precondition(lambda self: self.window.has_ready)
    @rule()
    def take(self) -> None:
        found = self.window.take()
        assert found.key not in self.flying
        assert found.position == place(self.of(found.key)[0])
        self.flying[found.key] = [found.position.seq]

    @precondition(lambda self: self.window.has_ready)
    @rule(most=st.integers(1, 6), by_parity=st.booleans())
    def take_batch(self, most: int, *, by_parity: bool) -> None:
        def parity(one: Entry) -> str:
            # One of the two groups has no name.
            return "odd" if one.position.seq % 2 else ""

        if self.window.goes_alone:
            return
        batch = self.window.take_batch(most, parity if by_parity else None)
        assert not {one.position.seq for one in batch} & self.alone
        assert 1 <= len(batch) <= most
        if by_parity:
            assert len({parity(one) for one in batch}) == 1
        for key, entries in groupby(batch, lambda one: one.key):
            numbers = [one.position.seq for one in entries]
            assert key not in self.flying
            assert numbers == self.of(key)[: len(numbers)]
            self.flying[key] = numbers

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.flying)))
        for seq in (numbers := self.flying.pop(key)):
            del self.open[seq]
        self.window.done(key, len(numbers))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.flying)))
        del self.flying[key]
        self.window.put_back([key])

    @precondition(lambda self: self.flying)
    @rule()
    def part(self) -> None:
        """Refuse everything that is on its way, as one batch."""
        for numbers in self.flying.values():
            self.alone.update(numbers)
        self.window.part({key: len(numbers) for key, numbers in self.flying.items()})
        self.flying.clear()

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.flying)))
        del self.flying[key]
        self.forget(key, self.window.drop(key))

    @rule()
    def fold(self) -> None:
        folded = dict(self.window.fold())
        assert folded.keys() == {*self.open.values()} - self.flying.keys()
        for key, before in folded.items():
            self.forget(key, before)

    def forget(self, key: str, before: Position) -> None:
        numbers = self.of(key)
        assert place(numbers[0] - 1)[2] == before.seq
        assert before < place(numbers[0])
        for seq in numbers:
            del self.open[seq]

    @invariant()
    def nothing_open_is_passed(self) -> None:
        window = self.window
        assert window.open == len(self.open)
        assert window.loaded == place(self.last)
        first = min(self.open, default=None)
        if first is None:
            assert window.position == window.loaded
            assert window.oldest is None
            assert window.span == 0
        else:
            assert window.span == sum(seq >= first for seq in self.wanted)
            assert window.position < place(first)
            assert window.oldest == entry(first, self.open[first])
        assert window.has_ready is bool({*self.open.values()} - self.flying.keys())
        for key in self.flying:
            assert window.head(key) == entry(self.of(key)[0], key)
        for key in {*self.open.values()}:
            assert window.is_alone(key) is (self.of(key)[0] in self.alone)


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWindow = Model.TestCase


def test_the_position_follows_behind_the_oldest_that_is_open() -> None:
    window = loaded("abc")
    for _ in "abc":
        window.take()
    window.done("c")
    window.done("b")
    assert window.position == place(0)
    window.done("a")
    assert window.position == place(3)


def test_what_nobody_wants_moves_it_when_nothing_is_open() -> None:
    window = Window(place(0))
    window.load([], place(500))
    assert window.position == place(500)


def test_the_oldest_that_may_go_goes_first() -> None:
    window = loaded("aaabc")
    taken = []
    for _ in range(5):
        taken.append(window.take())
        window.done(taken[-1].key)
    assert [one.position.seq for one in taken] == [1, 2, 3, 4, 5]


def test_a_batch_has_a_keys_entries_in_order_and_leaves_other_groups_their_turn() -> None:
    window = loaded("aabba")
    batch = window.take_batch(4, None)
    assert [(one.key, one.position.seq) for one in batch] == [
        ("a", 1), ("a", 2), ("a", 5), ("b", 3)
    ]  # fmt: skip
    window = loaded("abc")
    assert [one.key for one in window.take_batch(9, lambda one: str(one.key == "b"))] == ["a", "c"]
    assert window.take().key == "b"


def test_what_was_refused_together_goes_again_each_alone_and_others_together() -> None:
    window = loaded("aabcd")
    assert [one.key for one in window.take_batch(3, None)] == ["a", "a", "b"]
    window.part({"a": 2, "b": 1})
    assert window.goes_alone
    assert window.take().position == place(1)
    assert window.goes_alone
    assert window.take().key == "b"
    assert [one.key for one in window.take_batch(9, None)] == ["c", "d"]
    window.done("a")
    # The key's second comes alone as well, and its next would not.
    assert window.goes_alone
    window.load([entry(6, "a")], place(6))
    assert window.take().position == place(2)
    window.done("a")
    assert [one.position for one in window.take_batch(9, None)] == [place(6)]


def test_a_key_that_is_put_back_comes_first() -> None:
    window = loaded("abc")
    assert window.take().key == "a"
    window.put_back(["a"])
    assert window.take().key == "a"


def test_a_parked_key_begins_before_its_first_entry() -> None:
    window = loaded("aba")
    window.take()
    before = window.drop("a")
    assert before < place(1)
    assert before.seq == 0
    assert window.position == place(1)
    with pytest.raises(KeyError):
        window.head("a")
