"""Endpoints: added, set, rotated, paused, resumed, removed. A real store; time is an argument."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.endpoint import CLOSED, SCHEDULE_S, Condition, Endpoint, Health
from punchgate.domain.error import Invalid, NotFound, Refused
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.domain.target import AddressRefused
from punchgate.store import endpoints as rows
from punchgate.store import events, installation, problems
from punchgate.store.endpoints import SecretsClosed
from punchgate.usecases import accounts, audit, deliveries, endpoints
from punchgate.usecases import problems as listed
from punchgate.usecases.endpoints import Added, Changes, New, Resumed
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

URL = "https://receiver.example/hook"
DAY_MS = 86_400_000


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


async def _rotate(
    gate: Gateway, endpoint_id: EndpointId, *, overlap_s: int = 86_400, now: int = NOON
) -> Added:
    return await endpoints.rotate(
        gate.context, MAIN, endpoint_id, overlap_s=overlap_s, actor="test", now=now
    )


async def _resume(gate: Gateway, endpoint_id: EndpointId, *, skip_to_now: bool = False) -> Resumed:
    return await endpoints.resume(
        gate.context, MAIN, endpoint_id, skip_to_now=skip_to_now, actor="test", now=NOON
    )


async def _revision(gate: Gateway) -> int:
    return await gate.context.database.read(installation.revision)


async def _waiting(gate: Gateway, endpoint_id: EndpointId) -> list[str]:
    """Give the wall times of the punches whose events an endpoint has not got."""
    place = await gate.context.database.read(lambda tx: rows.cursor(tx, MAIN, endpoint_id))
    assert place is not None
    window = await gate.context.database.read(lambda tx: events.read(tx, MAIN, place, limit=100))
    return [entry.body.partition('"at_local":"')[2][:10] for entry in window.entries]


async def _punch(gate: Gateway, *dates: str) -> None:
    for date in dates:
        await gate.punch("SN1", {"user_id": "1", "att_time": f"{date} 09:00:00", "att_state": 0})


async def _raise(gate: Gateway, kind: str, endpoint_id: EndpointId) -> None:
    await gate.context.writer.run(
        lambda tx: problems.raise_(
            tx,
            MAIN,
            kind,
            subject=endpoints.subject(endpoint_id),
            detail="status 500",
            now=NOON,
        )
    )


# adding


async def test_an_endpoint_has_the_defaults_of_the_page(gate: Gateway) -> None:
    added = await _add(gate)
    endpoint = added.endpoint
    assert endpoint.id.startswith("ep_")
    assert (endpoint.address, endpoint.format, endpoint.version) == (URL, "standard", 1)
    assert (endpoint.pace.concurrency, endpoint.pace.rate) == (16, None)
    assert endpoint.pace.schedule_s == SCHEDULE_S
    assert (endpoint.pace.batch_max, endpoint.pace.on_dead) == (1, "skip")
    assert endpoint.health == Health("active", NOON)
    assert endpoint.secrets.live(NOON) == (added.secret,)
    assert await endpoints.get(gate.context, MAIN, endpoint.id) == endpoint


async def test_an_endpoint_gets_what_is_recorded_after_it_was_added(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _punch(gate, "2026-06-01")
    added = await _add(gate)
    await _punch(gate, "2026-06-02")
    assert await _waiting(gate, added.endpoint.id) == ["2026-06-02"]


async def test_an_endpoint_can_begin_with_what_was_recorded_from_a_moment_on(gate: Gateway) -> None:
    await gate.add_device("SN1")
    for hour, date in enumerate(("2026-06-01", "2026-06-02", "2026-06-03")):
        gate.clock.ms = NOON - (3 - hour) * 3_600_000
        await _punch(gate, date)
    from_second = await _add(gate, start_at=NOON - 2 * 3_600_000)
    assert await _waiting(gate, from_second.endpoint.id) == ["2026-06-02", "2026-06-03"]
    from_all = await _add(gate, start_at=0)
    assert len(await _waiting(gate, from_all.endpoint.id)) == 3


async def test_an_endpoint_cannot_begin_with_what_is_yet_to_be_recorded(gate: Gateway) -> None:
    with pytest.raises(Invalid, match="yet to be recorded"):
        await _add(gate, start_at=NOON + 1)


@pytest.mark.parametrize(
    "url",
    ["http://receiver.example/", "https://10.0.0.1/", "https://127.0.0.1/", "ftp://x.example/", ""],
)
async def test_an_address_that_is_not_allowed_is_refused_when_it_is_given(
    gate: Gateway, url: str
) -> None:
    with pytest.raises(AddressRefused):
        await _add(gate, url)
    assert await endpoints.list_endpoints(gate.context, MAIN) == []
    added = await _add(gate)
    with pytest.raises(AddressRefused):
        await _set(gate, added.endpoint.id, address=url)


async def test_a_private_address_is_allowed_by_the_configuration_alone(tmp_path: Path) -> None:
    delivery = {"allow_networks": ("10.1.0.0/16",)}
    async with gateway.open(tmp_path, delivery=delivery) as gate:
        added = await _add(gate, "http://10.1.2.3:8069/hook")
        assert added.endpoint.address == "http://10.1.2.3:8069/hook"
        with pytest.raises(AddressRefused):
            await _add(gate, "http://10.2.0.1/")


# rotation


async def test_a_new_secret_comes_first_and_the_old_one_signs_for_a_day(gate: Gateway) -> None:
    added = await _add(gate)
    rotated = await _rotate(gate, added.endpoint.id)
    secrets = rotated.endpoint.secrets
    assert secrets.live(NOON + DAY_MS - 1) == (rotated.secret, added.secret)
    assert secrets.live(NOON + DAY_MS) == (rotated.secret,)
    assert rotated.endpoint.version == 2


async def test_with_no_overlap_every_old_secret_ends_at_once(gate: Gateway) -> None:
    added = await _add(gate)
    await _rotate(gate, added.endpoint.id)
    rotated = await _rotate(gate, added.endpoint.id, overlap_s=0)
    assert [key.text for key in rotated.endpoint.secrets.signing] == [rotated.secret]


async def test_a_shorter_overlap_also_shortens_that_of_older_secrets(gate: Gateway) -> None:
    added = await _add(gate)
    second = await _rotate(gate, added.endpoint.id)
    third = await _rotate(gate, added.endpoint.id, overlap_s=60)
    live = third.endpoint.secrets.live
    assert live(NOON + 59_999) == (third.secret, second.secret, added.secret)
    assert live(NOON + 60_000) == (third.secret,)


async def test_at_most_five_old_secrets_are_kept_the_latest_ones(gate: Gateway) -> None:
    issued = [(await _add(gate)).secret]
    (endpoint,) = await endpoints.list_endpoints(gate.context, MAIN)
    issued += [(await _rotate(gate, endpoint.id)).secret for _ in range(7)]
    (endpoint,) = await endpoints.list_endpoints(gate.context, MAIN)
    assert endpoint.secrets.live(NOON) == tuple(reversed(issued[-6:]))


async def test_a_secret_that_has_ended_is_forgotten_with_the_next_rotation(gate: Gateway) -> None:
    added = await _add(gate)
    await _rotate(gate, added.endpoint.id, overlap_s=60)
    later = await _rotate(gate, added.endpoint.id, now=NOON + 60_000)
    assert len(later.endpoint.secrets.signing) == 2


@pytest.mark.parametrize("overlap_s", [-1, 7 * 86_400 + 1])
async def test_an_overlap_is_at_most_a_week(gate: Gateway, overlap_s: int) -> None:
    added = await _add(gate)
    with pytest.raises(Invalid, match="7 days"):
        await _rotate(gate, added.endpoint.id, overlap_s=overlap_s)


# states


async def test_an_endpoint_is_paused_and_goes_on_from_where_it_stood(gate: Gateway) -> None:
    await gate.add_device("SN1")
    added = await _add(gate)
    paused = await endpoints.pause(
        gate.context, MAIN, added.endpoint.id, actor="test", now=NOON + 5
    )
    assert (paused.health.state, paused.health.since) == ("paused", NOON + 5)
    await _punch(gate, "2026-06-01")
    resumed = await _resume(gate, added.endpoint.id)
    assert resumed.endpoint.health == Health("active", NOON)
    assert await _waiting(gate, added.endpoint.id) == ["2026-06-01"]


async def test_skipping_to_now_passes_over_what_waits(gate: Gateway) -> None:
    await gate.add_device("SN1")
    added = await _add(gate, start_at=0)
    await _punch(gate, "2026-06-01")
    await _resume(gate, added.endpoint.id, skip_to_now=True)
    await _punch(gate, "2026-06-02")
    assert await _waiting(gate, added.endpoint.id) == ["2026-06-02"]


async def test_a_failing_endpoint_is_tried_at_once_after_it_was_resumed(gate: Gateway) -> None:
    added = await _add(gate)
    failing = Health("failing", NOON - 9, "status 500", NOON + 300_000, 21)
    await gate.context.writer.run(lambda tx: rows.set_health(tx, MAIN, added.endpoint.id, failing))
    for kind in ("endpoint_failing", "dead_letters"):
        await _raise(gate, kind, added.endpoint.id)
    assert (await _resume(gate, added.endpoint.id)).endpoint.health == Health("active", NOON)
    # It does not fail any more; what it has refused to the end is still to be looked at.
    (left,) = await listed.list_problems(gate.context, MAIN)
    assert left.kind == "dead_letters"


async def test_to_pause_or_resume_twice_changes_nothing_the_second_time(gate: Gateway) -> None:
    added = await _add(gate)
    for _ in range(2):
        await endpoints.pause(gate.context, MAIN, added.endpoint.id, actor="test", now=NOON)
    for _ in range(2):
        await _resume(gate, added.endpoint.id)
    actions = [entry.action for entry in await audit.list_entries(gate.context, MAIN)]
    assert actions == ["endpoint.resume", "endpoint.pause", "endpoint.add"]


async def test_a_removed_endpoint_is_gone_and_its_problems_with_it(gate: Gateway) -> None:
    added = await _add(gate)
    await _raise(gate, "endpoint_failing", added.endpoint.id)
    assert len(await listed.list_problems(gate.context, MAIN)) == 1
    await endpoints.remove(gate.context, MAIN, added.endpoint.id, actor="test", now=NOON)
    assert await listed.list_problems(gate.context, MAIN) == []
    assert len(await listed.list_problems(gate.context, MAIN, only_open=False)) == 1
    for ask in (endpoints.get, endpoints.look, deliveries.list_attempts, deliveries.list_dead):
        with pytest.raises(NotFound):
            await ask(gate.context, MAIN, added.endpoint.id)
    with pytest.raises(NotFound):
        await deliveries.standing(gate.context, added.endpoint)


async def test_an_endpoint_whose_master_key_is_lost_can_still_be_removed(gate: Gateway) -> None:
    added = await _add(gate)
    gate.context.vault.file.write_bytes(bytes(32))
    gate.context.vault._ciphers.clear()
    await endpoints.remove(gate.context, MAIN, added.endpoint.id, actor="test", now=NOON)
    assert await endpoints.list_endpoints(gate.context, MAIN) == []


async def test_an_endpoint_whose_secrets_do_not_open_can_be_looked_at_and_no_more(
    gate: Gateway,
) -> None:
    first = (await _add(gate, auth_token="their token")).endpoint
    gate.context.vault.file.write_bytes(bytes(32))
    gate.context.vault._ciphers.clear()
    second = (await _add(gate)).endpoint
    seen = {each.id: each for each in await endpoints.list_endpoints(gate.context, MAIN)}
    assert seen == {first.id: replace(first, secrets=CLOSED), second.id: second}
    assert await endpoints.look(gate.context, MAIN, first.id) == seen[first.id]
    with pytest.raises(SecretsClosed, match=first.id):
        await endpoints.get(gate.context, MAIN, first.id)
    with pytest.raises(SecretsClosed, match=first.id):
        await _set(gate, first.id, rate=1.0)


async def test_an_unknown_endpoint_is_told_with_those_that_there_are(gate: Gateway) -> None:
    unknown = EndpointId("ep_unknown")
    with pytest.raises(NotFound, match="none yet"):
        await endpoints.get(gate.context, MAIN, unknown)
    added = await _add(gate)
    with pytest.raises(NotFound, match=added.endpoint.id):
        await _rotate(gate, unknown)
    with pytest.raises(NotFound, match=added.endpoint.id):
        await deliveries.list_dead(gate.context, MAIN, unknown)


async def test_I12_an_endpoint_of_another_account_is_like_one_that_never_was(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    added = await _add(gate)
    texts = []
    for name in (added.endpoint.id, EndpointId("ep_unknown")):
        with pytest.raises(NotFound) as caught:
            await endpoints.pause(gate.context, other.no, name, actor="test", now=NOON)
        texts.append(str(caught.value).replace(name, "ID"))
    assert texts[0] == texts[1]
    assert await endpoints.list_endpoints(gate.context, other.no) == []


# the audit


async def test_I8_every_change_leaves_one_entry_without_a_secret_or_a_code(gate: Gateway) -> None:
    added = await _add(
        gate,
        format="cams",
        auth_token="their token",
        security_key="k" * 32,
        people=["0042"],
        fields=[Condition("person.code", "prefix", ("0042",)), Condition("mask", "exists")],
    )
    endpoint_id = added.endpoint.id
    await _set(gate, endpoint_id, auth_token="later token")
    rotated = await _rotate(gate, endpoint_id)
    await endpoints.pause(gate.context, MAIN, endpoint_id, actor="test", now=NOON)
    await _resume(gate, endpoint_id, skip_to_now=True)
    await endpoints.remove(gate.context, MAIN, endpoint_id, actor="test", now=NOON)
    entries = await audit.list_entries(gate.context, MAIN)
    assert [entry.action for entry in reversed(entries)] == [
        "endpoint.add",
        "endpoint.set",
        "endpoint.rotate",
        "endpoint.pause",
        "endpoint.skip",
        "endpoint.remove",
    ]
    assert {entry.subject for entry in entries} == {f"endpoint:{endpoint_id}"}
    for secret in (added.secret, rotated.secret, "their token", "later token", "k" * 32, "0042"):
        assert secret not in str(entries)
    first = entries[-1].after
    assert first is not None
    assert first["fields"] == ["person.code prefix", "mask?"]


async def test_every_process_is_told_of_a_change(gate: Gateway) -> None:
    seen = [await _revision(gate)]
    added = await _add(gate)
    seen.append(await _revision(gate))
    await _set(gate, added.endpoint.id, rate=1.0)
    seen.append(await _revision(gate))
    await endpoints.pause(gate.context, MAIN, added.endpoint.id, actor="test", now=NOON)
    seen.append(await _revision(gate))
    assert seen == sorted(set(seen))


async def test_the_standing_of_an_endpoint_is_found_again_after_a_restore(gate: Gateway) -> None:
    await gate.add_device("SN1")
    added = await _add(gate)
    await _punch(gate, "2026-06-01")
    old = Position(0, 0, 10_000, NOON)
    await gate.context.writer.run(lambda tx: rows.skip(tx, MAIN, added.endpoint.id, old))
    standing = await deliveries.standing(gate.context, added.endpoint)
    assert standing.lag == 1


async def test_accounts_have_their_own_endpoints(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    mine = await _add(gate)
    theirs = await endpoints.add(
        gate.context, AccountNo(other.no), New(address=URL), actor="test", now=NOON
    )
    assert [each.id for each in await endpoints.list_endpoints(gate.context, MAIN)] == [
        mine.endpoint.id
    ]
    assert [each.id for each in await endpoints.list_endpoints(gate.context, other.no)] == [
        theirs.endpoint.id
    ]


async def test_no_new_master_key_is_begun_beside_secrets_of_a_lost_one(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as gate:
        first = await _add(gate)
        key = tmp_path / "master.key"
        kept = key.read_bytes()
        key.unlink()
        with pytest.raises(Refused, match="master key"):
            await _add(gate)
        assert not key.exists()
        await endpoints.remove(
            gate.context, MAIN, first.endpoint.id, actor="test", now=gate.clock()
        )
        await _add(gate)
        assert key.read_bytes() != kept
