"""What can be set on an endpoint, and what will not do. A real store; time is an argument."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.endpoint import SCHEDULE_S, Condition, Endpoint
from punchgate.domain.error import Invalid
from punchgate.domain.ids import EndpointId
from punchgate.store import installation
from punchgate.usecases import audit, endpoints
from punchgate.usecases.endpoints import Added, Changes, New
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

URL = "https://receiver.example/hook"


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


async def _add(
    gate: Gateway, url: str = URL, *, start_at: int | None = None, **changes: Any
) -> Added:
    new = New(address=url, changes=Changes(**changes), start_at=start_at)
    return await endpoints.add(gate.context, MAIN, new, actor="test", now=NOON)


async def _set(gate: Gateway, endpoint_id: EndpointId, **changes: Any) -> Endpoint:
    return await endpoints.set_endpoint(
        gate.context, MAIN, endpoint_id, Changes(**changes), actor="test", now=NOON
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "xml"},
        {"events": ["punch.recorded", "punch.forgotten"]},
        {"devices": [""]},
        {"people": ["x" * 257]},
        {"sites": ["esc\x1b[31m"]},
        {"devices": [str(number) for number in range(1_001)]},
        {"fields": [Condition("Person", "eq", ("1",))]},
        {"fields": [Condition("person.code", "eq", ())]},
        {"fields": [Condition("person.code", "eq", ("1", "2"))]},
        {"fields": [Condition("person.code", "exists", ("1",))]},
        {"fields": [Condition("person.code", "near", ("1",))]},  # type: ignore[arg-type]  # wrong on purpose
        {"rate": -1.0},
        {"rate": 20_000.0},
        {"rate": float("nan")},
        {"concurrency": 0},
        {"concurrency": 257},
        {"schedule_s": [0]},
        {"schedule_s": [5] * 31},
        {"schedule_s": [8 * 86_400]},
        {"batch_max": 501},
        {"batch_wait_ms": 5_001},
        {"on_dead": "wait"},
        {"auth_token": "line\nbreak"},
        {"auth_token": "ünïcödes"},
        {"format": "cams", "security_key": "k" * 31},
        {"format": "standard", "security_key": "k" * 32},
        {"unspecified_as": "sideways"},
    ],
)
async def test_a_value_that_will_not_do_is_refused(gate: Gateway, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await _add(gate, **changes)
    added = await _add(gate)
    with pytest.raises(Invalid):
        await _set(gate, added.endpoint.id, **changes)
    assert await endpoints.get(gate.context, MAIN, added.endpoint.id) == added.endpoint


async def test_everything_that_is_set_is_kept(gate: Gateway) -> None:
    added = await _add(gate)
    after = await _set(
        gate,
        added.endpoint.id,
        address="https://other.example/?a=1",
        format="cams-v2",
        events=["punch.recorded"],
        devices=["gate", "gate"],
        people=["1"],
        sites=["HQ"],
        fields=[Condition("direction", "prefix", ("check",))],
        rate=0.5,
        concurrency=1,
        schedule_s=[5, 5],
        batch_max=500,
        batch_wait_ms=5_000,
        on_dead="hold",
        auth_token="their token",
        security_key="k" * 32,
        unspecified_as="out",
    )
    assert after == await endpoints.get(gate.context, MAIN, added.endpoint.id)
    assert (after.version, after.filter.devices) == (2, ("gate",))
    assert after.pace.schedule_s == (5, 5)
    assert (after.secrets.auth_token, after.secrets.security_key) == ("their token", "k" * 32)
    taken = await _set(
        gate, after.id, devices=[], fields=[], rate=0.0, auth_token="", security_key=""
    )
    assert (taken.filter.devices, taken.filter.fields, taken.filter.people) == ((), (), ("1",))
    assert (taken.pace.rate, taken.secrets.auth_token, taken.secrets.security_key) == (
        None,
        None,
        None,
    )


async def test_an_empty_schedule_is_the_default_again(gate: Gateway) -> None:
    added = await _add(gate, schedule_s=[5, 5])
    assert (await _set(gate, added.endpoint.id, schedule_s=[])).pace.schedule_s == SCHEDULE_S


async def test_I8_no_audit_entry_says_what_stands_in_the_query_of_an_address(
    gate: Gateway,
) -> None:
    added = await _add(gate, f"{URL}?token=s3cret&room=7")
    await _set(gate, added.endpoint.id, address=f"{URL}?token=0ther")
    later, first = await audit.list_entries(gate.context, MAIN)
    assert first.after is not None
    assert later.after is not None
    assert first.after["address"] == f"{URL}?token=…&room=…"
    assert later.after["address"] == f"{URL}?token=…"
    # What is sent to is the address as it was given.
    kept = await endpoints.get(gate.context, MAIN, added.endpoint.id)
    assert kept.address == f"{URL}?token=0ther"


async def test_a_format_is_not_changed_to_one_that_cannot_encrypt(gate: Gateway) -> None:
    added = await _add(gate, format="cams", security_key="k" * 32)
    with pytest.raises(Invalid, match="cams"):
        await _set(gate, added.endpoint.id, format="github")
    assert (await _set(gate, added.endpoint.id, format="github", security_key="")).version == 2


async def test_what_is_so_already_is_no_change(gate: Gateway) -> None:
    added = await _add(gate, rate=2.0)
    before = await gate.context.database.read(installation.revision)
    assert await _set(gate, added.endpoint.id, rate=2.0, address=URL) == added.endpoint
    assert await gate.context.database.read(installation.revision) == before
    assert len(await audit.list_entries(gate.context, MAIN)) == 1
