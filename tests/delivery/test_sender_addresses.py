"""The sender and where it connects: to addresses that were checked, and to no other."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from punchgate.delivery.sender import Limits, Sender
from punchgate.domain import target
from punchgate.domain.target import NOT_ALLOWED, Rules
from tests import receiver
from tests.delivery.sending import (
    LAN,
    OPEN,
    Clock,
    Stage,
    at,
    failure,
    full_listener,
    needs_ipv6,
    nobody,
    open_stage,
    post,
)


@pytest.fixture(name="stage")
async def _stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


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


@needs_ipv6
async def test_an_ipv6_receiver_is_reached() -> None:
    async with receiver.open(host="::1") as six, Sender(OPEN, Clock()) as s:
        to = target.read(six.url(host="[::1]"), OPEN)
        assert (await post(s, to)).status == 200
        assert six.requests[0].headers["host"] == f"[::1]:{six.port}"


@needs_ipv6
async def test_the_addresses_of_a_name_are_tried_one_after_another(stage: Stage) -> None:
    with nobody() as port:
        async with receiver.open(host="::1", port=port) as six:
            stage.names.answers["hooks.example"] = [["127.0.0.1", "::1"]]
            s = await stage.sender()
            assert (await post(s, at(six, "hooks.example"))).status == 200
        assert six.requests[0].headers["host"] == f"hooks.example:{six.port}"


@needs_ipv6
@pytest.mark.slow
async def test_an_address_that_hangs_leaves_time_for_the_next(stage: Stage) -> None:
    with full_listener() as port:
        async with receiver.open(host="::1", port=port) as six:
            stage.names.answers["hooks.example"] = [["127.0.0.1", "::1"]]
            # Half of it for each: the second needs next to nothing, on a busy machine some more.
            s = await stage.sender(limits=Limits(connect_s=4.0))
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
