"""The reading of a receiver's address and the table of networks, as tables and as properties.

Nothing is resolved and nothing is connected to: that the sender asks these questions at every
connection is shown in tests/delivery/test_sender.py.
"""

import ipaddress
import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import target
from punchgate.domain.error import Refused
from punchgate.domain.target import NOT_ALLOWED, AddressRefused, Rules, Target

PUBLIC = Rules()
OPEN = Rules(allow_http=True)
LAN = Rules(
    allow_networks=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd12:3456::/32"))
)
#: The most that an operator can allow.
EVERYTHING = Rules(
    allow_http=True,
    allow_networks=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")),
)

READ = [
    ("https://hooks.example.com", Target("https", "hooks.example.com", 443, "/")),
    ("https://hooks.example.com/", Target("https", "hooks.example.com", 443, "/")),
    ("HTTPS://Hooks.Example.COM/Path", Target("https", "hooks.example.com", 443, "/Path")),
    ("https://hooks.example.com:443/a", Target("https", "hooks.example.com", 443, "/a")),
    ("https://hooks.example.com:80/a", Target("https", "hooks.example.com", 80, "/a")),
    ("https://hooks.example.com:8443/a", Target("https", "hooks.example.com", 8443, "/a")),
    ("https://hooks.example.com:65535/a", Target("https", "hooks.example.com", 65535, "/a")),
    ("https://hooks.example.com:1024/a", Target("https", "hooks.example.com", 1024, "/a")),
    ("http://hooks.example.com/a", Target("http", "hooks.example.com", 80, "/a")),
    ("http://hooks.example.com:443/a", Target("http", "hooks.example.com", 443, "/a")),
    # Path and query go out as they stand; a fragment does not.
    ("https://a.example/x?b=1&c=%20+d", Target("https", "a.example", 443, "/x?b=1&c=%20+d")),
    ("https://a.example?b=1", Target("https", "a.example", 443, "/?b=1")),
    ("https://a.example/x?", Target("https", "a.example", 443, "/x?")),
    ("https://a.example/x#part", Target("https", "a.example", 443, "/x")),
    ("https://a.example#part", Target("https", "a.example", 443, "/")),
    ("https://a.example/x?b=1#c?d", Target("https", "a.example", 443, "/x?b=1")),
    ("https://a.example/x?b=1?c=/d", Target("https", "a.example", 443, "/x?b=1?c=/d")),
    ("https://a.example/../%2e%2e/x//y", Target("https", "a.example", 443, "/../%2e%2e/x//y")),
    ("https://a.example/%zz%", Target("https", "a.example", 443, "/%zz%")),
    ("https://a.example/@b", Target("https", "a.example", 443, "/@b")),
    ("https://a.example/x?u=http://10.0.0.1/", Target(
        "https", "a.example", 443, "/x?u=http://10.0.0.1/")),
    ("https://a.example//10.0.0.1/", Target("https", "a.example", 443, "//10.0.0.1/")),
    # Names that look like numbers and are names.
    ("https://cafe.de/", Target("https", "cafe.de", 443, "/")),
    ("https://1e100.net/", Target("https", "1e100.net", 443, "/")),
    ("https://127.0.0.1.example/", Target("https", "127.0.0.1.example", 443, "/")),
    ("https://0x7f.example/", Target("https", "0x7f.example", 443, "/")),
    ("https://deadbeef/", Target("https", "deadbeef", 443, "/")),
    ("https://xn--bcher-kva.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
    ("https://my_service/", Target("https", "my_service", 443, "/")),
    ("https://erp/", Target("https", "erp", 443, "/")),
    # A name is a name until it is resolved.
    ("https://localhost/", Target("https", "localhost", 443, "/")),
    ("https://metadata.google.internal/", Target("https", "metadata.google.internal", 443, "/")),
    # Literals.
    ("https://8.8.8.8/", Target("https", "8.8.8.8", 443, "/")),
    ("https://[2606:4700::1111]/", Target("https", "2606:4700::1111", 443, "/")),
    ("https://[2606:4700:0:0:0:0:0:1111]:8443/x", Target(
        "https", "2606:4700::1111", 8443, "/x")),
    ("https://[2606:4700::ABCD]/", Target("https", "2606:4700::abcd", 443, "/")),
    ("https://[64:ff9b::8.8.8.8]/", Target("https", "64:ff9b::808:808", 443, "/")),
]  # fmt: skip

ODD_HOSTS = [
    # What inet_aton, a browser or a C library would take for an address.
    "2130706433", "0", "1", "017700000001", "0x7f000001", "0X7F000001", "0x7f.1", "0x7f.0.0.1",
    "127.1", "127.0.1", "127.0.0.01", "127.0.0.001", "0177.0.0.1", "127.0.0.0x1", "10.1", "1.1",
    "0x", "0x7f.0x0.0x0.0x1", "256.1.1.1", "8.8.8.256", "8.8.8.8.8", "1.2.3", "0.0", "127.0x1",
    "08.8.8.8", "8.8.8.08", "00000000000000000000000000000177.0.0.1", "4294967296",
    "a.127", "example.1", "example.0x7f", "foo.0x",
    # Not host names.
    "", ".", "..", "a..example", ".example", "example.", "example.com.", "8.8.8.8.", "-a.example",
    "a-.example", "a.-example", "a" * 64 + ".example", ".".join(["a" * 49] * 6), "a_.b-",
    "exa mple.com", "exa\tmple.com", "exam%70le.com", "%31%32%37.0.0.1", "127.0.0.1%2f",
    "a,b", "a;b", "a+b", "a=b", "a*b", "*.example", "a!b", "(a)", "a'b", "a$b", "a~b", "a&b",
    # Letters that some reader turns into ASCII ones.
    "b\u00fccher.example", "\u24d4xample.com", "\uff11\uff12\uff17.0.0.1", "example\u3002com",
    "127\u30020\u30020\u30021", "\u0661\u0662\u0667.0.0.1", "\u2488\u2488\u2488\u2488",
    "exa\u00admple.com", "fa\u00df.example", "\u212aelvin.example", "a\u2024b.example",
    # Brackets.
    "[]", "[:]", "[::1", "::1]", "[[::1]]", "[::1]a", "a[::1]", "[a.example]", "[127.0.0.1]",
    "[::1%25eth0]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.fe80::a]", "[1:2:3]", "[:::]",
    "[12345::]", "[::ffff:127.1]", "[::ffff:0x7f.0.0.1]", "[2606:4700::1111", "::1", "2606:4700::1",
    "[1:2:3:4:5:6:7:8:9]", "[g::1]", "[::1 ]", "[ ::1]",
]  # fmt: skip

ODD_URLS = [
    "", " ", "https", "https:", "https:/", "https://", "https:///", "https:///x", "https://?x",
    "https://#x", "https:a.example", "https:/a.example/", "https:\\\\a.example", "//a.example/",
    "a.example", "a.example:443", "/x", "?x", "ftp://a.example/", "file:///etc/passwd",
    "gopher://a.example/", "ws://a.example/", "httpss://a.example/", "http+unix://a/", "data:,x",
    "javascript:alert(1)", "dict://a.example:11211/", "https//a.example/", "https:// a.example/",
    " https://a.example/", "https://a.example/ ", "\thttps://a.example/", "ht\ntps://a.example/",
    "url:https://a.example/", "jar:https://a.example/", "<https://a.example/>",
    # User info, and what hides behind it.
    "https://user@a.example/", "https://user:secret@a.example/", "https://@a.example/",
    "https://:@a.example/", "https://a.example@127.0.0.1/", "https://a.example:443@b.example/",
    "https://a.example%40b.example/", "https://a@b@c.example/", "https://a.example:@b.example/",
    # Backslashes, blanks and control characters.
    "https://a.example\\@127.0.0.1/", "https://a.example\\.b.example/", "https://a.example/\\x",
    "https:\\a.example/", "https://127.0.0.1\\.example/", "https://a.example/x\\..\\y",
    "https://a.example/a b", "https://a.example/\r\nX: y", "https://a.example/\n",
    "https://a.example/\0", "https://a.example\0.b.example/", "https://a.example/\x7f",
    "https://a.example/x?a=\tb", "https://a.example\r/", "https://a.example/\x01", "https://\x00/",
    # No place in an address.
    "https://a.example/{x}", "https://a.example/<x>", 'https://a.example/"x"',
    "https://a.example/x|y", "https://a.example/x^y", "https://a.example/`x`",
    "https://a.example/\u00fc", "https://a.example/x?y=\u00fc", "https://a.example/x#\u00fc",
    "https://a.example/\ud800", "https://a.example\u2044x/", "https://a.example\uff0f@b.example/",
    "https://a.example\uff20b.example/", "https://a.example/\u2028",
    # Ports.
    "https://a.example:/", "https://a.example:0/", "https://a.example:65536/",
    "https://a.example:99999/", "https://a.example:100000/", "https://a.example:-1/",
    "https://a.example:+443/", "https://a.example:0443/", "https://a.example:443a/",
    "https://a.example:4 43/", "https://a.example:443:443/", "https://a.example:0x1bb/",
    "https://a.example:%34%34%33/", "https://a.example:\u0664\u0664\u0663/", "https://:443/",
    "https://a.example:443.5/", "https://a.example:1e3/", "https://a.example:8_080/",
    "https://a.example/" + "x" * 2_048,
]  # fmt: skip

REFUSED_PORTS = [
    1, 7, 20, 21, 22, 23, 25, 53, 79, 81, 88, 110, 111, 119, 135, 139, 143, 161, 389, 444, 445, 465,
    587, 631, 636, 993, 995, 1023, 1080, 1433, 1521, 1883, 2049, 2181, 2375, 2379, 3306, 3389, 4369,
    4370, 5060, 5432, 5672, 5900, 6379, 6667, 8081, 8082, 8883, 9042, 9092, 10250, 11211, 27017,
]  # fmt: skip
PORTS = [80, 443, 1024, 3000, 5000, 5001, 8000, 8008, 8069, 8080, 8088, 8443, 8888, 9000, 9443]

#: Each of these is refused whatever is allowed.
METADATA = [
    "169.254.169.254", "169.254.0.0", "169.254.255.255", "169.254.170.2", "100.100.100.200",
    "fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "192.0.0.192",
    "::ffff:169.254.169.254", "::ffff:100.100.100.200", "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::", "2001:0:808:808:0:0:5601:5601",
    "64:ff9b::100.100.100.200", "2002:6464:64c8::", "::ffff:a9fe:a9fe",
]  # fmt: skip

NOT_PUBLIC = [
    *METADATA,
    # The first and the last of each network of the table.
    "0.0.0.0",  # noqa: S104 (an address to refuse, not to bind to)
    "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
    "127.0.0.0", "127.0.0.1", "127.255.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0",
    "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0", "192.88.99.255", "192.168.0.0",
    "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0", "198.51.100.255",
    "203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0",
    "255.255.255.254", "255.255.255.255",
    # IPv6: unspecified, loopback, unique local, link-local, multicast, documentation, discard,
    # benchmark, ORCHID, what is not given out.
    "::", "::1", "::2", "fc00::", "fc00::1", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1",
    "ff00::", "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "3fff:fff::1", "100::1", "2001:2::1",
    "2001:10::1", "2001:20::1", "2001:1::1", "4000::", "5f00::1", "8000::1", "e000::1", "1fff::1",
    # IPv4 in IPv6: mapped, compatible, translated, 6to4, Teredo (server, client), NAT64.
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:192.168.1.1",
    "::ffff:100.64.0.1", "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:0:0::1",
    "2001:0:7f00:1::", "2001:0:808:808:0:0:80ff:fffe", "2001:0:a00:1:0:0:f7f7:f7f7",
    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::192.168.0.1", "64:ff9b::0.0.0.0",
    "64:ff9b:1::8.8.8.8", "64:ff9b:1::10.0.0.1",
]  # fmt: skip

PUBLIC_ADDRESSES = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255",
    "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.17",
    "2000::1", "2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1",
    "2001:db7::1", "2001:db9::1", "3ffe::1", "3fff:1000::1",
    "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8",
    "2001:0:808:808:0:0:f7f7:f7f7",  # Teredo: server and client 8.8.8.8
]  # fmt: skip


def in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize(("url", "expected"), READ)
def test_an_address_is_read_into_the_parts_that_go_on_the_wire(url: str, expected: Target) -> None:
    assert target.read(url, OPEN) == expected


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_a_host_that_is_no_plain_name_and_no_proper_address_is_refused(host: str) -> None:
    for rules in (PUBLIC, EVERYTHING):
        with pytest.raises(AddressRefused):
            target.read(f"https://{host}/", rules)


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_text_that_readers_could_disagree_about_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        target.read(url, EVERYTHING)


@pytest.mark.parametrize("port", REFUSED_PORTS)
def test_a_port_of_another_kind_of_service_is_refused(port: int) -> None:
    with pytest.raises(AddressRefused, match=f"Port {port} "):
        target.read(f"https://a.example:{port}/", EVERYTHING)


@pytest.mark.parametrize("port", PORTS)
def test_a_port_that_receivers_use_is_taken(port: int) -> None:
    assert target.read(f"https://a.example:{port}/", PUBLIC).port == port


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not target.is_allowed(ipaddress.ip_address(address), OPEN)
    with pytest.raises(AddressRefused) as caught:
        target.read(f"https://{in_url(address)}/", PUBLIC)
    assert str(caught.value) == NOT_ALLOWED


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_allowed(address: str) -> None:
    assert target.is_allowed(ipaddress.ip_address(address), PUBLIC)
    assert not target.is_inside(ipaddress.ip_address(address), PUBLIC)
    read = target.read(f"https://{in_url(address)}/", PUBLIC)
    assert ipaddress.ip_address(read.host) == ipaddress.ip_address(address)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_stay_refused_even_when_everything_is_allowed(address: str) -> None:
    assert not target.is_allowed(ipaddress.ip_address(address), EVERYTHING)
    assert not target.is_inside(ipaddress.ip_address(address), EVERYTHING)
    with pytest.raises(AddressRefused, match=r"see delivery\.allow_networks"):
        target.read(f"http://{in_url(address)}/", EVERYTHING)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fd12:3456::1%2", "2606:4700::1111%1"])
def test_an_address_of_one_interface_is_refused(address: str) -> None:
    assert not target.is_allowed(ipaddress.ip_address(address), EVERYTHING)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.0.0", True),
        ("10.1.255.255", True),
        ("10.0.255.255", False),
        ("10.2.0.0", False),
        ("127.0.0.1", False),
        ("fd12:3456::1", True),
        ("fd12:3457::1", False),
        # An address that carries another is as good as what it carries.
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.2.2.3", False),
        ("64:ff9b::10.1.2.3", True),
        ("2002:a01:203::1", True),
        ("2001:0:a01:203:0:0:f5fe:fdfc", True),  # Teredo: server and client 10.1.2.3
        ("2001:0:a01:203:0:0:f5fd:fdfc", False),  # its client is 10.2.2.3
    ],
)
def test_a_private_network_is_allowed_where_the_operator_says_so(
    address: str,
    expected: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    assert target.is_allowed(ipaddress.ip_address(address), LAN) is expected
    assert target.is_inside(ipaddress.ip_address(address), LAN) is expected


def test_a_teredo_address_is_inside_only_when_both_that_it_carries_are() -> None:
    half = ipaddress.ip_address("2001:0:808:808:0:0:f5fe:fdfc")  # 8.8.8.8 and 10.1.2.3
    assert target.is_allowed(half, LAN)
    assert not target.is_inside(half, LAN)


@pytest.mark.parametrize(
    ("url", "rules", "is_read"),
    [
        ("http://a.example/", PUBLIC, False),
        ("http://8.8.8.8/", PUBLIC, False),
        ("http://10.1.2.3/", PUBLIC, False),
        ("http://a.example/", OPEN, True),
        ("http://8.8.8.8/", OPEN, True),
        ("http://10.1.2.3/", OPEN, False),
        ("http://10.1.2.3/", LAN, True),
        ("http://10.2.2.3/", LAN, False),
        ("http://8.8.8.8/", LAN, False),
        # Where its addresses are is seen at the connection.
        ("http://erp.example/", LAN, True),
    ],
)
def test_plain_http_needs_a_setting_or_an_allowed_network(
    url: str,
    rules: Rules,
    is_read: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    if is_read:
        assert target.read(url, rules).scheme == "http"
    else:
        with pytest.raises(AddressRefused):
            target.read(url, rules)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example/in", "https://a.example/in"),
        ("https://a.example/in?", "https://a.example/in"),
        ("https://a.example/in?token=s3cret", "https://a.example/in?token=…"),
        ("https://a.example/in?a=1&b=s3cret=x&c=", "https://a.example/in?a=…&b=…&c=…"),
        # A part without a name may be the secret itself.
        ("https://a.example/in?s3cret", "https://a.example/in?…"),
        ("https://a.example/in?x=1&s3cret", "https://a.example/in?x=…&…"),
        ("https://a.example/in?x=1#s3cret", "https://a.example/in?x=…"),
        ("https://a.example/in#s3cret?x=1", "https://a.example/in"),
    ],
)
def test_an_address_is_shown_without_what_its_query_says(url: str, seen: str) -> None:
    assert target.shown(url) == seen
    assert "s3cret" not in target.shown(url)


def test_a_refusal_is_one_of_ours_with_a_slug_of_its_own() -> None:
    assert issubclass(AddressRefused, Refused)
    assert AddressRefused.slug == "address.refused"


def test_what_is_wrong_with_a_text_is_said_and_where_it_leads_is_not() -> None:
    with pytest.raises(AddressRefused, match="xn-- form"):
        target.read("https://b\u00fccher.example/", PUBLIC)
    with pytest.raises(AddressRefused, match="leave them out") as caught:
        target.read("https://user:secret@a.example/", PUBLIC)
    assert "secret" not in str(caught.value)
    texts = set()
    for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00:ec2::254]"):
        with pytest.raises(AddressRefused) as caught:
            target.read(f"https://{host}/", PUBLIC)
        texts.add(str(caught.value))
    assert texts == {NOT_ALLOWED}


@pytest.mark.parametrize(
    ("before", "pairs", "after"),
    [
        ("/x", [], "/x"),
        ("/x?a=%zz&&b", [], "/x?a=%zz&&b"),
        ("/x", [("stgid", "SN1")], "/x?stgid=SN1"),
        ("/x?", [("stgid", "SN1")], "/x?stgid=SN1"),
        ("/x?a=1", [("stgid", "SN1")], "/x?a=1&stgid=SN1"),
        ("/x?stgid=old", [("stgid", "SN1")], "/x?stgid=SN1"),
        ("/x?a=1&stgid=old&b=%20+", [("stgid", "SN1")], "/x?a=1&b=%20+&stgid=SN1"),
        ("/x?stgid", [("stgid", "SN1")], "/x?stgid=SN1"),
        ("/x?stgid=1&stgid=2", [("stgid", "SN1")], "/x?stgid=SN1"),
        ("/x?%73tgid=1&stgid2=2&STGID=3", [("stgid", "SN1")], "/x?stgid2=2&STGID=3&stgid=SN1"),
        ("/x?a+b=1&a%20b=2&c", [("a b", "3")], "/x?c&a%20b=3"),
        ("/x?a=b?c", [("d", "e")], "/x?a=b?c&d=e"),
        ("/x", [("n", "a b&c=d/\u00fc#")], "/x?n=a%20b%26c%3Dd%2F%C3%BC%23"),
        ("/x", [("a", "1"), ("b", "2")], "/x?a=1&b=2"),
        ("/x?%ff=1", [("a", "1")], "/x?%ff=1&a=1"),
    ],
)
def test_a_parameter_is_set_after_those_that_are_there(
    before: str, pairs: list[tuple[str, str]], after: str
) -> None:
    given_target = Target("https", "a.example", 443, before)
    assert target.with_query(given_target, pairs) == given_target._replace(path_query=after)


@given(st.text(max_size=20), st.text(max_size=20).filter(lambda text: text.isprintable()))
def test_a_parameter_stays_one_parameter_whatever_is_in_it(name: str, text: str) -> None:
    plain = Target("https", "a.example", 443, "/x?keep=1")
    try:
        once = target.with_query(plain, [(name, text)])
    except UnicodeEncodeError:
        return  # half a surrogate pair is no text
    if name == "keep":
        return
    assert once.path_query.startswith("/x?keep=1&")
    assert once.path_query.count("&") == 1
    assert once.path_query.isascii()
    assert target.with_query(once, [(name, text)]) == once
    assert target.read(f"https://a.example{once.path_query}", PUBLIC) == once


# Texts made of the pieces that readers disagree about, and of anything.
_PIECES = st.sampled_from(
    ["https://", "http://", "HTTP://", "//", "/", "\\", "@", ":", "?", "#", "[", "]", "%", "%2e",
     ".", "..", "127.0.0.1", "2130706433", "0x7f.1", "::1", "::ffff:7f00:1", "a.example",
     "localhost", "443", "80", "8443", "22", "user", " ", "\t", "\r\n", "\0", "\u3002",
     "\uff0f", "\u00fc"]
)  # fmt: skip
_TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(_PIECES, max_size=9).map("".join),
    st.lists(_PIECES, max_size=9).map(lambda pieces: "https://" + "".join(pieces)),
    st.text(string.printable, max_size=40).map(lambda text: "https://" + text),
)


def authority_of(url: str) -> str:
    """Read by hand what stands between the slashes and the first of / ? #."""
    rest = url.partition("://")[2]
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    return rest[:end]


def spellings(read: Target) -> Iterator[str]:
    """Give the authorities that may be read as this target, in lower case."""
    host = in_url(read.host)
    yield f"{host}:{read.port}"
    if read.port == {"http": 80, "https": 443}[read.scheme]:
        yield host


@given(_TEXTS)
def test_whatever_the_text_it_is_refused_or_host_and_port_are_exactly_those_written(
    url: str,
) -> None:
    try:
        read = target.read(url, EVERYTHING)
    except AddressRefused:
        return
    written = authority_of(url).lower()
    assert url.lower().startswith(f"{read.scheme}://")
    if ":" in read.host:
        six, _, port = written[1:].partition("]")
        assert ipaddress.ip_address(six) == ipaddress.ip_address(read.host)
        written = f"{in_url(read.host)}{port}"
    assert written in spellings(read)
    assert read.path_query[0] == "/"
    assert set(read.path_query) <= set(
        string.ascii_letters + string.digits + "-._~:/?[]@!$&'()*+,;=%"
    )
    # Written from its parts and read again it is the same.
    again = f"{read.scheme}://{in_url(read.host)}:{read.port}{read.path_query}"
    assert target.read(again, EVERYTHING) == read


@given(st.ip_addresses())
def test_an_address_is_judged_alike_as_a_literal_and_as_an_answer_of_a_name_server(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        target.read(f"https://{in_url(str(address))}/", PUBLIC)
        is_read = True
    except AddressRefused:
        is_read = False
    assert is_read is target.is_allowed(address, PUBLIC)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_however_it_is_wrapped(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x20010000 << 96) | (number << 64) | (number ^ 0xFFFF_FFFF)),
    ]
    for rules in (PUBLIC, LAN, EVERYTHING):
        expected = target.is_allowed(address, rules)
        assert [target.is_allowed(form, rules) for form in wrapped] == [expected] * 4


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_private_or_special_is_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if target.is_allowed(address, PUBLIC) and address.version == 4:
        special = (
            address.is_private,
            address.is_loopback,
            address.is_link_local,
            address.is_multicast,
            address.is_reserved,
            address.is_unspecified,
        )
        assert not any(special)
