"""Directions and verify methods: the published tables. Pure; nothing is simulated."""

from typing import get_args

import pytest

from punchgate.domain import codes
from punchgate.domain.codes import Direction


@pytest.mark.parametrize(
    ("code", "direction", "side"),
    [
        (0, "check-in", "in"),
        (1, "check-out", "out"),
        (2, "break-out", "out"),
        (3, "break-in", "in"),
        (4, "overtime-in", "in"),
        (5, "overtime-out", "out"),
        (255, "unspecified", None),
    ],
)
def test_a_direction_code_and_the_side_on_which_it_counts(
    code: int, direction: Direction, side: str | None
) -> None:
    assert codes.DEFAULT_DIRECTIONS[code] == direction
    assert codes.side(direction) == side


def test_no_other_code_has_a_direction() -> None:
    assert set(codes.DEFAULT_DIRECTIONS) == {0, 1, 2, 3, 4, 5, codes.UNSPECIFIED_CODE}


def test_every_direction_is_in_the_table() -> None:
    assert set(codes.DEFAULT_DIRECTIONS.values()) == set(codes.DIRECTIONS)
    assert list(codes.DIRECTIONS) == list(get_args(Direction))


def test_the_verify_codes_of_http_ingest() -> None:
    assert dict(codes.HTTP_VERIFY) == {
        0: "finger",
        1: "face",
        3: "card",
        4: "password",
        5: "other",
        9: "unknown",
        50: "app",
    }
    assert set(codes.HTTP_VERIFY.values()) <= set(codes.VERIFY_METHODS)


def test_the_direction_policies_of_a_device() -> None:
    listed = "as-reported first-in-last-out alternate always-in always-out"
    assert " ".join(codes.DIRECTION_POLICIES) == listed
