"""Keys and tokens: their form, their checksum, and what is kept of them. Nothing is stored."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate import vault
from punchgate.vault import Prefix

_BASE62 = string.ascii_letters + string.digits
_ZEROS = "pgk_AAAAAAAA_" + "0" * 43


def _checksum_by_hand(body: str) -> str:
    """Compute CRC-32 bit by bit, so that the test does not trust the library that it checks."""
    crc = 0xFFFFFFFF
    for byte in body.encode():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    number = crc ^ 0xFFFFFFFF
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    text = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        text = digits[digit] + text
    return text


@pytest.mark.parametrize("prefix", ["pgk", "pgd"])
def test_a_minted_secret_has_its_published_form(prefix: Prefix) -> None:
    minted = vault.mint(prefix)
    assert re.fullmatch(
        rf"{prefix}_[0-9A-Za-z]{{8}}_[0-9A-Za-z]{{43}}_[0-9A-Za-z]{{6}}", minted.text
    )
    assert minted.text.split("_")[1] == minted.id


def test_the_checksum_is_crc32_of_everything_before_it() -> None:
    assert vault.read_id(f"{_ZEROS}_{_checksum_by_hand(_ZEROS)}", "pgk") == "AAAAAAAA"


def test_a_minted_secret_gives_its_id_back() -> None:
    minted = vault.mint("pgk")
    assert vault.read_id(minted.text, "pgk") == minted.id


def test_a_token_is_no_key() -> None:
    assert vault.read_id(vault.mint("pgd").text, "pgk") is None
    assert vault.read_id(vault.mint("pgk").text, "pgd") is None


def test_no_two_secrets_are_the_same() -> None:
    assert len({vault.mint("pgk").text for _ in range(100)}) == 100


@given(place=st.integers(min_value=4, max_value=62), character=st.sampled_from(_BASE62))
def test_one_wrong_character_is_noticed_without_a_database(place: int, character: str) -> None:
    text = _ZEROS + "_" + _checksum_by_hand(_ZEROS)
    if text[place] in {"_", character}:
        return
    wrong = text[:place] + character + text[place + 1 :]
    assert vault.read_id(wrong, "pgk") is None


@given(st.text(max_size=80))
def test_any_text_is_answered_and_none_is_a_key(text: str) -> None:
    assert vault.read_id(text, "pgk") is None


@pytest.mark.parametrize(("before", "after"), [("", "\n"), (" ", ""), ("", "="), ("x", "")])
def test_a_key_with_anything_around_it_has_no_id(before: str, after: str) -> None:
    assert vault.read_id(f"{before}{vault.mint('pgk').text}{after}", "pgk") is None


@pytest.mark.parametrize("text", ["", "pgk_", "pgk_short_x_y", "pgk"])
def test_a_malformed_key_has_no_id(text: str) -> None:
    assert vault.read_id(text, "pgk") is None


def test_only_the_secret_itself_matches_what_was_kept() -> None:
    minted = vault.mint("pgk")
    assert vault.matches(minted.text, minted.digest)
    assert not vault.matches(minted.text[:-1], minted.digest)
    assert not vault.matches("", minted.digest)


@given(st.text(max_size=20))
def test_a_header_may_hold_anything_and_is_just_wrong(text: str) -> None:
    assert not vault.matches(text, vault.digest("another text, longer than those"))


def test_a_lone_surrogate_is_wrong_and_no_error() -> None:
    assert not vault.matches("\ud800", vault.digest("x"))


def test_what_is_kept_is_sha256() -> None:
    assert vault.digest("abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345678", True),
        ("1234567", False),
        ("x" * 128, True),
        ("x" * 129, False),
        ("with blanks inside", True),
        (" leading blank", False),
        ("trailing blank ", False),
        ("tab\tinside", False),
        ("ünïcödes", False),
        ("line\nbreak", False),
        ("~!@#$%^&", True),
    ],
)
def test_a_token_given_by_hand_is_8_to_128_printable_ascii(text: str, *, expected: bool) -> None:
    assert vault.is_given_token(text) is expected


def test_I8_a_minted_secret_does_not_show_in_a_trace() -> None:
    minted = vault.mint("pgk")
    assert minted.text not in repr(minted)
    assert minted.text not in str(minted)
