"""Where a request comes from. Pure; nothing is simulated."""

import pytest

from punchgate.httpkit import source

FRONTS = source.networks(["10.0.0.0/8", "2001:db8::/32"])


def address(peer: str, *forwarded: str, trusted: tuple[source.Network, ...] = FRONTS) -> str:
    headers = [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded]
    return source.address({"client": (peer, 1234), "headers": headers}, trusted)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        # Nobody but a front is believed.
        ("203.0.113.1", ["198.51.100.7"], "203.0.113.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["198.51.100.7", "203.0.113.1"], "203.0.113.1"),
        # A front behind a front.
        ("10.0.0.1", ["203.0.113.1, 10.0.0.2"], "203.0.113.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.1"),
        # What is no address ends the search: behind it anybody may have written.
        ("10.0.0.1", ["203.0.113.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1, 203.0.113.2:80"], "10.0.0.1"),
        ("10.0.0.1", ["unknown, 203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["\xff\xfe"], "10.0.0.1"),
        ("10.0.0.1", [" , ,203.0.113.1 ,"], "203.0.113.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("2001:db8::1", ["203.0.113.1"], "203.0.113.1"),
        ("2001:db9::1", ["203.0.113.1"], "2001:db9::1"),
        ("10.0.0.1", ["2001:db9::2"], "2001:db9::2"),
        ("unix", ["203.0.113.1"], "unix"),
    ],
)
def test_the_last_address_that_no_front_of_ours_has(
    peer: str, forwarded: list[str], found: str
) -> None:
    assert address(peer, *forwarded) == found


def test_without_fronts_the_peer_is_the_source() -> None:
    assert address("10.0.0.1", "203.0.113.1", trusted=()) == "10.0.0.1"
    assert source.address({"headers": []}, ()) == ""


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        source.networks(["10.0.0.0/99"])
