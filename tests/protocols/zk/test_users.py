"""The people of a terminal: both rows, what stands behind a NUL, and changing no other byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import users
from punchgate.protocols.zk.users import UserChange
from tests.protocols.zk import stage

_72 = bytes.fromhex(
    "0d00 06 343434 00 c69a807c 4e656400" + "00" * 20
    + "de000000 02 0100 0100 0200 0000 3535350041424344" + "00" * 16
)  # fmt: skip
_28 = bytes.fromhex("0300 0e 3132333435 416e610000000000 39300000 00 05 0100 2a000000")


def test_a_row_of_72_is_read() -> None:
    user = users.read(_72)
    assert (user.uid, user.user_id, user.name) == (13, "555", "Ned")
    assert (user.permission, user.group, user.card) == (6, 2, 222)
    # Behind the NUL stands what was there before.
    assert user.password == b"444"
    assert user.is_person
    assert not user.is_disabled


def test_a_row_of_28_is_read() -> None:
    user = users.read(_28)
    assert (user.uid, user.user_id, user.name) == (3, "42", "Ana")
    assert (user.permission, user.group, user.card) == (14, 5, 12_345)
    assert user.password == b"12345"


def test_a_finger_slot_is_no_person_and_is_never_written_to() -> None:
    slot = _72[:2] + b"\x31" + _72[3:]
    assert not users.read(slot).is_person
    assert users.codes([users.read(slot), users.read(_28)]) == {3: "42"}
    with pytest.raises(ValueError, match="finger slot"):
        users.changed(slot, UserChange(name="Ana"))


def test_a_code_that_cannot_be_printed_is_nobodys_code() -> None:
    row = _72[:48] + b"\x075".ljust(24, b"\0")
    assert users.codes([users.read(row), users.read(_28)]) == {3: "42"}


def test_a_code_that_is_no_utf_8_is_nobodys_code() -> None:
    # Two of them would be read as one.
    rows = [_72[:48] + code.ljust(24, b"\0") for code in (b"\xe9", b"\xe8", "é".encode())]
    rows[2] = b"\x0e\x00" + rows[2][2:]
    assert users.codes([users.read(row) for row in rows]) == {14: "é"}


@pytest.mark.parametrize("length", [0, 27, 29, 71, 73])
def test_another_length_is_no_user(length: int) -> None:
    with pytest.raises(ValueError, match=f"{length} bytes"):
        users.read(bytes(length))


@pytest.mark.parametrize("encoding", ["utf-8", "gb2312", "cp1256"])
def test_a_name_is_read_in_the_encoding_of_the_device_and_kept_raw(encoding: str) -> None:
    name = {"utf-8": "Zoë", "gb2312": "王伟", "cp1256": "سارة"}[encoding]
    row = users.changed(_72, UserChange(name=name), encoding=encoding)
    user = users.read(row, encoding=encoding)
    assert (user.name, user.raw_name) == (name, name.encode(encoding))
    # In another encoding something is shown, nothing is lost and nothing fails.
    other = users.read(row, encoding="ascii")
    assert (len(other.name) > 0, other.raw_name) == (True, user.raw_name)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_a_long_name_is_cut_between_two_characters(name: str) -> None:
    for row, size in ((_72, 23), (_28, 7)):
        read = users.read(users.changed(row, UserChange(name=name)))
        assert name.startswith(read.name)
        assert len(read.raw_name) <= size
        assert len(read.raw_name) > size - 4 or read.name == name


@given(
    st.binary(min_size=72, max_size=72),
    st.integers(0, 15),
    st.integers(0, users.CARD_MAX),
    st.integers(0, 255),
)
def test_only_what_was_asked_for_changes(
    row: bytes, permission: int, card: int, group: int
) -> None:
    row = row[:2] + b"\0" + row[3:]
    change = UserChange(permission=permission, card=card, group=group)
    written = users.changed(row, change)
    user = users.read(written)
    assert (user.permission, user.card, user.group) == (permission, card, group)
    asked = {2, 35, 36, 37, 38, 39}
    assert all(written[at] == row[at] for at in range(72) if at not in asked)
    assert users.changed(row, UserChange()) == row


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (UserChange(card=2**32), "card"),
        (UserChange(card=-1), "card"),
        (UserChange(group=256), "group"),
        (UserChange(permission=16), "four bits"),
        (UserChange(password="123456789"), "at most 8"),
    ],
)
def test_I8_a_value_that_does_not_fit_is_refused_without_being_repeated(
    change: UserChange, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        users.changed(_72, change)
    assert "4294967296" not in str(caught.value)
    assert "123456789" not in str(caught.value)


@pytest.mark.parametrize(
    ("uid", "user_id", "width"),
    [(0, "1", 72), (65_536, "1", 72), (1, "", 72), (1, "Zoë", 72), (1, "1" * 25, 72),
     (1, "A7", 28), (1, "5000000000", 28), (1, "007", 28), (1, "1", 40)],
)  # fmt: skip
def test_a_person_that_no_row_can_hold_is_refused(uid: int, user_id: str, width: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        users.new(uid, user_id, width=width)


def test_a_new_row_holds_the_person_and_the_first_group_as_a_number() -> None:
    row = users.new(5, "A7")
    assert (users.read(row).uid, users.read(row).user_id, row[39]) == (5, "A7", 1)
    old = users.read(users.new(5, "42", width=28))
    assert (old.uid, old.user_id, old.group) == (5, "42", 1)


@pytest.mark.parametrize("width", [28, 72])
@pytest.mark.parametrize("count", [1, 2, 17, 18, 36])
def test_the_width_is_found_by_the_count_and_without_it(width: int, count: int) -> None:
    rows = stage.people(count, width=width)
    assert users.width_of(rows, count=count) == width
    assert users.width_of(rows) == width
    found = list(users.read_all(rows, count=count))
    assert [user.uid for user in found] == list(range(1, count + 1))
    assert users.codes(found)[1] == "1001"


def test_a_cut_last_row_is_left_out() -> None:
    assert len(list(users.read_all(stage.people(3)[:-1], count=3))) == 2


def test_an_empty_table_has_nobody() -> None:
    assert list(users.read_all(b"")) == []


@pytest.mark.parametrize(
    ("taken", "free"), [((), 1), ((1, 2, 3), 4), ((2, 3), 1), ((1, 3, 500), 2)]
)
def test_the_lowest_free_row_number_is_taken(taken: tuple[int, ...], free: int) -> None:
    assert users.lowest_free_uid(taken) == free


def test_a_full_terminal_has_no_row_number() -> None:
    with pytest.raises(ValueError, match="no free"):
        users.lowest_free_uid(range(65_536))


@given(st.binary(max_size=300), st.integers(0, 10))
def test_I7_any_bytes_are_people_or_nobody(rows: bytes, count: int) -> None:
    found = list(users.read_all(rows, count=count))
    assert len(found) <= len(rows) // 28
