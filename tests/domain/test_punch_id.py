"""The id of a punch, beside a slow reading of its definition. Pure; nothing is simulated.

The oracle below knows the definition (docs/decisions/0004-derived-punch-id.md) and none of our
code: it hashes the joined texts and writes base 32 one digit at a time.
"""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import punch
from punchgate.domain.ids import PunchId

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
WALL = datetime.fromisoformat("2026-06-21 09:30:00")
EPOCH = datetime.fromisoformat("1970-01-01 00:00:00")

TIMES = st.datetimes(EPOCH, datetime.fromisoformat("9999-12-31")).map(
    lambda moment: moment.replace(microsecond=0)
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def slowly(account: str, serial: str, code: str, wall: datetime, direction: int | None) -> str:
    texts = [
        account,
        serial,
        code,
        wall.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0"),
        "255" if direction is None else str(direction),
    ]
    digest = hashlib.sha256(b"\x1f".join(text.encode("utf-8") for text in texts)).digest()
    milliseconds = int(wall.replace(tzinfo=UTC).timestamp()) * 1000
    number = milliseconds * 2**80 + int.from_bytes(digest[:10], "big")
    digits = ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits = ALPHABET[digit] + digits
    return digits


def derive(account: str, serial: str, code: str, wall: datetime, direction: int | None) -> PunchId:
    return punch.derive_id(account, serial, code, wall, wall.isoformat(" "), direction)


#: Made once with `date`, `sha256sum` and a table of five-bit groups, without any code of ours.
VECTORS = [
    (("main", "SN7A2300583", "1001", WALL, 1), "01KVMR7XE027M82NSCFD7T4QAR"),
    (("main", "SN7A2300583", "1001", WALL, None), "01KVMR7XE0H2SSFP7M4M6NF9MP"),
    (("main", "SN7A2300583", "0042", WALL, 255), "01KVMR7XE09SPTET6W03PV4AQK"),
    (("mañana", "A:1", "42", WALL, 0), "01KVMR7XE08PGX0PTCQZTD4VY4"),
]


@pytest.mark.parametrize(("said", "expected"), VECTORS, ids=[text for _, text in VECTORS])
def test_I3_published_vectors(
    said: tuple[str, str, str, datetime, int | None], expected: str
) -> None:
    assert derive(*said) == slowly(*said) == expected


@given(NAMES, NAMES, NAMES, TIMES, st.none() | st.integers(0, 255))
def test_I3_any_punch_has_the_id_of_its_definition(
    account: str, serial: str, code: str, wall: datetime, direction: int | None
) -> None:
    assert derive(account, serial, code, wall, direction) == slowly(
        account, serial, code, wall, direction
    )


@given(NAMES, TIMES)
def test_an_id_has_the_form_of_a_ulid(code: str, wall: datetime) -> None:
    derived = derive("main", "S", code, wall, 0)
    assert len(derived) == 26
    assert set(derived) <= set(ALPHABET)
    assert derived[0] <= "7"


@given(TIMES, TIMES, NAMES, NAMES)
def test_ids_stand_in_the_order_of_their_wall_times(
    one: datetime, other: datetime, code: str, other_code: str
) -> None:
    early, late = sorted((one, other))
    if early < late:
        assert derive("main", "S", code, early, 0) < derive("main", "S", other_code, late, 0)


@given(TIMES, NAMES)
def test_the_first_id_of_a_time_is_the_lower_end_of_a_range(wall: datetime, code: str) -> None:
    first = punch.first_id_at(wall)
    assert len(first) == 26
    assert first <= derive("main", "S", code, wall, 0)
    if wall > EPOCH:
        assert derive("main", "S", code, wall - timedelta(seconds=1), 0) < first


def test_no_direction_is_code_255() -> None:
    assert derive("main", "S", "1", WALL, None) == derive("main", "S", "1", WALL, 255)


def test_each_text_counts_by_itself() -> None:
    ids = {
        derive("main", "S", "1", WALL, 0),
        derive("other", "S", "1", WALL, 0),
        derive("main", "T", "1", WALL, 0),
        derive("main", "S", "01", WALL, 0),
        derive("main", "S1", "", WALL, 0),
        derive("main", "S", "1", WALL + timedelta(seconds=1), 0),
        derive("main", "S", "1", WALL, 1),
    }
    assert len(ids) == 7


def test_a_time_before_1970_counts_as_its_first_instant() -> None:
    before = EPOCH - timedelta(seconds=1)
    assert derive("main", "S", "1", before, 0).startswith("0000000000")
    assert punch.first_id_at(before) == "0" * 26


def test_the_time_of_an_id_can_be_read_from_it() -> None:
    number = 0
    for digit in derive("main", "S", "1", WALL, 0)[:10]:
        number = number * 32 + ALPHABET.index(digit)
    assert datetime.fromtimestamp(number / 1000, UTC).replace(tzinfo=None) == WALL


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_any_time_and_tail_are_written_in_base_32(milliseconds: int, tail: bytes) -> None:
    number = 0
    for digit in punch.ulid_text(milliseconds, tail):
        number = number * 32 + ALPHABET.index(digit)
    assert number == milliseconds << 80 | int.from_bytes(tail, "big")
