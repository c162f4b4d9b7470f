"""A request as bytes, and what no header, address or body can make of it."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.delivery import request
from punchgate.domain.target import Target

HTTPS = Target("https", "hooks.example", 443, "/hook?a=b")


class Seen:
    """What a server reads from some bytes."""

    def __init__(self, data: bytes) -> None:
        self.requests = 0
        self.url = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_header(self, name: bytes, text: bytes) -> None:
        self.headers.append((name, text))

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.requests += 1


def test_a_request_is_these_bytes() -> None:
    written = request.write(HTTPS, {"content-type": "application/json", "x-a": ""}, b'{"a":1}')
    assert written == (
        b"POST /hook?a=b HTTP/1.1\r\n"
        b"host: hooks.example\r\n"
        b"accept: */*\r\n"
        b"accept-encoding: identity\r\n"
        b"user-agent: Punchgate\r\n"
        b"content-type: application/json\r\n"
        b"x-a: \r\n"
        b"content-length: 7\r\n"
        b"\r\n"
        b'{"a":1}'
    )


HOSTS = [
    (Target("https", "a.example", 443, "/"), b"a.example"),
    (Target("https", "a.example", 8443, "/"), b"a.example:8443"),
    (Target("http", "a.example", 80, "/"), b"a.example"),
    (Target("http", "a.example", 443, "/"), b"a.example:443"),
    (Target("https", "a.example", 80, "/"), b"a.example:80"),
    (Target("https", "192.0.2.7", 443, "/"), b"192.0.2.7"),
    (Target("https", "2001:db8::7", 443, "/"), b"[2001:db8::7]"),
    (Target("http", "2001:db8::7", 8080, "/"), b"[2001:db8::7]:8080"),
]


@pytest.mark.parametrize(("target", "host"), HOSTS)
def test_the_host_has_its_port_where_it_is_not_the_usual_one(target: Target, host: bytes) -> None:
    assert dict(Seen(request.write(target, {}, b"")).headers)[b"host"] == host


def test_a_format_may_say_who_it_is() -> None:
    seen = Seen(request.write(HTTPS, {"user-agent": "Somebody", "Accept": "text/plain"}, b""))
    names = [name.lower() for name, _ in seen.headers]
    assert (names.count(b"user-agent"), names.count(b"accept")) == (1, 1)
    assert dict(seen.headers)[b"user-agent"] == b"Somebody"


def test_letters_from_elsewhere_and_tabs_are_sent_as_utf_8() -> None:
    seen = Seen(request.write(HTTPS, {"x-a": "café\tČ\u2028", "x-b": "a\udcffb"}, b""))
    sent = dict(seen.headers)
    assert sent[b"x-a"] == "café\tČ\u2028".encode()
    assert sent[b"x-b"] == b"a\xffb"  # a cookie that was no text goes back as it came


INJECTIONS = [
    {"x": "a\r\ny: b"},
    {"x": "a\nb"},
    {"x": "a\rb"},
    {"x": "a\0b"},
    {"x": "\x1b[2J"},
    {"x": "a\x7fb"},
    {"x": "café\r\ny: b"},
    {"x\r\ny": "a"},
    {"x\ny": "a"},
    {"x y": "a"},
    {"x:y": "a"},
    {"x ": "a"},
    {" x": "a"},
    {"": "a"},
    {"x\0": "a"},
    {"ü": "a"},
    {"x\n": "a"},
]


@pytest.mark.parametrize("headers", INJECTIONS)
def test_a_header_that_would_be_something_else_is_not_written(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header injection"):
        request.write(HTTPS, headers, b"")


@pytest.mark.parametrize(
    "name",
    ["host", "Host", "content-length", "Content-Length", "transfer-encoding", "TRANSFER-ENCODING",
     "connection", "upgrade", "expect", "te", "trailer", "keep-alive", "proxy-connection"],
)  # fmt: skip
def test_what_frames_a_request_is_for_nobody_else_to_say(name: str) -> None:
    with pytest.raises(ValueError, match="not for others"):
        request.write(HTTPS, {name: "1"}, b"")


@pytest.mark.parametrize(
    "target",
    [
        Target("http", "a.example", 80, "/ HTTP/1.1\r\nx: y\r\n\r\n"),
        Target("http", "a.example", 80, "/a b"),
        Target("http", "a.example", 80, "/\n"),
        Target("http", "a.example", 80, "/ü"),
        Target("http", "a.example", 80, "*"),
        Target("http", "a.example", 80, ""),
        Target("http", "a.example", 80, "b.example:80@/"),
        Target("http", "a.example\r\nx: y", 80, "/"),
        Target("http", "a example", 80, "/"),
    ],
)
def test_an_address_that_nobody_has_read_is_not_written(target: Target) -> None:
    with pytest.raises(ValueError, match="no place in a request"):
        request.write(target, {}, b"")


@given(
    headers=st.dictionaries(
        st.one_of(st.text("abXY-_", min_size=1, max_size=6), st.text("ab: \r\n\0ü", max_size=3)),
        st.one_of(st.text(max_size=12), st.text("ab: \t\x7f\r\n\0é\udcff", max_size=12)),
        max_size=4,
    ),
    body=st.binary(max_size=60),
)
def test_whatever_is_written_is_one_request_with_these_headers_and_this_body(
    headers: dict[str, str], body: bytes
) -> None:
    try:
        written = request.write(HTTPS, headers, body)
    except ValueError:
        return
    seen = Seen(written)
    assert (seen.requests, seen.url, seen.body) == (1, b"/hook?a=b", body)
    assert len(seen.headers) == len(headers) + 5  # ours, of which none was given
    for name, text in headers.items():
        sent = text.encode("utf-8", "surrogateescape")
        assert (name.encode(), sent.strip(b" \t")) in {
            (each, value.strip(b" \t")) for each, value in seen.headers
        }


BODIES = [
    b"",
    b"x",
    b"\r\n\r\nPOST / HTTP/1.1\r\n\r\n",
    b"0\r\n\r\n",
    bytes(range(256)),
    b"x" * 1_048_576,
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_stays_a_body(body: bytes) -> None:
    seen = Seen(request.write(HTTPS, {}, body))
    assert (seen.requests, seen.body) == (1, body)
    assert dict(seen.headers)[b"content-length"] == b"%d" % len(body)
