"""The sender and who the receiver is: TLS, and the cookies of each endpoint."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punchgate.delivery.sender import CookieJar, Sender
from punchgate.domain import target
from punchgate.domain.target import Target
from tests import authority, receiver
from tests.delivery.sending import (
    LAN,
    OPEN,
    Clock,
    Stage,
    at,
    failure,
    needs_ipv6,
    open_stage,
    post,
)
from tests.receiver import Raw, Receiver


@pytest.fixture(name="stage")
async def _stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest.fixture(scope="module", name="ca")
def _ca(tmp_path_factory: pytest.TempPathFactory) -> authority.Authority:
    return authority.create(tmp_path_factory.mktemp("ca"))


# TLS.


async def test_a_private_authority_is_trusted_from_a_file_and_the_name_is_kept(
    stage: Stage, ca: authority.Authority
) -> None:
    asked: list[str | None] = []
    context = ca.server("erp.example")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    stage.names.answers["erp.example"] = [["127.0.0.1"]]
    async with receiver.open(tls=context) as erp:
        s = await stage.sender(LAN, ca_file=ca.ca_file)
        to = target.read(erp.url(host="erp.example"), LAN)
        assert (await post(s, to)).status == 200
        assert (await post(s, to)).status == 200
        assert erp.requests[0].headers["host"] == f"erp.example:{erp.port}"
        assert erp.connections == 1
    assert asked == ["erp.example"]


async def test_a_certificate_for_an_address_is_good_for_that_address(
    stage: Stage, ca: authority.Authority
) -> None:
    async with receiver.open(tls=ca.server("127.0.0.1")) as erp:
        s = await stage.sender(LAN, ca_file=ca.ca_file)
        assert (await post(s, target.read(erp.url(), LAN))).status == 200


@pytest.mark.parametrize("case", ["another name", "ran out", "unknown authority", "no TLS at all"])
async def test_a_receiver_that_is_not_who_it_should_be_gets_nothing(
    stage: Stage, ca: authority.Authority, tmp_path: Path, case: str
) -> None:
    contexts: dict[str, ssl.SSLContext] = {
        "another name": ca.server("other.example"),
        "ran out": ca.server("erp.example", until=authority.LONG_AGO),
        "unknown authority": authority.create(tmp_path / "other").server("erp.example"),
    }
    stage.names.answers["erp.example"] = [["127.0.0.1"]]
    s = await stage.sender(LAN, ca_file=ca.ca_file)
    async with receiver.open(tls=contexts.get(case)) as erp:
        failed = await failure(s, Target("https", "erp.example", erp.port, "/secret-token"))
        assert failed.kind == ("tls" if case in contexts else "connect")
        assert erp.count == 0
    assert "secret-token" not in failed.detail


@needs_ipv6
async def test_a_wrong_certificate_is_not_a_reason_to_try_the_next_address(
    stage: Stage, ca: authority.Authority
) -> None:
    stage.names.answers["erp.example"] = [["127.0.0.1", "::1"]]
    async with (
        receiver.open(tls=ca.server("other.example")) as wrong,
        receiver.open(tls=ca.server("erp.example"), host="::1", port=wrong.port) as right,
    ):
        s = await stage.sender(LAN, ca_file=ca.ca_file)
        to = Target("https", "erp.example", wrong.port, "/")
        assert (await failure(s, to)).kind == "tls"
        assert right.connections == 0


async def test_nothing_but_http_1_1_is_offered(stage: Stage, ca: authority.Authority) -> None:
    context = ca.server("127.0.0.1")
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with receiver.open(tls=context) as erp:
        s = await stage.sender(LAN, ca_file=ca.ca_file)
        await post(s, target.read(erp.url(), LAN))
        [line] = erp._lines
        chosen = line._transport.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "http/1.1"


async def test_a_receiver_that_wants_to_know_who_we_are_gets_nothing(
    stage: Stage, ca: authority.Authority
) -> None:
    """In TLS 1.3 it closes only after we believe to be connected, with or without saying why."""
    context = ca.server("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.ca_file)
    async with receiver.open(tls=context) as erp:
        s = await stage.sender(LAN, ca_file=ca.ca_file)
        assert (await failure(s, target.read(erp.url(), LAN))).kind in {"tls", "connect"}
        assert erp.count == 0


def test_a_file_without_certificates_is_an_error_at_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing here\n")
    with pytest.raises(ssl.SSLError):
        Sender(OPEN, Clock(), ca_file=empty)
    with pytest.raises(FileNotFoundError):
        Sender(OPEN, Clock(), ca_file=tmp_path / "absent.pem")


# Cookies.


def cookies_of(r: Receiver) -> list[str | None]:
    return [request.headers.get("cookie") for request in r.requests]


async def test_a_session_that_came_with_a_refusal_is_sent_with_the_next_attempt(
    stage: Stage,
) -> None:
    s, jar = await stage.sender(), CookieJar()
    stage.good.script(receiver.Answer(403, {"Set-Cookie": "session_id=abc; Path=/; HttpOnly"}))
    assert (await post(s, at(stage.good), jar=jar)).status == 403
    assert (await post(s, at(stage.good), jar=jar)).status == 200
    assert cookies_of(stage.good) == [None, "session_id=abc"]


async def test_cookies_are_not_shared_and_not_kept_for_those_without_a_jar(stage: Stage) -> None:
    s, jar = await stage.sender(), CookieJar()
    stage.good.otherwise = receiver.Answer(200, {"Set-Cookie": "session_id=abc"})
    for each in (jar, None, CookieJar(), None, jar):
        await post(s, at(stage.good), jar=each)
    assert cookies_of(stage.good) == [None, None, None, None, "session_id=abc"]


async def test_cookies_are_forgotten_when_the_address_changes(stage: Stage) -> None:
    s, jar = await stage.sender(), CookieJar()
    stage.good.script(receiver.Answer(200, {"Set-Cookie": "session_id=abc; Path=/"}))
    await post(s, at(stage.good), jar=jar)
    await post(s, at(stage.good, path_query="/hook?stgid=SN1"), jar=jar)
    await post(s, at(stage.good, path_query="/elsewhere"), jar=jar)
    await post(s, at(stage.good), jar=jar)
    assert cookies_of(stage.good) == [None, "session_id=abc", None, None]


COOKIES = [
    ("a=1; Path=/hook", "a=1"),
    ("a=1; Path=/other", None),
    ("a=1; Path=/; Max-Age=0", None),
    ("a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None),
    ("a=1; Path=/; Max-Age=3600", "a=1"),
    ("a=1; Domain=other.example; Path=/", None),
    ("a=1; Secure; Path=/", None),  # the way back is not encrypted
    ('a="b c"; Path=/', 'a="b c"'),
    ("a=eyJ0eXAi.x-y_z/+==; Path=/; SameSite=Lax", "a=eyJ0eXAi.x-y_z/+=="),
    ("a=; Path=/", "a="),
    ("nonsense", None),
    ("", None),
    ("a=" + "x" * 4_000 + "; Path=/", "a=" + "x" * 4_000),
    ("a=" + "x" * 4_100 + "; Path=/", None),
    ("a=1; Path=/; Comment=" + "x" * 4_100, None),
]


@pytest.mark.parametrize(("line", "expected"), COOKIES, ids=range(len(COOKIES)))
async def test_a_cookie_is_sent_back_where_it_belongs(
    stage: Stage, line: str, expected: str | None
) -> None:
    s, jar = await stage.sender(), CookieJar()
    stage.good.script(receiver.Answer(200, {"Set-Cookie": line}))
    await post(s, at(stage.good), jar=jar)
    await post(s, at(stage.good), jar=jar)
    assert cookies_of(stage.good) == [None, expected]


@pytest.mark.parametrize("value", [b"\xff\xfe", "é".encode(), b"\t", b'"\\015\\012x: y"'])
async def test_a_cookie_that_is_no_plain_text_does_no_harm(stage: Stage, value: bytes) -> None:
    s, jar = await stage.sender(), CookieJar()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=" + value + b"; Path=/\r\n\r\n"
    stage.good.script(Raw(head))
    await post(s, at(stage.good), jar=jar)
    assert (await post(s, at(stage.good), jar=jar)).status == 200
    assert "x" not in stage.good.requests[1].headers


async def test_a_jar_holds_fifty_cookies(stage: Stage) -> None:
    s, jar = await stage.sender(), CookieJar()
    for number in range(70):
        stage.good.script(receiver.Answer(200, {"Set-Cookie": f"c{number}=1; Path=/"}))
        await post(s, at(stage.good), jar=jar)
    assert len(jar) == 50
    await post(s, at(stage.good), jar=jar)
    sent = cookies_of(stage.good)[-1] or ""
    assert len(sent.split("; ")) == 50
    assert "c69=1" in sent.split("; ")
    assert "c0=1" not in sent.split("; ")
