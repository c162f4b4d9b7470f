"""The guard alone: which addresses it gives for a target, and how often it asks.

That each connection goes through it is shown in test_sender.py, that each kind of address is judged
rightly in tests/domain/test_target.py.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

import pytest

from punchgate.delivery.guard import Guard, NotAllowed
from punchgate.domain.target import Rules, Target

RULES = Rules(allow_networks=(ipaddress.ip_network("10.0.0.0/8"),))
ERP = Target("https", "erp.example", 443, "/")


class Names:
    """A name server that counts, and waits where it is told to."""

    def __init__(self, *found: str, error: Exception | None = None) -> None:
        self.found = found
        self.error = error
        self.count = 0
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.count += 1
        self.asked.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return self.found


async def test_addresses_are_given_once_each_in_their_order_and_as_numbers() -> None:
    names = Names("2606:4700:0:0:0:0:0:7", "10.0.0.7", "8.8.8.8", "10.0.0.7", "2606:4700::7")
    assert await Guard(RULES, names).addresses(ERP) == ["2606:4700::7", "10.0.0.7", "8.8.8.8"]


@pytest.mark.parametrize(
    "found",
    [(), ("192.168.0.1",), ("10.0.0.7", "192.168.0.1"), ("10.0.0.7", "erp.example"), ("",)],
)
async def test_all_addresses_are_allowed_or_none_is_given(found: Sequence[str]) -> None:
    with pytest.raises(NotAllowed):
        await Guard(RULES, Names(*found)).addresses(ERP)


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "again"), OSError(), UnicodeError(), TimeoutError()]
)
async def test_an_error_is_a_refusal(error: Exception) -> None:
    with pytest.raises(NotAllowed):
        await Guard(RULES, Names(error=error)).addresses(ERP)


@pytest.mark.parametrize(
    ("scheme", "found", "is_given"),
    [("https", "8.8.8.8", True), ("http", "8.8.8.8", False), ("http", "10.0.0.7", True)],
)
async def test_plain_http_leads_to_allowed_networks_only(
    scheme: str,
    found: str,
    is_given: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    to = ERP._replace(scheme="http" if scheme == "http" else "https")
    guard = Guard(RULES, Names(found))
    if is_given:
        assert await guard.addresses(to) == [found]
    else:
        with pytest.raises(NotAllowed):
            await guard.addresses(to)


async def test_a_number_is_judged_and_never_asked_for() -> None:
    names = Names("10.0.0.7")
    guard = Guard(RULES, names)
    assert await guard.addresses(ERP._replace(host="10.1.2.3")) == ["10.1.2.3"]
    with pytest.raises(NotAllowed):
        await guard.addresses(ERP._replace(host="::ffff:192.168.0.1"))
    assert names.count == 0


async def test_a_name_is_asked_for_anew_each_time_but_once_by_those_who_ask_together() -> None:
    names = Names("10.0.0.7")
    guard = Guard(RULES, names)
    await guard.addresses(ERP)
    await guard.addresses(ERP)
    assert names.count == 2
    names.open.clear()
    together = [asyncio.ensure_future(guard.addresses(ERP)) for _ in range(10)]
    names.asked.clear()
    await names.asked.wait()
    names.open.set()
    assert await asyncio.gather(*together) == [["10.0.0.7"]] * 10
    assert names.count == 3


async def test_who_is_cancelled_does_not_take_the_answer_from_the_others() -> None:
    names = Names("10.0.0.7")
    names.open.clear()
    guard = Guard(RULES, names)
    first, second = (asyncio.ensure_future(guard.addresses(ERP)) for _ in range(2))
    await names.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    names.open.set()
    assert await second == ["10.0.0.7"]
    assert names.count == 1


async def test_who_waits_when_the_guard_is_closed_is_refused() -> None:
    names = Names("10.0.0.7")
    names.open.clear()
    guard = Guard(RULES, names)
    waiting = asyncio.ensure_future(guard.addresses(ERP))
    await names.asked.wait()
    guard.close()
    with pytest.raises(NotAllowed):
        await waiting
