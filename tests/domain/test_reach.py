"""Which terminals may be called: private networks are normal here, a cloud's secrets are not."""

import ipaddress

import pytest

from punchgate.domain import reach
from punchgate.domain.error import Invalid
from punchgate.domain.reach import NotCallable, Reach

_OFFICE = Reach((ipaddress.ip_network("192.168.0.0/16"), ipaddress.ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("192.168.1.201", "192.168.1.201"),
        (" 10.0.0.7 ", "10.0.0.7"),
        ("127.0.0.1", "127.0.0.1"),
        ("8.8.8.8", "8.8.8.8"),
        ("[fd00:0::1]", "fd00::1"),
        ("::1", "::1"),
        ("bodega", "bodega"),
        ("clock_1.site.example", "clock_1.site.example"),
        ("Terminal-7.local", "Terminal-7.local"),
    ],
)
def test_a_host_is_kept_as_short_as_it_can_be_written(host: str, kept: str) -> None:
    assert reach.check_host(host, Reach()) == kept


@pytest.mark.parametrize(
    "host",
    [
        "169.254.1.1",  # link-local
        "169.254.169.254",  # what a cloud tells its machines
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104 (refused, not listened on)
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_some_addresses_are_never_called_whatever_is_set(host: str) -> None:
    every = Reach((ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))
    for allowed in (Reach(), every):
        with pytest.raises(NotCallable):
            reach.check_host(host, allowed)


@pytest.mark.parametrize(
    "host",
    ["", " ", "a b", "a/b", "a:b", "http://x", "a..b", "-a", "a-", "127.1", "0x7f.1", "2130706433",
     "1.2.3.4.5", "x" * 254, "ü", "a\nb"],
)  # fmt: skip
def test_what_is_no_host_is_said(host: str) -> None:
    with pytest.raises(Invalid):
        reach.check_host(host, Reach())


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("192.168.7.7", True),
        ("10.0.0.7", False),
        ("127.0.0.1", False),
        ("8.8.8.8", False),
        ("fd12::1", True),
        ("2001:db8::1", False),
        ("::ffff:192.168.7.7", True),
        ("::ffff:10.0.0.7", False),
    ],
)
def test_allowed_networks_narrow_what_may_be_called(address: str, *, may: bool) -> None:
    assert reach.may_call(ipaddress.ip_address(address), _OFFICE) is may
    assert reach.may_call(ipaddress.ip_address(address), Reach())
