"""The sender against real receivers on loopback: where it connects, what it sends, what it reads.

Real: sockets, TLS, certificates, the pool of connections. Invented: the name server (a table
that a test changes) and the monotonic clock. 127.0.0.1 and ::1 play what is allowed; 127.0.0.2,
where a second receiver listens, plays what is not, and must never see a connection.
"""

import asyncio
import gzip
import ipaddress
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from punchgate.delivery import sender
from punchgate.delivery.form import Answer
from punchgate.delivery.sender import CookieJar, Limits, Sender, SendFailed
from punchgate.domain import target
from punchgate.domain.target import NOT_ALLOWED, Rules, Target
from tests import authority, receiver
from tests.receiver import CutOff, Drop, Flood, Hang, Raw, Receiver, Trickle

ALLOWED = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))
OPEN = Rules(allow_http=True, allow_networks=ALLOWED)
#: http only to the operator's networks.
LAN = Rules(allow_networks=ALLOWED)
SHORT = Limits(connect_s=0.2)
BODY = b'{"id":"evt_1"}'
HEADERS = {"content-type": "application/json", "webhook-id": "evt_1"}
MIB = 1_048_576


@dataclass
class Names:
    """A name server: each question for a name gets its next answer, the last one for ever."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    #: Answers wait for this.
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.questions.append(host)
        self.asked.set()
        await self.open.wait()
        known = self.answers.get(host)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known.pop(0) if len(known) > 1 else known[0]


@dataclass
class Clock:
    """A monotonic clock that a test turns."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Stage:
    """A sender, the two receivers, and what the sender believes of names and time."""

    good: Receiver
    bad: Receiver
    stack: AsyncExitStack
    names: Names = field(default_factory=Names)
    clock: Clock = field(default_factory=Clock)

    async def sender(self, rules: Rules = OPEN, **options: Any) -> Sender:
        made = Sender(rules, self.clock, resolve=self.names, **options)
        return await self.stack.enter_async_context(made)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    # The two share a port, so that a changed address alone would lead from one to the other.
    async with receiver.open() as good, receiver.open(host="127.0.0.2", port=good.port) as bad:
        async with AsyncExitStack() as stack:
            yield Stage(good, bad, stack)
        assert bad.connections == 0


@pytest.fixture(scope="module", name="ca")
def _ca(tmp_path_factory: pytest.TempPathFactory) -> authority.Authority:
    return authority.create(tmp_path_factory.mktemp("ca"))


def at(r: Receiver, host: str = "127.0.0.1", path_query: str = "/hook") -> Target:
    """Give a target as if it had passed every check before the connection."""
    return Target("http" if r.scheme == "http" else "https", host, r.port, path_query)


@contextmanager
def full_listener(port: int = 0) -> Iterator[int]:
    """Listen on 127.0.0.1, and take no connection: its queue is full."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", port))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003 (as the library has it)
            one.connect_ex(("127.0.0.1", port))
        yield port


async def post(s: Sender, to: Target, **options: Any) -> Answer:
    return await s.send(to, BODY, HEADERS, **{"jar": None, **options})


async def failure(s: Sender, to: Target, **options: Any) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        await post(s, to, **options)
    return caught.value


# What goes out, what comes back.


async def test_a_request_is_sent_as_it_was_given(stage: Stage) -> None:
    s = await stage.sender()
    to = target.read(stage.good.url("/a/../%7Eb//c?x=%20+y&u=http://z/"), OPEN)
    stage.good.script(receiver.Answer(202, {"X-Seen": "yes"}, b"taken"))
    answer = await post(s, to)
    assert (answer.status, answer.body, answer.is_cut) == (202, b"taken", False)
    assert answer.headers["x-seen"] == "yes"
    [request] = stage.good.requests
    assert (request.method, request.body) == ("POST", BODY)
    assert request.target == "/a/../%7Eb//c?x=%20+y&u=http://z/"
    assert request.headers == {
        "host": f"127.0.0.1:{stage.good.port}",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "webhook-id": "evt_1",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "Punchgate",
    }


async def test_the_host_stays_the_name(stage: Stage) -> None:
    stage.names.answers["hooks.example"] = [["127.0.0.1"]]
    s = await stage.sender()
    await post(s, at(stage.good, "hooks.example"))
    assert stage.good.requests[0].headers["host"] == f"hooks.example:{stage.good.port}"


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 410, 429, 500, 503, 799])
async def test_an_answer_is_an_answer_whatever_its_status(stage: Stage, status: int) -> None:
    s = await stage.sender()
    stage.good.script(receiver.Answer(status, {"Retry-After": "7"}))
    answer = await post(s, at(stage.good))
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")


async def test_connections_are_kept(stage: Stage) -> None:
    s = await stage.sender()
    stage.good.otherwise = receiver.Answer(200, body=b"some body")
    for _ in range(5):
        await post(s, at(stage.good))
    assert [request.connection for request in stage.good.requests] == [1] * 5


async def test_many_go_out_at_once_and_one_that_hangs_holds_up_none(stage: Stage) -> None:
    s = await stage.sender()
    hanging = asyncio.Event()
    stage.good.script(receiver.Answer(after=hanging))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(post(s, at(stage.good)))
        await stage.good.received(1)
        answers = await asyncio.gather(*(post(s, at(stage.good)) for _ in range(100)))
        assert not first.done()
        hanging.set()
    assert [answer.status for answer in answers] == [200] * 100


async def test_a_header_that_would_be_two_is_not_sent(stage: Stage) -> None:
    s = await stage.sender()
    with pytest.raises(ValueError, match="header injection"):
        await s.send(at(stage.good), BODY, {"authorization": "Bearer a\r\nx: y"}, jar=None)
    assert stage.good.count == 0


async def test_an_empty_body_is_sent_as_one(stage: Stage) -> None:
    s = await stage.sender()
    await s.send(at(stage.good), b"", {}, jar=None)
    assert stage.good.requests[0].headers["content-length"] == "0"


async def test_closing_leaves_no_connection(stage: Stage) -> None:
    async with Sender(OPEN, stage.clock) as s:
        await post(s, at(stage.good))
        assert stage.good.open_connections == 1
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")


async def test_a_request_that_is_cancelled_closes_its_connection(stage: Stage) -> None:
    s = await stage.sender()
    stage.good.script(Hang())
    task = asyncio.create_task(post(s, at(stage.good)))
    await stage.good.received(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")
    assert (await post(s, at(stage.good))).status == 200


# Where it connects.

ANSWERS_THAT_ARE_REFUSED: Mapping[str, Sequence[str]] = {
    "refused": ["127.0.0.2"],
    "one bad behind a good one": ["127.0.0.1", "127.0.0.2"],
    "one bad before a good one": ["127.0.0.2", "127.0.0.1"],
    "bad in the other family": ["127.0.0.1", "fd00::1"],
    "mapped": ["::ffff:127.0.0.2"],
    "translated": ["64:ff9b::127.0.0.2"],
    "6to4": ["2002:7f00:2::1"],
    "metadata": ["169.254.169.254"],
    "unspecified": ["0.0.0.0"],  # noqa: S104 (an address to refuse)
    "one interface": ["::1%lo"],
    "none": [],
    "no address": ["localhost"],
    "a number": ["2130706434"],
}


@pytest.mark.parametrize("found", ANSWERS_THAT_ARE_REFUSED.values(), ids=ANSWERS_THAT_ARE_REFUSED)
async def test_a_name_is_refused_unless_all_its_addresses_are_allowed(
    stage: Stage, found: Sequence[str]
) -> None:
    stage.names.answers["hooks.example"] = [found]
    s = await stage.sender()
    failed = await failure(s, at(stage.good, "hooks.example"))
    assert (failed.kind, failed.detail) == ("refused_address", NOT_ALLOWED)
    assert stage.good.connections == stage.bad.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "::ffff:127.0.0.2",
        "::ffff:7f00:2",
        "0.0.0.0",  # noqa: S104 (an address to refuse)
        "::",
        "127.0.0.3",
        "fe80::1",
    ],
)
async def test_a_literal_is_refused_at_the_connection_too(stage: Stage, host: str) -> None:
    """A literal never reaches a resolver, so a check there alone would let it through."""
    s = await stage.sender()
    failed = await failure(s, at(stage.good, host))
    assert (failed.kind, failed.detail) == ("refused_address", NOT_ALLOWED)
    assert stage.names.questions == []
    assert stage.good.connections == stage.bad.connections == 0


@pytest.mark.parametrize("host", ["2130706434", "127.2", "0x7f.2", "017700000002", "127.0.0.02"])
async def test_an_odd_spelling_leads_nowhere_even_unread(stage: Stage, host: str) -> None:
    s = await stage.sender()
    assert (await failure(s, at(stage.good, host))).kind in {"refused_address", "connect"}
    assert stage.good.connections == stage.bad.connections == 0


async def test_a_resolver_error_is_a_refusal_with_the_same_words(stage: Stage) -> None:
    s = await stage.sender()
    failed = await failure(s, at(stage.good, "unknown.example"))
    assert (failed.kind, failed.detail) == ("refused_address", NOT_ALLOWED)


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(stage: Stage) -> None:
    """A name server that says something else each time is asked once for each connection."""
    stage.names.answers["hooks.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    stage.good.otherwise = receiver.Answer(200, {"Connection": "close"})
    s = await stage.sender()
    assert (await post(s, at(stage.good, "hooks.example"))).status == 200
    assert stage.names.questions == ["hooks.example"]
    assert (await failure(s, at(stage.good, "hooks.example"))).kind == "refused_address"
    assert stage.names.questions == ["hooks.example"] * 2
    assert stage.bad.connections == 0


async def test_a_connection_that_is_old_is_left_and_the_name_asked_anew(stage: Stage) -> None:
    stage.names.answers["hooks.example"] = [["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"]]
    s = await stage.sender()
    to = at(stage.good, "hooks.example")
    for now in (0.0, 100.0, 284.0, 286.0, 500.0):
        stage.clock.seconds = now
        await post(s, to)
    assert [request.connection for request in stage.good.requests] == [1, 1, 1, 2, 2]
    await stage.good.until(lambda: stage.good.open_connections == 1, "the old one to close")
    stage.clock.seconds = 600.0
    assert (await failure(s, to)).kind == "refused_address"
    assert stage.bad.connections == 0


async def test_a_request_on_an_old_connection_may_end(stage: Stage) -> None:
    s = await stage.sender()
    done = asyncio.Event()
    stage.good.script(receiver.Answer(200, body=b"at last", after=done))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(post(s, at(stage.good)))
        await stage.good.received(1)
        stage.clock.seconds = 290.0
        await post(s, at(stage.good))
        assert stage.good.open_connections == 2
        done.set()
    assert first.result().body == b"at last"
    await stage.good.until(lambda: stage.good.open_connections == 1, "the old one to close")


async def test_those_who_ask_for_one_name_together_share_the_answer(stage: Stage) -> None:
    stage.names.answers["hooks.example"] = [["127.0.0.1"]]
    stage.names.open.clear()
    s = await stage.sender()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(post(s, at(stage.good, "hooks.example"))) for _ in range(20)]
        await stage.names.asked.wait()
        stage.names.open.set()
    assert [task.result().status for task in waiting] == [200] * 20
    assert stage.names.questions == ["hooks.example"]


@pytest.mark.parametrize("found", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"]])
async def test_plain_http_to_a_name_goes_to_the_allowed_networks_only(
    stage: Stage, found: Sequence[str]
) -> None:
    stage.names.answers |= {"erp.example": [["127.0.0.1"]], "public.example": [found]}
    s = await stage.sender(LAN)
    erp = target.read(stage.good.url(host="erp.example"), LAN)
    assert (await post(s, erp)).status == 200
    public = target.read(stage.good.url(host="public.example"), LAN)
    assert (await failure(s, public)).kind == "refused_address"
    assert stage.good.connections == 1


async def test_the_system_is_asked_for_names_unless_told_otherwise(stage: Stage) -> None:
    """`localhost` is in every hosts file; both its addresses are allowed here."""
    async with Sender(OPEN, stage.clock) as s:
        assert (await post(s, at(stage.good, "localhost"))).status == 200
    none = Rules(allow_http=True)
    async with Sender(none, stage.clock) as s:
        assert (await failure(s, at(stage.good, "localhost"))).kind == "refused_address"
    assert stage.good.connections == 1


async def test_an_ipv6_receiver_is_reached() -> None:
    async with receiver.open(host="::1") as six, Sender(OPEN, Clock()) as s:
        to = target.read(six.url(host="[::1]"), OPEN)
        assert (await post(s, to)).status == 200
        assert six.requests[0].headers["host"] == f"[::1]:{six.port}"


async def test_the_addresses_of_a_name_are_tried_one_after_another(stage: Stage) -> None:
    async with receiver.open(host="::1") as six:
        stage.names.answers["hooks.example"] = [["127.0.0.1", "::1"]]
        s = await stage.sender()
        assert (await post(s, at(six, "hooks.example"))).status == 200
        assert six.requests[0].headers["host"] == f"hooks.example:{six.port}"


async def test_an_address_that_hangs_leaves_time_for_the_next(stage: Stage) -> None:
    async with receiver.open(host="::1") as six:
        with full_listener(six.port):
            stage.names.answers["hooks.example"] = [["127.0.0.1", "::1"]]
            s = await stage.sender(limits=SHORT)
            assert (await post(s, at(six, "hooks.example"))).status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(stage: Stage, status: int) -> None:
    s = await stage.sender()
    elsewhere = {"Location": stage.good.url("/elsewhere"), "URI": stage.bad.url(host="127.0.0.2")}
    stage.good.script(receiver.Answer(status, elsewhere))
    assert (await post(s, at(stage.good))).status == status
    assert stage.good.count == 1


async def test_proxies_and_passwords_of_the_environment_are_ignored(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, stage.bad.url("", host="127.0.0.2"))
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    s = await stage.sender()
    await post(s, at(stage.good))
    assert "authorization" not in stage.good.requests[0].headers
    assert stage.bad.connections == 0


# How much it reads.


@pytest.mark.parametrize(
    ("size", "is_cut", "kept"), [(0, False, 1), (16_384, False, 1), (4 * MIB, True, 0)]
)
async def test_an_answer_is_read_up_to_16_kib(
    stage: Stage,
    size: int,
    is_cut: bool,  # noqa: FBT001 (a column of the table)
    kept: int,
) -> None:
    s = await stage.sender()
    stage.good.script(receiver.Answer(200, body=b"x" * size))
    answer = await post(s, at(stage.good))
    assert (len(answer.body), answer.is_cut) == (min(size, 16_384), is_cut)
    await stage.good.until(lambda: stage.good.open_connections == kept, f"{kept} connections")


@pytest.mark.parametrize("announces_length", [True, False])
async def test_an_answer_of_a_gigabyte_costs_16_kib(
    stage: Stage, *, announces_length: bool
) -> None:
    s = await stage.sender()
    await post(s, at(stage.good))
    stage.good.script(Flood(1024 * MIB, announces_length=announces_length))
    tracemalloc.start()
    try:
        answer = await post(s, at(stage.good))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(answer.body), answer.is_cut) == (16_384, True)
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")
    # What the system's own buffers took, and what the receiver of this process holds ready.
    assert stage.good.flooded < 32 * MIB
    assert peak < 8 * MIB


async def test_a_packed_answer_is_not_unpacked(stage: Stage) -> None:
    s = await stage.sender()
    bomb = gzip.compress(b"\0" * MIB)
    stage.good.script(receiver.Answer(200, {"Content-Encoding": "gzip"}, bomb))
    assert (await post(s, at(stage.good))).body == bomb


async def test_a_head_without_end_is_broken(stage: Stage) -> None:
    s = await stage.sender()
    stage.good.script(Raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * MIB))
    assert (await failure(s, at(stage.good))).kind == "broken"


# How it fails.

BROKEN: Mapping[str, Raw | CutOff] = {
    "another protocol": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "an old one": Raw(b"<html>hello</html>"),
    "a status that is none": Raw(b"HTTP/1.1 OK\r\n\r\n"),
    "two lengths": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "closed in the middle": CutOff(b"half", announced=100),
    "closed in a chunk": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"),
    "a chunk that is none": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_whole_answer_is_broken(stage: Stage, behaviour: Raw | CutOff) -> None:
    s = await stage.sender()
    stage.good.script(behaviour)
    failed = await failure(s, at(stage.good, path_query="/secret-token?key=hidden"))
    assert failed.kind == "broken"
    # The address of many a receiver is its password.
    assert "secret-token" not in str(failed)
    assert "hidden" not in str(failed)


async def test_a_connection_that_is_closed_without_an_answer_is_a_connection_error(
    stage: Stage,
) -> None:
    s = await stage.sender()
    stage.good.script(Drop())
    assert (await failure(s, at(stage.good))).kind == "connect"
    assert stage.good.count == 1  # and nothing is sent twice


async def test_nobody_listening_is_a_connection_error(stage: Stage) -> None:
    async with receiver.open() as gone:
        to = at(gone, path_query="/secret-token")
    s = await stage.sender()
    failed = await failure(s, to)
    assert failed.kind == "connect"
    assert "secret-token" not in failed.detail


@pytest.mark.parametrize("behaviour", [Hang(), Trickle(b"x" * 1_000, interval_s=0.01)])
async def test_an_answer_that_takes_too_long_is_a_timeout(
    stage: Stage, behaviour: Hang | Trickle
) -> None:
    s = await stage.sender()
    stage.good.script(behaviour)
    assert (await failure(s, at(stage.good), limit_s=0.1)).kind == "timeout"
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")


async def test_a_name_server_that_hangs_is_a_timeout(stage: Stage) -> None:
    stage.names.open.clear()
    s = await stage.sender(limits=SHORT)
    assert (await failure(s, at(stage.good, "hooks.example"))).kind == "timeout"


async def test_an_attempt_may_be_shorter_than_a_connection_may_take(stage: Stage) -> None:
    stage.names.open.clear()
    s = await stage.sender()
    failed = await failure(s, at(stage.good, "hooks.example"), limit_s=0.05)
    assert (failed.kind, failed.detail) == ("timeout", "no whole answer within 0.05 s")


async def test_a_connection_that_is_not_taken_is_a_timeout(stage: Stage) -> None:
    with full_listener() as port:
        s = await stage.sender(limits=SHORT)
        failed = await failure(s, Target("http", "127.0.0.1", port, "/"))
    assert (failed.kind, failed.detail) == ("timeout", "no connection within 0.2 s")


async def test_a_tls_greeting_that_is_not_answered_is_a_timeout(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never reads one
        to = Target("https", "127.0.0.1", silent.getsockname()[1], "/")
        s = await stage.sender(limits=SHORT)
        assert (await failure(s, to)).kind == "timeout"


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


# What a reader of the module may rely on.


def test_the_limits_are_those_of_the_page() -> None:
    limits = sender.Limits()
    assert (limits.connect_s, limits.body_bytes) == (5.0, 16_384)
    assert (limits.idle_s, limits.age_s) == (60.0, 300.0)
